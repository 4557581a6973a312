"""From an error to an HTTP status and body: the one map of the HTTP edge.

Owns which status a caller sees for each leaf of the error tree, and the one shape of an error body: a superset of what
the different clients look for. Refuses: letting the text of an unforeseen exception out.

Invariants: every leaf has a status (a test walks the tree); a body always has `errors[0].description` and `message`,
which say the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from starlette.responses import JSONResponse

from broadaxe import errors

__all__ = ["INTERNAL_MESSAGE", "STATUS_BY_ERROR", "error_response", "refusal", "status_of"]

INTERNAL_MESSAGE = "internal error; the engine's log has the details"

STATUS_BY_ERROR: Mapping[type[errors.BroadaxeError], int] = MappingProxyType(
    {
        errors.InvalidArgument: 400,
        errors.NotFound: 404,
        # Clients know 400 for whatever is refused for its content, duplicates and states included.
        errors.AlreadyExists: 400,
        errors.IdempotencyCollision: 400,
        errors.FailedPrecondition: 400,
        errors.Conflict: 409,
        # Gone: whoever asks again gets the same answer.
        errors.OutOfRange: 410,
        # The protocol has these two the other way round: the login page tolerates nothing but 403 for "not logged in",
        # and a role that does not suffice is 401.
        errors.Unauthenticated: 403,
        errors.PermissionDenied: 401,
        errors.ResourceExhausted: 429,
        errors.QuotaReached: 429,
        errors.DeadlineExceeded: 504,
        errors.Cancelled: 503,
        errors.Unavailable: 503,
        errors.LeaseLost: 503,
        errors.HeldElsewhere: 503,
        errors.ShuttingDown: 503,
        # Not 501: SDKs retry every 5xx for tens of seconds, and no retry makes a feature appear.
        errors.Unimplemented: 400,
        errors.ConfigurationError: 500,
        errors.Internal: 500,
    }
)


def status_of(error_type: type[errors.BroadaxeError]) -> int:
    """The status of a leaf; one that is defined elsewhere inherits its nearest ancestor's."""
    for ancestor in error_type.__mro__:
        status = STATUS_BY_ERROR.get(ancestor)
        if status is not None:
            return status
    return 500


def error_response(error: errors.BroadaxeError) -> JSONResponse:
    """The answer to a request whose handler raised `error`."""
    status = status_of(type(error))
    if status == 500:
        return refusal(500, INTERNAL_MESSAGE, code=error.code)
    return refusal(status, error.message, field=error.field, code=error.code)


def refusal(status: int, description: str, *, field: str | None = None, code: str | None = None) -> JSONResponse:
    """An error answer. `code` is our stable name for the reason; it stands beside the list, whose codes are numbers."""
    entry = {"description": description} if field is None else {"description": description, "field": field}
    body: dict[str, object] = {"errors": [entry], "message": description}
    if code is not None:
        body["code"] = code
    return JSONResponse(body, status_code=status)
