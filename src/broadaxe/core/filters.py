"""Event filters: which events start a workflow, beyond their key.

A filter belongs to a workflow and has a scope, an expression and a payload. A workflow that owns any filter is started
only by events that name a scope it has filters for, once per filter whose expression is true:

    the workflow's filters        the event's scope    runs
    ----------------------        -----------------    ----
    none                          any, or none         one, without a filter
    some                          none                 none
    some, but none of scope S     S                    none
    some of scope S               S                    one per filter of S that says true, with its payload

An empty expression never says true. One that fails, or says anything but a bool, does not either, and is recorded.

Owns the filters and this decision. A filter is declared with its workflow or made by a command. A registration that
declares any replaces those declared before (equal ones stay as they are, with their ids); one that declares none
leaves them; neither touches the others. They go with their workflow.

Invariant: the filters of a scope stand in the order of their ids, so that the runs of an event come in the same order
after a load.

Cost: nothing for a workflow without filters. Else payload and metadata of the event are decoded once per event, and
every filter of its scope is evaluated (about 20 us each), of which a workflow has at most `SCOPE_FILTERS_MAX`.

Source: semantics 5.5.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec

from broadaxe.core.commands.events import EventRequest
from broadaxe.core.decision import EventRow, FailureSource, FilterRow
from broadaxe.core.definition import FilterSpec
from broadaxe.core.expressions import Environment, Failure, check, evaluate_bool, variables_of
from broadaxe.core.metadata import problem_of
from broadaxe.core.model import Filter, Workflow
from broadaxe.core.state import State
from broadaxe.errors import InvalidArgument, NotFound, ResourceExhausted

#: Filters of one workflow with one scope: an event evaluates all of them.
SCOPE_FILTERS_MAX: Final = 200
#: Filters of a tenant.
FILTERS_MAX: Final = 100_000
PAYLOAD_BYTES_MAX: Final = 64 * 1024
SCOPE_BYTES_MAX: Final = 2_000

_UNFILTERED: Final = (None,)


def admitted(state: State, workflow: Workflow, event: EventRow, now_us: int) -> Sequence[Filter | None]:
    """The filters that let the event through to the workflow; None stands for a run without a filter."""
    if not workflow.filters:
        return _UNFILTERED
    chosen = workflow.filters.get(event.scope) if event.scope is not None else None
    if not chosen:
        return ()
    variables = variables_of(event.payload, event.additional_metadata)
    if isinstance(variables, Failure):
        state.record_failure(
            FailureSource.FILTER, variables.message, now_us, workflow_id=workflow.id, event_id=event.id
        )
        return ()
    variables["event_id"], variables["event_key"] = event.id, event.key
    passed: list[Filter] = []
    for filter_ in chosen.values():
        answer = _passes(filter_, variables)
        if isinstance(answer, Failure):
            message = f"filter {filter_.id}: {answer.message}"
            state.record_failure(FailureSource.FILTER, message, now_us, workflow_id=workflow.id, event_id=event.id)
        elif answer:
            passed.append(filter_)
    return passed


def count_admitted(workflow: Workflow, event: EventRequest) -> int:
    """How many runs per pattern `admitted` will let an event start that has no id yet; an expression that asks for the
    id gets an empty one. Records nothing."""
    if not workflow.filters:
        return 1
    chosen = workflow.filters.get(event.scope) if event.scope is not None else None
    if not chosen:
        return 0
    variables = variables_of(event.payload, event.additional_metadata)
    if isinstance(variables, Failure):
        return 0
    variables["event_id"], variables["event_key"] = "", event.key
    return sum(_passes(filter_, variables) is True for filter_ in chosen.values())


def check_declared(specs: Sequence[FilterSpec]) -> None:
    """Refuses a registration for its filters, before anything is made."""
    in_scope: dict[str, int] = {}
    for position, spec in enumerate(specs):
        field = f"default_filters[{position}]"
        _check(spec.scope, spec.expression, spec.payload, field=f"{field}.")
        in_scope[spec.scope] = in_scope.get(spec.scope, 0) + 1
        if in_scope[spec.scope] > SCOPE_FILTERS_MAX:
            raise InvalidArgument(f"at most {SCOPE_FILTERS_MAX} filters of one scope", field=f"{field}.scope")
    if len(specs) > FILTERS_MAX:
        raise InvalidArgument(f"at most {FILTERS_MAX} filters", field="default_filters")


def declare(state: State, workflow: Workflow, specs: Sequence[FilterSpec], now_us: int) -> None:
    """The filters a registration declares, which `check_declared` has seen."""
    if not specs:
        return
    wanted = [(spec.scope, spec.expression, spec.payload) for spec in specs]
    for filter_ in [known for known in _of(workflow) if known.is_declared]:
        content = filter_.scope, filter_.expression, filter_.payload
        if content in wanted:
            wanted.remove(content)
        else:
            _remove(state, filter_)
    for scope, expression, payload in wanted:
        row = FilterRow(state.new_id(), workflow.id, scope, expression, payload, True, now_us, now_us)
        _put(state, Filter(row, workflow))


def create(state: State, workflow_id: str, scope: str, expression: str, payload: str, now_us: int) -> str:
    """The id of the new filter. NotFound for an unknown workflow."""
    workflow = state.workflows.get(workflow_id)
    if workflow is None or workflow.deleted_at_us is not None:
        raise NotFound(f"there is no workflow {workflow_id}", field="workflowId")
    _check(scope, expression, payload)
    _check_room(state, workflow, scope)
    if len(state.filters) >= FILTERS_MAX:
        raise ResourceExhausted(f"the tenant has {FILTERS_MAX} filters, the most allowed")
    row = FilterRow(state.new_id(), workflow_id, scope, expression, payload, False, now_us, now_us)
    _put(state, Filter(row, workflow))
    return row.id


def change(
    state: State, filter_id: str, scope: str | None, expression: str | None, payload: str | None, now_us: int
) -> None:
    """What is None stays."""
    filter_ = _find(state, filter_id)
    after = (
        filter_.scope if scope is None else scope,
        filter_.expression if expression is None else expression,
        filter_.payload if payload is None else payload,
    )
    _check(*after)
    if after[0] != filter_.scope:
        _check_room(state, filter_.workflow, after[0])
        _leave_scope(filter_)
    filter_.scope, filter_.expression, filter_.payload = after
    filter_.updated_at_us = now_us
    _put(state, filter_)


def delete(state: State, filter_id: str) -> None:
    _remove(state, _find(state, filter_id))


def forget_all(state: State, workflow: Workflow) -> None:
    """The workflow is gone."""
    for filter_ in list(_of(workflow)):
        _remove(state, filter_)


def adopt(state: State, rows: Iterable[FilterRow]) -> None:
    """Takes in what was read from the tables."""
    for row in rows:
        if row.id not in state.filters:
            filter_ = state.filters[row.id] = Filter(row, state.workflows[row.workflow_id])
            filter_.workflow.filters.setdefault(filter_.scope, {})[filter_.id] = filter_


def _passes(filter_: Filter, variables: dict[str, object]) -> bool | Failure:
    if not filter_.expression.strip():
        return False
    variables["payload"] = _decode(filter_.payload)
    return evaluate_bool(filter_.expression, Environment.EVENT_FILTER, variables)


def _check(scope: str, expression: str, payload: str, *, field: str = "") -> None:
    for name, text in (("scope", scope), ("expression", expression)):
        if "\x00" in text:
            raise InvalidArgument("contains a NUL character, which cannot be stored", field=f"{field}{name}")
    if len(scope.encode()) > SCOPE_BYTES_MAX:
        raise InvalidArgument(f"longer than {SCOPE_BYTES_MAX} bytes", field=f"{field}scope")
    if len(payload.encode()) > PAYLOAD_BYTES_MAX:
        raise InvalidArgument(f"larger than {PAYLOAD_BYTES_MAX} bytes", field=f"{field}payload")
    problem = problem_of(payload)
    if problem is not None:
        raise InvalidArgument(f"expressions cannot read it: {problem}", field=f"{field}payload")
    if expression.strip():
        check(expression, Environment.EVENT_FILTER, field=f"{field}expression")


def _check_room(state: State, workflow: Workflow, scope: str) -> None:
    if len(workflow.filters.get(scope, ())) >= SCOPE_FILTERS_MAX:
        raise InvalidArgument(
            f"the workflow has {SCOPE_FILTERS_MAX} filters of this scope, the most allowed", field="scope"
        )


def _find(state: State, filter_id: str) -> Filter:
    filter_ = state.filters.get(filter_id)
    if filter_ is None:
        raise NotFound(f"there is no filter {filter_id}", field="filter")
    return filter_


def _of(workflow: Workflow) -> Iterable[Filter]:
    return (filter_ for in_scope in workflow.filters.values() for filter_ in in_scope.values())


def _put(state: State, filter_: Filter) -> None:
    state.filters[filter_.id] = filter_
    by_scope = filter_.workflow.filters
    in_scope = by_scope.setdefault(filter_.scope, {})
    is_in_order = filter_.id in in_scope or not in_scope or next(reversed(in_scope)) < filter_.id
    in_scope[filter_.id] = filter_
    if not is_in_order:
        by_scope[filter_.scope] = dict(sorted(in_scope.items()))
    state.ledger.touch_filter(filter_)


def _remove(state: State, filter_: Filter) -> None:
    del state.filters[filter_.id]
    _leave_scope(filter_)
    state.ledger.forget_filter(filter_)


def _leave_scope(filter_: Filter) -> None:
    in_scope = filter_.workflow.filters[filter_.scope]
    del in_scope[filter_.id]
    if not in_scope:
        del filter_.workflow.filters[filter_.scope]


def _decode(text: str) -> dict[str, Any]:
    return msgspec.json.decode(text, type=dict[str, Any])
