"""Prometheus metrics: of this process at /metrics, and of one tenant at its own address.

Owns a `Tally` per tenant and the names under which tallies are exposed, which people's dashboards and alerts rely on.
Whoever does the counting is handed a tally; this module counts nothing itself. What the process shows is the sum over
its tenants, so everything is counted once. Some of the names lack the `_total` that the client library would add, and
those are exposed as they are. Counters begin at zero with the process.

Bounds: a tenant's figures by workflow are kept for `WORKFLOWS_MAX` names, further ones are counted together.
Source: behaviour specification 8.5, REST specification 7.7.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

from fastapi import Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.gc_collector import GCCollector
from prometheus_client.metrics_core import Metric
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

__all__ = ["Gauge", "Histogram", "Metrics", "Tally", "WorkflowTally"]

QUEUED_TO_ASSIGNED_BUCKETS_S: Final = (0.01, 0.02, 0.05, 0.1, 0.5, 1.0, 2.0, 5.0, 15.0)
DURATION_BUCKETS_MS: Final = (10, 50, 100, 500, 1e3, 5e3, 10e3, 30e3, 60e3, 300e3, 900e3, 3_600e3)
WORKFLOWS_MAX: Final = 1_000
#: The name that the figures of all further workflows go by; no workflow can have it.
OTHER_WORKFLOWS: Final = "(other)"


@dataclass(frozen=True, slots=True)
class _Count:
    """What the process and a tenant expose of one number of a tally."""

    field: str
    help: str
    has_total: bool = True
    """Whether the process's name ends in `_total`; a tenant's never does."""


_COUNTS: Final = (
    _Count("queue_invocations", "Times a task was put into its queue"),
    _Count("created_tasks", "Tasks created"),
    _Count("retried_tasks", "Attempts started again after a failure"),
    _Count("succeeded_tasks", "Tasks completed"),
    _Count("failed_tasks", "Tasks failed for good"),
    _Count("skipped_tasks", "Tasks skipped"),
    _Count("cancelled_tasks", "Tasks cancelled"),
    _Count("assigned_tasks", "Attempts given to a worker", has_total=False),
    _Count("scheduling_timed_out", "Tasks no worker took in time", has_total=False),
    _Count("rate_limited", "Times a rate limit held a task back", has_total=False),
    _Count("queued_to_assigned", "Attempts that went from a queue to a worker", has_total=False),
    _Count("reassigned_tasks", "Attempts taken from a lost worker", has_total=False),
)
_WAIT_HELP: Final = "Time an attempt waited in its queue"


class Histogram:
    """How many values fell below each bound, and their sum."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def add(self, other: Histogram) -> None:
        self.counts = [mine + theirs for mine, theirs in zip(self.counts, other.counts, strict=True)]
        self.total += other.total

    def put_into(self, family: HistogramMetricFamily, labels: Sequence[str]) -> None:
        bounds = [*(str(float(bound)) for bound in self.bounds), "+Inf"]
        family.add_metric(labels, list(zip(bounds, accumulate(self.counts), strict=True)), self.total)


class WorkflowTally:
    """What is counted per workflow."""

    __slots__ = ("durations_ms", "queued_to_assigned_s")

    def __init__(self) -> None:
        self.queued_to_assigned_s = Histogram(QUEUED_TO_ASSIGNED_BUCKETS_S)
        self.durations_ms: dict[str, Histogram] = {}
        """By the status a run ended in."""

    def ended(self, status: str, duration_ms: float) -> None:
        if status not in self.durations_ms:
            self.durations_ms[status] = Histogram(DURATION_BUCKETS_MS)
        self.durations_ms[status].observe(duration_ms)


class Tally:
    """One tenant's counts since the process began."""

    __slots__ = (*(count.field for count in _COUNTS), "queued_to_assigned_s", "workflows")
    queue_invocations: int
    created_tasks: int
    retried_tasks: int
    succeeded_tasks: int
    failed_tasks: int
    skipped_tasks: int
    cancelled_tasks: int
    assigned_tasks: int
    scheduling_timed_out: int
    rate_limited: int
    queued_to_assigned: int
    reassigned_tasks: int

    def __init__(self) -> None:
        for count in _COUNTS:
            setattr(self, count.field, 0)
        self.queued_to_assigned_s = Histogram(QUEUED_TO_ASSIGNED_BUCKETS_S)
        self.workflows: dict[str, WorkflowTally] = {}

    def workflow(self, name: str) -> WorkflowTally:
        found = self.workflows.get(name)
        if found is None:
            if len(self.workflows) >= WORKFLOWS_MAX:
                name = OTHER_WORKFLOWS
            found = self.workflows.setdefault(name, WorkflowTally())
        return found


@dataclass(frozen=True, slots=True)
class Gauge:
    """A figure of now: its name without the prefix, and a value for each set of labels."""

    name: str
    help: str
    labels: tuple[str, ...]
    values: Sequence[tuple[tuple[str, ...], float]]


class Metrics(Collector):
    """One process's metrics."""

    def __init__(self) -> None:
        self._tallies: dict[str, Tally] = {}
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        self.registry.register(self)

    def tenant(self, tenant_id: str) -> Tally:
        """Where this tenant's counts go; it stays the same object."""
        return self._tallies.setdefault(tenant_id, Tally())

    def render(self) -> bytes:
        return generate_latest(self.registry)

    async def page(self) -> Response:
        return Response(self.render(), media_type=CONTENT_TYPE_LATEST)

    def collect(self) -> Iterable[Metric]:
        """The sums over all tenants."""
        for count in _COUNTS:
            value = sum(getattr(tally, count.field) for tally in self._tallies.values())
            if count.has_total:
                yield CounterMetricFamily(f"hatchet_{count.field}", count.help, value=value)
            else:
                yield _bare(f"hatchet_{count.field}", count.help, {}, value)
        waits = Histogram(QUEUED_TO_ASSIGNED_BUCKETS_S)
        for tally in self._tallies.values():
            waits.add(tally.queued_to_assigned_s)
        family = HistogramMetricFamily("hatchet_queued_to_assigned_time_seconds", _WAIT_HELP)
        waits.put_into(family, ())
        yield family

    def render_tenant(self, tenant_id: str, gauges: Sequence[Gauge]) -> bytes:
        """What one tenant may see: its counts in this process, and gauges that the caller has read for it."""
        registry = CollectorRegistry()
        registry.register(_OfTenant(tenant_id, self._tallies.get(tenant_id) or Tally(), gauges))
        return generate_latest(registry)


class _OfTenant(Collector):
    def __init__(self, tenant_id: str, tally: Tally, gauges: Sequence[Gauge]) -> None:
        self._tenant_id = tenant_id
        self._tally = tally
        self._gauges = gauges

    def collect(self) -> Iterable[Metric]:
        tally, tenant = self._tally, {"tenant_id": self._tenant_id}
        prefix = "hatchet_tenant_"
        for count in _COUNTS:
            yield _bare(f"{prefix}{count.field}", count.help, tenant, getattr(tally, count.field))
        waits = HistogramMetricFamily(f"{prefix}queued_to_assigned_time_seconds", _WAIT_HELP, labels=list(tenant))
        tally.queued_to_assigned_s.put_into(waits, [self._tenant_id])
        yield waits
        name = f"{prefix}queued_to_assigned_by_workflow"
        attempts = Metric(name, "Attempts that went from a queue to a worker", "unknown")
        name = f"{prefix}queued_to_assigned_time_seconds_by_workflow"
        waits = HistogramMetricFamily(name, _WAIT_HELP, labels=["tenant_id", "workflow_name"])
        name = f"{prefix}workflow_duration_milliseconds"
        durations = HistogramMetricFamily(
            name, "Time from the start of a run to its end", labels=["tenant_id", "workflow_name", "status"]
        )
        for workflow, figures in tally.workflows.items():
            waited = sum(figures.queued_to_assigned_s.counts)
            attempts.add_sample(attempts.name, tenant | {"workflow_name": workflow}, waited)
            figures.queued_to_assigned_s.put_into(waits, [self._tenant_id, workflow])
            for status, histogram in figures.durations_ms.items():
                histogram.put_into(durations, [self._tenant_id, workflow, status])
        yield from (attempts, waits, durations)
        for gauge in self._gauges:
            metric = Metric(f"{prefix}{gauge.name}", gauge.help, "gauge")
            for labels, value in gauge.values:
                metric.add_sample(metric.name, tenant | dict(zip(gauge.labels, labels, strict=True)), value)
            yield metric


def _bare(name: str, documentation: str, labels: dict[str, str], value: float) -> Metric:
    """A counter whose exposed name is exactly the one given."""
    metric = Metric(name, documentation, "unknown")
    metric.add_sample(name, labels, value)
    return metric
