"""Counts what the engine decided, once per committed round, from the rows it wrote (semantics 8.5).

Owns a `Tally` per tenant; how they are shown is `rest/metrics.py`'s business. A round costs one pass over its history
entries; nothing is counted per task elsewhere. Bounds: a tenant's figures by workflow are kept for `WORKFLOWS_MAX`
names, further ones are counted together.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from broadaxe.core.decision import Decision, RunFinished, StartAttempt, StartBatch
from broadaxe.core.lifecycle import TaskEventType, TaskStatus

__all__ = ["Histogram", "Tallies", "Tally", "WorkflowTally", "observer"]

QUEUED_TO_ASSIGNED_BUCKETS_S: Final = (0.01, 0.02, 0.05, 0.1, 0.5, 1.0, 2.0, 5.0, 15.0)
DURATION_BUCKETS_MS: Final = (10, 50, 100, 500, 1e3, 5e3, 10e3, 30e3, 60e3, 300e3, 900e3, 3_600e3)
WORKFLOWS_MAX: Final = 1_000
#: The name that the figures of all further workflows go by; no workflow can have it.
OTHER_WORKFLOWS: Final = "(other)"

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


@dataclass(slots=True)
class Histogram:
    """How many values fell below each bound, and their sum."""

    bounds: Sequence[float]
    counts: list[int] = field(default_factory=list)
    total: float = 0.0

    def __post_init__(self) -> None:
        self.counts = self.counts or [0] * (len(self.bounds) + 1)

    def observe(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def add(self, other: Histogram) -> None:
        self.counts = [mine + theirs for mine, theirs in zip(self.counts, other.counts, strict=True)]
        self.total += other.total


def _waits() -> Histogram:
    return Histogram(QUEUED_TO_ASSIGNED_BUCKETS_S)


@dataclass(slots=True)
class WorkflowTally:
    """What is counted per workflow."""

    queued_to_assigned_s: Histogram = field(default_factory=_waits)
    durations_ms: dict[str, Histogram] = field(default_factory=dict)
    """By the status a run ended in."""

    def ended(self, status: str, duration_ms: float) -> None:
        if status not in self.durations_ms:
            self.durations_ms[status] = Histogram(DURATION_BUCKETS_MS)
        self.durations_ms[status].observe(duration_ms)


@dataclass(slots=True)
class Tally:
    """One tenant's counts since the process began."""

    queue_invocations: int = 0
    created_tasks: int = 0
    retried_tasks: int = 0
    succeeded_tasks: int = 0
    failed_tasks: int = 0
    skipped_tasks: int = 0
    cancelled_tasks: int = 0
    assigned_tasks: int = 0
    scheduling_timed_out: int = 0
    rate_limited: int = 0
    queued_to_assigned: int = 0
    reassigned_tasks: int = 0
    queued_to_assigned_s: Histogram = field(default_factory=_waits)
    workflows: dict[str, WorkflowTally] = field(default_factory=dict)

    def workflow(self, name: str) -> WorkflowTally:
        found = self.workflows.get(name)
        if found is None:
            if len(self.workflows) >= WORKFLOWS_MAX:
                name = OTHER_WORKFLOWS
            found = self.workflows.setdefault(name, WorkflowTally())
        return found


class Tallies:
    """One process's tallies, one for each tenant that something was counted for."""

    def __init__(self) -> None:
        self._by_tenant: dict[str, Tally] = {}

    def tenant(self, tenant_id: str) -> Tally:
        """Where this tenant's counts go; it stays the same object."""
        return self._by_tenant.setdefault(tenant_id, Tally())

    def of(self, tenant_id: str) -> Tally:
        """What was counted for this tenant, which may be nothing; for reading."""
        return self._by_tenant.get(tenant_id) or Tally()

    def all(self) -> Collection[Tally]:
        return self._by_tenant.values()

    def by_tenant(self) -> Mapping[str, Tally]:
        return self._by_tenant

    def become(self, by_tenant: dict[str, Tally]) -> None:
        """From here on these count, which another process has counted."""
        self._by_tenant = by_tenant


def observer(tallies: Tallies) -> Callable[[str, Decision], None]:
    """A function that counts a committed round of a tenant into `tallies`."""

    def observe(tenant_id: str, decision: Decision) -> None:
        writes = decision.writes
        tally = tallies.tenant(tenant_id)
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
