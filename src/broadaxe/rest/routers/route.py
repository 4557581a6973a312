"""The kind of route every module here uses: keys without a value are left out, and refusals are documented."""

from __future__ import annotations

from typing import Any, Final

from fastapi import APIRouter
from fastapi.routing import APIRoute

from broadaxe.rest.wire import ApiErrors

__all__ = ["API", "STABLE", "router"]

API: Final = "/api/v1"
STABLE: Final = "/api/v1/stable"

_REFUSALS: Final[dict[int | str, dict[str, Any]]] = {
    400: {"model": ApiErrors, "description": "The request is not valid; `field` names what is to blame."},
    401: {"model": ApiErrors, "description": "The caller's role in the tenant does not suffice."},
    403: {"model": ApiErrors, "description": "No valid credentials, or those of another tenant."},
    404: {"model": ApiErrors, "description": "There is no such thing within the caller's reach."},
}


class _Route(APIRoute):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        # A null would be shown as a date or walked as a list by some clients; a missing key is safe with all.
        kwargs["response_model_exclude_none"] = True
        super().__init__(*args, **kwargs)


def router(subject: str) -> APIRouter:
    return APIRouter(tags=[subject], route_class=_Route, responses=_REFUSALS)
