"""Records the database of an earlier version, with a row of every kind: `python -m tests.upgrade.record COMMIT`.

Runs this file's `fill` with the sources and the test helpers of that commit, which the clone must have, and writes
`tests/upgrade/<commit>.sql.gz`. What was recorded is committed, so that tests need neither the clone's history nor the
old code. A record is never made again: it is what people have. A new version before this one gets a new record.
"""

from __future__ import annotations

import asyncio
import gzip
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import asyncpg

ROOT = Path(__file__).parents[2]
KEY = bytes(range(32))
PASSWORD = "Correct-horse-1"
YEARS = "876000h"


def main() -> None:
    (commit,) = sys.argv[1:]
    with tempfile.TemporaryDirectory() as scratch:
        packed = subprocess.run(
            ["git", "archive", "--format=tar", commit, "src", "tests"], cwd=ROOT, check=True, stdout=subprocess.PIPE
        ).stdout
        subprocess.run(["tar", "--extract", "--directory", scratch], input=packed, check=True)
        dump = Path(scratch) / "dump.sql"
        subprocess.run(
            [sys.executable, __file__, "--fill", dump],
            env=os.environ | {"PYTHONPATH": f"{scratch}/src{os.pathsep}{scratch}"},
            cwd=scratch,
            check=True,
        )
        # A setting that servers before PostgreSQL 17 do not know.
        text = dump.read_bytes().replace(b"SET transaction_timeout = 0;\n", b"")
    target = Path(__file__).parent / f"{commit}.sql.gz"
    target.write_bytes(gzip.compress(text, 9, mtime=0))
    print(f"{target}: {target.stat().st_size} bytes")


async def record(target: str) -> None:
    """Fills a database with the version that is on the path and writes its dump into a file."""
    from broadaxe.storage.embedded import EmbeddedPostgres, postgres_bin_dir
    from broadaxe.storage.migrate import migrate

    with tempfile.TemporaryDirectory() as scratch:
        async with await EmbeddedPostgres.start(Path(scratch)) as server:
            await migrate(server.dsn)
            async with asyncpg.create_pool(server.dsn, min_size=1, max_size=8) as pool:
                await fill(server.dsn, pool)
            words = ["--no-owner", "--no-privileges", "--schema=broadaxe", f"--file={target}", f"--dbname={server.dsn}"]
            await asyncio.to_thread(subprocess.run, [postgres_bin_dir() / "pg_dump", *words], check=True)


async def fill(dsn: str, pool: asyncpg.Pool) -> None:
    from broadaxe.core.commands.attempts import Outcome
    from broadaxe.core.commands.crons import CreateCron
    from broadaxe.core.commands.events import EventRequest, PushEvents
    from broadaxe.core.commands.schedules import ScheduleRuns
    from broadaxe.core.commands.triggers import RunRequest, TriggerRuns
    from broadaxe.core.commands.workers import RegisterWorker
    from broadaxe.core.commands.workflows import PutWorkflow
    from broadaxe.core.definition import WorkflowSpec
    from broadaxe.storage import accounts, tokens
    from broadaxe.storage.vault import Vault
    from broadaxe.storage.webhooks import Webhooks
    from tests.core.world import task
    from tests.engine.house import assigned, house
    from tests.engine.test_durable_outages import Deep, Talk

    async def put(name: str, **more: object) -> None:
        patience = {"schedule_timeout": YEARS, "execution_timeout": YEARS}
        spec = WorkflowSpec(name=name, tasks=(task("a", service=name, **patience, **more),))
        await home.engine.submit(home.tenant_id, PutWorkflow(spec))

    async def trigger(name: str, text: str) -> str:
        request = RunRequest(workflow_name=name, input=text)
        (run_id,) = await home.engine.submit(home.tenant_id, TriggerRuns((request,)))
        return run_id

    owner = await accounts.register(pool, "Ann", "ann@example.com", PASSWORD)
    tenant = await accounts.create_tenant(pool, "Old", "old", owner.id)
    await tokens.create_token(pool, tenant.id, "old", 3_000_000_000, "http://127.0.0.1:8080", "127.0.0.1:7077")
    await Webhooks(pool, Vault((KEY,))).create(
        tenant.id,
        name="hook",
        source="GENERIC",
        proof="BASIC",
        secret='{"username": "u", "password": "swordfish"}',
        event_key_expression="'hook'",
        scope_expression=None,
        static_payload=None,
        returns_event=False,
    )
    async with house(dsn, pool, tenant_id=tenant.id) as home:
        for name in ("done", "failed", "running", "queued", "planned"):
            await put(name)
        await put("asleep", is_durable=True)
        session = await home.session("done:a", "failed:a", "running:a")
        for name, outcome, payload in (
            ("done", Outcome.COMPLETED, '{"n": 1}'),
            ("failed", Outcome.FAILED, "broken"),
        ):
            run_id = await trigger(name, f'{{"of": "{name}"}}')
            await assigned(session)
            await home.report(run_id, Outcome.STARTED)
            await home.report(run_id, outcome, payload)
        run_id = await trigger("running", '{"of": "running"}')
        await assigned(session)
        await home.report(run_id, Outcome.STARTED)
        for number in range(3):
            await trigger("queued", f'{{"of": "queued", "n": {number}}}')
        await home.engine.submit(
            tenant.id,
            CreateCron(workflow_name="planned", name="yearly", expression="0 0 1 1 *", input='{"of": "cron"}'),
        )
        soon = home.engine._clock.now_us() + 3_600_000_000
        await home.engine.submit(
            tenant.id, ScheduleRuns(workflow_name="planned", at_us=(soon,), input='{"of": "schedule"}')
        )
        await home.engine.submit(tenant.id, PushEvents((EventRequest(key="order:paid", payload='{"id": 1}'),)))

        register = RegisterWorker("sleepy", ("asleep:a",), {"default": 5, "durable": 5})
        worker_id = await home.engine.submit(tenant.id, register)
        sleepy = await home.engine.open_session(tenant.id, worker_id)
        talk = Talk(home)
        await talk.register(worker_id)
        run_id = await trigger("asleep", '{"of": "asleep"}')
        await assigned(sleepy)
        await home.report(run_id, Outcome.STARTED)
        deep = Deep(home, worker_id, sleepy, run_id, talk)
        deep.wait("wake")
        await talk.told()
        deep.evict()
        await talk.told()
        talk.serving.cancel()
        await asyncio.gather(talk.serving, return_exceptions=True)


if __name__ == "__main__":
    asyncio.run(record(sys.argv[2])) if sys.argv[1] == "--fill" else main()
