"""Recorded runs as tests read them: what is no recording is refused by name, and a difference is told with both sides.

That a recording is replayed by the engine is shown by the project of docs/testing.md.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from broadaxe.testing.recordings import Recording, difference

_TASK = "01a22d72-589f-732f-8872-24e7a77f6ed4"


def _content() -> dict[str, Any]:
    """The file of a run that had a child, remembered something and slept."""

    def operation(node: int, **more: Any) -> dict[str, Any]:
        known = {"identity": "i", "isAwaited": True, "isSatisfied": True, "isFailure": False}
        return {"nodeId": node, "branchId": 1, **known, **more}

    return {
        "format": "broadaxe-run",
        "form": 1,
        "cut": [],
        "run": {
            "run": {"status": "COMPLETED", "displayName": "remind", "input": {"n": 1}},
            "tasks": [{"taskExternalId": _TASK, "status": "COMPLETED", "output": {"n": 2}}],
        },
        "durableLogs": {
            _TASK: [
                {"nodeId": 1, "branchId": 1, "kind": "RUN", "waitData": [{"workflowName": "child"}]},
                {"nodeId": 2, "branchId": 1, "kind": "MEMO"},
                # Of a branch that was left.
                {"nodeId": 3, "branchId": 1, "kind": "MEMO"},
                {"nodeId": 3, "branchId": 2, "kind": "WAIT_FOR", "waitData": [{"or": [
                    {"kind": "SLEEP", "sleepDurationMs": 86_400_000}, {"kind": "USER_EVENT", "eventKey": "paid"}]}]},
            ]
        },
        "recordings": {
            _TASK: [
                operation(1, childRunExternalId=_TASK, result='{"n":5}'),
                operation(2, result="7"),
                {**operation(3, result="{}"), "branchId": 2},
            ]
        },
    }  # fmt: skip


@pytest.fixture
def keep(tmp_path: Path) -> Callable[[Any], Path]:
    def kept(content: Any) -> Path:
        path = tmp_path / "run.json"
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    return kept


def test_the_path_that_was_taken_last_is_what_is_done_again(keep: Callable[[Any], Path]) -> None:
    recording = Recording(keep(_content()))
    assert (recording.input, recording.output, recording.status) == ({"n": 1}, {"n": 2}, "COMPLETED")
    assert [line.split("  ", 1)[1].strip() for line in recording.lines()] == [
        "1  a run of child",
        "2  memo",
        "3  wait for a sleep of 1 day, 0:00:00 or the event paid",
    ]
    nodes, kinds, *_ = recording.columns()
    assert (nodes, kinds) == ([1, 2, 3], ["RUN", "MEMO", "WAIT_FOR"])


def test_a_task_that_did_nothing_durable_is_a_recording_too(keep: Callable[[Any], Path]) -> None:
    content = _content()
    content["recordings"][_TASK] = []
    assert Recording(keep(content)).columns() == tuple([] for _ in range(13))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda c: c.update(format="other"), "not the file of a run"),
        (lambda c: c.update(form=2), "newer Broadaxe"),
        (lambda c: c.pop("recordings"), "older Broadaxe"),
        (lambda c: c["run"]["tasks"].append(c["run"]["tasks"][0]), "DAG"),
        (lambda c: c["run"]["run"].update(status="RUNNING"), "RUNNING"),
        (lambda c: c["recordings"].clear(), "no durable task"),
        (lambda c: (c["recordings"].clear(), c["cut"].append("left out: 9 characters")), "left out: 9 characters"),
        (lambda c: c["durableLogs"][_TASK].pop(), "do not belong together"),
        (lambda c: c["recordings"][_TASK][0].update(nodeId="one"), "nodeId"),
    ],
    ids=["format", "form", "older", "dag", "running", "not durable", "cut", "log", "shape"],
)
def test_what_is_no_recording_is_refused_by_name(
    keep: Callable[[Any], Path], change: Callable[[dict[str, Any]], Any], said: str
) -> None:
    content = _content()
    change(content)
    path = keep(content)
    with pytest.raises(ValueError, match=said) as refused:
        Recording(path)
    assert str(path) in str(refused.value)


def test_what_cannot_be_read_is_refused_by_name(keep: Callable[[Any], Path], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"run\.json: it is not the file of a run"):
        Recording(keep("{"))
    with pytest.raises(ValueError, match=r"missing\.json: No such file"):
        Recording(tmp_path / "missing.json")


def _told(status: str, *, output: object = None, error: str = "") -> dict[str, Any]:
    return {"run": {"status": status}, "tasks": [{"output": output, "errorMessage": error}]}


def test_another_operation_is_told_with_both_sides(keep: Callable[[Any], Path]) -> None:
    said = "non-determinism: operation 2 was recorded as a memo, and is now a wait for sleep 720h"
    error = "\n".join(
        [
            f"NonDeterminismError: {said}",
            "Traceback (most recent call last):",
            '  File "/venv/lib/python3.11/site-packages/hatchet_sdk/task.py", line 1, in call',
            "    return await fn()",
            '  File "/home/ada/shop.py", line 25, in remind',
            "    await ctx.aio_sleep_for(timedelta(days=30))",
            '  File "/venv/lib/python3.11/site-packages/hatchet_sdk/context.py", line 9, in aio_sleep_for',
            "    res = await self.aio_wait_for(",
        ]
    )
    recording = Recording(keep(_content()))
    for same_result in (True, False):
        told = difference(recording, _told("FAILED", error=error), same_result=same_result).splitlines()
        assert told[0] == said
        assert told[2:5] == [
            "     1  a run of child",
            ">    2  memo",
            "     3  wait for a sleep of 1 day, 0:00:00 or the event paid",
        ]
        assert told[5:] == ["now, in /home/ada/shop.py:", ">   25  await ctx.aio_sleep_for(timedelta(days=30))"]


@pytest.mark.parametrize(
    ("details", "said"),
    [
        (_told("COMPLETED", output={"n": 2}), ""),
        (_told("COMPLETED", output={"n": 3}), "returned"),
        (_told("FAILED", error="KeyError: 'n'"), "KeyError"),
        (_told("RUNNING"), "goes on where the recorded run had ended"),
    ],
    ids=["the same", "another output", "failed", "goes on"],
)
def test_the_result_is_compared_unless_it_may_differ(
    keep: Callable[[Any], Path], details: dict[str, Any], said: str
) -> None:
    recording = Recording(keep(_content()))
    found = difference(recording, details, same_result=True)
    assert said in found and bool(found) == bool(said)
    assert difference(recording, details, same_result=False) == ""
