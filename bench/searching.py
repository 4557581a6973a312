"""Measures the run list and its searches over a million runs: what the HTTP API answers, from request to body.

    make bench-searching                                   a million runs
    make bench-searching BENCH_ARGS="--runs 100000"        fewer

Rows are written with insert-select, as finished history; the engine behind the API has nothing to do. Every question
is asked `--rounds` times in turn with the others, so that no one of them has the caches to itself. Figures are
milliseconds at the client, on this machine, with everything else that runs on it; the processor's time for a request,
of client, server and database together, is told beside them, because it does not depend on that.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import statistics
import tempfile
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import httpx
import psutil
from run import machine

from broadaxe.rest.app import create_http_app
from broadaxe.rest.server import HttpServer
from broadaxe.rest.settings import HttpSettings
from broadaxe.storage import accounts
from broadaxe.storage.embedded import EmbeddedPostgres
from broadaxe.storage.migrate import migrate
from broadaxe.storage.reads import POOL_SETTINGS
from broadaxe.storage.token_verifier import TokenVerifier
from broadaxe.storage.tokens import create_token

#: Runs are this far apart: a million span some eleven days.
STEP_S = 1
WORKFLOWS = 20
GOAL_MS = 150

_WORKFLOWS = """
with made as (
    insert into broadaxe.workflow (tenant_id, id, name, created_at, updated_at)
    select $1, ('00000000-0000-7000-8000-' || lpad(w::text, 12, '0'))::uuid, 'workflow-' || w, now(), now()
    from generate_series(0, $2::integer - 1) w
    returning tenant_id, id
)
insert into broadaxe.workflow_version (tenant_id, id, workflow_id, ordinal, checksum, definition, created_at)
select tenant_id, id, id, 1, '', '{"tasks": []}', now()
from made
"""
_DAYS = """
select broadaxe.make_partition(parent, day::date, day::date + 1)
from unnest('{run,task}'::text[]) as parent, generate_series($1::date, $2::date, interval '1 day') as day
"""
_RUNS = """
insert into broadaxe.run (
    tenant_id, id, workflow_id, workflow_version_id, is_dag, display_name, status, priority, input, additional_metadata,
    parent_task_id, triggering_event_id, idempotency_key, cause, created_at, started_at, finished_at
)
select
    $1, id, workflow_id, workflow_id, false, 'workflow-' || n % $3 || '-' || n,
    (case when n % 50 = 1 then 'FAILED' else 'COMPLETED' end)::broadaxe.run_status, 1, '{}',
    jsonb_build_object('tenant', 't' || n % 500, 'plan', case when n % 3 = 0 then 'pro' else 'free' end, 'order', n),
    case when n % 10000 = 7 then broadaxe.id_floor($2::timestamptz - n * interval '1 second') end,
    case when n % 100 = 3 then id end, 'key-' || n,
    (case when n % 5000 = 7 then 'CRON' else 'MANUAL' end)::broadaxe.run_cause, at, at, at + interval '2 seconds'
from (
    select
        n, $2::timestamptz - n * interval '1 second' as at,
        (substr(broadaxe.id_floor($2::timestamptz - n * interval '1 second')::text, 1, 14) || '7000-8000-'
            || lpad(n::text, 12, '0'))::uuid as id,
        ('00000000-0000-7000-8000-' || lpad((n % $3)::text, 12, '0'))::uuid as workflow_id
    from generate_series($4::integer, $5::integer) n
) as numbered
"""
_TASKS = """
insert into broadaxe.task (
    tenant_id, id, run_id, workflow_id, definition_id, name, action_id, display_name, status, queue_priority,
    event_count, worker_id, error, created_at, queued_at, assigned_at, started_at, finished_at
)
select
    r.tenant_id, r.id, r.id, r.workflow_id, r.workflow_id, 'work', 'a:b', 'work', r.status::text::broadaxe.task_status,
    1, 1, '00000000-0000-7000-8000-000000000001',
    case when r.status = 'FAILED' then 'ValueError: no ' || r.display_name end,
    r.created_at, r.created_at, r.created_at, r.started_at, r.finished_at
from broadaxe.run r
"""
_INDEXES = """
select format('drop index broadaxe.%I', c.relname) as drop_it,
    replace(pg_get_indexdef(c.oid), ' ON ONLY ', ' ON ') as make_it
from pg_index i
join pg_class c on c.oid = i.indexrelid
join pg_class t on t.oid = i.indrelid
where t.relnamespace = 'broadaxe'::regnamespace and t.relname in ('run', 'task') and c.relkind = 'I'
    and not i.indisunique
"""


async def fill(dsn: str, tenant_id: str, count: int, until: datetime) -> None:
    """Indexes are built at the end, which takes a fraction of the time."""
    connection = await asyncpg.connect(dsn, command_timeout=3_600)
    await connection.execute(_WORKFLOWS, tenant_id, WORKFLOWS)
    await connection.execute(_DAYS, (until - timedelta(seconds=count * STEP_S)).date(), until.date())
    indexes = await connection.fetch(_INDEXES)
    for index in indexes:
        await connection.execute(index["drop_it"])
    await connection.execute(_RUNS, tenant_id, until, WORKFLOWS, 1, count)
    await connection.execute(_TASKS)
    for index in indexes:
        await connection.execute(index["make_it"])
    await connection.execute("vacuum analyze")
    await connection.close()


class NoEngine:
    """The lists ask no engine."""

    async def submit(self, tenant_id: str, command: object, *, by: object = None) -> None:
        raise NotImplementedError

    def is_ready(self) -> bool:
        return True


def questions(until: datetime, count: int) -> dict[str, tuple[str, Mapping[str, str | list[str]]]]:
    """What is asked, by the path behind the tenant and the parameters."""
    ever = "1970-01-01T00:00:00Z"
    middle = until - timedelta(seconds=count // 2)
    an_id = f"{int(middle.timestamp() * 1000):012x}"
    page = {"only_tasks": "false", "include_payloads": "false", "include_num_pages": "false", "limit": "50"}
    asked: dict[str, Mapping[str, str | list[str]]] = {
        "newest": {},
        "oldest first": {"order_by_direction": "ASC"},
        "failed": {"statuses": "FAILED"},
        "unfinished (there is none)": {"statuses": ["QUEUED", "RUNNING"]},
        "a workflow by name": {"workflow_names": "workflow-7"},
        "a workflow's failures": {"workflow_names": "workflow-1", "statuses": "FAILED"},
        "one by metadata": {"additional_metadata": f"order:{count // 2}"},
        "a customer": {"additional_metadata": "tenant:t7"},
        "a customer AND a plan": {
            "additional_metadata": ["tenant:t7", "plan:pro"],
            "additional_metadata_operator": "AND",
        },
        "a customer OR another": {"additional_metadata": ["tenant:t7", "tenant:t8"]},
        "metadata nobody has": {"additional_metadata": "tenant:none"},
        "front of an id": {"external_id_prefix": an_id[:9]},
        "text in names": {"search": "flow-12"},
        "text with a number": {"search": f"workflow-3-{int(middle.timestamp() * 1000) // 10**6}"},
        "idempotency key": {"idempotency_keys": f"key-{count // 2}"},
        "started by crons": {"causes": "CRON"},
        "taken by a worker": {"worker_id": "00000000-0000-7000-8000-000000000001"},
        "an hour long ago": {"since": middle.isoformat(), "until": (middle + timedelta(hours=1)).isoformat()},
    }
    lists = {name: ("workflow-runs", page | {"since": ever} | wanted) for name, wanted in asked.items()}
    day = {"since": (until - timedelta(days=1)).isoformat()}
    return lists | {
        "(for comparison: log lines)": ("logs", day),
        "counts by status, a day": ("task-metrics", day),
        "counts by status, all time": ("task-metrics", {"since": ever}),
        "count before an act": ("workflow-runs/count", {"since": ever, "additional_metadata": "tenant:t7"}),
        "error groups, a day": ("error-groups", day),
    }


async def measure(count: int, rounds: int) -> None:
    until = datetime.now(UTC)
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        async with await EmbeddedPostgres.start(Path(directory) / "data") as postgres:
            await migrate(postgres.dsn)
            pool = await asyncpg.create_pool(postgres.dsn, min_size=1, max_size=4, server_settings=POOL_SETTINGS)
            tenant = await accounts.ensure_tenant(pool, "bench", "bench")
            began = time.perf_counter()
            await fill(postgres.dsn, tenant.id, count, until)
            print(f"{count:,} runs written in {time.perf_counter() - began:.0f} s")
            server = HttpServer(grace_s=1)
            app = create_http_app(
                pool=pool,
                engine=NoEngine(),
                verifier=TokenVerifier(pool),
                settings=HttpSettings(server_url="http://127.0.0.1:1", grpc_address="127.0.0.1:0"),
            )
            url = f"http://127.0.0.1:{await server.start(app, '127.0.0.1', 0)}"
            issued = await create_token(pool, tenant.id, "bench", 3600, url, "127.0.0.1:0")
            headers = {"Authorization": f"Bearer {issued.token}"}
            async with httpx.AsyncClient(base_url=url, headers=headers, timeout=600) as client:
                await ask(client, tenant.id, postgres.pid, questions(until, count), rounds)
            await server.stop()
            await pool.close()


def cpu_ms(postmaster: int) -> float:
    """What this process and the backends of the database have used so far."""
    times = [psutil.Process().cpu_times()]
    for backend in psutil.Process(postmaster).children():
        with contextlib.suppress(psutil.NoSuchProcess):
            times.append(backend.cpu_times())
    return sum(one.user + one.system for one in times) * 1000


async def ask(
    client: httpx.AsyncClient,
    tenant_id: str,
    postmaster: int,
    asked: dict[str, tuple[str, Mapping[str, str | list[str]]]],
    rounds: int,
) -> None:
    took: dict[str, list[float]] = {name: [] for name in asked}
    worked = dict.fromkeys(asked, 0.0)
    shown: dict[str, int] = {}
    for number in range(rounds + 1):
        for name, (path, parameters) in asked.items():
            began, worked_before = time.perf_counter(), cpu_ms(postmaster)
            answer = await client.get(f"/api/v1/stable/tenants/{tenant_id}/{path}", params=dict(parameters))
            if number > 0:  # The first round warms up.
                took[name].append((time.perf_counter() - began) * 1000)
                worked[name] += cpu_ms(postmaster) - worked_before
            assert answer.status_code == 200, (name, answer.text)
            body = answer.json()
            shown[name] = len(body["rows"]) if isinstance(body, dict) and "rows" in body else 0
    print(f"{'':28}{'rows':>6}{'p50 ms':>9}{'p95 ms':>9}{'CPU ms':>9}")
    for name, times in took.items():
        p50, p95 = statistics.median(times), statistics.quantiles(times, n=20)[18]
        verdict = "" if p95 < GOAL_MS else "  over the goal"
        print(f"{name:28}{shown[name]:6}{p50:9.1f}{p95:9.1f}{worked[name] / rounds:9.1f}{verdict}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=20)
    options = parser.parse_args()
    print(machine())
    asyncio.run(measure(options.runs, options.rounds))


if __name__ == "__main__":
    main()
