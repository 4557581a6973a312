"""Callers that wait for a run by asking for it again and again, and which of their questions wait with them.

The synchronous SDKs learn of a run's end by asking for its details and sleeping a second between questions (semantics
specification 13.8). A question that is answered at once makes each of them sleep; one that is held until the run ends
lets them go when it does. So a question about a live run is held, at most `HOLD_S`, if its connection seems to wait
for that run. Who waits asks at once after it triggered the run (within `ASKS_WITHIN_S`), or has slept between
`SLEEPS_S` and `SLEEPS_MAX_S` since it was told that the run is not over. Anybody else only looks at how the run stands
now, and is answered at once: who asks first, or in quick turns until the run has begun, or for a run it triggered or
asked for long ago, which may have been replayed since.

Refuses: knowing what the answer is. Whoever answers reads it after `until_due`, so an answer is never older than its
question.

Bounds: `HELD_PER_CONNECTION_MAX` and `HELD_PER_TENANT_MAX` questions are held at a time; beyond them, and while the
server drains, answers are at once. Of a connection the last `RUNS_PER_CONNECTION_MAX` runs are known, and nothing once
it is gone. A caller with a deadline is held for half of what is left of it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Iterable
from typing import Final
from weakref import WeakKeyDictionary

from broadaxe.engine.port import EnginePort
from broadaxe.errors import BroadaxeError
from broadaxe.rpc.draining import closed_by_stop
from broadaxe.rpc.transport import Call

HOLD_S: Final = 0.9
ASKS_WITHIN_S: Final = 0.5
SLEEPS_S: Final = 0.95
SLEEPS_MAX_S: Final = 3.0
HELD_PER_CONNECTION_MAX: Final = 256
HELD_PER_TENANT_MAX: Final = 1_000
RUNS_PER_CONNECTION_MAX: Final = 1_000


class _Asker:
    """One connection."""

    __slots__ = ("held", "runs")

    def __init__(self) -> None:
        self.held = 0
        self.runs: dict[str, tuple[bool, float]] = {}
        """Runs it knows to be live, the latest last: whether it only triggered the run so far, and when it did or was
        told, on the clock of the loop."""

    def waits_for(self, run_id: str) -> bool:
        """Whether a question it asks now is from somebody who waits for the run, as far as can be told."""
        known = self.runs.get(run_id)
        if known is None:
            return False
        is_new, since_s = known
        passed_s = asyncio.get_running_loop().time() - since_s
        return passed_s <= ASKS_WITHIN_S if is_new else SLEEPS_S <= passed_s <= SLEEPS_MAX_S


class Askers:
    """All connections of one server."""

    def __init__(self, engine: EnginePort) -> None:
        self._engine = engine
        self._by_connection: WeakKeyDictionary[object, _Asker] = WeakKeyDictionary()
        self._held: Counter[str] = Counter()

    def triggered(self, call: Call, run_ids: Iterable[str]) -> None:
        """The caller has reason to ask for these runs: it made them."""
        self._note(call, run_ids, is_new=True)

    def told(self, call: Call, run_id: str) -> None:
        """The caller has reason to ask for the run again: it was told that it is not over."""
        self._note(call, (run_id,), is_new=False)

    def _note(self, call: Call, run_ids: Iterable[str], *, is_new: bool) -> None:
        now_s = asyncio.get_running_loop().time()
        asker = self._by_connection.get(call.connection)
        if asker is None:
            asker = self._by_connection[call.connection] = _Asker()
        runs = asker.runs
        for run_id in run_ids:
            runs.pop(run_id, None)
            runs[run_id] = is_new, now_s
        while len(runs) > RUNS_PER_CONNECTION_MAX:
            del runs[next(iter(runs))]

    def forget(self, call: Call, run_id: str) -> None:
        """The caller knows how the run ended; if it asks again, it only looks."""
        asker = self._by_connection.get(call.connection)
        if asker is not None:
            asker.runs.pop(run_id, None)

    async def until_due(self, call: Call, run_id: str) -> None:
        """Returns when the caller's question about the run is to be answered."""
        asker = self._by_connection.get(call.connection)
        tenant_id = call.principal.tenant_id
        if asker is None or not asker.waits_for(run_id) or call.draining.is_set():
            return
        if asker.held >= HELD_PER_CONNECTION_MAX or self._held[tenant_id] >= HELD_PER_TENANT_MAX:
            return
        asker.held += 1
        self._held[tenant_id] += 1
        try:
            await self._until_ended(call, run_id)
        finally:
            asker.held -= 1
            self._held[tenant_id] -= 1
            if not self._held[tenant_id]:
                del self._held[tenant_id]

    async def _until_ended(self, call: Call, run_id: str) -> None:
        remaining_s = call.remaining_s()
        patience_s = HOLD_S if remaining_s is None else min(HOLD_S, remaining_s / 2)
        # A tenant that is not here just now tells nobody of its runs, but the tables can be asked.
        with contextlib.suppress(TimeoutError, BroadaxeError):
            async with asyncio.timeout(patience_s):
                results = await self._engine.results(call.principal.tenant_id)
                try:
                    async with closed_by_stop(call, results.close):
                        results.add(run_id)
                        await results.next()
                finally:
                    results.close()
