"""The OpenAPI document: what the routes say about themselves, made true.

Owns what the framework cannot know or gets wrong: which operations need which credentials and which role (read from the
guards they depend on; the role is `x-role`), that a request which is not valid is answered 400 and not 422, and which
refusals any operation may answer. Operations are named by their functions, and two of one name are refused when the
document is made.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute, APIRouter

from broadaxe.rest.identity import Access, access_of

__all__ = ["describe", "operation_id"]

Document = dict[str, Any]

_ERROR: Final = {"application/json": {"schema": {"$ref": "#/components/schemas/ApiErrors"}}}
_ANYWHERE: Final = {
    "400": "The request is not valid; `field` names what is to blame.",
    "401": "The caller's role in the tenant does not suffice.",
    "403": "No valid credentials, or those of another tenant.",
    "404": "There is no such thing within the caller's reach.",
    "429": "A limit is reached; wait.",
    "500": "A mistake of the engine's own; the log has the details.",
    "503": "The engine or its database cannot take the request just now; nothing was done, try again.",
}
_WITH_BODY: Final = {"413": "The body is too large."}

_SCHEMES: Final = {
    "token": {"type": "http", "scheme": "bearer", "bearerFormat": "API token"},
    "session": {"type": "apiKey", "in": "cookie", "name": "hatchet", "description": "What logging in sets."},
}


def operation_id(route: APIRoute) -> str:
    """The name of an operation in the document. Older addresses do what others do, so they are called alike."""
    is_older = route.endpoint.__module__.endswith((".older", ".older_steps"))
    return f"{route.name}_at_older_address" if is_older else route.name


def describe(app: FastAPI, routers: Iterable[APIRouter]) -> Document:
    """The document for the routes of these routers, which are those of `app`."""
    document: Document = get_openapi(
        title=app.title,
        version=app.version,
        summary=app.summary,
        routes=app.routes,
        separate_input_output_schemas=False,
    )
    document["components"]["securitySchemes"] = _SCHEMES
    for name in ("HTTPValidationError", "ValidationError"):
        document["components"]["schemas"].pop(name, None)
    names: set[str] = set()
    for route in _routes(routers):
        for method in route.methods or ():
            operation = document["paths"][route.path_format][method.lower()]
            name = operation["operationId"]
            assert name not in names, f"two operations are called {name}"
            names.add(name)
            access = access_of(route.dependant)
            operation["security"] = _security(access)
            if access.role is not None:
                operation["x-role"] = access.role.value
            _answer_truthfully(operation)
    return document


def _routes(routers: Iterable[APIRouter]) -> Iterator[APIRoute]:
    for router in routers:
        for route in router.routes:
            if isinstance(route, APIRoute) and route.include_in_schema:
                yield route


def _security(access: Access) -> list[dict[str, list[str]]]:
    if not access.needs_caller:
        return []
    return [{"token": []}, {"session": []}] if access.takes_tokens else [{"session": []}]


def _answer_truthfully(operation: Document) -> None:
    answers = operation["responses"]
    answers.pop("422", None)
    refusals = _ANYWHERE | (_WITH_BODY if "requestBody" in operation else {})
    for status, description in refusals.items():
        answers.setdefault(status, {"description": description, "content": _ERROR})
