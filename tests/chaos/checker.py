"""The checker: compares what callers and workers wrote down with what the tables say at the end.

A pure function of what it is given, so each thing it looks for has a test that shows it is found. What it looks for:

- lost: a call was answered, and there is nothing.
- doubled: a key with two runs, a tick that came twice, a task that finished twice.
- stuck: not ended when everything had time to end.
- failed: ended otherwise than COMPLETED, though no task of the mix may fail.
- wrong: another output than the task returned; a caller was told something else; chunks of a stream out of order.
- overlapped: two attempts of one task ran at once. While the line between workers and engine is cut, neither can know
  of the other, which is documented; what begins in such a time is counted as excused.
- crowded: more attempts of a group at once than its limit.
- missed: a tick did not come though the engine was there, or no tick comes any more.
- early: a sleep or a schedule ended before its time.
- down: what was struck did not come back.
- refused: a call failed, though nothing happened but what operators do in order.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import Final

from tests.chaos.journal import Note
from tests.chaos.mix import NARROW_MAX, TICK_S, expected

TERMINAL: Final = frozenset(("COMPLETED", "FAILED", "CANCELLED"))
DURABLE: Final = frozenset(("sleeper", "waiter", "story"))

#: Clocks of processes on one machine agree; what is left is the time between a clock's reading and its use.
SLACK_S: Final = 0.05
#: An evicted durable invocation winds down while the next one may already run.
HANDOVER_S: Final = 5.0
#: How long after a cut of the workers' line attempts may still meet: silence is 30 s, and workers connect again.
PARTITION_S: Final = 45.0
#: Ticks this close to an absence may have fallen into it.
NEAR_S: Final = 1.5
#: The last tick is at most this old when a run ends.
STILL_S: Final = 6.0
#: Nobody waits for the last ticks. One whose report was given up runs until its timeout, and then once more.
TICK_ENDS_S: Final = 45.0


@dataclass(frozen=True, slots=True)
class Span:
    """From `start` to `end`, seconds since the Unix epoch."""

    start: float
    end: float

    def holds(self, at: float, near_s: float = 0.0) -> bool:
        return self.start - near_s <= at <= self.end + near_s


@dataclass(frozen=True, slots=True)
class RunRow:
    id: str
    workflow: str
    status: str
    key: str
    event_id: str | None
    created_at: float
    tick: str | None


@dataclass(frozen=True, slots=True)
class TaskRow:
    id: str
    run_id: str
    name: str
    status: str
    value: int | None
    error: str
    finishes: int
    evicted_at: tuple[float, ...] = ()
    """When invocations of it were evicted, seconds since the Unix epoch."""


@dataclass(frozen=True, slots=True)
class Attempt:
    task: str
    retry: int
    key: str
    kind: str
    group: str
    worker: str
    span: Span


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that is known about a run of the harness."""

    calls: Sequence[Note]
    work: Sequence[Note]
    runs: Sequence[RunRow]
    tasks: Sequence[TaskRow]
    ended_at: float
    killed: dict[str, float] = field(default_factory=dict)
    """When workers were killed, by name."""
    away: Sequence[Span] = ()
    """When the engine was not there, or could not reach its database, until it had recovered."""
    cuts: Sequence[Span] = ()
    """When the line between workers and engine was cut."""
    down: Sequence[str] = ()
    """What did not come back after a fault."""
    moved_clock: bool = False
    """Whether the engine's clock was moved: then nothing can be said about ticks missed, sleeps and schedules."""
    is_planned: bool = False
    """Whether no call may fail."""


FINDINGS: Final = (
    "lost", "doubled", "stuck", "failed", "wrong", "overlapped", "crowded", "missed", "early", "down", "refused"
)  # fmt: skip


@dataclass(slots=True)
class Verdict:
    """`found` has a sentence for each fault found; `counts` says how much was looked at."""

    found: dict[str, list[str]] = field(default_factory=lambda: {kind: [] for kind in FINDINGS})
    counts: Counter[str] = field(default_factory=Counter)

    @property
    def is_kept(self) -> bool:
        return not any(self.found.values())


def judge(evidence: Evidence) -> Verdict:
    verdict = Verdict()
    verdict.found["down"] += evidence.down
    _judge_runs(evidence, verdict)
    _judge_told(evidence, verdict)
    attempts = list(_attempts(evidence))
    verdict.counts["attempts"] = len(attempts)
    _judge_overlaps(evidence, attempts, verdict)
    _judge_crowds(attempts, verdict)
    _judge_ticks(evidence, verdict)
    if not evidence.moved_clock:
        _judge_times(evidence, verdict)
    return verdict


def _judge_runs(evidence: Evidence, verdict: Verdict) -> None:
    tasks: defaultdict[str, list[TaskRow]] = defaultdict(list)
    for task in evidence.tasks:
        tasks[task.run_id].append(task)
        if task.finishes > 1:
            verdict.found["doubled"].append(f"task {task.name} of run {task.run_id} finished {task.finishes} times")
    by_key: defaultdict[str, list[RunRow]] = defaultdict(list)
    for run in evidence.runs:
        if run.key:
            by_key[run.key].append(run)
    for key, runs in by_key.items():
        if len(runs) > 1:
            verdict.found["doubled"].append(f"{key} has {len(runs)} runs: {[run.id for run in runs]}")
    for run in evidence.runs:
        _judge_run(run, tasks[run.id], evidence, verdict)
    known = {run.id for run in evidence.runs}
    events = {run.event_id for run in evidence.runs}
    for note in evidence.calls:
        verdict.counts[note["what"]] += 1
        if evidence.is_planned and note["what"] in ("refused", "untold"):
            verdict.found["refused"].append(f"the caller of {note['key']} was told: {note['error']}")
        if note["what"] != "accepted":
            continue
        is_there = {
            "event": lambda note=note: note["event"] in events,
            "scheduled": lambda note=note: note["key"] in by_key,
        }.get(note["kind"], lambda note=note: note["run"] in known)
        if not is_there():
            verdict.found["lost"].append(f"{note['key']} was accepted, and there is no run")
    verdict.counts["runs"] = len(evidence.runs)


def _judge_run(run: RunRow, tasks: list[TaskRow], evidence: Evidence, verdict: Verdict) -> None:
    what = f"{run.key or run.workflow} (run {run.id})"
    if run.status not in TERMINAL:
        if run.workflow != "ticker" or run.created_at < evidence.ended_at - TICK_ENDS_S:
            states = {task.name: task.status for task in tasks}
            verdict.found["stuck"].append(f"{what} is {run.status}: {states}")
        return
    if run.status != "COMPLETED":
        errors = [f"{task.name}: {task.status} {task.error[:160]}" for task in tasks if task.status != "COMPLETED"]
        verdict.found["failed"].append(f"{what} is {run.status}: {errors}")
        return
    last = next((task.value for task in tasks if len(tasks) == 1 or task.name == "bottom"), None)
    if run.key and last != expected(run.workflow, run.key):
        verdict.found["wrong"].append(f"{what} returned {last}, not {expected(run.workflow, run.key)}")


def _judge_told(evidence: Evidence, verdict: Verdict) -> None:
    for note in evidence.calls:
        if note["what"] == "told":
            value = _value(note["kind"], note["result"])
            if value != expected(note["kind"], note["key"]):
                verdict.found["wrong"].append(f"the caller of {note['key']} was told {note['result']}")
        elif note["what"] == "streamed":
            # A second attempt streams from the beginning again, so numbers may start over, but never step back within.
            numbers: list[int] = note["numbers"]
            starts = sum(1 for before, after in pairwise(numbers) if after <= before)
            if any(after <= before and after != 0 for before, after in pairwise(numbers)) or starts > 5:
                verdict.found["wrong"].append(f"the chunks of {note['key']} came as {numbers}")


def _value(kind: str, result: dict[str, dict[str, int]]) -> int | None:
    return result.get("bottom" if kind == "diamond" else kind, {}).get("value")


def _attempts(evidence: Evidence) -> Iterator[Attempt]:
    """Attempts as workers saw them. One without an end ended when its worker was killed, else it still runs."""
    running: defaultdict[tuple[str, int, str], list[Note]] = defaultdict(list)
    for note in sorted(evidence.work, key=lambda note: note["at"]):
        if note["what"] == "begins":
            running[_name(note)].append(note)
        elif note["what"] == "ends":
            yield _attempt(running[_name(note)].pop(0), note["at"])
    for notes in running.values():
        for note in notes:
            yield _attempt(note, evidence.killed.get(note["worker"], evidence.ended_at))


def _name(note: Note) -> tuple[str, int, str]:
    return note["task"], note["retry"], note["worker"]


def _attempt(begin: Note, end: float) -> Attempt:
    span = Span(begin["at"], end)
    return Attempt(begin["task"], begin["retry"], begin["key"], begin["kind"], begin["group"], begin["worker"], span)


def _judge_overlaps(evidence: Evidence, attempts: Iterable[Attempt], verdict: Verdict) -> None:
    evicted_at = {task.id: task.evicted_at for task in evidence.tasks}
    of_task: defaultdict[str, list[Attempt]] = defaultdict(list)
    for attempt in attempts:
        of_task[attempt.task].append(attempt)
    for mine in of_task.values():
        mine.sort(key=lambda attempt: attempt.span.start)
        for one, two in pairwise(mine):
            both_s = min(one.span.end, two.span.end) - two.span.start
            if both_s <= SLACK_S:
                continue
            while_one_ran = Span(one.span.start, two.span.start)
            was_evicted = any(while_one_ran.holds(at) for at in evicted_at.get(one.task, ()))
            if one.kind in DURABLE and was_evicted and both_s < HANDOVER_S:
                verdict.counts["handovers"] += 1
            elif any(Span(cut.start, cut.end + PARTITION_S).holds(two.span.start) for cut in evidence.cuts):
                verdict.counts["partitioned"] += 1
            else:
                verdict.found["overlapped"].append(
                    f"{two.key}: attempts {one.retry} on {one.worker} and {two.retry} on {two.worker} ran at once "
                    f"for {both_s:.1f} s"
                )


def _judge_crowds(attempts: Iterable[Attempt], verdict: Verdict) -> None:
    """An attempt that is given up runs on for a moment, and a killed worker's for ever, as far as it knows; so only
    attempts of different tasks are counted."""
    edges: defaultdict[str, list[tuple[float, int, str]]] = defaultdict(list)
    for attempt in attempts:
        if attempt.kind == "narrow" and attempt.span.end - attempt.span.start > 2 * SLACK_S:
            edges[attempt.group].append((attempt.span.start + SLACK_S, 1, attempt.task))
            edges[attempt.group].append((attempt.span.end - SLACK_S, -1, attempt.task))
    for group, changes in edges.items():
        running: Counter[str] = Counter()
        for at, step, task in sorted(changes):
            running[task] += step
            together = sum(1 for count in running.values() if count > 0)
            if together > NARROW_MAX:
                verdict.found["crowded"].append(f"{together} tasks of group {group} ran at once at {at:.2f}")
                break


def _judge_ticks(evidence: Evidence, verdict: Verdict) -> None:
    ticks = Counter(datetime.fromisoformat(run.tick).timestamp() for run in evidence.runs if run.tick is not None)
    verdict.counts["ticks"] = len(ticks)
    for tick, count in ticks.items():
        if count > 1:
            verdict.found["doubled"].append(f"the tick of {tick:.0f} came {count} times")
    if not ticks:
        return
    if not evidence.moved_clock:
        for tick in range(round(min(ticks)), round(max(ticks)), TICK_S):
            if tick not in ticks and not any(span.holds(tick, NEAR_S) for span in evidence.away):
                verdict.found["missed"].append(f"the tick of {tick} did not come")
    began = [note["at"] for note in evidence.work if note["what"] == "begins" and note["kind"] == "ticker"]
    if max(began, default=0.0) < evidence.ended_at - STILL_S - TICK_S:
        verdict.found["missed"].append(f"no tick in the last {STILL_S + TICK_S:g} s")


def _judge_times(evidence: Evidence, verdict: Verdict) -> None:
    slept: dict[str, float] = {}
    for note in sorted(evidence.work, key=lambda note: note["at"]):
        if note["what"] == "sleeps":
            slept.setdefault(note["key"], note["at"])
    wanted = {note["key"]: note["sleep_s"] for note in evidence.calls if note["what"] == "calls"}
    for note in evidence.work:
        if note["what"] == "wakes" and note["key"] in wanted:
            over_s = note["at"] - slept[note["key"]] - wanted[note["key"]]
            if over_s < -SLACK_S:
                verdict.found["early"].append(f"{note['key']} woke {-over_s:.2f} s early")
    due = {note["key"]: note["due"] for note in evidence.calls if "due" in note}
    for run in evidence.runs:
        if run.key in due and run.created_at < due[run.key] - SLACK_S:
            verdict.found["early"].append(f"{run.key} was started {due[run.key] - run.created_at:.2f} s early")
