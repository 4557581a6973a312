"""What programs written for Celery catch and raise, by the names they know.

Mistake (of broadaxe_worker.errors)
`-- NotPossible             something of Celery's that is not to be had here; said when the program is imported
CeleryError
|-- Retry                   raised by `self.retry`; never caught by a program that means well
|-- MaxRetriesExceededError
|-- TaskRevokedError        it was revoked, cancelled or has expired
|-- ChordError              a part of a chord failed, so its body was not begun
`-- TimeoutError            `get(timeout=...)` waited long enough
"""

from __future__ import annotations

import builtins
from datetime import UTC, datetime
from typing import Any

from broadaxe_worker.errors import Mistake

__all__ = [
    "CeleryError",
    "ChordError",
    "MaxRetriesExceededError",
    "NotPossible",
    "Retry",
    "TaskRevokedError",
    "TimeoutError",
    "rebuilt",
]


class NotPossible(Mistake):
    """The sentence names what was asked for, and what to do instead."""


class CeleryError(Exception):
    """Whatever Celery itself would have raised."""


class Retry(CeleryError):
    """The task is to be tried again: `countdown_s` from now, with `args` and `kwargs`. `limit` is how often at most."""

    def __init__(
        self,
        exc: BaseException | None,
        countdown_s: float,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        *,
        limit: int | None,
        is_plain: bool,
    ) -> None:
        self.exc = exc
        self.countdown_s = countdown_s
        self.args_again = args
        self.kwargs_again = kwargs
        self.limit = limit
        self.is_plain = is_plain
        """Tried again just as its definition says, which the engine can do by itself."""
        said = f": {type(exc).__name__}: {exc}" if exc is not None else ""
        super().__init__(f"Retry in {countdown_s:g}s{said}")


class MaxRetriesExceededError(CeleryError):
    """`self.retry()` without an exception, once more than is allowed."""


class TaskRevokedError(CeleryError):
    """The text says why."""


class ChordError(CeleryError):
    """The text names what failed."""


class TimeoutError(CeleryError, builtins.TimeoutError):
    """The operation timed out."""


def rebuilt(name: str, text: str) -> BaseException:
    """The exception of a task that failed elsewhere: of the built-in class of that name, of one of ours, or of a class
    that has nothing but its name."""
    found = getattr(builtins, name, None) or globals().get(name)
    if isinstance(found, type) and issubclass(found, Exception) and found is not Retry:
        try:
            return found(text)
        except TypeError:  # one that wants more than a text, like UnicodeDecodeError
            pass
    made: BaseException = type(name if name.isidentifier() else "Exception", (Exception,), {})(text)
    return made


def instant(moment: datetime) -> float:
    """Seconds since 1970; a moment without a zone is UTC, as Celery's default has it."""
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
