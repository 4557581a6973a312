"""Our tables in a schema of another name, which somebody has made for a role that may do nothing beside using it."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit
from uuid import uuid4

import asyncpg
import pytest

from broadaxe.app import App
from broadaxe.cli import database_checks
from broadaxe.config import DEFAULT_DATABASE_SCHEMA, Settings
from broadaxe.errors import ConfigurationError
from broadaxe.storage import migrate as migrations
from broadaxe.storage.migrate import migrate, schema_of
from broadaxe.storage.statements import in_schema, statement, use_schema
from tests.conftest import with_database
from tests.storage.test_statements import NAMES

#: A name that SQL would understand otherwise without quotes.
SCHEMA: Final = "Shop-jobs"
MIGRATIONS: Final = Path(migrations.__file__).parent / "migrations"
#: What stays: the names of channels and settings, which belong to the database, and words for people.
KEPT: Final = re.compile(r"broadaxe_\w+|broadaxe:|broadaxe tenant list|" + re.escape(migrations.MAKES_SCHEMA))


@pytest.fixture
def named() -> Iterator[None]:
    use_schema(SCHEMA)
    yield
    use_schema(DEFAULT_DATABASE_SCHEMA)


@pytest.fixture
async def url(postgres: str, named: None) -> AsyncIterator[str]:
    """The database of an administrator, as the role that was given one schema of it."""
    name = f"test_{uuid4().hex}"
    server = await asyncpg.connect(postgres)
    await server.execute(f"create database {name}")
    await server.execute(f"create role {name} login password 'x'")
    owner = await asyncpg.connect(with_database(postgres, name))
    try:
        await owner.execute(f'create schema "{SCHEMA}"; grant usage, create on schema "{SCHEMA}" to {name}')
        await owner.execute(f"revoke create on database {name} from public; revoke all on schema public from public")
        yield re.sub(r"//[^@/]*@", f"//{name}:x@", with_database(postgres, name))
    finally:
        await owner.close()
        await server.execute(f"drop database {name} with (force)")
        await server.execute(f"drop role {name}")
        await server.close()


@pytest.mark.parametrize("name", [*NAMES, *sorted(path.name for path in MIGRATIONS.glob("*.sql"))])
def test_no_sql_names_the_schema_in_a_way_that_is_not_understood(name: str, named: None) -> None:
    if name.endswith(".sql"):
        text = in_schema(KEPT.sub("", (MIGRATIONS / name).read_text(encoding="utf-8")))
    else:
        text = KEPT.sub("", statement(name))
    assert "broadaxe" not in re.sub(r"--.*$", "", text, flags=re.MULTILINE)


async def tables(url: str) -> list[tuple[str, int]]:
    connection = await asyncpg.connect(url)
    try:
        asked = (
            "select n.nspname, count(*)::int from pg_class as c join pg_namespace as n on n.oid = c.relnamespace "
            "where c.relkind in ('r', 'p') and n.nspname !~ '^(pg_|information_schema$)' group by n.nspname"
        )
        return [(row[0], row[1]) for row in await connection.fetch(asked)]
    finally:
        await connection.close()


async def until_taken_up(connection: asyncpg.Connection, tenant_id: str) -> None:
    async with asyncio.timeout(30):
        while True:
            if await connection.fetchval(f'select count(*) from "{SCHEMA}".event where tenant_id = $1', tenant_id):
                return
            await asyncio.sleep(0.02)


async def test_everything_is_in_the_schema_that_the_role_was_given(url: str, tmp_path: Path) -> None:
    (lacking,) = [found async for found in database_checks.findings_of(url) if found.subject == "schema"]
    assert "migrations are missing" in lacking.detail
    await migrate(url)
    assert (await schema_of(url)).lacks == []
    ((schema, _),) = await tables(url)
    assert schema == SCHEMA
    wrong = [found async for found in database_checks.findings_of(url) if found.remedy is not None]
    assert {found.subject for found in wrong} <= {"durability"}

    settings = Settings(database_url=url, database_schema=SCHEMA, data_dir=tmp_path / "data", grpc_port=0, http_port=0)
    app = await App.start(settings)
    try:
        tenant_id = (await app.bootstrap_dev()).tenant_id
        # What applications call is there as well, and what it leaves is taken up.
        connection = await asyncpg.connect(url)
        await connection.execute(f"select \"{SCHEMA}\".push_event('something', '{{}}')")
        await until_taken_up(connection, tenant_id)
        await connection.close()
    finally:
        await app.stop()
    assert [found[0] for found in await tables(url)] == [SCHEMA]


async def test_the_command_line_knows_the_schema(url: str) -> None:
    async def run(*arguments: str) -> tuple[int | None, str]:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "broadaxe", *arguments),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await process.communicate()
        return process.returncode, said.decode()

    database = ("--database-url", url, "--database-schema", SCHEMA)
    code, said = await run("migrate", *database)
    assert code == 0, said
    code, said = await run("tenant", "create", "Acme", *database)
    assert code == 0, said
    code, said = await run("tenant", "list", *database)
    assert (code, "acme" in said) == (0, True)
    # Without it, the command sees the database that it is told of, and says what it lacks.
    code, said = await run("tenant", "list", "--database-url", url)
    assert (code, "broadaxe migrate" in said) == (2, True)
    code, said = await run("migrate", "--database-url", url)
    assert (code, 'may not make the schema "broadaxe"' in said, "Traceback" in said) == (2, True, False)


async def test_doctor_says_which_right_the_role_lacks_in_the_schema(postgres: str, url: str) -> None:
    name = urlsplit(url).path[1:]
    owner = await asyncpg.connect(with_database(postgres, name))
    await owner.execute(f'revoke create on schema "{SCHEMA}" from {name}')
    await owner.close()
    (rights,) = [found async for found in database_checks.findings_of(url) if found.subject == "rights"]
    assert rights.remedy == f'grant usage, create on schema "{SCHEMA}" to "{name}"'
    with pytest.raises(ConfigurationError, match=rf'may make no tables in the schema "{SCHEMA}"'):
        await migrate(url)
