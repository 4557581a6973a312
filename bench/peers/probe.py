"""What every system under test is asked, and how its answers are timed. Runs inside each system's own driver process.

Owns the measuring. A system brings five things: enqueue one task, enqueue many, wait for one result, say how many tasks
are unfinished, and a worker whose task calls `stamp`. Everything else is the same for all of them.

A task that runs appends its number and the time to one file. The clock is the machine's monotonic one, the same in all
processes, so "enqueue to start" needs no clock of the system's own, and no system needs results to be timed. An append
costs a few microseconds and is paid by all alike.

Refuses to guess: a system that loses a task, runs one twice, or does not finish in time ends the run with an error.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import struct
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Protocol

import psutil

PHASE_TIMEOUT_S: Final = 45.0
"""No single figure may take longer."""

READY_TIMEOUT_S: Final = 30.0
STAMP: Final = struct.Struct("<qq")
WARM_UP_TASKS: Final = 20
BULK_SIZE: Final = 500
ROUNDS_MIN: Final = 5
"""Of a latency figure, even where the time for it is over."""

PAUSE_S: Final = 0.02
#: The latency figures are of an idle system, and some load in the background what they need later.
SETTLE_S: Final = 2.0


class Peer(Protocol):
    """One system, seen from the enqueuing side."""

    in_flight: int
    """How many single enqueues are awaited at once. 1 for clients that block, unless their users would use threads."""

    pause_s: float
    """Rounds of the latency figures are a random time up to this apart. `PAUSE_S`, but longer for a system that polls:
    else it would always be met just after a poll, or before it has settled into its slow idle pace."""

    async def enqueue(self, index: int) -> None:
        """Returns when the system has accepted the task, with whatever guarantee that system gives."""

    async def enqueue_many(self, indices: Sequence[int]) -> None:
        """The system's own way for many tasks at once. Raises NotImplementedError if it has none."""

    async def round_trip(self, index: int) -> None:
        """Enqueues and waits for the result. Raises NotImplementedError if the system keeps none."""

    async def unfinished(self) -> int:
        """How many tasks the system's own store holds that are not finished and acknowledged."""


@dataclass(frozen=True, slots=True)
class Throughput:
    tasks: int
    elapsed_s: float
    cpu_s: dict[str, float]
    """By role: driver, worker, and whatever the service is made of. Together they are all processes there are."""


@dataclass(frozen=True, slots=True)
class Answers:
    first_task_at_ns: int
    start_ms: list[float]
    accepted_ms: list[float]
    round_trip_ms: list[float]
    singles: Throughput
    bulk: Throughput | None


# The worker's side ---------------------------------------------------------------------------------------------------

_stamps_fd: int | None = None


def stamp(index: int) -> None:
    """Called first thing by every task."""
    global _stamps_fd
    now_ns = time.monotonic_ns()
    if _stamps_fd is None:
        _stamps_fd = os.open(os.environ["PEERS_STAMPS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(_stamps_fd, STAMP.pack(index, now_ns))


def say_ready() -> None:
    """Called by a worker once the schema is there, so that the driver may connect."""
    Path(os.environ["PEERS_READY"]).touch()


# The driver's side ---------------------------------------------------------------------------------------------------


class Stamps:
    """Reads the file that the workers write."""

    def __init__(self) -> None:
        path = Path(os.environ["PEERS_STAMPS"])
        path.touch()
        self._fd = os.open(path, os.O_RDONLY)
        self._started: dict[int, int] = {}

    def read(self) -> dict[int, int]:
        """The start times seen so far, by task number."""
        while data := os.read(self._fd, STAMP.size * 4096):
            for index, at_ns in STAMP.iter_unpack(data):
                if index in self._started:
                    raise SystemExit(f"task {index} ran twice")
                self._started[index] = at_ns
        return self._started

    async def wait_for(self, indices: Sequence[int], poll_s: float) -> None:
        deadline = time.monotonic() + PHASE_TIMEOUT_S
        while not all(index in self._started for index in indices):
            self.read()
            if time.monotonic() > deadline:
                missing = [index for index in indices if index not in self._started]
                raise SystemExit(f"{len(missing)} of {len(indices)} tasks did not run in {PHASE_TIMEOUT_S:.0f} s")
            await asyncio.sleep(poll_s)


def cpu_s() -> dict[str, float]:
    """CPU seconds used so far by this process and by those named in PEERS_PIDS (`role=pid,...`), with children."""
    roles = [role.split("=") for role in os.environ["PEERS_PIDS"].split(",")]
    return {role: _tree_cpu_s(int(pid)) for role, pid in (*roles, ("driver", str(os.getpid())))}


def _tree_cpu_s(pid: int) -> float:
    root = psutil.Process(pid)
    total = 0.0
    for process in (root, *root.children(recursive=True)):
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        # What ended children used is counted by their parent from the moment it collects them.
        total += times.user + times.system + times.children_user + times.children_system
    return total


class Probe:
    def __init__(self, peer: Peer, tasks: int, rounds: int, budget_s: float) -> None:
        self._peer = peer
        self._tasks = tasks
        self._rounds = rounds
        self._budget_s = budget_s
        self._stamps = Stamps()
        self._next = 0

    async def run(self) -> Answers:
        first = self._take(1)
        await self._enqueue_when_possible(first[0])
        await self._stamps.wait_for(first, 0.001)
        for index in self._take(WARM_UP_TASKS):
            await self._peer.enqueue(index)
        await self._drain(range(self._next), 0.005)
        await asyncio.sleep(SETTLE_S)
        start_ms, accepted_ms = await self._latency()
        round_trip_ms = await self._round_trips()
        singles = await self._throughput(self._enqueue_singly)
        bulk = await self._throughput(self._enqueue_in_bulk)
        assert singles is not None
        return Answers(self._stamps.read()[first[0]], start_ms, accepted_ms, round_trip_ms, singles, bulk)

    def _take(self, count: int) -> list[int]:
        indices = list(range(self._next, self._next + count))
        self._next += count
        return indices

    async def _enqueue_when_possible(self, index: int) -> None:
        """Some systems refuse tasks until their worker has told them what it can do."""
        deadline = time.monotonic() + READY_TIMEOUT_S
        while True:
            try:
                return await self._peer.enqueue(index)
            except Exception:
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(0.02)

    async def _latency(self) -> tuple[list[float], list[float]]:
        start_ms: list[float] = []
        accepted_ms: list[float] = []
        ends_at = time.monotonic() + self._budget_s
        for index in self._take(self._rounds):
            before_ns = time.monotonic_ns()
            await self._peer.enqueue(index)
            after_ns = time.monotonic_ns()
            await self._stamps.wait_for([index], 0.0005)
            start_ms.append((self._stamps.read()[index] - before_ns) / 1e6)
            accepted_ms.append((after_ns - before_ns) / 1e6)
            await asyncio.sleep(random.uniform(0, self._peer.pause_s))
            if time.monotonic() > ends_at and len(start_ms) >= ROUNDS_MIN:
                break
        return start_ms, accepted_ms

    async def _round_trips(self) -> list[float]:
        taken_ms: list[float] = []
        ends_at = time.monotonic() + self._budget_s
        for index in self._take(self._rounds):
            before_ns = time.monotonic_ns()
            try:
                await asyncio.wait_for(self._peer.round_trip(index), PHASE_TIMEOUT_S)
            except NotImplementedError:
                break
            taken_ms.append((time.monotonic_ns() - before_ns) / 1e6)
            await asyncio.sleep(random.uniform(0, self._peer.pause_s))
            if time.monotonic() > ends_at and len(taken_ms) >= ROUNDS_MIN:
                break
        return taken_ms

    async def _throughput(self, enqueue: Callable[[Sequence[int]], Awaitable[None]]) -> Throughput | None:
        await self._drain((), 0.005)
        indices = self._take(self._tasks)
        cpu_before_s, before = cpu_s(), time.monotonic()
        try:
            async with asyncio.timeout(PHASE_TIMEOUT_S):
                await enqueue(indices)
        except NotImplementedError:
            return None
        await self._drain(indices, 0.005)
        elapsed_s = time.monotonic() - before
        used_s = {role: after_s - cpu_before_s[role] for role, after_s in cpu_s().items()}
        return Throughput(len(indices), elapsed_s, used_s)

    async def _enqueue_singly(self, indices: Sequence[int]) -> None:
        remaining = iter(indices)

        async def enqueue_next() -> None:
            for index in remaining:
                await self._peer.enqueue(index)

        async with asyncio.TaskGroup() as group:
            for _ in range(self._peer.in_flight):
                group.create_task(enqueue_next())

    async def _enqueue_in_bulk(self, indices: Sequence[int]) -> None:
        for first in range(0, len(indices), BULK_SIZE):
            await self._peer.enqueue_many(indices[first : first + BULK_SIZE])

    async def _drain(self, indices: Sequence[int], poll_s: float) -> None:
        """Waits until `indices` have run and the system itself says that nothing is left."""
        await self._stamps.wait_for(indices, poll_s)
        deadline = time.monotonic() + PHASE_TIMEOUT_S
        while (left := await self._peer.unfinished()) > 0:
            if time.monotonic() > deadline:
                raise SystemExit(f"{left} tasks ran but are still unfinished after {PHASE_TIMEOUT_S:.0f} s")
            await asyncio.sleep(poll_s)


def main(work: Callable[[], None], connect: Callable[[], Peer]) -> None:
    """The command line of a system's file: `worker`, or `drive`, which prints the answers as JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("side", choices=["worker", "drive"])
    parser.add_argument("--tasks", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--budget-s", type=float, default=1.0)
    given = parser.parse_args()
    if given.side == "worker":
        work()
        return
    ready, deadline = Path(os.environ["PEERS_READY"]), time.monotonic() + READY_TIMEOUT_S
    while not ready.exists():
        if time.monotonic() > deadline:
            raise SystemExit(f"the worker was not ready in {READY_TIMEOUT_S:.0f} s")
        time.sleep(0.005)

    async def drive() -> Answers:
        return await Probe(connect(), given.tasks, given.rounds, given.budget_s).run()

    print(json.dumps(asdict(asyncio.run(drive()))))
    sys.stdout.flush()
    os._exit(0)  # Some clients leave threads behind that nobody needs to wait for.
