"""Where runs come from: requests, children of tasks, events, the outbox. Owns child deduplication and metadata
inheritance.

A request is checked whole before anything is made, so a refused one changes nothing. What only the moment can tell is
whether a run's idempotency key is free: `create`, the one way a run comes to be, gives the run, or why there is none.

Source: semantics 5.1 to 5.4, grpc specification 9.3.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from broadaxe.core import dag, debounce, dormant, filters, idempotency, publishing, quotas, tracing, waits
from broadaxe.core.commands.events import EventRequest, PushedEvent
from broadaxe.core.commands.outbox import OutboxRequest, RefusedRequest
from broadaxe.core.commands.quotas import Resource
from broadaxe.core.commands.topics import MessageRequest
from broadaxe.core.commands.triggers import RunRequest
from broadaxe.core.decision import EventRow, FailureSource, RunRow, RunStarted
from broadaxe.core.definition import check_priority
from broadaxe.core.expressions import Failure
from broadaxe.core.interests import Shown
from broadaxe.core.keys import evaluate
from broadaxe.core.lifecycle import RunCause
from broadaxe.core.metadata import problem_of
from broadaxe.core.model import Filter, Run, Task, Version, display_name
from broadaxe.core.state import State
from broadaxe.errors import BroadaxeError, IdempotencyCollision, InvalidArgument, QuotaReached, ResourceExhausted

#: Runs or events in one request.
BULK_MAX: Final = 1000
#: Size of an event's key; like that of a scope it fits into an entry of an index.
EVENT_KEY_BYTES_MAX: Final = 1_024

_TOO_MANY_KEYS: Final = f"the tenant's runs hold {idempotency.CLAIMS_MAX} idempotency keys, the most allowed"

_RESERVED: Final = "hatchet__"
_OUR_OWN: Final = "broadaxe__"
#: Reserved keys that an event passes on to its runs: where the event was pushed from.
_EVENT_KEEPS: Final = ("hatchet__source_workflow_run_id", "hatchet__source_step_run_id")


class Collision(msgspec.Struct, frozen=True, gc=False):
    """No run came to be: another one holds its idempotency key. `run_id` is the id it would have had."""

    existing_run_id: str
    run_id: str


class Refusal(msgspec.Struct, frozen=True, gc=False):
    """No run came to be: its idempotency key could not be had. It has been recorded for people to find."""

    message: str


def trigger(state: State, requests: Sequence[RunRequest], now_us: int) -> tuple[str, ...] | IdempotencyCollision:
    """Run ids in request order. What exists already is returned instead of made: a child, or a run under its promised
    id, whose caller lost sight of it and asks again.

    When keys collide, the error that says so, which is told after the commit of the runs that were made.
    """
    there = {r.promise.id for r in requests if r.promise is not None and r.promise.id in state.runs}
    if there:
        return _trigger_rest(state, requests, there, now_us)
    keys = check(state, requests)
    if state.quotas is not None:
        quotas.check(state, Resource.TASK_RUN, _tasks_wanted(state, requests), now_us)
    run_ids: list[str] = []
    collisions: list[tuple[str, str]] = []
    for position, request in enumerate(requests):
        made = _trigger_one(state, request, keys.get(position) if keys else None, now_us)
        if isinstance(made, Collision):
            collisions.append((made.existing_run_id, made.run_id))
        else:
            run_ids.append(made)
    if collisions:
        message = f"run {collisions[0][0]} holds the idempotency key" if len(requests) == 1 else None
        return IdempotencyCollision(message, started=tuple(run_ids), collisions=tuple(collisions))
    return tuple(run_ids)


def _trigger_rest(
    state: State, requests: Sequence[RunRequest], there: set[str], now_us: int
) -> tuple[str, ...] | IdempotencyCollision:
    absent = [request for request in requests if request.promise is None or request.promise.id not in there]
    made = trigger(state, absent, now_us) if absent else ()
    if isinstance(made, IdempotencyCollision):
        return IdempotencyCollision(str(made), started=(*there, *made.started), collisions=made.collisions)
    fresh = iter(made)
    return tuple(
        request.promise.id if request.promise is not None and request.promise.id in there else next(fresh)
        for request in requests
    )


def create(
    state: State,
    version: Version,
    request: RunRequest,
    metadata: str | None,
    now_us: int,
    *,
    parent: Task | None = None,
    event: EventRow | None = None,
    chosen: Filter | None = None,
    cause: RunCause = RunCause.MANUAL,
) -> Run | Collision | Refusal:
    """Makes the run, unless its idempotency key is held or cannot be had.

    For runs that nobody waits to be told about; whoever does is better told by `trigger`, which checks first.
    `metadata` is the run's, whatever `request` says; `chosen` is the filter that let its event through.
    """
    key: str | None = None
    rule = version.definition.idempotency
    if rule is not None:
        found = idempotency.key_of(rule, request.input, metadata)
        if isinstance(found, Failure) or idempotency.is_full(state):
            message = found.message if isinstance(found, Failure) else _TOO_MANY_KEYS
            state.record_failure(
                FailureSource.IDEMPOTENCY_KEY,
                message,
                now_us,
                workflow_id=version.workflow.id,
                event_id=None if event is None else event.id,
            )
            return Refusal(message)
        key = found
    return _create(state, version, request, parent, event, metadata, key, now_us, chosen, cause)


def take_outbox(
    state: State,
    requests: Sequence[OutboxRequest],
    hopeless: Sequence[RefusedRequest],
    now_us: int,
) -> tuple[RefusedRequest, ...]:
    """Does each request for itself, in order. One that was refused changes nothing and stops no other; one that the
    tenant has no room for now stays in the outbox."""
    refused = [given_up for given_up in hopeless if state.ledger.take(given_up.id)]
    for given_up in refused:
        state.ledger.refuse(given_up)
    for request in requests:
        assert request.promise is not None
        if not state.ledger.take(request.promise.id):
            continue
        try:
            if isinstance(request, MessageRequest):
                publishing.check(state, (request,))
                publishing.put(state, request, now_us)
                continue
            _check_metadata(request.additional_metadata)
            if isinstance(request, EventRequest):
                push(state, (request,), now_us)
                continue
            collision = trigger(state, (request,), now_us)
            if not isinstance(collision, IdempotencyCollision):
                continue
            reason = str(collision)
        except QuotaReached as error:
            if error.room_at_us is not None:
                state.ledger.leave(request.promise.id)
                quotas.keep_in_outbox(state, error.room_at_us)
                continue
            reason = str(error)
        except BroadaxeError as error:
            reason = str(error)
        refused.append(RefusedRequest(request.promise.id, reason))
        state.ledger.refuse(refused[-1])
    return tuple(refused)


def push(state: State, events: Sequence[EventRequest], now_us: int) -> tuple[PushedEvent, ...]:
    """Stores events, and starts one run per matching (workflow, pattern) and filter, latest versions only. What was
    pushed already under its promised id, whose caller lost sight of it and asks again, is answered as it was then."""
    pushed = {e.promise.id: state.pushed[e.promise.id] for e in events if e.promise and e.promise.id in state.pushed}
    if pushed:
        absent = [event for event in events if event.promise is None or event.promise.id not in pushed]
        fresh = iter(push(state, absent, now_us) if absent else ())
        return tuple(pushed.get(event.promise.id if event.promise else "") or next(fresh) for event in events)
    for position, event in enumerate(events):
        if not event.key:
            raise InvalidArgument("an event needs a key", field=f"events[{position}].key")
        for field, text, size_bytes_max in (
            ("key", event.key, EVENT_KEY_BYTES_MAX),
            ("scope", event.scope, filters.SCOPE_BYTES_MAX),
        ):
            if text is not None and len(text.encode()) > size_bytes_max:
                raise InvalidArgument(f"longer than {size_bytes_max} bytes", field=f"events[{position}].{field}")
        if event.priority is not None:
            check_priority(event.priority, field=f"events[{position}].priority")
        debounce.check(event.additional_metadata, field=f"events[{position}].additional_metadata")
    if state.quotas is not None:
        quotas.check(state, Resource.EVENT, len(events), now_us)
        quotas.check(state, Resource.TASK_RUN, sum(_tasks_started(state, event) for event in events), now_us)
    return tuple(_push_one(state, event, now_us) for event in events)


def spawn(state: State, parent: Task, request: RunRequest, now_us: int) -> str:
    """A child of a durable task, which has been checked: its log tells children apart, only a key stands for one.

    Raises IdempotencyCollision when another run holds the child's idempotency key.
    """
    existing = (parent.children or {}).get(request.child_key) if request.child_key else None
    if existing is not None:
        return existing
    metadata = _child_metadata(parent, request.additional_metadata)
    made = create(state, _latest(state, request), request, metadata, now_us, parent=parent)
    if isinstance(made, Collision):
        message = f"run {made.existing_run_id} holds the idempotency key"
        raise IdempotencyCollision(message, collisions=((made.existing_run_id, made.run_id),))
    if isinstance(made, Refusal):
        raise InvalidArgument(made.message, field="input")
    if request.child_key:
        if parent.children is None:
            parent.children = {}
        parent.children[request.child_key] = made.id
    return made.id


def check(state: State, requests: Sequence[RunRequest]) -> dict[int, str] | None:
    """Refuses what cannot be; the idempotency keys by position, None when no workflow asks for any."""
    unknown: dict[str, None] = {}
    has_keys = False
    for position, request in enumerate(requests):
        workflow = state.workflows_by_name.get(request.workflow_name)
        if workflow is None or workflow.latest is None:
            unknown[request.workflow_name] = None
        elif workflow.latest.definition.idempotency is not None:
            has_keys = True
        if request.priority is not None:
            check_priority(request.priority, field=f"workflows[{position}].priority")
        debounce.check(request.additional_metadata, field=f"workflows[{position}].additional_metadata")
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
    return _keys(state, requests) if has_keys else None


def _keys(state: State, requests: Sequence[RunRequest]) -> dict[int, str]:
    keys: dict[int, str] = {}
    for position, request in enumerate(requests):
        rule = _latest(state, request).definition.idempotency
        if rule is None:
            continue
        metadata = request.additional_metadata
        if request.parent_task_id:
            parent = state.tasks[request.parent_task_id]
            if _existing_child(parent, request) is not None:
                continue
            metadata = _child_metadata(parent, metadata)
        key = idempotency.key_of(rule, request.input, metadata)
        if isinstance(key, Failure):
            raise InvalidArgument(key.message, field=f"workflows[{position}].input")
        keys[position] = key
    if len(state.claims) + len(keys) > idempotency.CLAIMS_MAX:
        raise ResourceExhausted(_TOO_MANY_KEYS)
    return keys


def _tasks_wanted(state: State, requests: Sequence[RunRequest]) -> int:
    """Tasks of the runs that the requests would make; children that exist already need none."""
    wanted = 0
    children: set[tuple[str, str]] = set()
    for request in requests:
        if request.parent_task_id:
            child = request.parent_task_id, _child_key(request)
            if child in children or _existing_child(state.tasks[request.parent_task_id], request) is not None:
                continue
            children.add(child)
        wanted += quotas.tasks_of(state.workflows_by_name[request.workflow_name])
    return wanted


def _tasks_started(state: State, event: EventRequest) -> int:
    """Tasks of the runs that the event would start; at most, since idempotency keys may prevent some."""
    return sum(
        matches * quotas.tasks_of(workflow) * filters.count_admitted(workflow, event)
        for workflow, matches in state.event_patterns.matching(event.key)
    )


def _latest(state: State, request: RunRequest) -> Version:
    version = state.workflows_by_name[request.workflow_name].latest
    assert version is not None
    return version


def _child_key(request: RunRequest) -> str:
    return request.child_key or str(request.child_index or 0)


def _existing_child(parent: Task, request: RunRequest) -> str | None:
    return None if parent.children is None else parent.children.get(_child_key(request))


def _trigger_one(state: State, request: RunRequest, key: str | None, now_us: int) -> str | Collision:
    version = _latest(state, request)
    parent = state.tasks[request.parent_task_id] if request.parent_task_id else None
    metadata = request.additional_metadata
    if parent is not None:
        existing = _existing_child(parent, request)
        if existing is not None:
            return existing
        metadata = _child_metadata(parent, metadata)
    run = _create(state, version, request, parent, None, metadata, key, now_us)
    if isinstance(run, Collision):
        return run
    if parent is not None:
        if parent.children is None:
            parent.children = {}
        parent.children[_child_key(request)] = run.id
    return run.id


def _create(
    state: State,
    version: Version,
    request: RunRequest,
    parent: Task | None,
    event: EventRow | None,
    metadata: str | None,
    key: str | None,
    now_us: int,
    chosen: Filter | None = None,
    cause: RunCause = RunCause.MANUAL,
) -> Run | Collision:
    """The run, or who holds `key`, its idempotency key."""
    run_id, created_at_us = _promised(state, request, now_us)
    rule = version.definition.idempotency
    if rule is not None and key is not None:
        holder = idempotency.claim(state, rule, key, run_id, now_us)
        if holder is not None:
            return Collision(holder, run_id)
    plan = debounce.plan(state, version.workflow.id, metadata, now_us)
    if plan is not None:
        metadata = plan.metadata
    keys = evaluate(version, run_id, request.input, metadata)
    row = RunRow(
        id=run_id,
        workflow_id=version.workflow.id,
        version_id=version.id,
        is_dag=version.is_dag,
        display_name=display_name(
            version.workflow.name if version.is_dag else version.definitions[0].name,
            created_at_us,
        ),
        priority=request.priority or version.definition.default_priority,
        additional_metadata=metadata,
        parent_run_id=None if parent is None else parent.run.id,
        parent_task_id=None if parent is None else parent.id,
        child_index=None if parent is None else request.child_index or 0,
        child_key=None if parent is None else request.child_key or None,
        desired_worker_id=request.desired_worker_id,
        triggering_event_id=None if event is None else event.id,
        triggering_event_key=None if event is None else event.key,
        created_at_us=created_at_us,
        desired_labels=None if request.desired_labels is None else msgspec.json.encode(request.desired_labels).decode(),
        keys=None if keys is None else msgspec.json.encode(keys).decode(),
        idempotency_key=key,
        filter_id=None if chosen is None else chosen.id,
        filter_payload=None if chosen is None else chosen.payload,
        cause=cause,
    )
    run = Run(row, version)
    run.keys, run.labels = keys, request.desired_labels
    run.input_bytes = len(request.input)
    state.add_run(run)
    if state.quotas is not None:
        quotas.take(state, Resource.TASK_RUN, len(version.definition.tasks), now_us)
    state.ledger.add_run(run, request.input)
    state.ledger.emit(RunStarted(run.id, metadata))
    dag.begin(state, run, now_us, plan)
    if plan is not None:
        debounce.join(state, run, plan)
        if plan.superseded is not None:
            dag.cancel_run(state, plan.superseded, debounce.superseded_by(run, plan), now_us)
    return run


def _push_one(state: State, event: EventRequest, now_us: int) -> PushedEvent:
    event_id, seen_at_us = _promised(state, event, now_us)
    row = EventRow(
        event_id,
        event.key,
        event.payload,
        event.additional_metadata,
        event.scope,
        event.priority,
        seen_at_us,
        event.triggering_webhook_name,
    )
    state.ledger.add_event(row)
    if state.quotas is not None:
        quotas.take(state, Resource.EVENT, 1, now_us)
    shown = Shown(event.key, event.scope, event.payload)
    waits.offer(state, shown, now_us)
    dormant.offer(state, row.id, shown)
    run_ids: list[str] = []
    for workflow, matches in state.event_patterns.matching(event.key):
        version = workflow.latest
        assert version is not None
        request = RunRequest(workflow_name=workflow.name, input=event.payload, priority=event.priority)
        for chosen in filters.admitted(state, workflow, row, now_us):
            for _ in range(matches):
                run = create(
                    state,
                    version,
                    request,
                    _event_metadata(row),
                    now_us,
                    event=row,
                    chosen=chosen,
                    cause=RunCause.EVENT,
                )
                if isinstance(run, Run):
                    run_ids.append(run.id)
    pushed = PushedEvent(row.id, seen_at_us, tuple(run_ids))
    if event.promise is not None:
        state.pushed[row.id] = pushed
    return pushed


def _check_metadata(metadata: str | None) -> None:
    """Edges do this for what comes by wire; SQL knows numbers and depths that we cannot hold."""
    problem = None if metadata is None else problem_of(metadata)
    if problem is not None:
        raise InvalidArgument(problem, field="additional_metadata")


def _promised(state: State, request: RunRequest | EventRequest, now_us: int) -> tuple[str, int]:
    """Id and birth of what is requested: those that were promised, or fresh ones. Nothing is born in the future."""
    promise = request.promise
    if promise is None:
        return state.new_id(), now_us
    return promise.id, now_us if promise.at_us is None else min(promise.at_us, now_us)


def _child_metadata(parent: Task, own: str | None) -> str:
    """The parent's keys that are not reserved, the child's own over them, where the child came from, and its trace."""
    inherited = _decode(parent.run.row.additional_metadata)
    metadata = {key: value for key, value in inherited.items() if not key.startswith((_RESERVED, _OUR_OWN))}
    metadata |= _decode(own)
    metadata["hatchet__parent_workflow_run_id"] = parent.run.id
    metadata["hatchet__parent_step_run_id"] = parent.id
    tracing.pass_on(metadata, parent.run.id)
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
