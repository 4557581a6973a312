"""Upgrades in two phases: what is applied when, what is refused meanwhile, and which code runs on which schema.

The phases are tried with two migrations that are laid after the real ones: one that adds, one that takes away.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator

import asyncpg
import pytest
from click.testing import CliRunner

from broadaxe.cli.database_checks import findings_of
from broadaxe.cli.main import cli
from broadaxe.cluster.leases import Leases
from broadaxe.config import Settings
from broadaxe.database import Database
from broadaxe.errors import ConfigurationError
from broadaxe.storage import migrate as migrations
from broadaxe.storage.ids import new_id
from broadaxe.storage.migrate import Phase, known_schema, migrate, schema_of

ADDS = migrations._Migration("9001_adds", Phase.PRE, "alter table broadaxe.tenant add column later int")
TAKES = migrations._Migration("9002_takes", Phase.POST, "alter table broadaxe.tenant drop column slug")
REAL = migrations._migrations()


@pytest.fixture
def next_version(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This code is that of the next version from here on."""
    become(monkeypatch, [*REAL, ADDS, TAKES])
    yield
    known_schema.cache_clear()


def become(monkeypatch: pytest.MonkeyPatch, known: list[migrations._Migration]) -> None:
    monkeypatch.setattr(migrations, "_migrations", lambda: known)
    known_schema.cache_clear()


async def columns(pool: asyncpg.Pool) -> set[str]:
    rows = await pool.fetch(
        "select attname from pg_attribute where attrelid = 'broadaxe.tenant'::regclass and not attisdropped"
    )
    return {row["attname"] for row in rows}


async def hold_a_tenant(pool: asyncpg.Pool, schema_known: str | None, node: str = "node") -> Leases:
    tenant_id = new_id()
    await pool.execute(
        "insert into broadaxe.tenant (id, slug, name) values ($1::uuid, $1::uuid::text, 'held')", tenant_id
    )
    leases = Leases(pool, new_id(), f"{node}:7077", lambda _: None, schema_known=schema_known)
    await leases.acquire(tenant_id)
    return leases


@pytest.mark.usefixtures("next_version")
async def test_each_phase_applies_its_own_and_the_default_applies_both(database: str, pool: asyncpg.Pool) -> None:
    assert (await schema_of(database)).lacks == ["9001_adds", "9002_takes"]
    assert await migrate(database, phase=Phase.PRE) == ["9001_adds"]
    assert {"later", "slug"} <= await columns(pool)
    assert await migrate(database, phase=Phase.PRE) == []
    assert await migrate(database, phase=Phase.POST) == ["9002_takes"]
    assert "slug" not in await columns(pool)
    assert (await schema_of(database)).lacks == []
    assert await migrate(database) == []


@pytest.mark.usefixtures("next_version")
async def test_post_before_pre_is_refused_and_changes_nothing(database: str, pool: asyncpg.Pool) -> None:
    with pytest.raises(ConfigurationError, match="9001_adds of the phase pre is missing") as refused:
        await migrate(database, phase=Phase.POST)
    assert refused.value.field == "--phase"
    assert "slug" in await columns(pool)


@pytest.mark.usefixtures("next_version")
@pytest.mark.parametrize("phase", list(Phase))
async def test_a_new_database_gets_everything_in_either_phase(database: str, pool: asyncpg.Pool, phase: Phase) -> None:
    await pool.execute("drop schema broadaxe cascade")
    await migrate(database, phase=phase)
    assert (await schema_of(database)).lacks == []


@pytest.mark.usefixtures("next_version")
@pytest.mark.parametrize("knows", [None, REAL[-1].name], ids=["from-before-phases", "the-version-before"])
async def test_post_waits_until_no_older_engine_holds_a_tenant(
    database: str, pool: asyncpg.Pool, knows: str | None
) -> None:
    older = await hold_a_tenant(pool, knows, "older")
    newer = await hold_a_tenant(pool, known_schema(), "newer")
    assert (await schema_of(database)).older_engines == ["older:7077"]
    with pytest.raises(ConfigurationError, match=r"--phase pre.* is safe meanwhile"):
        await migrate(database)
    assert "later" not in await columns(pool)
    assert await migrate(database, phase=Phase.PRE) == ["9001_adds"]
    with pytest.raises(ConfigurationError, match=r"older:7077.* stop it"):
        await migrate(database, phase=Phase.POST)
    await older.stop()
    assert await migrate(database, phase=Phase.POST) == ["9002_takes"]
    await newer.stop()


@pytest.mark.usefixtures("next_version")
async def test_who_keeps_others_away_waits_for_no_lease(database: str, pool: asyncpg.Pool) -> None:
    killed = await hold_a_tenant(pool, None)
    assert await migrate(database, is_alone=True) == ["9001_adds", "9002_takes"]
    await killed.stop()


@pytest.mark.usefixtures("next_version")
async def test_an_engine_starts_once_it_has_pre_and_may_bring_it_itself(database: str) -> None:
    with pytest.raises(ConfigurationError, match=r"lacks 1 migration.*--phase pre.*--migrate"):
        await start(database)
    await start(database, migrate=True)
    assert (await schema_of(database)).lacks == ["9002_takes"]
    await start(database)


async def test_an_older_engine_runs_until_the_upgrade_is_finished(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    become(monkeypatch, [*REAL, ADDS, TAKES])
    await migrate(database, phase=Phase.PRE)
    become(monkeypatch, REAL)
    await start(database)
    assert (await schema_of(database)).newer == ["9001_adds"]
    # What a rollback of a deployment runs.
    assert await migrate(database, phase=Phase.PRE) == []
    become(monkeypatch, [*REAL, ADDS, TAKES])
    await migrate(database, phase=Phase.POST)
    become(monkeypatch, REAL)
    for refused in (start(database), start(database, migrate=True), migrate(database)):
        with pytest.raises(ConfigurationError, match=r"newer Broadaxe.*9002_takes"):
            await refused
    findings = [finding async for finding in findings_of(database)]
    (schema,) = [finding for finding in findings if finding.subject == "schema"]
    assert "9002_takes" in schema.detail and schema.remedy is not None


async def test_a_schema_of_another_line_is_not_mixed_with_ours(
    database: str, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    await pool.execute("insert into broadaxe.migration (name, checksum) values ('9000_theirs', 'x')")
    become(monkeypatch, [*REAL, ADDS])
    with pytest.raises(ConfigurationError, match=r"another line.*9000_theirs.*lacks 9001_adds"):
        await migrate(database)
    assert "later" not in await columns(pool)


async def test_a_schema_from_before_phases_is_read_and_upgraded(database: str, pool: asyncpg.Pool) -> None:
    await pool.execute("alter table broadaxe.migration drop column phase")
    await pool.execute("alter table broadaxe.lease drop column schema_known")
    await pool.execute("delete from broadaxe.migration where name = '0042_schema_known'")
    await hold_a_tenant_as_before(pool)
    schema = await schema_of(database)
    assert schema.lacks == ["0042_schema_known"]
    assert schema.older_engines == ["old:7077"]
    assert await migrate(database, phase=Phase.PRE) == ["0042_schema_known"]
    assert {one.phase for one in (await schema_of(database)).applied} == {Phase.PRE}


@pytest.mark.usefixtures("next_version")
async def test_the_command_line_tells_where_the_database_stands(database: str) -> None:
    await migrate(database, phase=Phase.PRE)
    rows = json.loads(run("--status", "--json", "--database-url", database))
    assert [row["name"] for row in rows] == [one.name for one in (*REAL, ADDS, TAKES)]
    assert rows[-2]["phase"] == "pre" and rows[-2]["appliedAt"].endswith("Z")
    assert rows[-1] == {"name": "9002_takes", "phase": "post", "appliedAt": None, "isKnown": True}
    assert re.search(r"^missing +post +9002_takes$", run("--status", "--database-url", database), re.MULTILINE)
    assert "once no older engine does" in run("--status", "--phase", "pre", "--database-url", database)
    assert "missing  9002_takes" in run("--check", "--database-url", database, code=1)
    assert "9002" not in run("--check", "--phase", "pre", "--database-url", database)
    assert "applied  9002_takes" in run("--phase", "post", "--database-url", database)
    status = run("--status", "--database-url", database)
    assert "the schema is up to date" in status
    assert re.match(r"20\d\d-\d\d-\d\d \d\d:\d\d", status)


@pytest.mark.parametrize("words", [["--status", "--check"], ["--phase", "middle"]])
def test_flags_that_do_not_go_together_are_a_mistake(words: list[str]) -> None:
    assert CliRunner().invoke(cli, ["migrate", *words]).exit_code == 2


def run(*words: str, code: int = 0) -> str:
    # The command has an event loop of its own.
    results = []
    thread = threading.Thread(target=lambda: results.append(CliRunner().invoke(cli, ["migrate", *words])))
    thread.start()
    thread.join()
    (result,) = results
    assert result.exit_code == code, result.output
    return str(result.output)


async def start(dsn: str, **more: bool) -> None:
    """What an engine asks of its database before it starts."""
    database = Database(Settings(database_url=dsn, **more))
    try:
        assert (await database.ready()).dsn == dsn
    finally:
        await database.close()


async def hold_a_tenant_as_before(pool: asyncpg.Pool) -> None:
    tenant_id = new_id()
    await pool.execute(
        "insert into broadaxe.tenant (id, slug, name) values ($1::uuid, $1::uuid::text, 'held')", tenant_id
    )
    await pool.execute(
        "insert into broadaxe.lease (tenant_id, node_id, address, epoch, expires_at) "
        "values ($1, $1, 'old:7077', 1, now() + interval '15 seconds')",
        tenant_id,
    )
