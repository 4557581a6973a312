"""What became of a run, said so that a test reads like a sentence, and told as a story when it is not so.

assert_that(run).completed().ran("charge", times=2)
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final, Self

from broadaxe.testing.rest import Rest

__all__ = ["RunAssertion", "assert_that"]

#: What a task's history is told with.
_STARTED: Final = "STARTED"
_ENDED: Final = ("COMPLETED", "FAILED", "CANCELLED")


class RunAssertion:
    """One run. Every check returns the same object, so that checks can follow each other; one that fails raises
    AssertionError with the run's story."""

    def __init__(self, run_id: str, rest: Rest) -> None:
        self.run_id = run_id
        self._rest = rest

    def completed(self) -> Self:
        return self._has_status("COMPLETED")

    def failed(self, matching: str = "") -> Self:
        """`matching`: a regular expression that one of its errors contains."""
        self._has_status("FAILED")
        errors = [task.get("errorMessage") or "" for task in self._read()["tasks"]]
        if not any(re.search(matching, error) for error in errors):
            raise self._wrong(f"failed with an error like {matching!r}")
        return self

    def cancelled(self) -> Self:
        return self._has_status("CANCELLED")

    def unfinished(self) -> Self:
        """It waits, or runs."""
        if self._read()["run"]["status"] in _ENDED:
            raise self._wrong("is not finished")
        return self

    def returned(self, **outputs: Any) -> Self:
        """What its tasks returned, by their names: `returned(charge={"cents": 5})`."""
        for name, expected in outputs.items():
            found = [task.get("output") for task in self._read()["tasks"] if _name(task) == name]
            if expected not in found:
                raise self._wrong(f"returned {expected!r} from {name}, which returned {found}")
        return self

    def ran(self, task: str, *, times: int | None = None) -> Self:
        """The task was begun, in all its attempts together so many times; at least once unless `times` is given."""
        begun = self._attempts()[task]
        if begun != times if times is not None else begun == 0:
            raise self._wrong(f"ran {task} {times or 'some'} times, which was begun {begun} times")
        return self

    def did_not_run(self, task: str) -> Self:
        return self.ran(task, times=0)

    def story(self) -> str:
        """What happened to it, line by line."""
        read = self._read()
        run = read["run"]
        lines = [
            f"run {self.run_id} of {run.get('displayName', '')}: {run['status']}, input {_short(run.get('input'))}"
        ]
        for event in read["taskEvents"]:
            where = event.get("taskDisplayName") or ""
            attempt = event.get("retryCount") or 0
            where += f" (retry {attempt})" if attempt else ""
            told = " ".join(filter(None, (_reason(event.get("message")), _reason(event.get("errorMessage")))))
            lines.append(f"  {event['timestamp']}  {where}  {event['eventType']}  {told}".rstrip())
        for task in read["tasks"]:
            ended = _reason(task.get("errorMessage")) or _short(task.get("output"))
            lines.append(f"  {_name(task)}: {task['status']}  {ended}")
        return "\n".join(lines)

    def _attempts(self) -> Counter[str]:
        read = self._read()
        names = {task["taskExternalId"]: _name(task) for task in read["tasks"]}
        started = {
            (event["taskId"], event.get("retryCount") or 0)
            for event in read["taskEvents"]
            if event["eventType"] == _STARTED
        }
        return Counter(names.get(task_id, task_id) for task_id, _ in started)

    def _has_status(self, status: str) -> Self:
        found = self._read()["run"]["status"]
        if found != status:
            raise self._wrong(f"is {status}, and not {found}")
        return self

    def _wrong(self, expected: str) -> AssertionError:
        return AssertionError(f"the run was expected to be one that {expected}\n{self.story()}")

    def _read(self) -> dict[str, Any]:
        return self._rest.run(self.run_id)


def assert_that(run: Any) -> RunAssertion:
    """`run`: what `run(wait_for_result=False)` returned, or a run's id. First whatever goes on comes to its end, as far
    as it needs no more time."""
    from broadaxe.testing import plugin

    engine = plugin.engine_in_use()
    engine.clock.settle().result()
    return RunAssertion(str(getattr(run, "workflow_run_id", run)), engine.rest)


def _name(task: Mapping[str, Any]) -> str:
    action = str(task.get("actionId") or "")
    return action.rpartition(":")[2] or str(task.get("displayName"))


def _reason(error: str | None) -> str:
    """What was raised, and the last place it came by; without the traceback in between and what the SDK adds."""
    if not error:
        return ""
    lines = [line for line in error.splitlines() if line.strip()]
    places = [line.strip() for line in lines if line.lstrip().startswith('File "')]
    return lines[0] + (f"  ({places[-1]})" if places else "")


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 200 else text[:197] + "..."
