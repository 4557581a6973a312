"""What the engine counts, under the names users' dashboards know (semantics 8.5).

Fed once per committed batch from the rows it wrote, so counting costs nothing per task beyond a look at its event.
"""

from __future__ import annotations

from collections import Counter as Tally
from typing import Final

from prometheus_client import REGISTRY, CollectorRegistry, Counter

from broadaxe.core.decision import Decision
from broadaxe.core.lifecycle import TaskEventType, TaskStatus

_BY_EVENT: Final = {
    TaskEventType.QUEUED: ("hatchet_queue_invocations", "Times a task was put into its queue."),
    TaskEventType.ASSIGNED: ("hatchet_assigned_tasks", "Attempts given to a worker."),
    TaskEventType.RETRYING: ("hatchet_retried_tasks", "Attempts that followed a failure."),
    TaskEventType.REASSIGNED: ("hatchet_reassigned_tasks", "Attempts that followed the loss of a worker."),
    TaskEventType.SKIPPED: ("hatchet_skipped_tasks", "Tasks that were skipped."),
    TaskEventType.SCHEDULING_TIMED_OUT: ("hatchet_scheduling_timed_out", "Tasks no worker took in time."),
}
_BY_STATUS: Final = {
    TaskStatus.COMPLETED: ("hatchet_succeeded_tasks", "Tasks that completed."),
    TaskStatus.FAILED: ("hatchet_failed_tasks", "Tasks that failed for good."),
    TaskStatus.CANCELLED: ("hatchet_cancelled_tasks", "Tasks that were cancelled."),
}


class EngineMetrics:
    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        self._created = Counter("hatchet_created_tasks", "Tasks that were created.", registry=registry)
        self._by_event = {kind: Counter(name, text, registry=registry) for kind, (name, text) in _BY_EVENT.items()}
        self._by_status = {
            status: Counter(name, text, registry=registry) for status, (name, text) in _BY_STATUS.items()
        }

    def observe(self, tenant_id: str, decision: Decision) -> None:
        """Counts a committed batch."""
        writes = decision.writes
        if writes.new_tasks:
            self._created.inc(len(writes.new_tasks))
        for kind, count in Tally(event.type for event in writes.task_events).items():
            counter = self._by_event.get(kind)
            if counter is not None:
                counter.inc(count)
        ended = Tally(state.status for state in (*(task.state for task in writes.new_tasks), *writes.tasks))
        for status, count in ended.items():
            counter = self._by_status.get(status)
            if counter is not None:
                counter.inc(count)
