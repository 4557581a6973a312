"""Pages are never fetched from private networks."""

from __future__ import annotations

import ipaddress

import pytest

from rag_chat.addresses import check_address, is_public, parse_web_address
from rag_chat.errors import AddressRefused, PageUnavailable


def resolver(*addresses: str):  # type: ignore[no-untyped-def]
    async def resolve(host: str, port: int) -> list[str]:
        return list(addresses)

    return resolve


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1",
        "255.255.255.255", "192.0.2.1", "::1", "::", "fe80::1", "fc00::1", "ff02::1", "::ffff:127.0.0.1",
        "::ffff:10.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "2001:db8::1",
        "192.0.0.192", "192.0.0.8", "192.88.99.1", "fec0::1", "feff::1", "3fff::1", "3fff:fff::1", "5f00::1", "100::1",
        "64:ff9b:1::7f00:1", "::127.0.0.1", "::ffff:0:127.0.0.1", "2001:0:7f00:1::1",
    ],
)  # fmt: skip
def test_private_addresses_are_not_public(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946", "64:ff9b::5db8:d822"])
def test_public_addresses_are_public(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("", "empty"),
        ("ftp://example.org/", "http://"),
        ("file:///etc/passwd", "http://"),
        ("javascript:alert(1)", "http://"),
        ("https://", "host is missing"),
        ("http://user:secret@example.org/", "user name or password"),
        ("http://example.org/a b", "spaces"),
        ("http://example.org:99999/", "not a web address"),
        ("http://[::1", "not a web address"),
        ("http://example.org/" + "a" * 3_000, "characters"),
    ],
)
def test_what_is_no_web_address_is_refused_with_a_reason(url: str, reason: str) -> None:
    with pytest.raises(AddressRefused, match=reason):
        parse_web_address(url)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "[::1]", "127.1"])
async def test_spellings_of_loopback_are_refused(host: str) -> None:
    with pytest.raises((AddressRefused, PageUnavailable)):
        await check_address(f"http://{host}/", frozenset())


async def test_a_public_name_with_a_private_address_is_refused() -> None:
    with pytest.raises(AddressRefused, match="private network"):
        await check_address("https://innocent.example/", frozenset(), resolver("93.184.216.34", "10.0.0.5"))


async def test_the_caller_connects_to_the_address_that_was_judged() -> None:
    checked = await check_address("https://Example.ORG/a?b=1#c", frozenset(), resolver("93.184.216.34"))
    assert (checked.ip, checked.host, checked.port) == ("93.184.216.34", "example.org", 443)
    assert checked.url == "https://Example.ORG/a?b=1"


async def test_a_listed_host_is_allowed_on_its_port_only() -> None:
    allowed = frozenset({("127.0.0.1", 8080)})
    assert (await check_address("http://127.0.0.1:8080/docs/", allowed)).ip == "127.0.0.1"
    with pytest.raises(AddressRefused, match=r"RAG_CHAT_ALLOWED_PRIVATE_HOSTS=127\.0\.0\.1:5432"):
        await check_address("http://127.0.0.1:5432/", allowed)


async def test_a_listed_name_does_not_open_the_metadata_address() -> None:
    allowed = frozenset({("docs.internal", 80)})
    assert (await check_address("http://docs.internal/", allowed, resolver("10.0.0.8"))).ip == "10.0.0.8"
    with pytest.raises(AddressRefused):
        await check_address("http://docs.internal/", allowed, resolver("169.254.169.254"))


async def test_an_unknown_name_is_worth_another_try() -> None:
    async def resolve(host: str, port: int) -> list[str]:
        raise OSError("no such host")

    with pytest.raises(PageUnavailable, match="spelled"):
        await check_address("https://nowhere.example/", frozenset(), resolve)
