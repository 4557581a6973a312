"""The one error tree of Broadaxe.

Owns every error that a caller can be told about. Each leaf has a stable `code`, which is what dashboards, scripts and
tests match on; messages are for people and may change. The docstring of a leaf is its default message, so
`raise LeaseLost()` already reads as a sentence.

    BroadaxeError
    |-- InvalidArgument        what was sent cannot be right, whoever sends it and whenever
    |-- NotFound               the thing named does not exist, or not for this tenant
    |-- AlreadyExists          the thing to be created is there already
    |   `-- IdempotencyCollision   a run that exists holds the key of the run to be created
    |-- FailedPrecondition     right in itself, but not in the present state
    |   `-- Conflict           somebody else changed it first; read again and retry
    |-- OutOfRange             what it should go on from is not kept any more
    |-- Unauthenticated        we do not know who is calling
    |-- PermissionDenied       we know, and they may not
    |-- ResourceExhausted      a limit is reached; wait or raise the limit
    |   `-- QuotaReached       the tenant has used up what it may have of a resource
    |-- DeadlineExceeded       the caller's time ran out before the answer was there
    |-- Cancelled              the caller, or the shutdown, called it off
    |-- Unavailable            nothing was done; the same call may succeed in a moment
    |   |-- LeaseLost          this node no longer owns the tenant
    |   |-- HeldElsewhere      another node owns the tenant
    |   `-- ShuttingDown       the engine stops, and took nothing of the call
    |-- Unimplemented          understood, but this version does not offer it
    |-- ConfigurationError     settings, ports, directories or the database need a person's hand
    `-- Internal               our own mistake

Refuses: knowing any wire. The maps from a leaf to a gRPC or HTTP status live in the edges. Imports nothing of ours, so
every layer, `core` included, may raise from here. Invariants: codes are unique and never renamed; an error that is
`retryable` left nothing behind.
"""

from __future__ import annotations

import inspect
from typing import ClassVar

__all__ = [
    "AlreadyExists",
    "BroadaxeError",
    "Cancelled",
    "ConfigurationError",
    "Conflict",
    "DeadlineExceeded",
    "FailedPrecondition",
    "HeldElsewhere",
    "IdempotencyCollision",
    "Internal",
    "InvalidArgument",
    "LeaseLost",
    "NotFound",
    "OutOfRange",
    "PermissionDenied",
    "QuotaReached",
    "ResourceExhausted",
    "ShuttingDown",
    "Unauthenticated",
    "Unavailable",
    "Unimplemented",
    "all_error_types",
]


class BroadaxeError(Exception):
    """Something went wrong in Broadaxe."""

    code: ClassVar[str] = "BROADAXE_ERROR"
    retryable: ClassVar[bool] = False
    """Whether the same call, unchanged, may be sent again and can succeed."""

    message: str
    field: str | None
    """The input that is to blame, as the caller spelled it (`tasks[0].timeout`), or None."""

    def __init__(self, message: str | None = None, *, field: str | None = None) -> None:
        self.message = message if message is not None else default_message(type(self))
        self.field = field
        super().__init__(self.message)

    def __str__(self) -> str:
        if self.field is None or self.field in self.message:
            return self.message
        return f"{self.field}: {self.message}"

    def __repr__(self) -> str:
        field = "" if self.field is None else f", field={self.field!r}"
        return f"{type(self).__name__}({self.message!r}{field})"

    def __reduce__(self) -> tuple[object, ...]:
        # Exceptions pickle by their positional arguments, which would drop the keyword `field` between processes.
        return (_rebuild, (type(self), self.message, self.field))


class InvalidArgument(BroadaxeError):
    """The request is not valid."""

    code = "INVALID_ARGUMENT"


class NotFound(BroadaxeError):
    """There is no such thing."""

    code = "NOT_FOUND"


class AlreadyExists(BroadaxeError):
    """It exists already."""

    code = "ALREADY_EXISTS"


class IdempotencyCollision(AlreadyExists):
    """Another run holds the idempotency key."""

    code = "IDEMPOTENCY_COLLISION"

    started: tuple[str, ...]
    """Ids of the runs of the same request that did start, in request order."""
    collisions: tuple[tuple[str, str], ...]
    """(existing run, the id the refused run would have had)."""

    def __init__(
        self,
        message: str | None = None,
        *,
        field: str | None = None,
        started: tuple[str, ...] = (),
        collisions: tuple[tuple[str, str], ...] = (),
    ) -> None:
        super().__init__(message, field=field)
        self.started = started
        self.collisions = collisions

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild_collision, (self.message, self.field, self.started, self.collisions))


class FailedPrecondition(BroadaxeError):
    """This cannot be done in the present state."""

    code = "FAILED_PRECONDITION"


class Conflict(FailedPrecondition):
    """It was changed by somebody else in the meantime; read it again and retry."""

    code = "CONFLICT"


class OutOfRange(BroadaxeError):
    """What this should go on from is not kept any more."""

    code = "OUT_OF_RANGE"


class Unauthenticated(BroadaxeError):
    """The call carries no valid credentials."""

    code = "UNAUTHENTICATED"


class PermissionDenied(BroadaxeError):
    """These credentials do not allow this."""

    code = "PERMISSION_DENIED"


class ResourceExhausted(BroadaxeError):
    """A limit is reached; try again later or raise the limit."""

    code = "RESOURCE_EXHAUSTED"
    retryable = True


class QuotaReached(ResourceExhausted):
    """The tenant has used up what it may have of a resource."""

    code = "QUOTA_REACHED"
    retryable = False

    room_at_us: int | None
    """When the same may succeed by the clock alone; None when something else has to change first."""

    def __init__(self, message: str | None = None, *, field: str | None = None, room_at_us: int | None = None) -> None:
        super().__init__(message, field=field)
        self.room_at_us = room_at_us

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild_quota_reached, (self.message, self.field, self.room_at_us))


class DeadlineExceeded(BroadaxeError):
    """The answer was not ready in time."""

    code = "DEADLINE_EXCEEDED"


class Cancelled(BroadaxeError):
    """The call was called off."""

    code = "CANCELLED"


class Unavailable(BroadaxeError):
    """The engine cannot take this call just now; nothing was done, try again."""

    code = "UNAVAILABLE"
    retryable = True


class LeaseLost(Unavailable):
    """This node no longer owns the tenant; nothing was written, try again."""

    code = "LEASE_LOST"


class HeldElsewhere(Unavailable):
    """Another node owns the tenant."""

    code = "HELD_ELSEWHERE"

    link_address: str | None
    """Where that node's link listens, as `host:port`; None when it has none."""
    is_free: bool
    """Nobody holds it: that node is the one that should take it."""

    def __init__(
        self,
        message: str | None = None,
        *,
        field: str | None = None,
        link_address: str | None = None,
        is_free: bool = False,
    ) -> None:
        super().__init__(message, field=field)
        self.link_address = link_address
        self.is_free = is_free

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild_held_elsewhere, (self.message, self.field, self.link_address, self.is_free))


class ShuttingDown(Unavailable):
    """The engine is shutting down."""

    code = "SHUTTING_DOWN"


class Unimplemented(BroadaxeError):
    """This version of Broadaxe does not offer that."""

    code = "UNIMPLEMENTED"


class ConfigurationError(BroadaxeError):
    """The configuration does not work."""

    code = "CONFIGURATION"


class Internal(BroadaxeError):
    """Broadaxe made a mistake of its own; the log has the details."""

    code = "INTERNAL"


def default_message(error_type: type[BroadaxeError]) -> str:
    """The first paragraph of the docstring, on one line."""
    paragraph = inspect.cleandoc(error_type.__doc__ or BroadaxeError.code).split("\n\n", 1)[0]
    return " ".join(paragraph.split())


def all_error_types() -> tuple[type[BroadaxeError], ...]:
    """Every leaf of the tree, parents before children, for the edges' status maps and their completeness tests."""
    found: list[type[BroadaxeError]] = []
    pending = [BroadaxeError]
    while pending:
        for child in pending.pop(0).__subclasses__():
            found.append(child)
            pending.append(child)
    return tuple(found)


def _rebuild_collision(
    message: str, field: str | None, started: tuple[str, ...], collisions: tuple[tuple[str, str], ...]
) -> IdempotencyCollision:
    return IdempotencyCollision(message, field=field, started=started, collisions=collisions)


def _rebuild_quota_reached(message: str, field: str | None, room_at_us: int | None) -> QuotaReached:
    return QuotaReached(message, field=field, room_at_us=room_at_us)


def _rebuild_held_elsewhere(message: str, field: str | None, link_address: str | None, is_free: bool) -> HeldElsewhere:
    return HeldElsewhere(message, field=field, link_address=link_address, is_free=is_free)


def _rebuild(error_type: type[BroadaxeError], message: str, field: str | None) -> BroadaxeError:
    return error_type(message, field=field)
