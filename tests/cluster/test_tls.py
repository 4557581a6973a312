"""TLS between nodes: both show certificates of one authority, or there is no link."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast

import pytest
import trustme

from broadaxe.engine.engine import Engine
from broadaxe.errors import ConfigurationError, Unavailable
from broadaxe.link.host import Host
from broadaxe.link.tls import LinkTls, link_tls
from broadaxe.link.visitor import Visitor

SECRET = b"a secret of thirty-two bytes or so"


def certified(authority: trustme.CA, directory: Path, *, trusted: trustme.CA | None = None) -> LinkTls:
    """What a node has whose certificate is of this authority; it trusts the same one, or another."""
    directory.mkdir()
    certificate = authority.issue_cert("node.cluster.example")
    paths = [directory / name for name in ("node.crt", "node.key", "ca.crt")]
    certificate.cert_chain_pems[0].write_to_path(paths[0])
    certificate.private_key_pem.write_to_path(paths[1])
    (trusted or authority).cert_pem.write_to_path(paths[2])
    made = link_tls(*paths)
    assert made is not None
    return made


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
async def address(authority: trustme.CA, tmp_path: Path) -> AsyncIterator[str]:
    """Of a node with a certificate."""
    host = Host(cast(Engine, None), SECRET)
    port = await host.start("127.0.0.1", 0, certified(authority, tmp_path / "host"))
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await host.stop()


async def reaches(address: str, tls: LinkTls | None, secret: bytes = SECRET) -> bool:
    visitor = Visitor(secret, tls)
    try:
        await visitor.reach(address)
    except Unavailable:
        return False
    finally:
        await visitor.close()
    return True


async def test_nodes_of_one_authority_reach_each_other_and_prove_the_secret_all_the_same(
    address: str, authority: trustme.CA, tmp_path: Path
) -> None:
    tls = certified(authority, tmp_path / "visitor")
    assert await reaches(address, tls)
    assert not await reaches(address, tls, b"another secret of thirty-two bytes")


async def test_nodes_of_another_authority_or_of_none_are_refused(
    address: str, authority: trustme.CA, tmp_path: Path
) -> None:
    other = trustme.CA()
    assert not await reaches(address, None)
    assert not await reaches(address, certified(other, tmp_path / "stranger", trusted=authority))
    assert not await reaches(address, certified(authority, tmp_path / "sceptic", trusted=other))


def test_a_part_of_the_files_or_others_are_a_mistake_that_names_the_flag(authority: trustme.CA, tmp_path: Path) -> None:
    certified(authority, tmp_path / "node")
    certificate, key, ca = (tmp_path / "node" / name for name in ("node.crt", "node.key", "ca.crt"))
    assert link_tls(None, None, None) is None
    for given, field in (
        ((certificate, key, None), "--link-tls-certificate"),
        ((certificate, certificate, ca), "--link-tls-certificate"),
        ((certificate, key, key), "--link-tls-ca"),
    ):
        with pytest.raises(ConfigurationError) as caught:
            link_tls(*given)
        assert caught.value.field == field
