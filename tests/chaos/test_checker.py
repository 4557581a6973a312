"""The checker finds what it says it looks for, and nothing in a run without faults."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.chaos.checker import FINDINGS, Evidence, RunRow, Span, TaskRow, judge
from tests.chaos.mix import answer

KEY = "work-1"
NAP = "sleeper-2"
BEGAN = 1_000_000.0
TICK = 1_000_002


def _attempt(task: str, key: str, kind: str, start: float, end: float | None, **more: Any) -> list[dict[str, Any]]:
    same = {"task": task, "retry": 0, "key": key, "kind": kind, "group": "", "worker": "w0"} | more
    notes = [{"what": "begins", "at": start, **same}]
    return notes if end is None else [*notes, {"what": "ends", "at": end, **same}]


def _tick(at: float) -> RunRow:
    instant = datetime.fromtimestamp(at, UTC).isoformat()
    return RunRow(f"tick-{at}", "ticker", "COMPLETED", "", None, at, instant)


def _quiet() -> Evidence:
    """A work and a sleeper, an event, a schedule and three ticks; all went well."""
    rows = [
        (KEY, "work", None),
        (NAP, "sleeper", None),
        ("event-3", "on-event", "e3"),
        ("scheduled-4", "scheduled", None),
    ]
    runs = [RunRow(f"r-{key}", workflow, "COMPLETED", key, event, BEGAN + 5, None) for key, workflow, event in rows]
    return Evidence(
        calls=[
            {"what": "calls", "at": BEGAN, "key": NAP, "kind": "sleeper", "sleep_s": 2},
            {"what": "accepted", "at": BEGAN, "key": KEY, "kind": "work", "run": f"r-{KEY}"},
            {"what": "accepted", "at": BEGAN, "key": NAP, "kind": "sleeper", "run": f"r-{NAP}"},
            {"what": "accepted", "at": BEGAN, "key": "event-3", "kind": "event", "event": "e3"},
            {"what": "accepted", "at": BEGAN, "key": "scheduled-4", "kind": "scheduled", "due": BEGAN + 5},
            {"what": "told", "at": BEGAN, "key": KEY, "kind": "work", "result": {"work": {"value": answer(KEY)}}},
            {"what": "streamed", "at": BEGAN, "key": "stream-5", "numbers": [0, 1, 0, 1, 2], "whole": False},
        ],
        work=[
            *_attempt("t-work", KEY, "work", BEGAN, BEGAN + 1),
            {"what": "sleeps", "at": BEGAN, "key": NAP},
            {"what": "wakes", "at": BEGAN + 2.1, "key": NAP},
            *_attempt("t-tick", "", "ticker", TICK + 4, TICK + 4.1),
        ],
        runs=[*runs, *(_tick(TICK + 2 * n) for n in range(3))],
        tasks=[TaskRow(f"t-{run.key}", run.id, run.workflow, "COMPLETED", answer(run.key), "", 1) for run in runs],
        ended_at=TICK + 6,
    )


def _run(evidence: Evidence, key: str, **changes: Any) -> Evidence:
    return replace(evidence, runs=[replace(run, **changes) if run.key == key else run for run in evidence.runs])


def _task(evidence: Evidence, key: str, **changes: Any) -> Evidence:
    tasks = [replace(task, **changes) if task.id == f"t-{key}" else task for task in evidence.tasks]
    return replace(evidence, tasks=tasks)


def _without(evidence: Evidence, id: str) -> Evidence:
    return replace(evidence, runs=[run for run in evidence.runs if run.id != id])


def _work(evidence: Evidence, *notes: dict[str, Any]) -> Evidence:
    return replace(evidence, work=[*evidence.work, *notes])


def _call(evidence: Evidence, **note: Any) -> Evidence:
    return replace(evidence, calls=[*evidence.calls, {"at": BEGAN, **note}])


def _crowd(evidence: Evidence, count: int) -> Evidence:
    notes = [_attempt(f"t-{n}", f"narrow-{n}", "narrow", BEGAN, BEGAN + 1, group="g") for n in range(count)]
    return _work(evidence, *(note for pair in notes for note in pair))


def _again(evidence: Evidence) -> Evidence:
    runs = [*evidence.runs, replace(evidence.runs[0], id="again")]
    return replace(evidence, runs=runs, tasks=[*evidence.tasks, replace(evidence.tasks[0], run_id="again")])


FAULTS: dict[str, tuple[str, Callable[[Evidence], Evidence]]] = {
    "no run of a call": ("lost", lambda e: _without(e, f"r-{KEY}")),
    "no run of an event": ("lost", lambda e: _run(e, "event-3", event_id=None)),
    "no run of a schedule": ("lost", lambda e: _without(e, "r-scheduled-4")),
    "two runs of a key": ("doubled", _again),
    "a tick twice": ("doubled", lambda e: replace(e, runs=[*e.runs, replace(e.runs[-1], id="again")])),
    "a task that finished twice": ("doubled", lambda e: _task(e, KEY, finishes=2)),
    "a run that goes on": ("stuck", lambda e: _run(e, KEY, status="RUNNING")),
    "an old tick that goes on": (
        "stuck",
        lambda e: replace(e, runs=[*e.runs, replace(_tick(TICK - 2), status="QUEUED", created_at=TICK - 60)]),
    ),
    "a failed run": ("failed", lambda e: _run(e, KEY, status="FAILED")),
    "a cancelled run": ("failed", lambda e: _run(e, NAP, status="CANCELLED")),
    "another output": ("wrong", lambda e: _task(e, KEY, value=-1)),
    "another answer": (
        "wrong",
        lambda e: _call(e, what="told", key=KEY, kind="work", result={"work": {"value": -1}}),
    ),
    "chunks out of order": (
        "wrong",
        lambda e: _call(e, what="streamed", key="stream-5", numbers=[0, 2, 1], whole=False),
    ),
    "two attempts at once": (
        "overlapped",
        lambda e: _work(e, *_attempt("t-work", KEY, "work", BEGAN + 0.5, BEGAN + 1.5, worker="w1", retry=1)),
    ),
    "an attempt that never ended and its successor": (
        "overlapped",
        lambda e: _work(
            e,
            *_attempt("t-x", "work-9", "work", BEGAN, None),
            *_attempt("t-x", "work-9", "work", BEGAN + 2, BEGAN + 3, worker="w1", retry=1),
        ),
    ),
    "three where two may run": ("crowded", lambda e: _crowd(e, 3)),
    "a tick that did not come": ("missed", lambda e: _without(e, f"tick-{TICK + 2}")),
    "no ticks any more": ("missed", lambda e: replace(e, ended_at=e.ended_at + 60)),
    "a sleep that was too short": ("early", lambda e: _work(e, {"what": "wakes", "at": BEGAN + 1, "key": NAP})),
    "a schedule before its time": ("early", lambda e: _run(e, "scheduled-4", created_at=BEGAN + 4)),
    "two invocations at once of which none was evicted": (
        "overlapped",
        lambda e: _work(
            e,
            *_attempt(f"t-{NAP}", NAP, "sleeper", BEGAN, BEGAN + 1),
            *_attempt(f"t-{NAP}", NAP, "sleeper", BEGAN + 0.9, BEGAN + 2, worker="w1"),
        ),
    ),
    "a call that failed while a node was drained": (
        "refused",
        lambda e: replace(_call(e, what="refused", key="work-9", error="away"), is_planned=True),
    ),
    "an engine that did not come back": ("down", lambda e: replace(e, down=["after kill -9"])),
}


def test_a_run_without_faults_is_kept() -> None:
    verdict = judge(_quiet())
    assert verdict.is_kept, verdict.found
    assert (verdict.counts["accepted"], verdict.counts["ticks"], verdict.counts["attempts"]) == (4, 3, 2)


@pytest.mark.parametrize(("finding", "harm"), FAULTS.values(), ids=FAULTS)
def test_a_fault_is_found(finding: str, harm: Callable[[Evidence], Evidence]) -> None:
    found = judge(harm(_quiet())).found
    assert [kind for kind in FINDINGS if found[kind]] == [finding], found


EXCUSES: dict[str, Callable[[Evidence], Evidence]] = {
    "two at the limit": lambda e: _crowd(e, 2),
    "a killed worker's attempt ended with it": lambda e: replace(
        _work(
            e,
            *_attempt("t-x", "work-9", "work", BEGAN, None),
            *_attempt("t-x", "work-9", "work", BEGAN + 2, BEGAN + 3, worker="w1", retry=1),
        ),
        killed={"w0": BEGAN + 1},
    ),
    "two attempts at once in a partition": lambda e: replace(
        _work(e, *_attempt("t-work", KEY, "work", BEGAN + 0.5, BEGAN + 1.5, worker="w1", retry=1)),
        cuts=[Span(BEGAN - 30, BEGAN - 20)],
    ),
    "an evicted invocation that winds down": lambda e: _task(
        _work(
            e,
            *_attempt(f"t-{NAP}", NAP, "sleeper", BEGAN, BEGAN + 1),
            *_attempt(f"t-{NAP}", NAP, "sleeper", BEGAN + 0.9, BEGAN + 2, worker="w1", retry=1),
        ),
        NAP,
        evicted_at=(BEGAN + 0.8,),
    ),
    "a call that failed when a node was killed": lambda e: _call(e, what="refused", key="work-9", error="away"),
    "a tick while nobody was there": lambda e: replace(
        _without(e, f"tick-{TICK + 2}"), away=[Span(TICK + 1.5, TICK + 2.5)]
    ),
    "a sleep by a clock that was moved": lambda e: replace(
        _work(e, {"what": "wakes", "at": BEGAN + 1, "key": NAP}), moved_clock=True
    ),
    "a tick that has just come": lambda e: replace(e, runs=[*e.runs, replace(_tick(TICK + 6), status="RUNNING")]),
}


@pytest.mark.parametrize("change", EXCUSES.values(), ids=EXCUSES)
def test_what_may_be_is_no_fault(change: Callable[[Evidence], Evidence]) -> None:
    verdict = judge(change(_quiet()))
    assert verdict.is_kept, verdict.found
