"""Which addresses the chat may connect to.

Owns the rule that a page address typed by a stranger never reaches a private network. A name is resolved once, every
address it resolves to is judged, and the caller connects to the judged address itself: a name that resolves differently
a moment later (DNS rebinding) gains nothing. Private hosts are reached only when host and port are listed; cloud
metadata addresses only when the address itself is listed.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from rag_chat.errors import AddressRefused, PageUnavailable

URL_CHARS_MAX = 2_048
RESOLVE_TIMEOUT_S = 5.0
NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
#: What the registries of special addresses call not public though `is_global` says otherwise in some versions of
#: Python: which version runs must not decide. A cloud's metadata address is among them.
NOT_PUBLIC = tuple(
    ipaddress.ip_network(text)
    for text in (
        "192.0.0.0/24",  # IETF protocol assignments; a cloud has its metadata there
        "192.88.99.0/24",  # 6to4 relays, no longer in use
        "::/96",  # IPv4 addresses in a form no longer in use
        "::ffff:0:0:0/96",  # translated IPv4 addresses
        "64:ff9b:1::/48",  # translation within a network
        "100::/64",  # discarded
        "2001::/23",  # IETF protocol assignments
        "2002::/16",  # 6to4
        "3fff::/20",  # documentation
        "5f00::/16",  # segment routing within a network
        "fec0::/10",  # site-local, no longer in use
    )
)

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolver = Callable[[str, int], Awaitable[list[str]]]


@dataclass(frozen=True, slots=True)
class CheckedAddress:
    """A web address that may be fetched, and the IP address to connect to."""

    url: str
    scheme: str
    host: str
    port: int
    ip: str


async def resolve_with_system(host: str, port: int) -> list[str]:
    """All addresses of a host, as the operating system resolves them."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    return list(dict.fromkeys(str(entry[4][0]).partition("%")[0] for entry in found))


def parse_web_address(url: str) -> SplitResult:
    """The parts of a web address; raises AddressRefused with what is wrong with it."""
    text = url.strip()
    if not text:
        raise AddressRefused("The address is empty: paste one, such as https://example.org/docs/")
    if len(text) > URL_CHARS_MAX:
        raise AddressRefused(f"The address has {len(text)} characters, more than the {URL_CHARS_MAX} the chat reads.")
    if any(ord(character) < 33 or ord(character) == 127 for character in text):
        raise AddressRefused("The address contains spaces or control characters: paste it again without them.")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise AddressRefused(f"{text!r} is not a web address.") from None
    if parts.scheme not in ("http", "https"):
        raise AddressRefused(f"{text!r} is not a web address: it has to start with http:// or https://")
    if not parts.hostname or port == 0:
        raise AddressRefused(f"{text!r} is not a web address: the host is missing.")
    if parts.username is not None or parts.password is not None:
        raise AddressRefused("The address contains a user name or password; the chat does not send those.")
    return parts


def port_of(parts: SplitResult) -> int:
    return parts.port or (443 if parts.scheme == "https" else 80)


def is_public(ip: IPAddress) -> bool:
    """Whether an address belongs to the public internet, also when it is wrapped in an IPv6 transition format."""
    if isinstance(ip, ipaddress.IPv6Address):
        wrapped = ip.ipv4_mapped or ip.sixtofour
        if wrapped is None and ip in NAT64:
            wrapped = ipaddress.IPv4Address(int(ip) & 0xFFFF_FFFF)
        if ip.teredo is not None:
            wrapped = ip.teredo[1]
        if wrapped is not None:
            return is_public(wrapped)
    if any(ip in network for network in NOT_PUBLIC):
        return False
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


async def check_address(
    url: str, allowed_private_hosts: frozenset[tuple[str, int]], resolve: Resolver = resolve_with_system
) -> CheckedAddress:
    """Decide whether a web address may be fetched, and where to connect for it."""
    parts = parse_web_address(url)
    host = (parts.hostname or "").rstrip(".").lower()
    port = port_of(parts)
    try:
        ascii_host = host if ":" in host else host.encode("idna").decode("ascii")
    except UnicodeError:
        raise AddressRefused(f"{host!r} is not a valid host name.") from None
    try:
        async with asyncio.timeout(RESOLVE_TIMEOUT_S):
            addresses = await resolve(ascii_host, port)
    except TimeoutError:
        raise PageUnavailable(f"The name {host} could not be looked up within {RESOLVE_TIMEOUT_S:g} s.") from None
    except (OSError, UnicodeError):
        raise PageUnavailable(f"The name {host} could not be found. Is the address spelled correctly?") from None
    if not addresses:
        raise PageUnavailable(f"The name {host} has no address.")

    listed = (host, port) in allowed_private_hosts
    for text in addresses:
        ip = ipaddress.ip_address(text)
        if is_public(ip):
            continue
        if listed and (not ip.is_link_local or text == host):
            continue
        raise AddressRefused(
            f"{host}:{port} is an address in a private network, which the chat does not read. "
            f"If it is yours, start the chat with RAG_CHAT_ALLOWED_PRIVATE_HOSTS={host}:{port}"
        )
    return CheckedAddress(
        url=parts._replace(fragment="").geturl(), scheme=parts.scheme, host=ascii_host, port=port, ip=addresses[0]
    )
