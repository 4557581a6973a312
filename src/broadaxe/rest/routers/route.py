"""The kind of route every module here uses: keys without a value are left out.

What any of them may refuse with is the business of `rest/api_description.py`: said here, it would be checked for each
route anew at every start.
"""

from __future__ import annotations

from typing import Any, Final

from fastapi import APIRouter
from fastapi.routing import APIRoute

__all__ = ["API", "STABLE", "router"]

API: Final = "/api/v1"
STABLE: Final = "/api/v1/stable"


class _Route(APIRoute):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        # A null would be shown as a date or walked as a list by some clients; a missing key is safe with all.
        kwargs["response_model_exclude_none"] = True
        super().__init__(*args, **kwargs)


def router(subject: str) -> APIRouter:
    return APIRouter(tags=[subject], route_class=_Route)
