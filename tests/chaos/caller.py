"""Callers on the official SDK: they make the calls of a plan, wait for results, and journal what they are told.

Each call is made once: the SDK's own repetitions are off (the environment says so), so a call without an answer may
have made a run or not, and no call can make two. Ends when all are answered, or by a signal.
"""

from __future__ import annotations

import argparse
import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from hatchet_sdk import Hatchet

from tests.chaos.journal import Journal, read_journals
from tests.chaos.mix import CHUNKS
from tests.chaos.worker import Cue

#: The SDK waits for answers in threads. While the engine is away, each call holds one.
THREADS: Final = 400
WAKE_AGAIN_S: Final = 3.0


class Caller:
    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._hatchet = Hatchet()

    async def make(self, call: dict[str, Any]) -> None:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(max(0.0, self._began + call["at_s"] - loop.time()))
        kind, key, cue = call["kind"], call["key"], Cue(**call["cue"])
        self._journal.note("calls", key=key, kind=kind, sleep_s=cue.sleep_s)
        try:
            reference = await self._ask(kind, cue)
        except Exception as error:
            self._journal.note("refused", key=key, kind=kind, error=f"{type(error).__name__}: {error}"[:300])
            return
        if reference is None:
            return
        waking = asyncio.create_task(self._wake(key)) if kind == "waiter" else None
        try:
            await self._wait(kind, key, reference)
        except Exception as error:
            # The run goes on; it is the SDK that gave up listening.
            self._journal.note("untold", key=key, kind=kind, error=f"{type(error).__name__}: {error}"[:300])
        finally:
            if waking is not None:
                waking.cancel()

    async def make_all(self, calls: list[dict[str, Any]]) -> None:
        self._began = asyncio.get_running_loop().time()
        self._journal.note("starts")
        async with asyncio.TaskGroup() as group:
            for call in calls:
                group.create_task(self.make(call))

    async def _ask(self, kind: str, cue: Cue) -> Any:
        """The reference to wait with; None when there is none to wait for."""
        if kind == "event":
            event = await self._hatchet.event.aio_push("chaos:start", cue.model_dump())
            self._journal.note("accepted", key=cue.key, kind=kind, event=event.event_id)
            return None
        workflow = self._hatchet.stubs.workflow(name=kind, input_validator=Cue)
        if kind == "scheduled":
            due = datetime.now(UTC) + timedelta(seconds=cue.due_in_s)
            await workflow.aio_schedule(due, cue)
            self._journal.note("accepted", key=cue.key, kind=kind, due=due.timestamp())
            return None
        reference = await workflow.aio_run(cue, wait_for_result=False)
        self._journal.note("accepted", key=cue.key, kind=kind, run=reference.workflow_run_id)
        return reference

    async def _wait(self, kind: str, key: str, reference: Any) -> None:
        if kind == "stream":
            said = ""
            async with aclosing(self._hatchet.runs.subscribe_to_stream(reference.workflow_run_id)) as chunks:
                async for chunk in chunks:
                    said += chunk
            numbers = [int(number) for number in said.split(",") if number]
            self._journal.note("streamed", key=key, numbers=numbers, whole=numbers == list(range(CHUNKS)))
            return
        result = await reference.aio_result()
        self._journal.note("told", key=key, kind=kind, result=result)

    async def _wake(self, key: str) -> None:
        """A waiter hears nothing of events from before it waited, so it is called again and again."""
        while True:
            await asyncio.sleep(WAKE_AGAIN_S)
            with suppress(Exception):  # refused while the engine is away
                await self._hatchet.event.aio_push(f"wake:{key}", {})


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=Path, required=True, help="a JSON line each")
    parser.add_argument("--journal", type=Path, required=True)
    given = parser.parse_args()
    calls = list(read_journals(given.calls))
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(THREADS))
    await Caller(Journal(given.journal)).make_all(calls)


if __name__ == "__main__":
    asyncio.run(main())
