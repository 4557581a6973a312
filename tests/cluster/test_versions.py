"""Nodes of two versions on one link: they speak as the older one does, or say why they do not speak."""

from __future__ import annotations

import asyncio

import asyncpg
import msgspec
import pytest

from broadaxe.errors import Unavailable
from broadaxe.link import connection
from broadaxe.link.visitor import Visitor
from broadaxe.link.wire import MINOR, VERSION
from tests.cluster.nodes import node
from tests.engine.house import PATIENCE_S

LENGTH_BYTES = 4
NONCE = b"n" * connection.NONCE_BYTES


class FirstHello(msgspec.Struct, frozen=True, array_like=True):
    """As it was before versions had minors."""

    version: int
    nonce: bytes
    proof: bytes = b""


def framed(message: msgspec.Struct) -> bytes:
    body = msgspec.msgpack.encode(message)
    return len(body).to_bytes(LENGTH_BYTES, "big") + body


async def heard(reader: asyncio.StreamReader) -> bytes:
    async with asyncio.timeout(PATIENCE_S):
        size = int.from_bytes(await reader.readexactly(LENGTH_BYTES), "big")
        return await reader.readexactly(size)


async def test_a_node_that_is_called_in_another_version_says_its_own_and_hangs_up(
    database: str, pool: asyncpg.Pool
) -> None:
    async with node(database, pool) as called:
        link_address = called.store._leases.members.link_address
        assert link_address is not None
        host, _, port = link_address.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(framed(FirstHello(VERSION + 1, NONCE)))
        answer = msgspec.msgpack.decode(await heard(reader), type=FirstHello)
        assert (answer.version, answer.proof) == (VERSION, b""), "nothing is proved to it"
        assert await asyncio.wait_for(reader.read(), PATIENCE_S) == b""
        writer.close()


async def test_a_node_that_calls_one_of_another_version_says_so() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await heard(reader)
        writer.write(framed(FirstHello(VERSION + 1, NONCE)))
        await reader.read()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    visitor = Visitor(b"secret")
    async with server:
        port = server.sockets[0].getsockname()[1]
        said = f"the other node speaks version {VERSION + 1} of the link, this one {VERSION}"
        with pytest.raises(Unavailable, match=said):
            await visitor.reach(f"127.0.0.1:{port}")
        await visitor.close()


def test_a_node_of_before_minors_understands_a_hello_and_is_understood() -> None:
    now = connection._Hello(VERSION, NONCE, b"proof", MINOR)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(now), type=FirstHello) == FirstHello(VERSION, NONCE, b"proof")
    before = FirstHello(VERSION, NONCE, b"proof")
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(before), type=connection._Hello).minor == 0
