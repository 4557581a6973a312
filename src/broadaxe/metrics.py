"""Counts what the engine decided, once per committed round, from the rows it wrote (semantics 8.5).

A round costs one pass over its history entries; nothing is counted per task elsewhere.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Final

from broadaxe.core.decision import Decision, RunFinished, StartAttempt, StartBatch
from broadaxe.core.lifecycle import TaskEventType, TaskStatus
from broadaxe.rest.metrics import Metrics

_BY_EVENT: Final = {
    TaskEventType.QUEUED: "queue_invocations",
    TaskEventType.ASSIGNED: "assigned_tasks",
    TaskEventType.RETRYING: "retried_tasks",
    TaskEventType.REASSIGNED: "reassigned_tasks",
    TaskEventType.SKIPPED: "skipped_tasks",
    TaskEventType.SCHEDULING_TIMED_OUT: "scheduling_timed_out",
    TaskEventType.REQUEUED_RATE_LIMIT: "rate_limited",
}
_BY_STATUS: Final = {
    TaskStatus.COMPLETED: "succeeded_tasks",
    TaskStatus.FAILED: "failed_tasks",
    TaskStatus.CANCELLED: "cancelled_tasks",
}


def observer(metrics: Metrics) -> Callable[[str, Decision], None]:
    """A function that counts a committed round of a tenant into `metrics`."""

    def observe(tenant_id: str, decision: Decision) -> None:
        writes = decision.writes
        tally = metrics.tenant(tenant_id)
        tally.created_tasks += len(writes.new_tasks)
        for kind, count in Counter(event.type for event in writes.task_events).items():
            field = _BY_EVENT.get(kind)
            if field is not None:
                setattr(tally, field, getattr(tally, field) + count)
        states = [*(task.state for task in writes.new_tasks), *writes.tasks]
        for status, count in Counter(state.status for state in states).items():
            field = _BY_STATUS.get(status)
            if field is not None:
                setattr(tally, field, getattr(tally, field) + count)
        started: dict[str, str] = {}
        for effect in decision.effects:
            match effect:
                case StartAttempt():
                    started[effect.task_id] = effect.workflow_name
                case StartBatch():
                    started |= {item.task_id: item.workflow_name for item in effect.items}
                case RunFinished(started_at_us=started_at_us) if started_at_us is not None:
                    duration_ms = (effect.at_us - started_at_us) / 1e3
                    tally.workflow(effect.workflow_name).ended(effect.status, duration_ms)
        for state in states:
            workflow = started.get(state.id)
            if workflow is not None and state.queued_at_us is not None and state.assigned_at_us is not None:
                waited_s = (state.assigned_at_us - state.queued_at_us) / 1e6
                tally.queued_to_assigned += 1
                tally.queued_to_assigned_s.observe(waited_s)
                tally.workflow(workflow).queued_to_assigned_s.observe(waited_s)

    return observe
