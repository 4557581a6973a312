"""Measures the core alone: what a command costs to decide, and whether that grows with what the command is not about.

    make bench-deciding

Neither PostgreSQL nor the network takes part. Each figure is the best of some rounds, in microseconds of one core.

- an event that starts one run, beside as many workflows that listen for other keys;
- a trigger and its completion, beside as many workers of the same action that have no free slot;
- the same where nobody but one worker has room, and by as many actions per worker;
- a completion while a backlog waits for the same saturated workers.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import count
from typing import Final

from broadaxe.core.commands.attempts import Outcome, ReportAttempt
from broadaxe.core.commands.events import EventRequest, PushEvents
from broadaxe.core.commands.triggers import RunRequest, TriggerRuns
from broadaxe.core.commands.workers import OpenStream, RegisterWorker
from broadaxe.core.commands.workflows import PutWorkflow
from broadaxe.core.decision import Decision, StartAttempt
from broadaxe.core.definition import TaskSpec, WorkflowSpec
from broadaxe.core.tenant import Tenant
from broadaxe.errors import BroadaxeError

NOW_US: Final = 1_767_268_800_000_000
SIZES: Final = (1, 100, 1_000)
ROUNDS: Final = 5


class Bench:
    """A tenant, and what its last decision sent to workers."""

    def __init__(self) -> None:
        numbers = count(1)
        self.tenant = Tenant(lambda: f"00000000-0000-7000-8000-{next(numbers):012x}")
        self.started: list[StartAttempt] = []
        self.sessions = count(1)

    def do(self, *commands: object) -> list[object]:
        decision: Decision = self.tenant.decide(commands, NOW_US)  # type: ignore[arg-type]
        self.started = [effect for effect in decision.effects if isinstance(effect, StartAttempt)]
        for reply in decision.replies:
            assert not isinstance(reply, BroadaxeError), reply
        return list(decision.replies)

    def put(self, name: str, *event_triggers: str) -> None:
        task = TaskSpec(name="t", action_id=f"{name}:t")
        self.do(PutWorkflow(WorkflowSpec(name=name, tasks=(task,), event_triggers=event_triggers)))

    def worker(self, actions: list[str], slots: int) -> None:
        (worker_id,) = self.do(RegisterWorker("w", tuple(actions), {"default": slots}))
        self.do(OpenStream(str(worker_id), next(self.sessions)))

    def trigger(self, name: str) -> None:
        self.do(TriggerRuns((RunRequest(workflow_name=name, input="{}"),)))

    def complete(self, start: StartAttempt) -> None:
        self.do(ReportAttempt(start.task_id, start.retry_count, Outcome.COMPLETED, payload="{}"))


def best_us(rounds: Iterator[Callable[[], int]]) -> float:
    """Each round is made ready, then timed; it says how many operations it did."""
    found = []
    for play in rounds:
        started = time.perf_counter()
        operations = play()
        found.append((time.perf_counter() - started) * 1e6 / operations)
    return min(found)


def events(pattern: Callable[[int], str], size: int) -> float:
    """An event that one of `size` workflows listens for."""
    bench = Bench()
    for number in range(size):
        bench.put(f"flow-{number}", pattern(number))
    key = pattern(size // 2).replace("*", "x")

    def play() -> int:
        for _ in range(200):
            bench.do(PushEvents((EventRequest(key=key, payload="{}"),)))
        return 200

    return best_us(play for _ in range(ROUNDS))


def tasks(workers: int, actions: int, backlog: int) -> float:
    """A trigger and a completion, of the one worker with room (or, with a backlog, the one that reports)."""
    bench = Bench()
    bench.put("flow")
    names = ["flow:t", *(f"other:{number}" for number in range(actions - 1))]
    for _ in range(workers):
        bench.worker(names, 1)
    running: list[StartAttempt] = []
    for _ in range(workers - 1):
        bench.trigger("flow")
        running += bench.started
    if backlog:
        for _ in range(backlog + 1):
            bench.trigger("flow")
            running += bench.started

    def play() -> int:
        for turn in range(200):
            bench.trigger("flow")
            running.extend(bench.started)
            # Not always the same worker's.
            bench.complete(running.pop((turn * 37) % len(running) if backlog else -1))
            running.extend(bench.started)
        return 200

    return best_us(play for _ in range(ROUNDS))


def main() -> None:
    print(f"{'microseconds each':46}" + "".join(f"{size:>10,}" for size in SIZES))
    for name, measure in (
        ("event, workflows with keys of their own", lambda n: events(lambda w: f"order:{w}", n)),
        ("event, workflows with patterns user-N:*", lambda n: events(lambda w: f"user-{w:04}:*", n)),
        ("event, workflows with patterns *:done-N", lambda n: events(lambda w: f"*:done-{w:04}", n)),
        ("task, busy workers beside one with room", lambda n: tasks(n, 1, 0)),
        ("task behind a backlog, busy workers", lambda n: tasks(n, 1, 2_000)),
        ("task, actions of one worker", lambda n: tasks(1, n, 0)),
        ("task behind a backlog, actions of one worker", lambda n: tasks(1, n, 2_000)),
    ):
        print(f"{name:46}" + "".join(f"{measure(size):>10.1f}" for size in SIZES), flush=True)


if __name__ == "__main__":
    main()
