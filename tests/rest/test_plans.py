"""The hot reads over many rows: which index they ride and how few rows they touch."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from broadaxe.core.lifecycle import RunStatus
from broadaxe.storage import reads
from broadaxe.storage.accounts import ensure_tenant
from broadaxe.storage.ids import id_floor, new_id
from broadaxe.storage.reads import POOL_SETTINGS, RunFilter
from broadaxe.storage.statements import statement

RUNS = 20_000

SEED_WORKFLOW = """
insert into broadaxe.workflow (tenant_id, id, name, created_at, updated_at) values ($1, $2, 'w', now(), now())
"""
SEED_RUNS = """
insert into broadaxe.run (
    tenant_id, id, workflow_id, workflow_version_id, is_dag, display_name, status, priority, input,
    additional_metadata, created_at, started_at, finished_at
)
select
    $1,
    (substr(broadaxe.id_floor(now() - n * interval '1 second')::text, 1, 14)
        || '7000-8000-' || lpad(n::text, 12, '0'))::uuid,
    $2, $2, false, 'x', case when n % 500 = 0 then 'FAILED' else 'COMPLETED' end::broadaxe.run_status, 1, '{}',
    jsonb_build_object('k', n::text), now() - n * interval '1 second', now(), now()
from generate_series(1, $3::integer) n
"""
SEED_TASKS = """
    insert into broadaxe.task ( tenant_id, id, run_id, workflow_id, definition_id, name, action_id, display_name,
    status, queue_priority, event_count, created_at, finished_at ) select tenant_id, id, id, workflow_id,
    workflow_version_id, 'x', 'a:b', 'x', status::text::broadaxe.task_status, 1, 1, created_at, finished_at from
    broadaxe.run
"""


def _scans(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if plan["Node Type"].endswith("Scan") and plan.get("Actual Loops", 0) > 0:
        yield plan
    for child in plan.get("Plans", []):
        yield from _scans(child)


async def _touched(pool: asyncpg.Pool, name: str, *arguments: object) -> tuple[set[str], float]:
    """The indexes a statement rides on the big tables, and how many rows its scans yield and discard."""
    rows = await pool.fetchval(f"explain (analyze, format json) {statement(name)}", *arguments)
    indexes, touched = set(), 0.0
    for scan in _scans(json.loads(rows)[0]["Plan"]):
        relation = scan.get("Relation Name", "")
        removed = sum(count for key, count in scan.items() if key.startswith("Rows Removed"))
        touched += (scan["Actual Rows"] + removed) * scan["Actual Loops"]
        if scan["Node Type"] == "Seq Scan" and relation.startswith(("run_", "task_", "log_line_", "span_")):
            # An empty partition is read as a whole: there is nothing to read.
            assert scan["Actual Rows"] + removed == 0, f"{name} reads all of {relation}"
        if "Index Name" in scan:
            indexes.add(scan["Index Name"])
    return indexes, touched


@pytest.fixture
async def crowded(database: str) -> Any:
    async with asyncpg.create_pool(database, server_settings=POOL_SETTINGS, min_size=1, max_size=2) as pool:
        tenant = await ensure_tenant(pool, "T", "t")
        workflow_id = new_id()
        await pool.execute(SEED_WORKFLOW, tenant.id, workflow_id)
        await pool.execute(SEED_RUNS, tenant.id, workflow_id, RUNS)
        await pool.execute(SEED_TASKS)
        await pool.execute("analyze broadaxe.run, broadaxe.task")
        yield pool, tenant.id


async def test_run_lists_touch_little_more_than_their_page(crowded: tuple[asyncpg.Pool, str]) -> None:
    pool, tenant_id = crowded
    now = datetime.now(UTC)

    async def page(**wanted: Any) -> tuple[set[str], float]:
        chosen = RunFilter(tenant_id=tenant_id, since=now - timedelta(days=1), until=now, **wanted)
        return await _touched(pool, "reads/run_list", *reads._run_arguments(chosen), True, 50, 0)

    indexes, touched = await page()
    assert any(name.endswith("_pkey") for name in indexes)
    assert touched < 250
    _, touched = await page(statuses=frozenset({RunStatus.QUEUED, RunStatus.RUNNING}))
    assert touched == 0, "live runs have an index of their own"
    indexes, touched = await page(metadata=(("k", "500"),))
    assert any("metadata" in name for name in indexes)
    assert touched < 50


async def test_a_run_page_reads_its_own_tasks_only(crowded: tuple[asyncpg.Pool, str]) -> None:
    pool, tenant_id = crowded
    now = datetime.now(UTC)
    wanted = RunFilter(tenant_id=tenant_id, since=now - timedelta(days=1), until=now)
    ids = await reads.Reads(pool).run_ids(wanted, limit=50)
    assert len(ids) == 50
    _, touched = await _touched(pool, "reads/tasks_of_runs", tenant_id, ids, reads._tasks_floor(ids), True, 100)
    assert touched < 300


LINES = 200_000
SEED_LINES = """
insert into broadaxe.log_line (tenant_id, id, task_id, retry_count, level, message, created_at)
select
    $1,
    (substr(broadaxe.id_floor(now() - n * interval '10 milliseconds')::text, 1, 14)
        || '7000-8000-' || lpad(n::text, 12, '0'))::uuid,
    ($2::uuid[])[1 + n % cardinality($2::uuid[])], 0, case when n % 1000 = 0 then 'ERROR' else 'INFO' end, 'line ' || n,
    now() - n * interval '10 milliseconds'
from generate_series(1, $3::integer) n
"""
SEED_SPANS = """
insert into broadaxe.span (
    tenant_id, id, trace_id, span_id, run_id, retry_count, name, kind, service_name, status_code, status_message,
    started_at, duration_ns, attributes, resource_attributes, scope_name, scope_version
)
select
    tenant_id, id, task_id, decode(lpad(to_hex(row_number() over ()), 16, '0'), 'hex'), task_id, 0, 's', 1, 'x', 1, '',
    created_at, 5, '{}', '{}', '', ''
from broadaxe.log_line limit 50000
"""


async def test_logs_and_traces_touch_little_more_than_their_page(crowded: tuple[asyncpg.Pool, str]) -> None:
    pool, tenant_id = crowded
    now = datetime.now(UTC)
    wanted = RunFilter(tenant_id=tenant_id, since=now - timedelta(days=1), until=now)
    task_ids = await reads.Reads(pool).run_ids(wanted, limit=2_000)
    await pool.execute(SEED_LINES, tenant_id, task_ids, LINES)
    await pool.execute(SEED_SPANS)
    await pool.execute("analyze broadaxe.log_line, broadaxe.span")
    floor = id_floor(now - timedelta(days=2))

    for newest_first in (True, False):
        indexes, touched = await _touched(
            pool, "reads/tenant_logs", tenant_id, floor, *[None] * 7, newest_first, 100, 0
        )
        assert any("created_at" in name for name in indexes), "the index by time gives the lines in order"
        assert touched < 600
        indexes, touched = await _touched(
            pool, "reads/task_logs", tenant_id, task_ids[:1], floor, *[None] * 5, newest_first, 50, 0
        )
        assert touched < 300
    # A window of one second holds a hundred lines.
    _, touched = await _touched(
        pool,
        "reads/tenant_logs",
        *(tenant_id, floor, now - timedelta(seconds=31), now - timedelta(seconds=30)),
        *("line", None, None, None, None),
        *(True, 1_000, 0),
    )
    assert touched < 400
    indexes, touched = await _touched(pool, "reads/spans", tenant_id, task_ids[0], task_ids[0], floor, 10_000)
    assert len(indexes) >= 2
    assert touched < 500
