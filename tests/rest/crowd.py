"""A database with many rows, for the question how little of it a read touches.

Two tenants share every table, nine rows of ten being the first one's. All of it is one day's work or less, as an id
tells its time. Rows are numbered from 1, the newest; `row_id` is what the row with a number is called.
Every fiftieth run has two tasks, the others have one. Every tenth run, those of workflows 3, 13, 23, 33 and 43, was
started by the event of its number; beside them two of workflow 4 and two that failed. Every thousandth has event 5001.
A cron started one of two thousand.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import asyncpg

from broadaxe.storage.accounts import ensure_tenant
from broadaxe.storage.ids import id_floor

ROWS: Final = 200_000
#: Between two rows of a table.
STEP: Final = timedelta(milliseconds=100)
WORKFLOWS: Final = 50
WORKERS: Final = 200
#: Of the first tenant, not heard of for ten days.
SILENT_WORKERS: Final = 20_000

# $1 the tenants, $2 the end of the day's work, $3 the number of rows.
_WORKFLOWS: Final = """
insert into broadaxe.workflow (tenant_id, id, name, created_at, updated_at)
select tenant, ('00000000-0000-7000-8000-' || lpad(w::text, 12, '0'))::uuid, 'workflow-' || w, $2, $2
from unnest($1::uuid[]) tenant, generate_series(0, $3::integer - 1) w
"""
_VERSIONS: Final = """
insert into broadaxe.workflow_version (tenant_id, id, workflow_id, ordinal, checksum, definition, created_at)
select
    tenant_id, id, id, 1, '', jsonb_build_object('tasks', jsonb_build_array(jsonb_build_object('action_id', name))), $1
from broadaxe.workflow
"""
_WORKERS: Final = """
insert into broadaxe.worker (tenant_id, id, name, actions, slots, created_at, updated_at, last_heartbeat_at)
select tenant, ('00000000-0000-7000-8000-' || lpad(w::text, 12, '0'))::uuid, 'worker-' || w, '{a:b}', '{"default": 10}',
    $2, $2, $2
from unnest($1::uuid[]) tenant, generate_series(0, $3::integer - 1) w
"""
_SILENT_WORKERS: Final = """
insert into broadaxe.worker (tenant_id, id, name, actions, slots, created_at, updated_at, last_heartbeat_at)
select $1, ('00000000-0000-7000-8001-' || lpad(w::text, 12, '0'))::uuid, 'worker-' || w, '{a:b}', '{"default": 10}',
    $2::timestamptz - interval '10 days', $2, $2::timestamptz - interval '10 days'
from generate_series(0, $3::integer - 1) w
"""
_NUMBERED: Final = """
create table public.numbered as
select
    n, (case when n % 10 = 0 then $1::uuid[] else array[($1::uuid[])[1]] end)[1 + (n % 10 = 0)::integer] as tenant,
    $2::timestamptz - n * interval '100 milliseconds' as at,
    (substr(broadaxe.id_floor($2::timestamptz - n * interval '100 milliseconds')::text, 1, 14)
        || '7000-8000-' || lpad(n::text, 12, '0'))::uuid as id,
    ('00000000-0000-7000-8000-' || lpad((n % 50)::text, 12, '0'))::uuid as workflow_id,
    case when n <= 400 then case when n % 4 = 1 then 'RUNNING' else 'QUEUED' end
         when n % 500 = 1 then 'FAILED' else 'COMPLETED' end as status,
    case when n <= 400 then case n % 16 when 1 then 'EVICTED' when 5 then 'RUNNING' when 9 then 'RUNNING'
            when 13 then 'RUNNING' else 'QUEUED' end
         when n % 500 = 1 then 'FAILED' else 'COMPLETED' end as task_status
from generate_series(1, $3::integer) n
"""
_RUNS: Final = """
insert into broadaxe.run (
    tenant_id, id, workflow_id, workflow_version_id, is_dag, display_name, status, priority, input,
    additional_metadata, parent_task_id, triggering_event_id, idempotency_key, cause, created_at, started_at,
    finished_at
)
select
    tenant, id, workflow_id, workflow_id, n % 50 = 25, 'x', status::broadaxe.run_status, 1, '{}',
    jsonb_build_object('text', n::text, 'number', n, 'flag', n % 10000 = 1, 'same', 'same'),
    case when n % 1000 = 1 then (select id from public.numbered where n = 5001) end,
    case when n % 1000 = 2 then (select id from public.numbered where n = 5001)
         when n % 10 = 3 or n in (50001, 150001, 100004, 190004) then id end,
    case when n % 100 = 1 then 'key-' || n end,
    (case when n % 2000 = 7 then 'CRON' else 'MANUAL' end)::broadaxe.run_cause,
    at, at, case when n > 400 then at end
from public.numbered
"""
_TASKS: Final = """
insert into broadaxe.task (
    tenant_id, id, run_id, workflow_id, definition_id, name, action_id, display_name, status, queue_priority,
    event_count, worker_id, created_at, queued_at, assigned_at, started_at, finished_at
)
select
    tenant, id, id, workflow_id, workflow_id, 'x', 'a:b', 'x', task_status::broadaxe.task_status, 1, 1,
    ('00000000-0000-7000-8000-' || lpad((n % 200)::text, 12, '0'))::uuid, at, at, at, at, case when n > 400 then at end
from public.numbered
where n % 50 <> 25
"""
_MEMBERS: Final = """
insert into broadaxe.task (
    tenant_id, id, run_id, workflow_id, definition_id, name, action_id, display_name, status, queue_priority,
    event_count, worker_id, created_at, queued_at, assigned_at, started_at, finished_at
)
select
    tenant, replace(id::text, '-8000-', '-' || member || '-')::uuid, id, workflow_id, workflow_id, 'x', 'a:b', 'x',
    task_status::broadaxe.task_status, 1, 1, ('00000000-0000-7000-8000-' || lpad((n % 200)::text, 12, '0'))::uuid,
    at, at, at, at, case when n > 400 then at end
from public.numbered, unnest('{8001,8002}'::text[]) as member
where n % 50 = 25
"""
_HISTORY: Final = """
insert into broadaxe.task_event (tenant_id, task_id, seq, type, at, retry_count)
select tenant, id, 1, 'CREATED', at, 0 from public.numbered
"""
_EVENTS: Final = """
insert into broadaxe.event (tenant_id, id, key, payload, additional_metadata, scope, seen_at)
select
    tenant, id, 'key-' || n % 100, '{}', jsonb_build_object('text', n::text, 'number', n),
    case when n % 1000 = 1 then 'scope-' || n % 7 end, at
from public.numbered
"""
_LINES: Final = """
insert into broadaxe.log_line (tenant_id, id, task_id, retry_count, level, message, created_at)
select tenant, id, id, 0, case when n % 500 = 1 then 'ERROR' else 'INFO' end, 'line ' || n, at from public.numbered
"""
_SPANS: Final = """
insert into broadaxe.span (
    tenant_id, id, trace_id, span_id, run_id, retry_count, name, kind, service_name, status_code, status_message,
    started_at, duration_ns, attributes, resource_attributes, scope_name, scope_version
)
select tenant, id, id, decode(lpad(to_hex(n), 16, '0'), 'hex'), id, 0, 's', 1, 'x', 1, '', at, 5, '{}', '{}', '', ''
from public.numbered
"""
_FILTERS: Final = """
insert into broadaxe.event_filter (
    tenant_id, id, workflow_id, scope, expression, payload, is_declared, created_at, updated_at
)
select tenant, id, workflow_id, 'scope-' || n, 'true', '{}', false, at, at from public.numbered
"""
_CRONS: Final = """
insert into broadaxe.cron (
    tenant_id, id, workflow_id, expression, name, is_declared, input, additional_metadata, is_enabled, created_at,
    updated_at
)
select tenant, id, workflow_id, '* * * * *', 'cron-' || n, false, '{}', '{"same": "same"}', true, at, at
from public.numbered
where n <= 10000
"""
_DURABLE: Final = """
insert into broadaxe.durable_entry (
    tenant_id, task_id, branch_id, node_id, kind, identity, created_at, is_awaited, is_on_path
)
select tenant, task.id, 1, n / 199 + 1, 'MEMO', 'x', at, true, true
from public.numbered
cross join lateral (select id from public.numbered as t where t.n = numbered.n % 199 + 1) as task
"""
_RATE_LIMITS: Final = """
insert into broadaxe.rate_limit (tenant_id, key, limit_value, value, window_us, last_refill_at)
select tenant, 'user-' || n, n, n, 1000000, at from public.numbered
"""

#: Due in the order in which they were made, a month later.
_SCHEDULES: Final = """
insert into broadaxe.schedule (
    tenant_id, id, workflow_id, trigger_at, input, additional_metadata, parent_run_id, parent_task_id, created_at,
    updated_at
)
select
    tenant, id, workflow_id, at + interval '30 days', '{}',
    jsonb_build_object('text', n::text, 'number', n, 'same', 'same'),
    case when n % 1000 = 1 then (select id from public.numbered where n = 5001) end,
    case when n % 1000 = 1 then (select id from public.numbered where n = 5001) end, at, at
from public.numbered
"""


class Crowd:
    """The database and its first tenant."""

    def __init__(self, tenant_id: str, ends_at: datetime) -> None:
        self.tenant_id = tenant_id
        self.ends_at = ends_at
        """The instant of the row before the first."""

    def at(self, number: int) -> datetime:
        return self.ends_at - number * STEP

    def row_id(self, number: int) -> str:
        return f"{id_floor(self.at(number))[:14]}7000-8000-{number:012}"

    @staticmethod
    def workflow_id(number: int) -> str:
        return str(UUID(f"00000000-0000-7000-8000-{number:012}"))

    worker_id = workflow_id


# Building an index at once takes a fraction of the time that it takes row by row.
_INDEXES: Final = """
select format('drop index broadaxe.%I', c.relname) as drop_it,
    replace(pg_get_indexdef(c.oid), ' ON ONLY ', ' ON ') as make_it
from pg_index i
join pg_class c on c.oid = i.indexrelid
join pg_class t on t.oid = i.indrelid
where t.relnamespace = 'broadaxe'::regnamespace and c.relkind in ('I', 'i') and not c.relispartition
    and not i.indisunique
order by c.relname
"""


async def fill(connection: asyncpg.Connection, ends_at: datetime) -> None:
    """Makes the crowd, once."""
    tenants = [(await ensure_tenant(connection, name, name)).id for name in ("first", "second")]
    await connection.execute(_WORKFLOWS, tenants, ends_at, WORKFLOWS)
    await connection.execute(_VERSIONS, ends_at)
    await connection.execute(_WORKERS, tenants, ends_at, WORKERS)
    await connection.execute(_SILENT_WORKERS, tenants[0], ends_at, SILENT_WORKERS)
    await connection.execute(_NUMBERED, tenants, ends_at, ROWS)
    await connection.execute("create unique index on public.numbered (n)")
    indexes = await connection.fetch(_INDEXES)
    for index in indexes:
        await connection.execute(index["drop_it"])
    for statement in (
        _RUNS,
        _TASKS,
        _MEMBERS,
        _HISTORY,
        _EVENTS,
        _LINES,
        _SPANS,
        _SCHEDULES,
        _FILTERS,
        _CRONS,
        _DURABLE,
        _RATE_LIMITS,
    ):
        await connection.execute(statement)
    for index in indexes:
        await connection.execute(index["make_it"])
    await connection.execute("drop table public.numbered")
    await connection.execute("vacuum analyze")
