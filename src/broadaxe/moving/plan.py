"""What is to be moved: both servers are read, and compared.

Owns what counts as the same thing on both sides, and what is left where it is, with the reason. Changes nothing. What
is compared is bounded by `Server.pages`; of queued runs only ids are kept here, at most `RUNS_MAX`.

- a rate limit is its key; a filter its workflow, scope, expression and payload; a webhook its name; a cron its
  workflow, name and expression. What is here already stays as it is, so a second import changes nothing;
- scheduled and queued runs have no name. What was moved carries the id it had, in its metadata (`rows.MOVED_FROM`).

Source: REST specification 4.1 to 4.13.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import islice
from typing import Any, Final, NamedTuple, Protocol, TypeVar

import msgspec

from broadaxe.core.durations import parse_duration
from broadaxe.errors import BroadaxeError, ConfigurationError, InvalidArgument, NotFound, Unavailable
from broadaxe.moving import rows
from broadaxe.remote.server import Query, Server, path_part

__all__ = ["Creation", "Kind", "Plan", "QueuedRun", "Section", "Source", "moved_before", "survey"]

Row = TypeVar("Row")

RUNS_MAX: Final = 500_000
PAGE: Final = 200
#: Ids that are looked for at once; their names make an address of about 4 KB.
LOOKED_UP_AT_ONCE: Final = 50
#: Before any run of any server: lists of runs want to know since when.
BEGINNING: Final = "2000-01-01T00:00:00.000000Z"
#: Pages in a row that hold nothing new before a list of runs is given up.
REPEATS_MAX: Final = 50

NO_WORKFLOW: Final = "its workflow is not registered here; start its worker here, then import again"
PAUSED: Final = "its workflow is paused there and not here; pause it here, then import again"
DECLARED: Final = "declared in code; comes with its worker"
NO_SECRET: Final = "set the secret again: name it in a file for --webhook-secrets, or make the webhook by hand"
REFUSED: Final = "refused here: "
#: Reasons that an import after some work of a person's would not find any more.
AGAIN: Final = frozenset({NO_WORKFLOW, PAUSED})

#: By the units in which limits are declared; a server may also say durations.
_UNITS: Final = {
    "SECOND": "1s", "MINUTE": "1m", "HOUR": "1h", "DAY": "24h", "WEEK": "168h", "MONTH": "720h", "YEAR": "8760h"
}  # fmt: skip


class Source(Protocol):
    """What things are moved from: a server, or the file of a tenant, which is asked for the same addresses."""

    @property
    def name(self) -> str: ...
    @property
    def url(self) -> str: ...
    @property
    def tenant_id(self) -> str: ...
    @property
    def tenant(self) -> str: ...
    @property
    def stable(self) -> str: ...
    def get(self, path: str, shape: type[Row], query: Query | None = None) -> Row: ...
    def rows(self, path: str, shape: type[Row], limit: int, query: Query | None = None) -> list[Row]: ...


class Kind(StrEnum):
    RATE_LIMIT = "rate limits"
    FILTER = "filters"
    WEBHOOK = "webhooks"
    CRON = "crons"
    SCHEDULE = "scheduled runs"
    RUN = "queued runs"


class Creation(NamedTuple):
    """One thing to be made, and how it is asked for."""

    label: str
    method: str
    path: str
    body: dict[str, Any]
    source_id: str | None = None
    """What it had there, for what carries that in its metadata."""


class QueuedRun(NamedTuple):
    id: str
    workflow_name: str


@dataclass(slots=True)
class Section:
    """What becomes of the things of one kind."""

    kind: Kind
    wanted: list[Creation] = field(default_factory=list)
    """Of runs it stays empty: they are in `Plan.runs`."""
    there: int = 0
    moved: int = 0
    left: dict[str, list[str]] = field(default_factory=dict)
    """Labels of what is not moved, by the reason."""

    def leave(self, reason: str, label: str) -> None:
        self.left.setdefault(reason, []).append(label)


@dataclass(slots=True)
class Plan:
    source_tenant: str
    target_tenant: str
    sections: dict[Kind, Section]
    runs: list[QueuedRun]
    """The oldest first."""
    notes: list[str]
    """What cannot be moved at all."""

    def count(self, kind: Kind) -> int:
        """How many things of this kind are to be moved."""
        return len(self.runs) if kind is Kind.RUN else len(self.sections[kind].wanted)

    @property
    def is_whole(self) -> bool:
        """Whether nothing is left that another import could bring."""
        reasons = {reason for section in self.sections.values() for reason in section.left}
        return not any(reason in AGAIN or reason.startswith(REFUSED) for reason in reasons)


Say = Callable[[str, int], None]
Secrets = Mapping[str, Mapping[str, object]]


def survey(source: Source, target: Server, secrets: Secrets, say: Say) -> Plan:
    """What an import would do. `secrets` has the `auth` object of webhooks by their names; `say` hears of what is being
    counted, and how far it is."""
    if source.tenant_id == target.tenant_id:
        raise ConfigurationError(
            f"{source.name} and {target.name} are the same tenant, {source.tenant_id}; give --token (and --from-token) "
            "so that they are two"
        )
    theirs, ours = (server.get(server.tenant, rows.Tenant) for server in (source, target))
    there = {row.name: row for row in source.rows(f"{source.tenant}/workflows", rows.Workflow, PAGE)}
    here = {row.name: row for row in target.rows(f"{target.tenant}/workflows", rows.Workflow, PAGE)}
    sections = {kind: Section(kind) for kind in Kind}
    say("rate limits", 0)
    _rate_limits(source, target, sections[Kind.RATE_LIMIT])
    say("filters", 0)
    with_payload = _filters(source, target, there, here, sections[Kind.FILTER])
    say("webhooks", 0)
    _webhooks(source, target, secrets, sections[Kind.WEBHOOK])
    say("crons", 0)
    _crons(source, target, here, sections[Kind.CRON])
    say("scheduled runs", 0)
    _schedules(source, target, here, sections[Kind.SCHEDULE])
    runs = _runs(source, target, there, here, with_payload, sections[Kind.RUN], say)
    return Plan(theirs.name, ours.name, sections, runs, _notes(source, there, here))


def moved_before(target: Server, source_ids: Sequence[str]) -> set[str]:
    """Those of the ids that a run of the target carries."""
    found: set[str] = set()
    for part in _in_parts(source_ids):
        query: Query = {
            "since": BEGINNING,
            "only_tasks": "false",
            "include_payloads": "false",
            "include_num_pages": "false",
            "limit": PAGE,
            "additional_metadata": [f"{rows.MOVED_FROM}:{source_id}" for source_id in part],
        }
        for row in target.get(f"{target.stable}/workflow-runs", rows.RunList, query).rows:
            origin = rows.origin_of(row.additional_metadata)
            if origin is not None:
                found.add(origin)
    return found


def _rate_limits(source: Source, target: Server, section: Section) -> None:
    path = "rate-limits"
    here = {row.key: row for row in target.rows(f"{target.tenant}/{path}", rows.RateLimit, PAGE)}
    for row in source.rows(f"{source.tenant}/{path}", rows.RateLimit, PAGE):
        window = _UNITS.get(row.window.upper(), row.window)
        known = here.get(row.key)
        if known is None:
            body = {"key": row.key, "limit": row.limit_value, "window": window}
            section.wanted.append(Creation(row.key, "PUT", f"{target.stable}/{path}", body))
        elif (known.limit_value, _us(known.window)) == (row.limit_value, _us(window)):
            section.there += 1
        else:
            section.leave(f"is {known.limit_value} per {known.window} here already, and stays so", row.key)


def _filters(
    source: Source,
    target: Server,
    there: Mapping[str, rows.Workflow],
    here: Mapping[str, rows.Workflow],
    section: Section,
) -> set[str]:
    """Returns the workflows that have filters with payloads."""
    names = {row.metadata.id: row.name for row in there.values()}
    ids = {row.metadata.id: row.name for row in here.values()}
    known = {
        (ids.get(row.workflow_id), row.scope, row.expression, _canonical(row.payload))
        for row in target.rows(f"{target.stable}/filters", rows.Filter, PAGE)
    }
    with_payload = set()
    for row in source.rows(f"{source.stable}/filters", rows.Filter, PAGE):
        name = names.get(row.workflow_id, row.workflow_id)
        label = f"{name} / {row.scope}: {row.expression}"
        if _canonical(row.payload) != b"{}":
            with_payload.add(name)
        if row.is_declarative:
            section.leave(DECLARED, label)
        elif (name, row.scope, row.expression, _canonical(row.payload)) in known:
            section.there += 1
        elif name not in here:
            section.leave(NO_WORKFLOW, label)
        else:
            body = {
                "workflowId": here[name].metadata.id,
                "scope": row.scope,
                "expression": row.expression,
                "payload": rows.object_text(row.payload),
            }
            section.wanted.append(Creation(label, "POST", f"{target.stable}/filters", body))
    return with_payload


def _webhooks(source: Source, target: Server, secrets: Secrets, section: Section) -> None:
    here = {row.name for row in target.rows(f"{target.stable}/webhooks", rows.Webhook, PAGE)}
    listed = set()
    for row in source.rows(f"{source.stable}/webhooks", rows.Webhook, PAGE):
        listed.add(row.name)
        if row.name in here:
            section.there += 1
        elif row.name not in secrets:
            section.leave(NO_SECRET, f"{row.name} ({row.source_name}, {row.auth_type})")
        else:
            body: dict[str, Any] = {
                "name": row.name,
                "sourceName": row.source_name,
                "eventKeyExpression": row.event_key_expression,
                "authType": row.auth_type,
                "auth": secrets[row.name],
            }
            if row.scope_expression:
                body["scopeExpression"] = row.scope_expression
            if bytes(row.static_payload) != b"null":
                body["staticPayload"] = row.static_payload
            if row.return_event_as_response_payload is not None:
                body["returnEventAsResponsePayload"] = row.return_event_as_response_payload
            section.wanted.append(Creation(row.name, "POST", f"{target.stable}/webhooks", body))
    unknown = sorted(set(secrets) - listed)
    if unknown:
        raise InvalidArgument(
            f"--webhook-secrets names {unknown[0][:80]!r}, which is no webhook of {source.name}",
            field="--webhook-secrets",
        )


def _crons(source: Source, target: Server, here: Mapping[str, rows.Workflow], section: Section) -> None:
    path = "workflows/crons"
    known = {(row.workflow_name, row.name, row.cron) for row in target.rows(f"{target.tenant}/{path}", rows.Cron, PAGE)}
    for row in source.rows(f"{source.tenant}/{path}", rows.Cron, PAGE):
        name = row.name or row.metadata.id
        label = f"{row.workflow_name} / {row.name or row.cron}"
        if row.method != "API":
            section.leave(DECLARED, label)
        elif (row.workflow_name, name, row.cron) in known:
            section.there += 1
        elif row.workflow_name not in here:
            section.leave(NO_WORKFLOW, label)
        else:
            body = {
                "cronName": name,
                "cronExpression": row.cron,
                "input": rows.object_text(row.input),
                "additionalMetadata": rows.object_text(row.additional_metadata),
                "priority": row.priority,
                "enabled": row.enabled,
            }
            address = f"{target.tenant}/workflows/{path_part(row.workflow_name)}/crons"
            section.wanted.append(Creation(label, "POST", address, body))


def _schedules(source: Source, target: Server, here: Mapping[str, rows.Workflow], section: Section) -> None:
    path = "workflows/scheduled"
    known = {
        rows.origin_of(row.additional_metadata) for row in target.rows(f"{target.tenant}/{path}", rows.Schedule, PAGE)
    }
    order: Query = {"orderByField": "triggerAt", "orderByDirection": "ASC"}
    pending: list[rows.Schedule] = []
    for row in source.rows(f"{source.tenant}/{path}", rows.Schedule, PAGE, order):
        label = f"{row.workflow_name} at {row.trigger_at}"
        if row.workflow_run_id is not None:
            continue  # It has been triggered, so it is a run, and comes with the runs.
        if row.metadata.id in known:
            section.there += 1
        elif row.workflow_name not in here:
            section.leave(NO_WORKFLOW, label)
        else:
            pending.append(row)
    # One that was moved may have been due here in the meantime: then it is a run.
    triggered = moved_before(target, [row.metadata.id for row in pending])
    section.there += len(triggered)
    for row in pending:
        if row.metadata.id in triggered:
            continue
        body = {
            "triggerAt": row.trigger_at,
            "input": rows.object_text(row.input),
            "additionalMetadata": rows.with_origin(row.additional_metadata, row.metadata.id),
            "priority": row.priority,
        }
        address = f"{target.tenant}/workflows/{path_part(row.workflow_name)}/scheduled"
        label = f"{row.workflow_name} at {row.trigger_at}"
        section.wanted.append(Creation(label, "POST", address, body, row.metadata.id))


def _runs(
    source: Source,
    target: Server,
    there: Mapping[str, rows.Workflow],
    here: Mapping[str, rows.Workflow],
    with_payload: set[str],
    section: Section,
    say: Say,
) -> list[QueuedRun]:
    names = {row.metadata.id: row.name for row in there.values()}
    found: list[QueuedRun] = []
    for count, row in enumerate(queued_runs(source), 1):
        if count % PAGE == 0:
            say("queued runs", count)
        if count > RUNS_MAX:
            raise InvalidArgument(
                f"{source.name} has more than {RUNS_MAX} queued runs; let its workers take some before you move them"
            )
        run_id, name = row.metadata.id, row.workflow_name or names.get(row.workflow_id, row.workflow_id)
        label = f"{name} {run_id}"
        if row.parent_task_external_id is not None:
            section.leave("a child, which belongs to a run that is under way there", label)
        elif name not in here:
            section.leave(NO_WORKFLOW, label)
        elif name in there and there[name].is_paused and not here[name].is_paused:
            section.leave(PAUSED, label)
        elif name in with_payload and b"hatchet__event_id" in bytes(row.additional_metadata):
            section.leave("started by an event through a filter with a payload, which REST does not hand on", label)
        else:
            found.append(QueuedRun(run_id, name))
    say("runs that were moved before", 0)
    moved = moved_before(target, [run.id for run in found])
    section.there += len(moved)
    # Lists have the newest first; who waited longest goes first here, too.
    return [run for run in reversed(found) if run.id not in moved]


def queued_runs(source: Source) -> Iterator[rows.ListedRun]:
    """The queued runs of a server, the newest first, none twice.

    Runs may be taken by workers while they are listed, and then those behind them move up: so a page begins at the
    instant where the last one ended, and offsets count only runs of that one instant.
    """
    seen: set[str] = set()
    query: Query = {
        "since": BEGINNING,
        "only_tasks": "false",
        "include_payloads": "false",
        "include_num_pages": "false",
        "statuses": "QUEUED",
        "limit": PAGE,
    }
    until, offset, repeats = "", 0, 0
    while True:
        position: Query = {"offset": offset, "until": until} if until else {"offset": offset}
        page = source.get(f"{source.stable}/workflow-runs", rows.RunList, {**query, **position}).rows
        if not page:
            return
        fresh = [row for row in page if row.metadata.id not in seen]
        seen.update(row.metadata.id for row in fresh)
        yield from fresh
        repeats = 0 if fresh else repeats + 1
        if repeats > REPEATS_MAX:
            raise Unavailable(f"{source.name} {source.url} lists the same queued runs again and again")
        last = page[-1].created_at
        if not fresh or last == until:
            offset += len(page)
        else:
            until, offset = last, sum(row.created_at == last for row in page)


def _notes(source: Source, there: Mapping[str, rows.Workflow], here: Mapping[str, rows.Workflow]) -> list[str]:
    notes = []
    try:
        counts = source.get(f"{source.stable}/task-metrics", list[rows.StatusCount], {"since": BEGINNING})
    except BroadaxeError as error:
        if not isinstance(error, NotFound | InvalidArgument):
            raise
        counts = []
    running = sum(row.count for row in counts if row.status == "RUNNING")
    if running:
        notes.append(
            f"{running} runs are under way there, durable ones and their recorded steps among them: "
            "let them end where they began"
        )
    missing = sorted(set(there) - set(here))
    if missing:
        few = ", ".join(missing[:5]) + (", ..." if len(missing) > 5 else "")
        notes.append(f"{len(missing)} workflows are registered by workers only, not by an import: {few}")
    paused = sorted(name for name, row in there.items() if row.is_paused and name in here and not here[name].is_paused)
    if paused:
        notes.append(f"paused there and not here: {', '.join(paused[:5])}{', ...' if len(paused) > 5 else ''}")
    notes.append("runs that have ended, their logs, events and traces stay where they are; so do people and tokens")
    return notes


def _canonical(payload: msgspec.Raw) -> bytes:
    """The same text for equal payloads, however they were written."""
    return msgspec.json.encode(msgspec.json.decode(rows.object_text(payload)), order="sorted")


def _us(window: str) -> int | None:
    try:
        return parse_duration(window, field="window")
    except InvalidArgument:
        return None


def _in_parts(ids: Sequence[str]) -> Iterator[list[str]]:
    remaining = iter(ids)
    while part := list(islice(remaining, LOOKED_UP_AT_ONCE)):
        yield part
