"""Prometheus metrics: of this process at /metrics, and of one tenant at its own address.

Owns the names under which the tallies of `broadaxe/metrics.py` are exposed, which people's dashboards and alerts rely
on. Counts nothing itself. What the process shows is the sum over its tenants, so everything is counted once. Some of
the names lack the `_total` that the client library would add, and those are exposed as they are. Counters begin at zero
with the process.

Source: behaviour specification 8.5, REST specification 7.7.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final, Protocol

import psutil
from fastapi import Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.gc_collector import GCCollector
from prometheus_client.metrics_core import Metric
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from broadaxe.metrics import QUEUED_TO_ASSIGNED_BUCKETS_S, Histogram, Tallies, Tally
from broadaxe.storage.read_replica import ReplicaCondition, ReplicaState

__all__ = ["Gauge", "Metrics", "Parts"]


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


@dataclass(frozen=True, slots=True)
class Gauge:
    """A figure of now: its name without the prefix, and a value for each set of labels."""

    name: str
    help: str
    labels: tuple[str, ...]
    values: Sequence[tuple[tuple[str, ...], float]]


class Parts(Protocol):
    """The processes of a node that runs in several."""

    def running(self) -> Mapping[str, int]:
        """Their numbers by name."""
        ...

    async def tallies(self) -> dict[str, Tally]:
        """What the one that decides has counted. Unavailable when it cannot be asked."""
        ...


class Metrics(Collector):
    """One process's metrics."""

    def __init__(self, tallies: Tallies, parts: Parts | None = None) -> None:
        """`parts`: the processes of the node, when this is one of several."""
        self.tallies = tallies
        self.registry = CollectorRegistry()
        self._parts = parts
        if parts is None:
            ProcessCollector(registry=self.registry)
            GCCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self.registry.register(self)
        self._replica: Callable[[], ReplicaCondition] | None = None

    def watch_replica(self, condition: Callable[[], ReplicaCondition]) -> None:
        """From here on the process also shows how the read replica is."""
        self._replica = condition

    def render(self) -> bytes:
        return generate_latest(self.registry)

    async def read(self) -> None:
        """Asks for what is counted elsewhere. Unavailable when that cannot be told."""
        if self._parts is not None:
            self.tallies.become(await self._parts.tallies())

    async def page(self) -> Response:
        await self.read()
        return Response(self.render(), media_type=CONTENT_TYPE_LATEST)

    def collect(self) -> Iterable[Metric]:
        """The sums over all tenants."""
        for count in _COUNTS:
            value = sum(getattr(tally, count.field) for tally in self.tallies.all())
            if count.has_total:
                yield CounterMetricFamily(f"hatchet_{count.field}", count.help, value=value)
            else:
                yield _bare(f"hatchet_{count.field}", count.help, {}, value)
        waits = Histogram(QUEUED_TO_ASSIGNED_BUCKETS_S)
        for tally in self.tallies.all():
            waits.add(tally.queued_to_assigned_s)
        family = HistogramMetricFamily("hatchet_queued_to_assigned_time_seconds", _WAIT_HELP)
        _put(waits, family)
        yield family
        if self._parts is not None:
            yield from _of_processes(self._parts.running())
        if self._replica is not None:
            yield from _of_replica(self._replica())

    def render_tenant(self, tenant_id: str, gauges: Sequence[Gauge]) -> bytes:
        """What one tenant may see: its counts in this process, and gauges that the caller has read for it."""
        registry = CollectorRegistry()
        registry.register(_OfTenant(tenant_id, self.tallies.of(tenant_id), gauges))
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
        _put(tally.queued_to_assigned_s, waits, self._tenant_id)
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
            _put(figures.queued_to_assigned_s, waits, self._tenant_id, workflow)
            for status, histogram in figures.durations_ms.items():
                _put(histogram, durations, self._tenant_id, workflow, status)
        yield from (attempts, waits, durations)
        for gauge in self._gauges:
            metric = Metric(f"{prefix}{gauge.name}", gauge.help, "gauge")
            for labels, value in gauge.values:
                metric.add_sample(metric.name, tenant | dict(zip(gauge.labels, labels, strict=True)), value)
            yield metric


def _put(histogram: Histogram, family: HistogramMetricFamily, *labels: str) -> None:
    bounds = [*(str(float(bound)) for bound in histogram.bounds), "+Inf"]
    family.add_metric(labels, list(zip(bounds, accumulate(histogram.counts), strict=True)), histogram.total)


def _of_replica(found: ReplicaCondition) -> Iterable[Metric]:
    lag = Metric(
        "broadaxe_read_replica_lag_seconds", "How old the read replica's newest commit is while behind", "gauge"
    )
    lag.add_sample(lag.name, {}, found.lag_s)
    use = Metric("broadaxe_read_replica_in_use", "1 while people's reads go to the read replica", "gauge")
    use.add_sample(use.name, {}, float(found.state is ReplicaState.IN_USE))
    reads = CounterMetricFamily("broadaxe_reads", "People's reads, by the server that answered", labels=["server"])
    for server, count in found.reads.items():
        reads.add_metric([server], count)
    yield from (lag, use, reads)


def _of_processes(running: Mapping[str, int]) -> Iterable[Metric]:
    """Whichever process of the node is asked shows all of them."""
    cpu = CounterMetricFamily("broadaxe_process_cpu_seconds", "CPU time of a process of the node", labels=["process"])
    memory = Metric("broadaxe_process_resident_memory_bytes", "Resident memory of a process of the node", "gauge")
    for name, pid in running.items():
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(pid)
            times = process.cpu_times()
            cpu.add_metric([name], times.user + times.system)
            memory.add_sample(memory.name, {"process": name}, process.memory_info().rss)
    yield from (cpu, memory)


def _bare(name: str, documentation: str, labels: dict[str, str], value: float) -> Metric:
    """A counter whose exposed name is exactly the one given."""
    metric = Metric(name, documentation, "unknown")
    metric.add_sample(name, labels, value)
    return metric
