"""`broadaxe import` between two real engines, each with a database of its own on one PostgreSQL."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import asyncpg
import httpx
import pytest
from lean_client import LeanClient, Task
from wirekit import EngineProcess, eventually

from broadaxe.moving.plan import NO_SECRET, NO_WORKFLOW, PAUSED
from broadaxe.moving.rows import MOVED_FROM
from broadaxe.storage.ids import new_id
from broadaxe.storage.tokens import create_token
from tests.conftest import TEMPLATE, with_database

STABLE: Final = "/api/v1/stable"
#: Queued runs, and how many of them are moved.
QUEUED: Final = 1_500
MOVED: Final = 120

#: An engine and its database.
Engine = tuple[EngineProcess, str]


class Side:
    """One engine, and a tenant of its own for the test."""

    def __init__(self, engine: EngineProcess, pool: asyncpg.Pool, tenant_id: str, token: str) -> None:
        self.engine, self.pool, self.tenant_id, self.token = engine, pool, tenant_id, token
        self.http = httpx.AsyncClient(base_url=engine.url, headers={"Authorization": f"Bearer {token}"}, timeout=60)
        self.lean = LeanClient(engine.address, token)
        self.tenant = f"/api/v1/tenants/{tenant_id}"
        self.stable = f"{STABLE}/tenants/{tenant_id}"

    async def ask(self, method: str, path: str, body: object = None, **query: Any) -> Any:
        answer = await self.http.request(method, path, json=body, params=query)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    async def rows(self, path: str, **query: Any) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = (await self.ask("GET", path, **query))["rows"]
        return rows

    async def runs(self, columns: str = "*") -> list[asyncpg.Record]:
        return await self.pool.fetch(
            f"select {columns} from broadaxe.run where tenant_id = $1 order by id", self.tenant_id
        )


@pytest.fixture(scope="module")
def engines(postgres: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Engine, Engine]]:
    names = [f"moving_{uuid4().hex}" for _ in range(2)]

    async def execute(*statements: str) -> None:
        connection = await asyncpg.connect(postgres)
        for text in statements:
            await connection.execute(text)
        await connection.close()

    asyncio.run(execute(*(f"create database {name} template {TEMPLATE} strategy file_copy" for name in names)))
    databases = [with_database(postgres, name) for name in names]
    # Without a key an engine on a database of one's own keeps no webhooks.
    key = {"BROADAXE_SECRET_KEY": base64.b64encode(bytes(32)).decode()}
    started = [
        EngineProcess(tmp_path_factory.mktemp("side"), database_url=database, environment=key) for database in databases
    ]
    for engine in started:
        asyncio.run(engine.start())
    yield (started[0], databases[0]), (started[1], databases[1])
    for engine in started:
        asyncio.run(engine.dispose())
    asyncio.run(execute(*(f"drop database {name} with (force)" for name in names)))


@asynccontextmanager
async def side(engine: EngineProcess, database: str, name: str) -> AsyncIterator[Side]:
    async with asyncpg.create_pool(database, min_size=1, max_size=2) as pool:
        tenant_id, slug = new_id(), f"{name}-{uuid4().hex[:8]}"
        await pool.execute(
            "insert into broadaxe.tenant (id, name, slug) values ($1, $2, $3)", tenant_id, name.title(), slug
        )
        issued = await create_token(pool, tenant_id, "test", 3_600, engine.url, engine.address)
        made = Side(engine, pool, tenant_id, issued.token)
        yield made
        await made.lean.close()
        await made.http.aclose()


@pytest.fixture
async def there(engines: tuple[Engine, Engine]) -> AsyncIterator[Side]:
    async with side(*engines[0], "old") as made:
        yield made


@pytest.fixture
async def here(engines: tuple[Engine, Engine]) -> AsyncIterator[Side]:
    async with side(*engines[1], "new") as made:
        yield made


def command(there: Side, here: Side, *words: str) -> tuple[list[str], dict[str, str]]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BROADAXE_")}
    environment |= {"BROADAXE_FROM_TOKEN": there.token, "BROADAXE_TOKEN": here.token}
    return [sys.executable, "-m", "broadaxe", "import", *words], environment


async def bring(there: Side, here: Side, *words: str, code: int = 0) -> dict[str, Any]:
    """What the command reports, by kind; `notes` beside."""
    line, environment = command(there, here, "--json", *words)
    done = await asyncio.to_thread(
        subprocess.run, line, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=280
    )
    assert done.returncode == code, done.stderr
    report = json.loads(done.stdout)
    return {row["kind"]: row for row in report["kinds"]} | {"notes": report["notes"]}


def counts(report: dict[str, Any], field: str) -> dict[str, int]:
    return {kind: row[field] for kind, row in report.items() if kind != "notes" and row[field]}


def reasons(report: dict[str, Any], kind: str) -> dict[str, list[str]]:
    return {row["reason"]: row["names"] for row in report[kind]["left"]}


async def furnish(there: Side) -> datetime:
    """One or two of each kind; returns when the scheduled run is due."""
    far = datetime.now(UTC).replace(microsecond=0) + timedelta(days=40)
    await there.lean.put_workflow("etl", [Task("only")])
    crons = f"{there.tenant}/workflows/etl/crons"
    cron = {"cronExpression": "0 3 * * *", "input": {"n": 1}, "additionalMetadata": {"team": "a"}}
    await there.ask("POST", crons, {**cron, "cronName": "nightly", "priority": 3})
    await there.ask("POST", crons, {**cron, "cronName": "asleep", "enabled": False})
    await there.ask(
        "POST",
        f"{there.tenant}/workflows/etl/scheduled",
        {"triggerAt": far.isoformat(), "input": {"late": True}, "additionalMetadata": {"who": "ada"}, "priority": 2},
    )
    await there.ask("PUT", f"{there.stable}/rate-limits", {"key": "api", "limit": 10, "window": "1m"})
    (workflow,) = await there.rows(f"{there.tenant}/workflows")
    await there.ask(
        "POST",
        f"{there.stable}/filters",
        {"workflowId": workflow["metadata"]["id"], "scope": "acme", "expression": "input.n > 3", "payload": {"k": 1}},
    )
    await there.ask(
        "POST",
        f"{there.stable}/webhooks",
        {
            "name": "gh",
            "sourceName": "GITHUB",
            "eventKeyExpression": "'gh:' + headers['x-github-event']",
            "scopeExpression": "input.repo",
            "staticPayload": {"from": "github"},
            "returnEventAsResponsePayload": False,
            "authType": "HMAC",
            "auth": {
                "algorithm": "SHA256",
                "encoding": "HEX",
                "signatureHeaderName": "X-Hub-Signature-256",
                "signingSecret": "s3cret",
            },
        },
    )
    return far


async def test_everything_arrives_once_and_as_it_was(there: Side, here: Side, tmp_path: Path) -> None:
    far = await furnish(there)
    inputs = ['{"first":1.0,"big":12345678901234567890123,"text":"Zoë"}', "{}"]
    for text, priority, metadata in zip(inputs, (3, 1), ({"a": "b", "deep": {"x": [1]}}, None), strict=True):
        await there.lean.trigger("etl", text, additional_metadata=metadata, priority=priority)
    await here.lean.put_workflow("etl", [Task("only")])

    looked = await bring(there, here, "--dry-run")
    assert counts(looked, "toMove") == {
        "rate limits": 1,
        "filters": 1,
        "crons": 2,
        "scheduled runs": 1,
        "queued runs": 2,
    }
    assert reasons(looked, "webhooks") == {NO_SECRET: ["gh (GITHUB, HMAC)"]}
    assert counts(looked, "moved") == {}
    assert await here.runs() == []

    secrets = tmp_path / "secrets.json"
    auth = {"algorithm": "SHA256", "encoding": "HEX", "signatureHeaderName": "X-Hub", "signingSecret": "new"}
    secrets.write_text(json.dumps({"gh": auth}))
    moved = await bring(there, here, "--yes", "--webhook-secrets", str(secrets))
    assert counts(moved, "moved") == counts(looked, "toMove") | {"webhooks": 1}

    crons = await here.rows(f"{here.tenant}/workflows/crons")
    assert {(row["name"], row["enabled"], row["priority"]) for row in crons} == {
        ("nightly", True, 3),
        ("asleep", False, 1),
    }
    assert all(row["input"] == {"n": 1} and row["additionalMetadata"] == {"team": "a"} for row in crons)
    (planned,) = await here.rows(f"{here.tenant}/workflows/scheduled")
    assert datetime.fromisoformat(planned["triggerAt"]) == far
    assert (planned["input"], planned["priority"]) == ({"late": True}, 2)
    assert planned["additionalMetadata"]["who"] == "ada"
    (limit,) = await here.rows(f"{here.tenant}/rate-limits")
    assert (limit["key"], limit["limitValue"], limit["window"]) == ("api", 10, "1m0s")
    (chosen,) = await here.rows(f"{here.stable}/filters")
    assert (chosen["scope"], chosen["expression"], chosen["payload"]) == ("acme", "input.n > 3", {"k": 1})
    (theirs,), (ours,) = [await each.rows(f"{each.stable}/webhooks") for each in (there, here)]
    assert {**theirs, "metadata": 0, "tenantId": 0} == {**ours, "metadata": 0, "tenantId": 0}
    old, new = [await each.runs("id::text, input, priority, additional_metadata") for each in (there, here)]
    assert [row["input"] for row in new] == inputs, "in their order, to the last digit"
    assert [row["priority"] for row in new] == [3, 1]
    assert json.loads(new[0]["additional_metadata"]) == {"a": "b", "deep": {"x": [1]}, MOVED_FROM: old[0]["id"]}

    # The person here changes things. Another import brings what is new, and leaves the rest as it is here.
    for row in crons:
        await here.ask(
            "PATCH", f"{here.tenant}/workflows/crons/{row['metadata']['id']}", {"enabled": not row["enabled"]}
        )
    await here.ask("PUT", f"{here.stable}/rate-limits", {"key": "api", "limit": 99, "window": "1m"})
    await there.lean.trigger("etl", '{"new":true}')
    again = await bring(there, here, "--yes")
    assert counts(again, "moved") == {"queued runs": 1}
    assert counts(again, "there") == {
        "filters": 1,
        "webhooks": 1,
        "crons": 2,
        "scheduled runs": 1,
        "queued runs": 2,
    }
    assert reasons(again, "rate limits") == {"is 99 per 1m0s here already, and stays so": ["api"]}
    changed = await here.rows(f"{here.tenant}/workflows/crons")
    assert {row["name"]: row["enabled"] for row in changed} == {"nightly": False, "asleep": True}
    # The scheduled run comes due here before it does there: it is a run by now, and not made anew.
    await here.ask("POST", f"{here.tenant}/workflows/scheduled/{planned['metadata']['id']}")
    last = await bring(there, here, "--yes")
    assert counts(last, "moved") == {}
    assert last["scheduled runs"]["there"] == 1
    assert len(await there.runs()) == 3, "the source is only read"


async def test_the_file_of_a_tenant_is_moved_as_a_server_is(there: Side, here: Side, tmp_path: Path) -> None:
    await furnish(there)
    text = '{"first":1.0,"big":12345678901234567890123,"text":"Zoë"}'
    await there.lean.trigger("etl", text, additional_metadata={"a": "b"}, priority=3)
    await here.lean.put_workflow("etl", [Task("only")])
    file = tmp_path / "old.jsonl"
    line, environment = command(there, here)
    environment |= {"BROADAXE_TOKEN": there.token}
    export = [*line[:-1], "export", str(file)]
    done = await asyncio.to_thread(subprocess.run, export, env=environment, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr
    assert "s3cret" not in file.read_text() and '"name":"gh"' in file.read_text()
    moved = await bring(there, here, "--from-file", str(file), "--yes")
    assert counts(moved, "moved") == {
        "rate limits": 1,
        "filters": 1,
        "crons": 2,
        "scheduled runs": 1,
        "queued runs": 1,
    }
    assert reasons(moved, "webhooks") == {NO_SECRET: ["gh (GITHUB, HMAC)"]}
    (run,) = await here.runs("input, priority")
    assert (run["input"], run["priority"]) == (text, 3)
    assert counts(await bring(there, here, "--from-file", str(file), "--yes"), "moved") == {}


async def test_what_is_left_says_why_and_comes_later(there: Side, here: Side) -> None:
    await furnish(there)
    run_id = await there.lean.trigger("etl", "{}")
    early = await bring(there, here, "--yes", code=1)
    assert counts(early, "moved") == {"rate limits": 1}
    for kind in ("filters", "crons", "scheduled runs", "queued runs"):
        assert list(reasons(early, kind)) == [NO_WORKFLOW], kind
    assert reasons(early, "queued runs")[NO_WORKFLOW] == [f"etl {run_id}"]
    assert any("etl" in note for note in early["notes"])

    await here.lean.put_workflow("etl", [Task("only")])
    (workflow,) = await there.rows(f"{there.tenant}/workflows")
    pause = {
        "action": "pause",
        "pausedWorkflowCronRunQueueBehavior": "QUEUE",
        "pausedWorkflowScheduledRunQueueBehavior": "QUEUE",
        "pausedWorkflowQueueTTL": "24h",
    }
    await there.ask("PATCH", f"/api/v1/workflows/{workflow['metadata']['id']}", {"pause": pause})
    paused = await bring(there, here, "--yes", code=1)
    assert list(reasons(paused, "queued runs")) == [PAUSED]
    (ours,) = await here.rows(f"{here.tenant}/workflows")
    await here.ask("PATCH", f"/api/v1/workflows/{ours['metadata']['id']}", {"pause": pause})
    late = await bring(there, here, "--yes")
    assert counts(late, "moved") == {"queued runs": 1}


async def test_what_is_under_way_there_stays(there: Side, here: Side) -> None:
    for each in (there, here):
        await each.lean.put_workflow("busy", [Task("only")], event_triggers=["go"])
    under_way = await there.lean.trigger("busy", "{}")
    actions = there.lean.listen(await there.lean.register(["busy:only"], 1))
    assert (await anext(actions)).workflow_run_id == under_way
    waiting = await there.lean.trigger("busy", '{"waits":1}')
    moved = await bring(there, here, "--yes")
    assert counts(moved, "moved") == {"queued runs": 1}
    assert moved["notes"][0].startswith("1 runs are under way")
    assert [json.loads(row["additional_metadata"])[MOVED_FROM] for row in await here.runs()] == [waiting]


async def test_killed_in_the_middle_it_goes_on_where_it_ended(there: Side, here: Side) -> None:
    for each in (there, here):
        await each.lean.put_workflow("etl", [Task("only")])
    # Those of another workflow stay, and prove that all pages are read.
    await there.lean.put_workflow("many", [Task("only")])
    many = await there.lean.bulk_trigger("many", [{} for _ in range(QUEUED)])
    ids = await there.lean.bulk_trigger("etl", [{"n": n} for n in range(MOVED)])
    line, environment = command(there, here, "--yes")
    nowhere = subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(
        *line, env=environment, stdin=nowhere, stdout=nowhere, stderr=nowhere
    )

    async def arrived() -> int:
        return len(await here.runs("1"))

    await eventually(arrived, until=bool, what="runs arrive")
    process.kill()
    await process.wait()
    before = await arrived()
    assert before < MOVED

    report = await bring(there, here, "--yes", code=1)
    runs = report["queued runs"]
    assert (runs["moved"] + runs["there"], runs["there"] >= before) == (MOVED, True)
    assert runs["left"][0]["count"] == QUEUED
    assert set(runs["left"][0]["names"]) <= {f"many {run_id}" for run_id in many}
    rows = await here.runs("input, additional_metadata")
    assert [json.loads(row["additional_metadata"])[MOVED_FROM] for row in rows] == ids, "each once, in their order"
    assert [json.loads(row["input"])["n"] for row in rows] == list(range(MOVED))
    assert counts(await bring(there, here, "--yes", code=1), "moved") == {}
