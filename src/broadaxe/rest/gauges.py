"""What a tenant's Prometheus sees of the present: free slots of workers, lengths of queues. Pure.

Source: REST specification 7.7.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from broadaxe.rest.metrics import Gauge
from broadaxe.storage.catalogue import WorkerRecord
from broadaxe.storage.count_reads import MetadataQueueSize, QueueSize

__all__ = ["queue_gauges", "slot_gauges"]


def slot_gauges(workers: Sequence[WorkerRecord]) -> list[Gauge]:
    """Slots of every kind per worker, and per label and kind over all workers that carry the label."""
    per_worker: Counter[tuple[str, ...]] = Counter()
    used_per_worker: Counter[tuple[str, ...]] = Counter()
    per_label: Counter[tuple[str, ...]] = Counter()
    used_per_label: Counter[tuple[str, ...]] = Counter()
    for worker in workers:
        for kind, limit in worker.slots.items():
            used = min(limit, worker.slots_used(kind))
            per_worker[worker.id, worker.name] += limit
            used_per_worker[worker.id, worker.name] += used
            for key, value in worker.labels.items():
                per_label[key, str(value), kind] += limit
                used_per_label[key, str(value), kind] += used
    by_worker, by_label = ("worker_id", "worker_name"), ("label_key", "label_value", "slot_type")
    return [
        Gauge("worker_slots", "Slots of a worker", by_worker, list(per_worker.items())),
        Gauge("used_worker_slots", "Slots of a worker in use", by_worker, _of(used_per_worker, per_worker)),
        Gauge(
            "available_worker_slots", "Free slots of a worker", by_worker, _of(per_worker - used_per_worker, per_worker)
        ),
        Gauge("worker_label_slots", "Slots of the workers with a label", by_label, list(per_label.items())),
        Gauge(
            "used_worker_label_slots",
            "Slots in use of the workers with a label",
            by_label,
            _of(used_per_label, per_label),
        ),
        Gauge(
            "available_worker_label_slots",
            "Free slots of the workers with a label",
            by_label,
            _of(per_label - used_per_label, per_label),
        ),
    ]


def queue_gauges(sizes: Sequence[QueueSize], by_metadata: Sequence[MetadataQueueSize]) -> list[Gauge]:
    """Waiting tasks per queue, and per value of the metadata keys that begin with `prom_`."""
    return [
        Gauge(
            "queue_size",
            "Tasks that wait",
            ("queue", "workflow_name"),
            [((size.action_id, size.workflow_name), size.tasks) for size in sizes],
        ),
        Gauge(
            "additional_metadata_queue_size",
            "Tasks that wait, by a metadata key that begins with prom_",
            ("queue", "key", "value"),
            [((size.action_id, size.key, size.value), size.tasks) for size in by_metadata],
        ),
    ]


def _of(counter: Counter[tuple[str, ...]], keys: Counter[tuple[str, ...]]) -> list[tuple[tuple[str, ...], float]]:
    """The counter's values for all keys, zeros included: a gauge that is absent reads as unknown."""
    return [(key, counter[key]) for key in keys]
