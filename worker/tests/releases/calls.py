"""Calls every task of `program.py`, on a session and without one; exits 1 and says what is wrong."""

from __future__ import annotations

import asyncio
import logging
import sys

import program
from broadaxe_worker import Caller
from program import Given

logging.disable(logging.INFO)


async def main() -> None:
    assert (await program.in_loop.aio_run(Given(n=1)))["n"] == 1
    assert (await program.on_thread.aio_run(Given(n=2)))["n"] == 2
    assert (await program.second_time.aio_run(Given()))["n"] == 2
    assert (await program.parent.aio_run(Given(n=4)))["n"] == 5
    assert (await program.durable.aio_run(Given(n=6)))["n"] == 6
    assert (await program.dag.aio_run())["last"]["n"] == 21
    try:
        await program.fails.aio_run(Given())
    except Exception as error:
        assert "never" in str(error), error
    else:
        raise AssertionError("a failed task did not fail its run")
    items = [program.in_loop.create_bulk_run_item(Given(n=n)) for n in range(50)]
    assert [each["n"] for each in await program.in_loop.aio_run_many(items)] == list(range(50))


asyncio.run(main())
with Caller(program.hatchet):
    assert program.in_loop.run(Given(n=8))["n"] == 8
    asyncio.run(main())
sys.exit(0)
