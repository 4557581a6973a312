"""The shapes of a durable task's log and branches, made from stored records. Source: REST specification 3.15."""

from __future__ import annotations

from typing import Literal, cast

from pydantic import Field

from broadaxe.core.durations import US_PER_MS
from broadaxe.rest.wire import Instant, Wire
from broadaxe.storage import durable_reads as storage
from broadaxe.storage.durable_reads import DurableEntryRecord


class DurableCondition(Wire):
    kind: Literal["SLEEP", "USER_EVENT", "CHILD_WORKFLOW"]
    sleep_duration_ms: int | None = None
    event_key: str | None = None
    workflow_name: str | None = None


class DurableWaitItem(Wire):
    """One thing waited for, or, with `or`, alternatives."""

    kind: Literal["SLEEP", "USER_EVENT", "CHILD_WORKFLOW"] | None = None
    sleep_duration_ms: int | None = None
    event_key: str | None = None
    workflow_name: str | None = None
    alternatives: list[DurableCondition] | None = Field(default=None, alias="or")


class DurableLogEntry(Wire):
    node_id: int
    branch_id: int
    kind: Literal["RUN", "WAIT_FOR", "MEMO"]
    is_satisfied: bool
    inserted_at: Instant
    task_external_id: str
    task_display_name: str
    satisfied_at: Instant | None = None
    user_message: str | None = None
    wait_data: list[DurableWaitItem] | None = None


class RecordedOperation(Wire):
    """What an operation of a durable task came to, for a test that does the task again with new code. `result` is the
    text of a JSON value."""

    node_id: int
    branch_id: int
    identity: str
    child_run_external_id: str | None = None
    child_key: str | None = None
    is_awaited: bool
    is_satisfied: bool
    place: int | None = None
    result: str | None = None
    is_failure: bool
    error: str | None = None


class DurableBranch(Wire):
    task_external_id: str
    node_id: int
    branch_id: int


class Restored(Wire):
    requeued: bool


def durable_entry(task_id: str, entry: DurableEntryRecord) -> DurableLogEntry:
    """An entry of a durable log (section 3.15)."""
    return DurableLogEntry(
        node_id=entry.node_id,
        branch_id=entry.branch_id,
        kind=cast(Literal["RUN", "WAIT_FOR", "MEMO"], entry.kind.value),
        is_satisfied=entry.satisfied_at is not None,
        inserted_at=entry.created_at,
        task_external_id=task_id,
        task_display_name=entry.task_display_name,
        satisfied_at=entry.satisfied_at,
        user_message=entry.label or None,
        wait_data=_wait_data(entry),
    )


def recorded_operation(recorded: storage.RecordedOperation) -> RecordedOperation:
    return RecordedOperation(
        node_id=recorded.node_id,
        branch_id=recorded.branch_id,
        identity=recorded.identity,
        child_run_external_id=recorded.child_run_id,
        child_key=recorded.child_key,
        is_awaited=recorded.is_awaited,
        is_satisfied=recorded.is_satisfied,
        place=recorded.place,
        result=recorded.result,
        is_failure=recorded.is_failure,
        error=recorded.error,
    )


def _wait_data(entry: DurableEntryRecord) -> list[DurableWaitItem] | None:
    if entry.workflow_name is not None:
        return [DurableWaitItem(kind="CHILD_WORKFLOW", workflow_name=entry.workflow_name)]
    groups: dict[int, list[DurableCondition]] = {}
    for condition in entry.conditions:
        shown = (
            DurableCondition(kind="SLEEP", sleep_duration_ms=condition.sleep_us // US_PER_MS)
            if condition.is_sleep
            else DurableCondition(kind="USER_EVENT", event_key=condition.event_key)
        )
        groups.setdefault(condition.group, []).append(shown)
    items = [
        DurableWaitItem(**alternatives[0].model_dump())
        if len(alternatives) == 1
        else DurableWaitItem.model_validate({"or": alternatives})
        for alternatives in groups.values()
    ]
    return items or None
