"""What became of a call: of one that runs somewhere, of one that ran here, of several.

A call has the id that its caller gave it, which its run carries as metadata, and with it every run that follows because
`self.retry` said when: so an id means the call, however many runs it takes.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from hatchet_sdk import TaskRunError
from hatchet_sdk.clients.rest.exceptions import NotFoundException

from broadaxe_worker.celery.exceptions import TaskRevokedError, TimeoutError, rebuilt

if TYPE_CHECKING:
    from broadaxe_worker.celery.app import Celery

__all__ = ["AsyncResult", "EagerResult", "GroupResult"]

PENDING: Final = "PENDING"
STARTED: Final = "STARTED"
RETRY: Final = "RETRY"
SUCCESS: Final = "SUCCESS"
FAILURE: Final = "FAILURE"
REVOKED: Final = "REVOKED"
_ENDED: Final = frozenset({SUCCESS, FAILURE, REVOKED})

#: The metadata that names the call. What else a run has to know of it is in the other, as JSON.
CALL_ID: Final = "celery_id"
CALL: Final = "celery"
#: How far back a call is looked for that is known by its id alone. The list of runs is asked for a week at most.
_LOOK_BACK: Final = timedelta(days=5)
#: The engine's clock may be ahead of this machine's.
_LOOK_AHEAD: Final = timedelta(days=1)
_ASK_AGAIN_FIRST_S: Final = 0.05

#: Set while a task runs: who waits for a result in there keeps a slot from those it waits for.
inside: ContextVar[bool] = ContextVar("inside a task", default=False)


@dataclass(frozen=True, slots=True)
class _Seen:
    state: str
    result: Any = None
    traceback: str | None = None


class AsyncResult:
    def __init__(self, id: str, app: Celery, *, run_id: str = "") -> None:
        """`run_id`: its run, if that is known and need not be looked for."""
        self.id = self.task_id = id
        self.app = app
        self._run_id = run_id
        self._end: _Seen | None = None

    def __repr__(self) -> str:
        return f"<AsyncResult: {self.id}>"

    def __str__(self) -> str:
        return self.id

    def __eq__(self, other: object) -> bool:
        return self.id == (other.id if isinstance(other, AsyncResult) else other)

    def __hash__(self) -> int:
        return hash(self.id)

    @property
    def run_id(self) -> str:
        """The run's id, by which the console knows it; of the last one there is. Empty before there is one."""
        if self._end is None:
            self._find()
        return self._run_id

    @property
    def state(self) -> str:
        """PENDING (also for an id that nobody has heard of), STARTED, RETRY, SUCCESS, FAILURE or REVOKED."""
        return self._look().state

    status = state

    @property
    def result(self) -> Any:
        """What it returned, or the exception that ended it; None before."""
        return self._look().result

    info = result

    @property
    def traceback(self) -> str | None:
        return self._look().traceback

    def ready(self) -> bool:
        return self.state in _ENDED

    def successful(self) -> bool:
        return self.state == SUCCESS

    def failed(self) -> bool:
        return self.state == FAILURE

    def get(
        self,
        timeout: float | None = None,
        propagate: bool = True,
        interval: float = 0.5,
        disable_sync_subtasks: bool = True,
    ) -> Any:
        """What the task returned. Raises what it raised, TaskRevokedError, or TimeoutError after `timeout` seconds. It
        asks again every `interval` seconds, more often at first."""
        if disable_sync_subtasks and inside.get():
            raise RuntimeError(
                "a task that waits for another keeps a slot from it; use a chain, a chord or a durable task"
            )
        give_up_at = None if timeout is None else time.monotonic() + timeout
        pause = min(_ASK_AGAIN_FIRST_S, interval)
        while (seen := self._look()).state not in _ENDED:
            left = None if give_up_at is None else give_up_at - time.monotonic()
            if left is not None and left <= 0:
                raise TimeoutError("The operation timed out.")
            time.sleep(pause if left is None else min(pause, left))
            pause = min(pause * 1.5, interval)
        if propagate and isinstance(seen.result, BaseException):
            raise seen.result
        return seen.result

    wait = get

    def revoke(self, terminate: bool = False, signal: str | None = None, wait: bool = False) -> None:
        """Cancels it. One that runs is told (`self.context.is_cancelled`); a thread cannot be ended from outside."""
        hatchet = self.app.hatchet
        if self.state == RETRY or not self._run_id:
            for planned in hatchet.scheduled.list(additional_metadata={CALL_ID: self.id}).rows or []:
                try:
                    hatchet.scheduled.delete(planned.metadata.id)
                except NotFoundException:
                    continue
                self._end = _Seen(REVOKED, TaskRevokedError("revoked"))
            if self._end is None:
                # What was planned may have begun meanwhile.
                self._find()
        if self._end is None and self._run_id:
            hatchet.runs.cancel(self._run_id)

    def forget(self) -> None:
        """Does nothing: results are kept as long as runs are."""

    # ----------------------------------------------------------------------------------------------------------------

    def _find(self) -> bool:
        """Looks for the last run of the call. False when that is known already."""
        now = self.app.now()
        rows = self.app.hatchet.runs.list(
            since=now - _LOOK_BACK, until=now + _LOOK_AHEAD, additional_metadata={CALL_ID: self.id}
        ).rows
        before = self._run_id
        if rows:
            # What its task starts inherits the metadata of its run, and is another workflow's.
            own = min(rows, key=lambda row: row.created_at).workflow_id
            self._run_id = _run_of(max((row for row in rows if row.workflow_id == own), key=lambda row: row.created_at))
        return self._run_id != before

    def _look(self) -> _Seen:
        if self._end is not None:
            return self._end
        if not self._run_id and not self._find():
            return _Seen(PENDING)
        while True:
            details = self.app.hatchet.runs.get_details(self._run_id)
            if not details.done:
                return _Seen(STARTED if details.status.value == "RUNNING" else PENDING)
            (task,) = details.task_runs.values()
            output = task.output or {}
            if "retry" not in output:
                break
            # It goes on in another run, which may not be there yet.
            if not self._find():
                return _Seen(RETRY)
        if details.status.value == "FAILED":
            self._end = _failed(task.error or "")
        elif details.status.value == "COMPLETED" and "revoked" not in output:
            self._end = _Seen(SUCCESS, output.get("result"))
        else:
            self._end = _Seen(REVOKED, TaskRevokedError(output.get("revoked", "revoked")))
        return self._end


def _run_of(row: Any) -> str:
    return str(row.workflow_run_external_id or row.task_external_id)


def _failed(text: str) -> _Seen:
    error = TaskRunError.deserialize(text)
    return _Seen(FAILURE, rebuilt(error.exc_type, error.exc), error.trace or text)


class EagerResult:
    """Of a call that ran where it was made."""

    def __init__(self, id: str, value: Any, state: str, traceback: str | None = None) -> None:
        self.id = self.task_id = id
        self.result = self.info = value
        self.state = self.status = state
        self.traceback = traceback

    def __repr__(self) -> str:
        return f"<EagerResult: {self.id}>"

    def ready(self) -> bool:
        return True

    def successful(self) -> bool:
        return self.state == SUCCESS

    def failed(self) -> bool:
        return self.state == FAILURE

    def get(self, timeout: float | None = None, propagate: bool = True, **_: Any) -> Any:
        if propagate and isinstance(self.result, BaseException):
            raise self.result
        return self.result

    wait = get

    def revoke(self, *_: Any, **__: Any) -> None:
        self.state = self.status = REVOKED

    def forget(self) -> None:
        pass


class GroupResult:
    """The calls of a group, in its order."""

    def __init__(self, results: Sequence[Any]) -> None:
        self.results = self.children = list(results)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.results)

    def __len__(self) -> int:
        return len(self.results)

    def __getitem__(self, position: int) -> Any:
        return self.results[position]

    def ready(self) -> bool:
        return all(each.ready() for each in self.results)

    def successful(self) -> bool:
        return all(each.successful() for each in self.results)

    def failed(self) -> bool:
        return any(each.failed() for each in self.results)

    def waiting(self) -> bool:
        return any(not each.ready() for each in self.results)

    def completed_count(self) -> int:
        return sum(each.successful() for each in self.results)

    def get(self, timeout: float | None = None, propagate: bool = True, **options: Any) -> list[Any]:
        """What they returned. `timeout` is for all of them together."""
        give_up_at = None if timeout is None else time.monotonic() + timeout
        found = []
        for each in self.results:
            left = None if give_up_at is None else max(give_up_at - time.monotonic(), 0.0)
            found.append(each.get(timeout=left, propagate=propagate, **options))
        return found

    join = get

    def revoke(self, **options: Any) -> None:
        for each in self.results:
            each.revoke(**options)
