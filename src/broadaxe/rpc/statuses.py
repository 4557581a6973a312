"""From an error to a gRPC status: the one map, used by every carrier.

Owns which status a caller sees for each leaf of the error tree, and the binary detail that goes with an idempotency
collision. Refuses: letting the text of an unforeseen exception out. Whatever is not a `BroadaxeError` or an `RpcError`
is INTERNAL with a generic message, because SDKs show it to people and it may hold data. A database that is away is no
mistake: the call is UNAVAILABLE, and clients try again.

Invariants: every leaf of the tree has a status (a test walks the tree); only `errors.Unimplemented` becomes
UNIMPLEMENTED, since SDKs read that as "an older engine" and change their ways for good.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import Message

from broadaxe import errors
from broadaxe.rpc._gen.status_pb2 import Status
from broadaxe.rpc._gen.triggers_pb2 import BulkTriggerIdempotencyCollisionError, IdempotencyCollisionError
from broadaxe.rpc.transport import Code, RpcError
from broadaxe.storage.outage import OUTAGE, OUTAGE_MESSAGE

__all__ = [
    "CODE_BY_ERROR",
    "INTERNAL_MESSAGE",
    "bulk_idempotency_collision",
    "idempotency_collision",
    "is_unforeseen",
    "status_of",
]

INTERNAL_MESSAGE = "internal error; the engine's log has the details"

CODE_BY_ERROR: Mapping[type[errors.BroadaxeError], Code] = MappingProxyType(
    {
        errors.InvalidArgument: Code.INVALID_ARGUMENT,
        errors.NotFound: Code.NOT_FOUND,
        errors.AlreadyExists: Code.ALREADY_EXISTS,
        errors.IdempotencyCollision: Code.ALREADY_EXISTS,
        errors.FailedPrecondition: Code.FAILED_PRECONDITION,
        # The code gRPC keeps for a lost race.
        errors.Conflict: Code.ABORTED,
        errors.OutOfRange: Code.OUT_OF_RANGE,
        errors.Unauthenticated: Code.UNAUTHENTICATED,
        errors.PermissionDenied: Code.PERMISSION_DENIED,
        errors.ResourceExhausted: Code.RESOURCE_EXHAUSTED,
        errors.QuotaReached: Code.RESOURCE_EXHAUSTED,
        errors.DeadlineExceeded: Code.DEADLINE_EXCEEDED,
        # Our side calling a call off must look like a server that is going away: a client that reads CANCELLED takes
        # it for its own wish and stops reconnecting.
        errors.Cancelled: Code.UNAVAILABLE,
        errors.Unavailable: Code.UNAVAILABLE,
        errors.LeaseLost: Code.UNAVAILABLE,
        errors.HeldElsewhere: Code.UNAVAILABLE,
        errors.ShuttingDown: Code.UNAVAILABLE,
        errors.Unimplemented: Code.UNIMPLEMENTED,
        errors.ConfigurationError: Code.INTERNAL,
        errors.Internal: Code.INTERNAL,
    }
)

STATUS_DETAILS_KEY = "grpc-status-details-bin"
_IDEMPOTENCY_MESSAGE = "idempotency key collision"


def status_of(error: BaseException) -> RpcError:
    """The status that ends a call whose handler raised `error`.

    Handlers of streams run task groups, so an error may arrive wrapped; the first one inside then decides.
    """
    if is_unforeseen(error):
        return RpcError(Code.INTERNAL, INTERNAL_MESSAGE)
    match next(_leaves(error)):
        case RpcError() as foreseen:
            return foreseen
        case errors.IdempotencyCollision() as collision if collision.collisions:
            return idempotency_collision(*collision.collisions[0])
        case errors.BroadaxeError() as foreseen:
            return RpcError(_code_of(type(foreseen)), str(foreseen))
        case lost if isinstance(lost, OUTAGE):
            return RpcError(Code.UNAVAILABLE, OUTAGE_MESSAGE)
        case other:  # pragma: no cover
            raise AssertionError(f"an unforeseen error was taken for a foreseen one: {other!r}")


def is_unforeseen(error: BaseException) -> bool:
    """Whether this is a mistake of ours, to be logged with its traceback and hidden from the caller."""
    return any(
        not isinstance(leaf, (RpcError, errors.BroadaxeError, *OUTAGE))
        or (isinstance(leaf, errors.BroadaxeError) and _code_of(type(leaf)) is Code.INTERNAL)
        for leaf in _leaves(error)
    )


def idempotency_collision(existing_run_id: str, colliding_run_id: str) -> RpcError:
    """The answer to a single trigger whose idempotency key is held by another run."""
    return _collision(
        "IdempotencyCollisionError",
        IdempotencyCollisionError(existing_run_external_id=existing_run_id, colliding_run_external_id=colliding_run_id),
    )


def bulk_idempotency_collision(started_run_ids: Sequence[str], collisions: Sequence[tuple[str, str]]) -> RpcError:
    """The answer to a bulk trigger of which some items collided, each as (existing run, colliding run).

    The other items did start; their ids travel in the detail.
    """
    return _collision(
        "BulkTriggerIdempotencyCollisionError",
        BulkTriggerIdempotencyCollisionError(
            successful_workflow_run_external_ids=started_run_ids,
            collisions=[
                IdempotencyCollisionError(existing_run_external_id=existing, colliding_run_external_id=colliding)
                for existing, colliding in collisions
            ],
        ),
    )


def _collision(official_name: str, detail: Message) -> RpcError:
    # SDKs look the detail up by the official name, which is not the name of our own message: the type URL is
    # written by hand. They also compare the text, letter by letter.
    status = Status(
        code=Code.ALREADY_EXISTS,
        message=_IDEMPOTENCY_MESSAGE,
        details=[AnyMessage(type_url=f"type.googleapis.com/v1.{official_name}", value=detail.SerializeToString())],
    )
    return RpcError(Code.ALREADY_EXISTS, _IDEMPOTENCY_MESSAGE, ((STATUS_DETAILS_KEY, status.SerializeToString()),))


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error


def _code_of(error_type: type[errors.BroadaxeError]) -> Code:
    # A leaf defined elsewhere (a plugin's, a test's) inherits the status of its nearest ancestor in the tree.
    for ancestor in error_type.__mro__:
        code = CODE_BY_ERROR.get(ancestor)
        if code is not None:
            return code
    return Code.INTERNAL
