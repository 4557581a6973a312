"""The shapes of the charts of load."""

from __future__ import annotations

from broadaxe.rest.wire import Instant, Wire


class LoadPoint(Wire):
    """What ended in a bucket, how long it had waited and run, and how many waited and ran on average."""

    time: Instant
    succeeded: int
    failed: int
    cancelled: int
    waited_ms_p50: int | None = None
    waited_ms_p95: int | None = None
    ran_ms_p50: int | None = None
    ran_ms_p95: int | None = None
    waiting: float
    running: float


class LoadPoints(Wire):
    width_s: int
    """The width of a bucket."""
    results: list[LoadPoint]


class WorkerLoadPoint(Wire):
    """What ended on the worker in a bucket, and how many tasks it ran at once at the most."""

    time: Instant
    succeeded: int
    failed: int
    running: int


class WorkerLoadPoints(Wire):
    width_s: int
    """The width of a bucket."""
    results: list[WorkerLoadPoint]
