"""The kind of route every module here uses: keys without a value are left out, and a query parameter that has one value
may be given once only. Of several the last would count, silently.

What any of them may refuse with is the business of `rest/api_description.py`: said here, it would be checked for each
route anew at every start.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from types import UnionType
from typing import Any, Final, Union, get_args, get_origin

from fastapi import APIRouter, Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from pydantic import BaseModel

from broadaxe.errors import InvalidArgument

__all__ = ["API", "STABLE", "router"]

API: Final = "/api/v1"
STABLE: Final = "/api/v1/stable"


class _Route(APIRoute):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        # A null would be shown as a date or walked as a list by some clients; a missing key is safe with all.
        kwargs["response_model_exclude_none"] = True
        super().__init__(*args, **kwargs)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()
        single = frozenset(_single_names(self.dependant))

        async def handle_once_given(request: Request) -> Response:
            given = Counter(name for name, _ in request.query_params.multi_items())
            for name, count in given.items():
                if count > 1 and name in single:
                    raise InvalidArgument(f"is given {count} times, and takes one value", field=name)
            return await handle(request)

        return handle_once_given


def _single_names(dependant: Dependant) -> Iterator[str]:
    """Query parameters that have one value, of the route and of what it depends on."""
    for parameter in dependant.query_params:
        annotation = parameter.field_info.annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            for name, field in annotation.model_fields.items():
                if not _is_list(field.annotation):
                    yield field.alias or name
        elif not _is_list(annotation):
            yield parameter.alias
    for part in dependant.dependencies:
        yield from _single_names(part)


def _is_list(annotation: Any) -> bool:
    if get_origin(annotation) in (Union, UnionType):
        return any(map(_is_list, get_args(annotation)))
    return get_origin(annotation) in (list, tuple) or annotation in (list, tuple)


def router(subject: str) -> APIRouter:
    return APIRouter(tags=[subject], route_class=_Route)
