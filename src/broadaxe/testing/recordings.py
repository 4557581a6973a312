"""Recorded runs as tests: a run that ended in production is done again with the code of today.

A run's file (the console's *Download as a file*, `broadaxe runs save`) has what each operation of its durable task came
to. The engine under test gets that log, and the task is given to a worker with the present code, which is answered from
the log: nothing sleeps, no child runs, no memo's function is called. Whoever does another operation than the recorded
one is told so by the engine, as after a deployment.

Owns how the file is read and how a difference is told. Source: semantics 6.1, 6.2.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import msgspec

from broadaxe.remote.story import error_text

__all__ = ["Operation", "Recording", "difference"]

_FILE_BYTES_MAX: Final = 256 * 1024 * 1024
#: Recorded operations that a difference is shown among.
_AROUND: Final = 3
_ENDED: Final = ("COMPLETED", "FAILED")
_MARK: Final = "non-determinism: "
_FRAME: Final = re.compile(r'File "(?P<file>[^"]+)", line (?P<line>\d+), in (?P<function>.+)\n\s*(?P<code>.+)')
#: Parts of paths of code that is not the tests' own.
_LIBRARIES: Final = ("site-packages", "dist-packages", "/lib/python", "\\Lib\\", "broadaxe_worker")


class Operation(msgspec.Struct, frozen=True, rename="camel"):
    """One operation of a durable task: what it was and what it came to."""

    node_id: int
    branch_id: int
    identity: str
    is_awaited: bool
    is_satisfied: bool
    is_failure: bool
    child_run_external_id: str | None = None
    child_key: str | None = None
    place: int | None = None
    result: str | None = None
    error: str | None = None


class _Condition(msgspec.Struct, frozen=True, rename="camel"):
    kind: str | None = None
    sleep_duration_ms: int | None = None
    event_key: str | None = None
    workflow_name: str | None = None
    alternatives: list[_Condition] = msgspec.field(default_factory=list, name="or")

    def described(self) -> str:
        if self.alternatives:
            return " or ".join(part.described() for part in self.alternatives)
        if self.sleep_duration_ms is not None:
            return f"a sleep of {timedelta(milliseconds=self.sleep_duration_ms)}"
        return f"the event {self.event_key}" if self.event_key else f"a run of {self.workflow_name}"


class Entry(msgspec.Struct, frozen=True, rename="camel"):
    """How an operation is told of."""

    node_id: int
    branch_id: int
    kind: str
    user_message: str | None = None
    wait_data: list[_Condition] | None = None

    @property
    def workflow_name(self) -> str | None:
        return self.wait_data[0].workflow_name if self.kind == "RUN" and self.wait_data else None

    def described(self) -> str:
        what = " and ".join(part.described() for part in self.wait_data or ())
        label = f" ({self.user_message})" if self.user_message else ""
        return (f"wait for {what}" if self.kind == "WAIT_FOR" else what or self.kind.lower()) + label


class _Task(msgspec.Struct, frozen=True, rename="camel"):
    task_external_id: str
    status: str
    output: dict[str, Any] | None = None


class _Run(msgspec.Struct, frozen=True, rename="camel"):
    status: str
    display_name: str = ""
    input: dict[str, Any] | None = None
    additional_metadata: dict[str, Any] | None = None


class _Told(msgspec.Struct, frozen=True, rename="camel"):
    run: _Run
    tasks: list[_Task]


class _File(msgspec.Struct, frozen=True, rename="camel"):
    format: str
    form: int
    run: _Told
    cut: list[str]
    durable_logs: dict[str, list[Entry]]
    recordings: dict[str, list[Operation]] | None = None


class Recording:
    """What a run's file says of its durable task. `status` and `output` are what it came to."""

    def __init__(self, path: Path | str) -> None:
        """ValueError, naming the file, when it is no recording."""
        self.path = Path(path)
        file = self._read()
        if len(file.run.tasks) != 1:
            raise self._wrong("a DAG is not replayed, since its other tasks would be run anew; record a durable task")
        (task,) = file.run.tasks
        operations = (file.recordings or {}).get(task.task_external_id)
        if file.recordings is None:
            raise self._wrong("it was made by an older Broadaxe, without what operations came to; make it again")
        if operations is None:
            raise self._wrong("it has no durable task" if not file.cut else "; ".join(file.cut))
        if file.run.run.status not in _ENDED:
            raise self._wrong(f"the run is {file.run.run.status}; record one that has completed or failed")
        self.status = file.run.run.status
        self.output = task.output or {}
        self.input = file.run.run.input or {}
        self.metadata = file.run.run.additional_metadata or {}
        self.operations: Sequence[Operation] = operations
        entries = {(e.branch_id, e.node_id): e for e in file.durable_logs.get(task.task_external_id, ())}
        try:
            self.entries = [entries[operation.branch_id, operation.node_id] for operation in operations]
        except KeyError:
            raise self._wrong("; ".join(file.cut) or "its log and its recording do not belong together") from None

    def _read(self) -> _File:
        # What makes these files is the whole REST API.
        from broadaxe.rest.routers.run_files import FORM, FORMAT

        try:
            if self.path.stat().st_size > _FILE_BYTES_MAX:
                raise self._wrong(f"it is larger than {_FILE_BYTES_MAX} bytes")
            file = msgspec.json.decode(self.path.read_bytes(), type=_File)
        except OSError as error:
            raise self._wrong(error.strerror or str(error)) from None
        except (msgspec.DecodeError, msgspec.ValidationError) as error:
            raise self._wrong(f"it is not the file of a run: {error}") from None
        if file.format != FORMAT:
            raise self._wrong("it is not the file of a run")
        if file.form > FORM:
            raise self._wrong("it was made by a newer Broadaxe")
        return file

    def _wrong(self, why: str) -> ValueError:
        return ValueError(f"{self.path}: {why}")

    def columns(self) -> tuple[list[Any], ...]:
        """As `testing/put_recording.sql` takes them."""
        rows = [
            (
                number,
                entry.kind,
                operation.identity,
                entry.user_message or "",
                operation.child_run_external_id,
                operation.child_key,
                entry.workflow_name,
                operation.is_awaited,
                operation.is_satisfied,
                operation.place,
                operation.result,
                operation.is_failure,
                operation.error,
            )
            for number, (operation, entry) in enumerate(zip(self.operations, self.entries, strict=True), 1)
        ]
        return tuple(map(list, zip(*rows, strict=True))) or tuple([] for _ in range(13))

    def lines(self, around: int | None = None) -> list[str]:
        """The log, an operation a line; `around` marks one, and leaves out what is far from it."""
        return [
            f"{'>' if number == around else ' '} {number:>4}  {entry.described()}"
            for number, entry in enumerate(self.entries, 1)
            if around is None or abs(number - around) <= _AROUND
        ]


def difference(recording: Recording, details: dict[str, Any], *, same_result: bool) -> str:
    """What the run that was done again did otherwise, in words; empty if nothing. `details` as of the REST API."""
    run, (task, *_) = details["run"], details["tasks"]
    error = error_text(task.get("errorMessage"))
    if _MARK in error and run["status"] != "COMPLETED":
        said = error[error.index(_MARK) :].splitlines()[0]
        node = next((int(word) for word in said.split() if word.isdigit()), None)
        return "\n".join([said, *_recorded(recording, node), *_now(error)])
    if not same_result:
        return ""
    if run["status"] not in (*_ENDED, "CANCELLED"):
        return "\n".join(["it goes on where the recorded run had ended", *_recorded(recording, None)])
    if run["status"] != recording.status:
        return f"it is {run['status']}, and was {recording.status}\n{error}"
    output = task.get("output") or {}
    if recording.status == "COMPLETED" and output != recording.output:
        return f"it returned {output}, and had returned {recording.output}"
    return ""


def _recorded(recording: Recording, node: int | None) -> list[str]:
    return [f"recorded in {recording.path}:", *recording.lines(node)]


def _now(error: str) -> list[str]:
    """Where the test's own code asked for something else."""
    frames = [found for found in _FRAME.finditer(error) if not any(part in found["file"] for part in _LIBRARIES)]
    return [f"now, in {frames[-1]['file']}:", f"> {frames[-1]['line']:>4}  {frames[-1]['code']}"] if frames else []
