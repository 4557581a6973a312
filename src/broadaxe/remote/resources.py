"""What a tenant has beside runs: workflows, workers, crons, schedules, events, webhooks, rate limits, topics.

Owns the addresses, and how a thing is found by the name that people know it by. An answer is what the REST API says.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from broadaxe.errors import InvalidArgument, NotFound
from broadaxe.remote.server import Query, Server, path_part

__all__ = ["Row", "cron_id", "find", "of_workflow", "schema_of", "version_of", "worker_named", "workflow_named"]

PAGE: Final = 200
#: Names that a sentence about a name tells.
NAMED_MAX: Final = 5
_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)

Row = dict[str, Any]

#: Where each kind is listed, below the tenant's older or newer addresses.
LISTS: Final[Mapping[str, tuple[bool, str]]] = {
    "workflows": (False, "workflows"),
    "workers": (False, "worker"),
    "crons": (False, "workflows/crons"),
    "schedules": (False, "workflows/scheduled"),
    "events": (True, "events"),
    "webhooks": (True, "webhooks"),
    "rate-limits": (False, "rate-limits"),
    "streams": (True, "streams/topics"),
}


def find(server: Server, kind: str, limit: int, query: Query | None = None) -> Iterator[Row]:
    """The first `limit` of a kind."""
    is_newer, path = LISTS[kind]
    return server.newest(f"{server.stable if is_newer else server.tenant}/{path}", Row, limit, PAGE, query)


def workflow_named(server: Server, name: str) -> Row:
    """By name, in any case, or id."""
    if _UUID.fullmatch(name):
        return server.get(f"/api/v1/workflows/{name.lower()}", Row)
    found = list(find(server, "workflows", NAMED_MAX + 1, {"name": name}))
    for row in found:
        if str(row["name"]).lower() == name.lower():
            return server.get(f"/api/v1/workflows/{row['metadata']['id']}", Row)
    like = ", ".join(str(row["name"]) for row in found[:NAMED_MAX])
    raise NotFound(f"there is no workflow {name[:80]!r}" + (f"; there are {like}" if like else ""))


def version_of(server: Server, workflow: Row) -> Row:
    """Its latest version."""
    return server.get(f"/api/v1/workflows/{workflow['metadata']['id']}/versions", Row)


def schema_of(version: Row) -> Row | None:
    """The JSON Schema of the input, if the worker told one."""
    found = version.get("inputJsonSchema")
    return found if isinstance(found, dict) and found else None


def worker_named(server: Server, name: str) -> Row:
    """By id, or the name that exactly one has."""
    if _UUID.fullmatch(name):
        return server.get(f"/api/v1/workers/{name.lower()}", Row)
    found = [row for row in find(server, "workers", 10_000) if row["name"] == name]
    if not found:
        raise NotFound(f"there is no worker {name[:80]!r} that was seen in the last 24 hours")
    if len(found) > 1:
        ids = ", ".join(str(row["metadata"]["id"]) for row in found[:NAMED_MAX])
        raise InvalidArgument(f"{len(found)} workers are called {name[:80]!r}; take the id of one: {ids}")
    return server.get(f"/api/v1/workers/{found[0]['metadata']['id']}", Row)


def cron_id(server: Server, name: str) -> str:
    """By id, or the name that exactly one has."""
    if _UUID.fullmatch(name):
        return name.lower()
    found = list(find(server, "crons", NAMED_MAX, {"cronName": name}))
    if not found:
        raise NotFound(f"there is no cron {name[:80]!r}")
    if len(found) > 1:
        ids = ", ".join(f"{row['metadata']['id']} of {row['workflowName']}" for row in found)
        raise InvalidArgument(f"several crons are called {name[:80]!r}; take the id of one: {ids}")
    return str(found[0]["metadata"]["id"])


def of_workflow(server: Server, name: str) -> str:
    """The address of what belongs to the workflow of this name."""
    return f"{server.tenant}/workflows/{path_part(name)}"
