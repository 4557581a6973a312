"""Where runs come from: requests, children of tasks, events. Owns child deduplication and metadata inheritance.

A request is checked whole before anything is made, so a refused one changes nothing.

Source: semantics 5.1 to 5.4, grpc specification 9.3.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec

from broadaxe.core import dag
from broadaxe.core.commands import EventRequest, PushedEvent, RunRequest
from broadaxe.core.decision import EventRow, RunRow, RunStarted
from broadaxe.core.definition import check_priority, event_key_matches
from broadaxe.core.keys import evaluate
from broadaxe.core.model import Run, Task, Version, display_name
from broadaxe.core.state import State
from broadaxe.errors import InvalidArgument

#: Runs or events in one request.
BULK_MAX: Final = 1000

_RESERVED: Final = "hatchet__"
#: Reserved keys that an event passes on to its runs: where the event was pushed from.
_EVENT_KEEPS: Final = ("hatchet__source_workflow_run_id", "hatchet__source_step_run_id")


def trigger(state: State, requests: Sequence[RunRequest], now_us: int) -> tuple[str, ...]:
    """Run ids in request order; a child that exists already is returned instead of made."""
    _check(state, requests)
    return tuple(_trigger_one(state, request, now_us) for request in requests)


def push(state: State, events: Sequence[EventRequest], now_us: int) -> tuple[PushedEvent, ...]:
    """Stores events, and starts one run per matching (workflow, pattern), latest versions only."""
    for position, event in enumerate(events):
        if not event.key:
            raise InvalidArgument("an event needs a key", field=f"events[{position}].key")
        if event.priority is not None:
            check_priority(event.priority, field=f"events[{position}].priority")
    return tuple(_push_one(state, event, now_us) for event in events)


def parents_of(requests: Iterable[RunRequest]) -> set[str]:
    """Task ids that must be in memory before these requests can be decided."""
    return {request.parent_task_id for request in requests if request.parent_task_id}


def _check(state: State, requests: Sequence[RunRequest]) -> None:
    unknown: dict[str, None] = {}
    for position, request in enumerate(requests):
        workflow = state.workflows_by_name.get(request.workflow_name)
        if workflow is None or workflow.latest is None:
            unknown[request.workflow_name] = None
        if request.priority is not None:
            check_priority(request.priority, field=f"workflows[{position}].priority")
        if request.parent_task_id and request.parent_task_id not in state.tasks:
            raise InvalidArgument(
                f"there is no task run {request.parent_task_id}",
                field=f"workflows[{position}].parent_task_run_external_id",
            )
    if unknown:
        names = ", ".join(repr(name) for name in list(unknown)[:10])
        raise InvalidArgument(
            f"no workflow is registered as {names}; start a worker that registers it, or check the namespace",
            field="name",
        )


def _trigger_one(state: State, request: RunRequest, now_us: int) -> str:
    version = state.workflows_by_name[request.workflow_name].latest
    assert version is not None
    parent = state.tasks[request.parent_task_id] if request.parent_task_id else None
    if parent is None:
        return _create(state, version, request, None, None, request.additional_metadata, now_us).id
    key = request.child_key or str(request.child_index or 0)
    if parent.children is None:
        parent.children = {}
    existing = parent.children.get(key)
    if existing is not None:
        return existing
    metadata = _child_metadata(parent, request.additional_metadata)
    run = _create(state, version, request, parent, None, metadata, now_us)
    parent.children[key] = run.id
    return run.id


def _create(
    state: State,
    version: Version,
    request: RunRequest,
    parent: Task | None,
    event: EventRow | None,
    metadata: str | None,
    now_us: int,
) -> Run:
    run_id = state.new_id()
    keys = evaluate(version, run_id, request.input, metadata)
    row = RunRow(
        id=run_id,
        workflow_id=version.workflow.id,
        version_id=version.id,
        is_dag=version.is_dag,
        display_name=display_name(
            version.workflow.name if version.is_dag else version.definitions[0].name,
            now_us,
        ),
        priority=request.priority or version.definition.default_priority,
        additional_metadata=metadata,
        parent_run_id=None if parent is None else parent.run.id,
        parent_task_id=None if parent is None else parent.id,
        child_index=None if parent is None else request.child_index,
        child_key=None if parent is None else request.child_key or None,
        desired_worker_id=request.desired_worker_id,
        triggering_event_id=None if event is None else event.id,
        triggering_event_key=None if event is None else event.key,
        created_at_us=now_us,
        desired_labels=None if request.desired_labels is None else msgspec.json.encode(request.desired_labels).decode(),
        keys=None if keys is None else msgspec.json.encode(keys).decode(),
    )
    run = Run(row, version)
    run.keys, run.labels = keys, request.desired_labels
    run.input_bytes = len(request.input)
    state.add_run(run)
    state.ledger.add_run(run, request.input)
    state.ledger.emit(RunStarted(run.id, metadata))
    dag.begin(state, run, now_us)
    return run


def _push_one(state: State, event: EventRequest, now_us: int) -> PushedEvent:
    row = EventRow(
        state.new_id(), event.key, event.payload, event.additional_metadata, event.scope, event.priority, now_us
    )
    state.ledger.add_event(row)
    run_ids: list[str] = []
    for workflow in state.workflows_by_name.values():
        version = workflow.latest
        if version is None:
            continue
        for pattern in version.definition.event_triggers:
            if event_key_matches(pattern, event.key):
                request = RunRequest(workflow_name=workflow.name, input=event.payload, priority=event.priority)
                run_ids.append(_create(state, version, request, None, row, _event_metadata(row), now_us).id)
    return PushedEvent(row.id, now_us, tuple(run_ids))


def _child_metadata(parent: Task, own: str | None) -> str:
    """The parent's keys that are not reserved, the child's own over them, and where the child came from."""
    inherited = _decode(parent.run.row.additional_metadata)
    metadata = {key: value for key, value in inherited.items() if not key.startswith(_RESERVED)}
    metadata |= _decode(own)
    metadata["hatchet__parent_workflow_run_id"] = parent.run.id
    metadata["hatchet__parent_step_run_id"] = parent.id
    return msgspec.json.encode(metadata).decode()


def _event_metadata(event: EventRow) -> str:
    metadata = {
        key: value
        for key, value in _decode(event.additional_metadata).items()
        if not key.startswith(_RESERVED) or key in _EVENT_KEEPS
    }
    metadata["hatchet__event_id"] = event.id
    metadata["hatchet__event_key"] = event.key
    return msgspec.json.encode(metadata).decode()


def _decode(metadata: str | None) -> dict[str, Any]:
    return msgspec.json.decode(metadata, type=dict[str, Any]) if metadata else {}
