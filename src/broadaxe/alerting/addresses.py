"""Where messages may be sent to: a web address that somebody gave must not lead into the network the engine is in.

A name is looked up once, every address it has is judged, and the request goes to the judged address itself: a name
that leads elsewhere a moment later gains nothing. Private addresses are reached only in networks that whoever runs the
engine allows (`--alert-networks`).
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Final
from urllib.parse import urlsplit

from broadaxe.errors import InvalidArgument, Unavailable

__all__ = ["Networks", "Place", "check_url", "place_of"]

URL_CHARS_MAX: Final = 2_048
LOOK_UP_S: Final = 5.0
Networks = Sequence[IPv4Network | IPv6Network]

#: IPv4 addresses within IPv6: each network, and how far right the address stands in it.
_WRAPPED: Final = (
    (ipaddress.IPv6Network("::ffff:0:0/96"), 0),
    (ipaddress.IPv6Network("64:ff9b::/96"), 0),
    (ipaddress.IPv6Network("2002::/16"), 80),
)
#: Not public, whatever a version of Python says of them.
_NEVER_PUBLIC: Final = tuple(
    ipaddress.ip_network(text)
    for text in ("100.64.0.0/10", "192.0.0.0/24", "::/96", "64:ff9b:1::/48", "2001::/23", "fec0::/10")
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a request goes: to this address, under that name."""

    scheme: str
    host: str
    port: int
    address: str
    path: str
    """With its query."""


def check_url(url: str) -> None:
    """InvalidArgument unless it is a web address without a password in it."""
    _parts(url)


async def place_of(url: str, allowed: Networks) -> Place:
    """InvalidArgument when the address is none, or private and not in an `allowed` network; Unavailable when its name
    is not known at the moment."""
    scheme, host, port, path = _parts(url)
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(LOOK_UP_S):
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    except (OSError, UnicodeError, TimeoutError):
        raise Unavailable(f"the name {host} cannot be looked up; is it spelled correctly?") from None
    addresses = list(dict.fromkeys(str(entry[4][0]).partition("%")[0] for entry in found))
    for text in addresses:
        address = ipaddress.ip_address(text)
        if not is_public(address) and not any(address in network for network in allowed):
            raise InvalidArgument(
                f"{host} has the private address {text}, which alerts are not sent to; if it is meant, start the "
                f"engine with --alert-networks {text}",
                field="url",
            )
    return Place(scheme, host, port, addresses[0], path)


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Whether it belongs to the public internet, also when it is an IPv4 address in the form of the other."""
    if isinstance(address, IPv6Address):
        for network, shift in _WRAPPED:
            if address in network:
                return is_public(IPv4Address(int(address) >> shift & 0xFFFF_FFFF))
    if any(address in network for network in _NEVER_PUBLIC):
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def _parts(url: str) -> tuple[str, str, int, str]:
    if len(url) > URL_CHARS_MAX or not url.isprintable() or " " in url:
        raise InvalidArgument(
            f"a web address has at most {URL_CHARS_MAX} characters, none of them a space or a control character",
            field="url",
        )
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise InvalidArgument("this is no web address", field="url") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise InvalidArgument("this is no web address; use one like https://example.com/alerts", field="url")
    if parts.username is not None or parts.password is not None:
        raise InvalidArgument("leave out the user and the password; messages prove themselves", field="url")
    path = parts.path or "/"
    return (
        parts.scheme,
        parts.hostname,
        port or (443 if parts.scheme == "https" else 80),
        f"{path}?{parts.query}" if parts.query else path,
    )
