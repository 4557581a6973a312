"""The clients that SDKs are built on, in every call shape: C-core (Python) and grpc-js; grpc-go has a file of its own.

The C-core client also runs all of `tests/rpc_transport`. grpc-js is a program under `clients/` with pinned
dependencies, which npm fetches once per machine.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import grpc.aio
import pytest

REPOSITORY = Path(__file__).parents[2]
CLIENTS = Path(__file__).parent / "clients"


async def test_grpc_js_in_every_call_shape(serve, run, failures, tmp_path: Path) -> None:
    project = tmp_path / "js"
    shutil.copytree(CLIENTS / "js", project, ignore=shutil.ignore_patterns("node_modules"))
    # `make setup` puts Node into the environment where the machine has none.
    path = os.pathsep.join((str(REPOSITORY / ".venv/bin"), os.environ["PATH"]))
    await run("npm", "ci", "--ignore-scripts", "--prefer-offline", cwd=project, PATH=path)
    served = await serve()
    assert failures(await run("node", "client.mjs", served.address, cwd=project, PATH=path)) == {}
    await asyncio.wait_for(served.methods.let_go.wait(), 10)


@pytest.fixture
async def channel(serve) -> AsyncIterator[grpc.aio.Channel]:
    served = await serve()
    options = (
        ("grpc.keepalive_time_ms", 100),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_pings_without_data", 0),
        ("grpc.max_receive_message_length", 5 * 1024 * 1024),
    )
    async with grpc.aio.insecure_channel(served.address, options=options) as opened:
        yield opened


async def test_c_core_has_2000_calls_at_once(channel: grpc.aio.Channel) -> None:
    rendezvous = channel.unary_unary("/test.Carrier/Rendezvous")
    # None is answered before the last has arrived.
    answers = await asyncio.gather(*(rendezvous(b"", timeout=60) for _ in range(2000)))
    assert answers == [b""] * 2000


async def test_c_core_sends_a_stream_and_gets_one_answer(channel: grpc.aio.Channel) -> None:
    async def messages() -> AsyncIterator[bytes]:
        for _ in range(500):
            yield b"x" * 10_000

    assert await channel.stream_unary("/test.Carrier/Collect")(messages()) == b"500 messages, 5000000 bytes"


async def test_c_core_sends_messages_larger_than_any_window_side_by_side(channel: grpc.aio.Channel) -> None:
    message = os.urandom(4 * 1024 * 1024)
    echo = channel.unary_unary("/test.Carrier/Echo")
    assert await asyncio.gather(*(echo(message, timeout=60) for _ in range(8))) == [message] * 8


async def test_c_core_reads_one_stream_while_another_is_stalled(channel: grpc.aio.Channel) -> None:
    stalled = channel.unary_stream("/test.Carrier/Count")((10_000_000).to_bytes(4, "big"))
    assert len(await stalled.read()) == 504
    count = channel.unary_stream("/test.Carrier/Count")((20_000).to_bytes(4, "big"))
    assert len([message async for message in count]) == 20_000
    stalled.cancel()


async def test_c_core_is_told_a_failure_with_its_text_and_detail(channel: grpc.aio.Channel) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await channel.unary_unary("/test.Carrier/Fail")(b"")
    assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert caught.value.details() == "naïve: 100 % \N{AXE}\n"
    assert dict(caught.value.trailing_metadata()) == {"detail-bin": b"\x00\xff\x10"}
