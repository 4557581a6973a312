"""Where a request comes from.

Owns the question whose address counts. It is the peer's, unless the peer is a proxy that the settings name: then it is
the right-most address of `X-Forwarded-For` that is no such proxy. What stands further left was written by whoever
sent the request. Refuses to believe a header of anybody else.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final, TypeAlias

from fastapi import Request

__all__ = ["Network", "client_address", "client_network", "is_direct_and_local"]

Network: TypeAlias = IPv4Network | IPv6Network
_Address: TypeAlias = IPv4Address | IPv6Address

#: What says that a request came through somebody else.
_TRACES_OF_PROXIES: Final = (
    "forwarded",
    "via",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-forwarded-server",
    "x-real-ip",
)
#: What one household or host is given of IPv6: single addresses of it are free to take.
_IPV6_PREFIX_BITS: Final = 64
_HOPS_MAX: Final = 32


def is_direct_and_local(request: Request) -> bool:
    """Whether a program of this machine sent the request itself, as far as can be seen from here."""
    peer = _peer(request)
    return peer is not None and peer.is_loopback and not any(name in request.headers for name in _TRACES_OF_PROXIES)


def client_network(request: Request, trusted_proxies: Iterable[Network]) -> str:
    """The client's address, as the unit in which attempts are counted: an IPv4 address, or an IPv6 network."""
    address = _client(request, trusted_proxies)
    if isinstance(address, IPv6Address):
        return str(IPv6Network((address, _IPV6_PREFIX_BITS), strict=False))
    return "" if address is None else str(address)


def client_address(request: Request, trusted_proxies: Iterable[Network]) -> str:
    """The client's address as it is; empty where none is known."""
    address = _client(request, trusted_proxies)
    return "" if address is None else str(address)


def _client(request: Request, trusted_proxies: Iterable[Network]) -> _Address | None:
    trusted = tuple(trusted_proxies)
    address = _peer(request)
    if address is None:
        return None
    if _is_in(address, trusted):
        hops = ",".join(request.headers.getlist("x-forwarded-for")).split(",")
        for text in reversed(hops[-_HOPS_MAX:]):
            hop = _parsed(text)
            if hop is None:
                break
            address = hop
            if not _is_in(hop, trusted):
                break
    return address


def _peer(request: Request) -> _Address | None:
    return None if request.client is None else _parsed(request.client.host)


def _is_in(address: _Address, networks: Iterable[Network]) -> bool:
    return any(address in network for network in networks)


def _parsed(text: str) -> _Address | None:
    """The address in one of the forms that proxies write: alone, with a port, or in brackets."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address
