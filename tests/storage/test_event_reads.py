"""Lists and counts of events by what their runs are, against the definition: an event is meant if it passes, and one of
its runs does."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
import pytest

from broadaxe.core.lifecycle import RunStatus
from broadaxe.storage.event_reads import EventFilter, EventReads
from broadaxe.storage.ids import id_floor
from broadaxe.storage.pages import ById
from tests.storage.ground import make_tenant

ENDS_AT = datetime(2026, 3, 5, 12, tzinfo=UTC)
WORKFLOWS = [str(UUID(int=number)) for number in range(1, 5)]
KEYS, SCOPES = ("a", "b"), (None, "s", "t")

_PUT_EVENT = """
insert into broadaxe.event (tenant_id, id, key, payload, additional_metadata, scope, seen_at)
values ($1, $2, $3, '{}', $4, $5, $6)
"""
_PUT_RUN = """
insert into broadaxe.run (
    tenant_id, id, workflow_id, workflow_version_id, is_dag, display_name, status, priority, input,
    triggering_event_id, created_at, finished_at
)
values ($1, $2, $3, $3, false, 'x', $4, 1, '{}', $5, $6,
    case when $4::broadaxe.run_status not in ('QUEUED', 'RUNNING') then $6::timestamptz end)
"""


class Event(msgspec.Struct):
    id: str
    key: str
    scope: str | None
    user: str
    seen_at: datetime
    runs: list[tuple[str, RunStatus]]


async def put(pool: asyncpg.Pool, tenant_id: str, chance: random.Random) -> list[Event]:
    """Events of two hours, whose ids are up to half a minute off; each with no, one or some runs. The newest first."""
    events = []
    for number in range(240):
        seen_at = ENDS_AT - timedelta(seconds=number * 30)
        floor = id_floor(seen_at + timedelta(seconds=chance.randint(-14, 14)))
        event = Event(
            f"{floor[:14]}7000-8000-{number:012}", chance.choice(KEYS), chance.choice(SCOPES), "", seen_at, []
        )
        event.user = chance.choice("uv")
        await pool.execute(
            _PUT_EVENT, tenant_id, event.id, event.key, f'{{"user":"{event.user}"}}', event.scope, seen_at
        )
        for turn in range(chance.choice((0, 0, 1, 1, 3))):
            # The fourth workflow is rare, and so is a cancelled run.
            workflow_id = WORKFLOWS[3] if number % 60 == 7 else chance.choice(WORKFLOWS[:3])
            status = RunStatus.CANCELLED if number % 50 == 3 else chance.choice([*RunStatus][:4])
            run_id = f"{id_floor(seen_at + timedelta(seconds=60))[:14]}7000-8{turn:03}-{number:012}"
            await pool.execute(_PUT_RUN, tenant_id, run_id, workflow_id, status.value, event.id, seen_at)
            event.runs.append((workflow_id, status))
        events.append(event)
    return sorted(events, key=lambda event: event.id, reverse=True)


async def shown(reads: EventReads, wanted: EventFilter) -> list[str]:
    """Page after page by offset, which must be what pages by cursor are."""
    ids: list[str] = []
    after: ById | None = None
    while True:
        page = await reads.events_page(wanted, limit=70, offset=len(ids))
        by_cursor = await reads.events_page(wanted, limit=70, after=after)
        assert [record.id for record in by_cursor.rows] == [record.id for record in page.rows]
        ids += [record.id for record in page.rows]
        after = by_cursor.end
        if after is None:
            return ids


def is_meant(event: Event, wanted: EventFilter) -> bool:
    return (
        wanted.since <= event.seen_at <= wanted.until
        and (wanted.keys is None or event.key in wanted.keys)
        and (wanted.scopes is None or event.scope in wanted.scopes)
        and (wanted.event_ids is None or event.id in wanted.event_ids)
        and all(event.user == value for _, value in wanted.metadata)
        and (
            (wanted.workflow_ids is None and wanted.run_statuses is None)
            or any(
                (wanted.workflow_ids is None or workflow_id in wanted.workflow_ids)
                and (wanted.run_statuses is None or status in wanted.run_statuses)
                for workflow_id, status in event.runs
            )
        )
    )


def asked(chance: random.Random, events: list[Event]) -> dict[str, Any]:
    """Something of the runs, of the events, or of both; the window often ends where events are."""
    wanted: dict[str, Any] = {"since": ENDS_AT - timedelta(days=1), "until": ENDS_AT + timedelta(days=1)}
    if chance.random() < 0.7:
        wanted["since"], wanted["until"] = sorted(event.seen_at for event in chance.sample(events, 2))
    if chance.random() < 0.7:
        wanted["workflow_ids"] = tuple(chance.choices([*WORKFLOWS, str(UUID(int=99))], k=chance.randint(1, 3)))
    if chance.random() < 0.6:
        wanted["run_statuses"] = frozenset(chance.sample([*RunStatus], chance.randint(1, 3)))
    if chance.random() < 0.3:
        wanted["keys"] = (chance.choice([*KEYS, "none"]),)
    if chance.random() < 0.2:
        wanted["scopes"] = tuple(chance.sample(["s", "t", "none"], 2))
    if chance.random() < 0.2:
        wanted["metadata"] = (("user", chance.choice("uv")),)
    if chance.random() < 0.1:
        wanted["event_ids"] = tuple(event.id for event in chance.sample(events, 100))
    return wanted


@pytest.mark.parametrize("seed", range(2))
async def test_events_by_their_runs_are_those_meant(pool: asyncpg.Pool, seed: int) -> None:
    chance = random.Random(seed)
    tenant_id, other = await make_tenant(pool), await make_tenant(pool)
    events = await put(pool, tenant_id, chance)
    await put(pool, other, random.Random(seed))
    reads = EventReads(pool)
    found = 0
    for _ in range(25):
        wanted = EventFilter(tenant_id=tenant_id, **asked(chance, events))
        meant = [event.id for event in events if is_meant(event, wanted)]
        assert await shown(reads, wanted) == meant, wanted
        assert await reads.count_events(wanted) == len(meant), wanted
        found += len(meant)
    assert found > 150, "too little was meant for the test to mean anything"
