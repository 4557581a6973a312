"""Runs by status, counted without reading most of them: against what the rows say, also at the edges of the window."""

from __future__ import annotations

import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg
import pytest

from broadaxe.core.lifecycle import RunStatus
from broadaxe.storage.ids import id_floor
from broadaxe.storage.reads import Reads
from broadaxe.storage.run_filter import RunFilter
from tests.storage.ground import make_tenant

ENDS_AT = datetime(2026, 3, 5, 0, 10, tzinfo=UTC)
WORKFLOWS = [str(UUID(int=number)) for number in range(1, 4)]
CHANCES = {"COMPLETED": 8, "FAILED": 2, "CANCELLED": 1, "QUEUED": 1, "RUNNING": 2}

_PUT_RUN = """
insert into broadaxe.run (
    tenant_id, id, workflow_id, workflow_version_id, is_dag, display_name, status, priority, input, created_at,
    finished_at
)
values ($1, $2, $3, $3, false, 'x', $4, 1, '{}', $5, $6)
"""
_PUT_TASK = """
insert into broadaxe.task (
    tenant_id, id, run_id, workflow_id, definition_id, name, action_id, display_name, status, queue_priority,
    event_count, created_at
)
values ($1, $2, $2, $3, $3, 'x', 'a:b', 'x', 'EVICTED', 1, 1, $4)
"""


@pytest.mark.parametrize("seed", range(2))
async def test_statuses_of_a_window_are_those_of_its_runs(pool: asyncpg.Pool, seed: int) -> None:
    chance = random.Random(seed)
    tenant_id, other = await make_tenant(pool), await make_tenant(pool)
    rows, tasks, runs = [], [], []
    for number in range(400):
        # Ids are up to a minute off; most of what follows is about which of them that matters for.
        created_at = ENDS_AT - timedelta(seconds=number * 3, microseconds=chance.randint(0, 999_999))
        floor = id_floor(created_at + timedelta(seconds=chance.randint(-58, 58)))
        run_id = f"{floor[:14]}7000-8000-{number:012}"
        (status,) = chance.choices(list(CHANCES), list(CHANCES.values()))
        workflow_id = chance.choice(WORKFLOWS)
        finished_at = None if status in ("QUEUED", "RUNNING") else created_at
        is_evicted = status == "RUNNING" and chance.random() < 0.5
        for tenant in (tenant_id, other):
            rows.append((tenant, run_id, workflow_id, status, created_at, finished_at))
            if is_evicted:
                tasks.append((tenant, run_id, workflow_id, created_at))
        runs.append((workflow_id, created_at, status, is_evicted))
    await pool.executemany(_PUT_RUN, rows)
    await pool.executemany(_PUT_TASK, tasks)
    for _ in range(60):
        length = timedelta(seconds=chance.choice([-5, 0, 1, 30, 100, 130, 600, 100_000]))
        since = chance.choice(runs)[1]
        until = min(since + length, datetime(9999, 1, 1, tzinfo=UTC))
        workflow_ids = tuple(chance.choices(WORKFLOWS, k=2)) if chance.random() < 0.5 else None
        meant = [
            (status, is_evicted)
            for workflow_id, created_at, status, is_evicted in runs
            if since <= created_at <= until and (workflow_ids is None or workflow_id in workflow_ids)
        ]
        wanted = RunFilter(tenant_id=tenant_id, since=since, until=until, workflow_ids=workflow_ids)
        counts, evicted = await Reads(pool).run_status_counts(wanted)
        assert counts == dict.fromkeys(RunStatus, 0) | Counter(RunStatus(status) for status, _ in meant)
        assert evicted == sum(is_evicted for _, is_evicted in meant)


async def test_a_window_of_all_times_can_be_asked_for(pool: asyncpg.Pool) -> None:
    tenant_id = await make_tenant(pool)
    for since, until in ((datetime.min, datetime.max), (datetime.max, datetime.min)):
        wanted = RunFilter(tenant_id=tenant_id, since=since.replace(tzinfo=UTC), until=until.replace(tzinfo=UTC))
        counts, _ = await Reads(pool).run_status_counts(wanted)
        assert set(counts.values()) == {0}
