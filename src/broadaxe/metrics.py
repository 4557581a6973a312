"""Counts what the engine decided, once per committed batch, from the rows it wrote (semantics 8.5).

A batch costs one pass over its history entries; nothing is counted per task elsewhere.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from broadaxe.core.decision import Decision, StartAttempt, StartBatch
from broadaxe.core.lifecycle import TaskEventType, TaskStatus
from broadaxe.rest.metrics import Metrics


def observer(metrics: Metrics) -> Callable[[str, Decision], None]:
    """A function that counts a committed batch of a tenant into `metrics`."""
    by_event: dict[TaskEventType, Callable[[float], None]] = {
        TaskEventType.QUEUED: metrics.queue_invocations.inc,
        TaskEventType.ASSIGNED: metrics.assigned_tasks.inc,
        TaskEventType.RETRYING: metrics.retried_tasks.inc,
        TaskEventType.REASSIGNED: metrics.reassigned_tasks.inc,
        TaskEventType.SKIPPED: metrics.skipped_tasks.inc,
        TaskEventType.SCHEDULING_TIMED_OUT: metrics.scheduling_timed_out.inc,
        TaskEventType.REQUEUED_RATE_LIMIT: metrics.rate_limited.inc,
    }
    by_status: dict[TaskStatus, Callable[[float], None]] = {
        TaskStatus.COMPLETED: metrics.succeeded_tasks.inc,
        TaskStatus.FAILED: metrics.failed_tasks.inc,
        TaskStatus.CANCELLED: metrics.cancelled_tasks.inc,
    }

    def observe(tenant_id: str, decision: Decision) -> None:
        writes = decision.writes
        metrics.created_tasks.inc(len(writes.new_tasks))
        for kind, count in Counter(event.type for event in writes.task_events).items():
            if kind in by_event:
                by_event[kind](count)
        states = [*(task.state for task in writes.new_tasks), *writes.tasks]
        for status, count in Counter(state.status for state in states).items():
            if status in by_status:
                by_status[status](count)
        started = {effect.task_id for effect in decision.effects if type(effect) is StartAttempt}
        started.update(
            item.task_id for effect in decision.effects if type(effect) is StartBatch for item in effect.items
        )
        for state in states:
            if state.id in started and state.queued_at_us is not None and state.assigned_at_us is not None:
                metrics.queued_to_assigned.inc()
                metrics.queued_to_assigned_time_s.observe((state.assigned_at_us - state.queued_at_us) / 1e6)

    return observe
