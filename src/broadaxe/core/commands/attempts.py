"""Commands about attempts that are under way: what workers report and ask, what could not be delivered to them."""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar

import msgspec

from broadaxe.core.commands.needs import NOTHING


class Outcome(StrEnum):
    STARTED = "STARTED"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


class ReportAttempt(msgspec.Struct, frozen=True):
    """A worker's word on an attempt. `retry_count` None means the current attempt. Reply: `Accepted`.

    An attempt that runs in a batch is named by `batch_id` instead: clients know a batch's items, not their attempts.
    `payload` is the output (JSON text, already normalised) for COMPLETED, the error text for FAILED. `worker` is what
    the worker calls itself: its id, or its name, or nothing. Invocations of a durable task may share an attempt, and
    reports do not number them; those of a worker that is not the present one are told apart by it. `at_us` is when it
    happened by the worker's clock; None if it does not say.
    """

    task_id: str
    retry_count: int | None
    outcome: Outcome
    payload: str = ""
    is_retryable: bool = True
    retry_after_us: int | None = None
    batch_id: str | None = None
    worker: str = ""
    at_us: int | None = None

    needs: ClassVar = NOTHING

    @property
    def is_repeatable(self) -> bool:
        # One that names no attempt is about the present one, which may be the next one by then.
        return self.retry_count is not None or self.batch_id is not None

    @property
    def chars(self) -> int:
        return len(self.payload)


class Accepted(msgspec.Struct, frozen=True):
    """`is_current` is False when the report was stale and changed nothing; the worker is answered OK all the same."""

    is_current: bool


class ReportAttempts(msgspec.Struct, frozen=True):
    """What a worker says at once, each as by itself and in this order. Reply: None."""

    reports: tuple[ReportAttempt, ...]

    needs: ClassVar = NOTHING

    @property
    def is_repeatable(self) -> bool:
        return all(report.is_repeatable for report in self.reports)

    @property
    def chars(self) -> int:
        return sum(len(report.payload) for report in self.reports)


class RefreshTimeout(msgspec.Struct, frozen=True):
    """Moves the execution deadline by `by_us` from where it stands. Reply: the new deadline in microseconds."""

    task_id: str
    by_us: int

    is_repeatable: ClassVar = False
    chars: ClassVar = 0
    needs: ClassVar = NOTHING


class ReleaseSlot(msgspec.Struct, frozen=True):
    """Frees the worker's units while the attempt runs on. Idempotent. Reply: None."""

    task_id: str

    is_repeatable: ClassVar = True
    chars: ClassVar = 0
    needs: ClassVar = NOTHING


class FailDelivery(msgspec.Struct, frozen=True):
    """An assignment could not be written to its worker's stream. Reply: None."""

    task_id: str
    retry_count: int
    reason: str

    is_repeatable: ClassVar = True
    chars: ClassVar = 0
    needs: ClassVar = NOTHING


class RefuseDelivery(msgspec.Struct, frozen=True):
    """An assignment is larger than its worker takes. `size_bytes` is what this attempt comes to by itself: more than
    `size_bytes_max`, or less if only the batch it is in was too large. Reply: None."""

    task_id: str
    retry_count: int
    size_bytes: int
    size_bytes_max: int

    is_repeatable: ClassVar = True
    chars: ClassVar = 0
    needs: ClassVar = NOTHING
