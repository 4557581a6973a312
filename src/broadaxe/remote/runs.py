"""Runs of a server: found, read, followed while they go on, started, cancelled and replayed.

Owns which addresses that takes. A run may be named by the beginning of its id wherever one is asked for. Following is
done on the push stream: nothing is asked for until the server says that something has changed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Final, Literal

import msgspec

from broadaxe.errors import InvalidArgument, NotFound, Unavailable
from broadaxe.remote.run_query import RunQuery
from broadaxe.remote.server import Server, path_part

__all__ = [
    "ENDED",
    "Change",
    "Details",
    "act",
    "changes",
    "count",
    "details",
    "file",
    "find",
    "follow",
    "id_of",
    "logs",
    "set_value",
    "trigger",
    "value",
    "values",
    "waiting",
]

ENDED: Final = frozenset({"COMPLETED", "FAILED", "CANCELLED"})
#: How many runs a page has, and log lines.
PAGE: Final = 200
LINES_PAGE: Final = 1_000
VALUES_PAGE: Final = 100
#: Of one run that are listed.
VALUES_MAX: Final = 10_000
#: Tasks whose lines are asked for at once; the server takes no more.
TASKS_ASKED_MAX: Final = 1_000
#: How often a stream that broke is opened again before it is given up, and how long is waited before each.
STREAM_TRIES: Final = 8
STREAM_PAUSE_MAX_S: Final = 8.0

Details = dict[str, Any]
Act = Literal["cancel", "replay"]


class Change(msgspec.Struct, frozen=True):
    """What has changed in the tenant. Of the first message of a stream anything may have."""

    kinds: frozenset[str] = frozenset()
    ids: frozenset[str] | None = None
    is_first: bool = False

    def concerns(self, ids: frozenset[str]) -> bool:
        return self.is_first or self.ids is None or bool(self.ids & ids)


def find(
    server: Server,
    query: RunQuery,
    limit: int,
    *,
    of_tasks: bool = False,
    with_payloads: bool = False,
    oldest_first: bool = False,
) -> Iterator[Details]:
    """The first `limit` runs, newest first, or tasks of runs."""
    asked = {
        **query.parameters(datetime.now(UTC)),
        "only_tasks": str(of_tasks).lower(),
        "include_payloads": str(with_payloads).lower(),
        "include_num_pages": "false",
    }
    if oldest_first:
        asked["order_by_direction"] = "ASC"
    return server.newest(f"{server.stable}/workflow-runs", Details, limit, PAGE, asked)


def count(server: Server, query: RunQuery) -> int:
    """Counts no further than 20,000."""
    asked = query.parameters(datetime.now(UTC))
    return server.get(f"{server.stable}/workflow-runs/count", dict[str, int], asked)["count"]


def id_of(server: Server, text: str) -> str:
    """The id of the run that begins so. InvalidArgument when there are several."""
    found = list(find(server, RunQuery(id=text, since="ever"), 2))
    if not found:
        raise NotFound(f"there is no run whose id begins with {text[:36]}")
    ids = [str(row["workflowRunExternalId"]) for row in found]
    if len(ids) > 1:
        raise InvalidArgument(f"more than one run has an id that begins with {text[:36]}: {', '.join(ids)}; write more")
    return ids[0]


def details(server: Server, run_id: str) -> Details:
    return server.get(f"/api/v1/stable/workflow-runs/{run_id}", Details)


def waiting(server: Server, run_id: str) -> list[Details]:
    """Why those tasks of the run wait that do."""
    rows: list[Details] = server.get(f"/api/v1/stable/workflow-runs/{run_id}/waiting", Details)["rows"]
    return rows


def values(server: Server, run_id: str) -> Iterator[Details]:
    """What the run says of itself, in the order of the names; large values are left out (`isShown`)."""
    return server.newest(f"/api/v1/stable/workflow-runs/{run_id}/values", Details, VALUES_MAX, VALUES_PAGE)


def value(server: Server, run_id: str, name: str) -> Details:
    """What the run says of itself under a name, however large it is. NotFound if that is nothing."""
    return server.get(f"/api/v1/stable/workflow-runs/{run_id}/values/{path_part(name)}", Details)


def set_value(server: Server, run_id: str, name: str, said: object) -> None:
    server.send("PUT", f"/api/v1/stable/workflow-runs/{run_id}/values/{path_part(name)}", said)


def trigger(
    server: Server, workflow: str, given: dict[str, Any], metadata: dict[str, Any] | None, priority: int | None
) -> Details:
    """Starts a run, once, and answers it as it is then."""
    body = {"workflowName": workflow, "input": given, "additionalMetadata": metadata, "priority": priority}
    said = {name: value for name, value in body.items() if value is not None}
    return server.ask("POST", f"{server.stable}/workflow-runs/trigger", said, Details)


def file(server: Server, run_id: str) -> bytes:
    """Everything about the run as one JSON document, which `broadaxe open` shows and tests replay."""
    return bytes(server.get(f"/api/v1/stable/workflow-runs/{path_part(run_id)}/file", msgspec.Raw))


def act(server: Server, verb: Act, which: Sequence[str] | RunQuery) -> list[str]:
    """Cancels or replays runs, and answers the ids that were touched."""
    chosen = which.body(datetime.now(UTC)) if isinstance(which, RunQuery) else list(which)
    body = {"filter" if isinstance(which, RunQuery) else "externalIds": chosen}
    return server.ask("POST", f"{server.stable}/tasks/{verb}", body, dict[str, list[str]])["ids"]


def logs(
    server: Server,
    task_ids: Sequence[str],
    limit: int,
    *,
    since: str | None = None,
    search: str | None = None,
    levels: Sequence[str] = (),
    newest_first: bool = False,
) -> Iterator[Details]:
    """Lines of these tasks, oldest first unless asked otherwise."""
    asked: dict[str, str | int | list[str]] = {
        "taskExternalIds": list(task_ids[:TASKS_ASKED_MAX]),
        "order_by_direction": "DESC" if newest_first else "ASC",
    }
    if since is not None:
        asked["since"] = since
    if search:
        asked["search"] = search
    if levels:
        asked["levels"] = list(levels)
    return server.newest(f"{server.stable}/logs", Details, limit, LINES_PAGE, asked)


def changes(server: Server, pause: Callable[[float], None] = time.sleep) -> Iterator[Change]:
    """What changes, as it changes, for as long as somebody listens. Unavailable when the server stays away."""
    failures = 0
    while True:
        is_first = True
        try:
            for _, data, _ in server.events(f"{server.stable}/changes"):
                try:
                    change = msgspec.json.decode(data, type=Change)
                except msgspec.MsgspecError:
                    continue
                yield msgspec.structs.replace(change, is_first=is_first)
                is_first, failures = False, 0
        except Unavailable:
            failures += 1
            if failures >= STREAM_TRIES:
                raise
        pause(min(STREAM_PAUSE_MAX_S, 0.5 * 2**failures))


def follow(server: Server, run_id: str, *, with_logs: bool = False) -> Iterator[Details]:
    """The run as it is, again whenever it changes, until it has ended; with `with_logs` also whenever it logs."""
    ids = frozenset({run_id})
    wanted = {"runs", "logs"} if with_logs else {"runs"}
    for change in changes(server):
        if not change.is_first and not (change.concerns(ids) and change.kinds & wanted):
            continue
        found = details(server, run_id)
        ids |= {str(task["taskExternalId"]) for task in found["tasks"]}
        yield found
        if found["run"]["status"] in ENDED:
            return
