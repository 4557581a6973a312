"""What became of a run, said so that a test reads like a sentence, and told as a story when it is not so.

assert_that(run).completed().ran("charge", times=2)
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any, Final, Self

from broadaxe.remote.story import short, story, task_name
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
            found = [task.get("output") for task in self._read()["tasks"] if task_name(task) == name]
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
        first = f"run {self.run_id} of {run.get('displayName', '')}: {run['status']}, input {short(run.get('input'))}"
        return "\n".join([first, *(f"  {line}" for line in story(read))])

    def save(self, path: Path | str) -> Self:
        """Writes the run's file: for `replay`, for `broadaxe open`, or to be kept with a failed test."""
        Path(path).write_bytes(self._rest.file(self.run_id))
        return self

    def _attempts(self) -> Counter[str]:
        read = self._read()
        names = {task["taskExternalId"]: task_name(task) for task in read["tasks"]}
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
