"""Whose address counts, and whose word about it."""

from __future__ import annotations

from ipaddress import ip_network

import pytest
from starlette.requests import Request

from broadaxe.rest.client_address import client_network, is_direct_and_local

PROXIES = (ip_network("10.0.0.0/8"), ip_network("::1"))


def request(peer: str | None, **headers: str) -> Request:
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "client": None if peer is None else (peer, 1), "headers": raw})


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("203.0.113.9", None, "203.0.113.9"),
        ("203.0.113.9", "198.51.100.1", "203.0.113.9"),
        ("10.0.0.1", None, "10.0.0.1"),
        ("10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("::ffff:10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("::1", "198.51.100.1:4711", "198.51.100.1"),
        ("10.0.0.1", "1.1.1.1, 198.51.100.1, 10.0.0.2", "198.51.100.1"),
        ("10.0.0.1", "198.51.100.1, rubbish, 10.0.0.2", "10.0.0.2"),
        ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("10.0.0.1", "[2001:db8:1:2:3::4]:443", "2001:db8:1:2::/64"),
        (None, "198.51.100.1", ""),
    ],
)
def test_the_client_is_the_last_address_that_no_trusted_proxy_has(
    peer: str | None, forwarded: str | None, client: str
) -> None:
    headers = {} if forwarded is None else {"x_forwarded_for": forwarded}
    assert client_network(request(peer, **headers), PROXIES) == client


def test_repeated_headers_are_one_list() -> None:
    raw = [(b"x-forwarded-for", b"1.1.1.1"), (b"x-forwarded-for", b"198.51.100.1, 10.0.0.2")]
    asked = Request({"type": "http", "client": ("10.0.0.1", 1), "headers": raw})
    assert client_network(asked, PROXIES) == "198.51.100.1"


@pytest.mark.parametrize("peer", ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"])
def test_a_program_of_this_machine_is_local_unless_it_speaks_for_somebody(peer: str) -> None:
    assert is_direct_and_local(request(peer))
    for header in ("forwarded", "via", "x_forwarded_for", "x_forwarded_proto", "x_real_ip"):
        assert not is_direct_and_local(request(peer, **{header: "127.0.0.1"})), header


@pytest.mark.parametrize("peer", ["203.0.113.9", "10.0.0.1", "testclient", None])
def test_nobody_else_is_local(peer: str | None) -> None:
    assert not is_direct_and_local(request(peer))
