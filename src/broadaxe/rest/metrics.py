"""Prometheus metrics of this process, at /metrics.

Owns the registry and the engine's counters under the names that people's dashboards and alerts rely on. Whoever does
the counting is handed this object; this module counts nothing itself. Some of the names lack the `_total` that the
client library would add, so those are exposed as they are, by a collector of our own. Source: behaviour specification
8.5.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from fastapi import Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.gc_collector import GCCollector
from prometheus_client.metrics_core import Metric
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

__all__ = ["BareCounter", "Metrics"]

QUEUED_TO_ASSIGNED_BUCKETS_S: Final = (0.01, 0.02, 0.05, 0.1, 0.5, 1.0, 2.0, 5.0, 15.0)


class BareCounter(Collector):
    """A counter whose exposed name is exactly the one given."""

    def __init__(self, name: str, documentation: str, registry: CollectorRegistry) -> None:
        self._name = name
        self._documentation = documentation
        self._value = 0.0
        registry.register(self)

    def inc(self, amount: float = 1) -> None:
        self._value += amount

    def collect(self) -> Iterable[Metric]:
        metric = Metric(self._name, self._documentation, "unknown")
        metric.add_sample(self._name, {}, self._value)
        return [metric]


class Metrics:
    """One process's metrics. The attributes are incremented by the engine."""

    def __init__(self) -> None:
        registry = self.registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        GCCollector(registry=registry)
        self.queue_invocations = Counter(
            "hatchet_queue_invocations", "Batches the engine decided on", registry=registry
        )
        self.created_tasks = Counter("hatchet_created_tasks", "Tasks created", registry=registry)
        self.retried_tasks = Counter(
            "hatchet_retried_tasks", "Attempts started again after a failure", registry=registry
        )
        self.succeeded_tasks = Counter("hatchet_succeeded_tasks", "Tasks completed", registry=registry)
        self.failed_tasks = Counter("hatchet_failed_tasks", "Tasks failed for good", registry=registry)
        self.skipped_tasks = Counter("hatchet_skipped_tasks", "Tasks skipped", registry=registry)
        self.cancelled_tasks = Counter("hatchet_cancelled_tasks", "Tasks cancelled", registry=registry)
        self.assigned_tasks = BareCounter("hatchet_assigned_tasks", "Attempts given to a worker", registry)
        self.scheduling_timed_out = BareCounter(
            "hatchet_scheduling_timed_out", "Tasks no worker took in time", registry
        )
        self.rate_limited = BareCounter("hatchet_rate_limited", "Times a rate limit held a task back", registry)
        self.queued_to_assigned = BareCounter(
            "hatchet_queued_to_assigned", "Attempts that went from a queue to a worker", registry
        )
        self.reassigned_tasks = BareCounter("hatchet_reassigned_tasks", "Attempts taken from a lost worker", registry)
        self.queued_to_assigned_time_s = Histogram(
            "hatchet_queued_to_assigned_time_seconds",
            "Time an attempt waited in its queue",
            buckets=QUEUED_TO_ASSIGNED_BUCKETS_S,
            registry=registry,
        )

    def render(self) -> bytes:
        return generate_latest(self.registry)

    async def page(self) -> Response:
        return Response(self.render(), media_type=CONTENT_TYPE_LATEST)
