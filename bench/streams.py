"""Durable streams: from publish to receipt, messages a second, and what subscribers weigh.

Against an engine of its own, on the bare wire, in this process: what is measured is the engine and what a client cannot
do without. Prints figures and judges none.

    python bench/streams.py                          all three
    python bench/streams.py --subscribers 200        fewer
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

import psutil

sys.path += [str(Path(__file__).resolve().parents[1] / "tests" / "wire"), str(Path(__file__).resolve().parent)]

from lean_client import LeanClient
from wirekit import EngineProcess

PAYLOAD: Final = b"x" * 200
LATENCIES: Final = 500
PUBLISHERS: Final = 200
MESSAGES: Final = 20_000


async def latency(engine: EngineProcess) -> None:
    """One message at a time: from before the call to when a subscriber that waits has it, and to the answer."""
    async with (
        LeanClient(engine.address, engine.token) as publisher,
        LeanClient(engine.address, engine.token) as reader,
    ):
        await publisher.publish("latency", PAYLOAD)
        stream = reader.subscribe("latency")
        await anext(stream)
        receipts, answers = [], []
        for _ in range(LATENCIES):
            began = time.perf_counter()
            publishing = asyncio.ensure_future(publisher.publish("latency", PAYLOAD))
            await anext(stream)
            receipts.append(time.perf_counter() - began)
            await publishing
            answers.append(time.perf_counter() - began)
    for name, found in (("receipt", receipts), ("answer", answers)):
        cuts = statistics.quantiles(found, n=100)
        print(f"publish to {name}: p50 {cuts[49] * 1e3:.2f} ms, p99 {cuts[98] * 1e3:.2f} ms of {LATENCIES}")


async def throughput(engine: EngineProcess) -> None:
    """Many publishers at once, and one subscriber that reads it all."""
    process = engine_process(engine)
    async with LeanClient(engine.address, engine.token) as client, LeanClient(engine.address, engine.token) as reader:

        async def publish(number: int) -> None:
            for _ in range(MESSAGES // PUBLISHERS):
                await client.publish(f"busy-{number % 10}", PAYLOAD)

        async def read(topic: str) -> None:
            seen = 0
            async for response in reader.subscribe(topic):
                seen += len(response.entries)
                if seen >= MESSAGES // 10:
                    return

        cpu, began = sum(process.cpu_times()[:2]), time.perf_counter()
        await asyncio.gather(
            *(publish(number) for number in range(PUBLISHERS)), *(read(f"busy-{n}") for n in range(10))
        )
        took = time.perf_counter() - began
        spent = sum(process.cpu_times()[:2]) - cpu
    print(
        f"throughput: {MESSAGES / took:,.0f} messages/s published and read by {PUBLISHERS} publishers, "
        f"{spent / MESSAGES * 1e6:.0f} us of the engine's CPU each"
    )


async def subscribers(engine: EngineProcess, count: int) -> None:
    """So many subscribers of one topic, who wait, and then get a message."""
    process = engine_process(engine)
    async with LeanClient(engine.address, engine.token) as client:
        await client.publish("crowd", PAYLOAD)
        before = process.memory_info().rss
        streams = [client.subscribe("crowd") for _ in range(count)]
        await asyncio.gather(*(anext(stream) for stream in streams))
        after = process.memory_info().rss
        began = time.perf_counter()
        await client.publish("crowd", PAYLOAD)
        await asyncio.gather(*(anext(stream) for stream in streams))
        took = time.perf_counter() - began
        await asyncio.gather(*(stream.aclose() for stream in streams))
    print(
        f"{count:,} subscribers: {(after - before) / 1024 / count:.1f} KiB each, "
        f"a message reaches the last one in {took * 1e3:.0f} ms"
    )


def engine_process(engine: EngineProcess) -> psutil.Process:
    assert engine._process is not None
    return psutil.Process(engine._process.pid)


async def main(count: int) -> None:
    with tempfile.TemporaryDirectory() as place:
        engine = EngineProcess(Path(place))
        await engine.start()
        try:
            await latency(engine)
            await throughput(engine)
            await subscribers(engine, count)
        finally:
            await engine.dispose()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--subscribers", type=int, default=1_000)
    asyncio.run(main(parser.parse_args().subscribers))
