"""The transition table, walked exhaustively, and the derivation of a run's status."""

from __future__ import annotations

import re
from itertools import product
from pathlib import Path

import pytest

from broadaxe.core import lifecycle
from broadaxe.core.lifecycle import (
    INITIAL,
    SHOWN_AS,
    TERMINAL,
    TERMINAL_RUN,
    TRANSITIONS,
    RunStatus,
    Signal,
    TaskStatus,
    next_status,
    run_status,
)

W, Q, B, R, E = TaskStatus.WAITING, TaskStatus.QUEUED, TaskStatus.BACKOFF, TaskStatus.RUNNING, TaskStatus.EVICTED
C, S, F, X = TaskStatus.COMPLETED, TaskStatus.SKIPPED, TaskStatus.FAILED, TaskStatus.CANCELLED

#: The whole table, written down a second time: signal by signal, the state after each state; None is illegal.
EXPECTED: dict[Signal, dict[TaskStatus, TaskStatus]] = {
    Signal.ENQUEUE: {W: Q, B: Q},
    Signal.SKIP: {W: S},
    Signal.ASSIGN: {Q: R},
    Signal.COMPLETE: {R: C},
    Signal.FAIL: {R: F, W: F},
    Signal.RETRY_NOW: {R: Q},
    Signal.RETRY_LATER: {R: B},
    Signal.HOLD: {B: W},
    Signal.EVICT: {R: E},
    Signal.RESTORE: {E: Q},
    Signal.CANCEL: {W: X, Q: X, B: X, R: X, E: X},
    Signal.REPLAY: {C: W, S: W, F: W, X: W},
}


@pytest.mark.parametrize(("status", "signal"), list(product(TaskStatus, Signal)))
def test_every_state_and_signal_leads_where_the_theory_says(status: TaskStatus, signal: Signal) -> None:
    assert next_status(status, signal) is EXPECTED[signal].get(status)


def test_only_a_replay_leaves_a_terminal_state() -> None:
    assert {signal for (status, signal) in TRANSITIONS if status in TERMINAL} == {Signal.REPLAY}


def test_every_live_state_can_be_cancelled_and_no_terminal_one() -> None:
    assert {status for (status, signal) in TRANSITIONS if signal is Signal.CANCEL} == set(TaskStatus) - TERMINAL


def test_every_state_is_reached_and_shown() -> None:
    assert INITIAL | set(TRANSITIONS.values()) == set(TaskStatus)
    assert SHOWN_AS.keys() == set(TaskStatus)
    assert {SHOWN_AS[status] for status in TERMINAL} == TERMINAL_RUN


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        ([Q], RunStatus.QUEUED),
        ([B], RunStatus.QUEUED),
        ([Q, None], RunStatus.QUEUED),
        ([R, None], RunStatus.RUNNING),
        ([C, None], RunStatus.RUNNING),
        ([C, Q], RunStatus.RUNNING),
        ([F, R], RunStatus.RUNNING),
        ([X, B], RunStatus.RUNNING),
        ([C, W], RunStatus.RUNNING),
        ([E], RunStatus.RUNNING),
        ([C, E], RunStatus.RUNNING),
        ([F, X, C], RunStatus.FAILED),
        ([X, C, S], RunStatus.CANCELLED),
        ([C, S], RunStatus.COMPLETED),
        ([S], RunStatus.COMPLETED),
    ],
)
def test_status_of_a_run(statuses: list[TaskStatus | None], expected: RunStatus) -> None:
    assert run_status(statuses) is expected


def test_only_one_line_changes_the_status_of_a_task() -> None:
    found = [
        (path.name, line.strip())
        for path in sorted(Path(lifecycle.__file__).parent.glob("*.py"))
        for line in path.read_text().splitlines()
        if re.search(r"\b(task|parent|asking|holder|subject)\.status = ", line)
    ]
    assert found == [("attempts.py", "task.status = after")]
