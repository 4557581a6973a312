"""Steps that commit with the application's rows: both or neither, whoever dies and however many try."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import asyncpg
import psycopg
import pytest
from broadaxe_worker.steps import async_step, step

from broadaxe.core.commands.tasks import CancelTasks
from tests.engine.house import PATIENCE_S, House, house
from tests.storage.ground import make_tenant

STEPS = Path(__file__).resolve().parents[2] / "worker" / "src" / "broadaxe_worker" / "steps.py"
#: Charges an account in a step. At the point that it is told, it says so and waits until it is killed.
CHARGE = """
import importlib.util, sys, psycopg

# Without the rest of its package, which brings the SDK along.
path, dsn, task, point = sys.argv[1:]
spec = importlib.util.spec_from_file_location("steps", path)
steps = importlib.util.module_from_spec(spec)
spec.loader.exec_module(steps)
def reach(name):
    if name == point:
        print(name, flush=True)
        sys.stdin.read()
with psycopg.connect(dsn, autocommit=True) as connection:
    with steps.step(connection, task, "charge") as charge:
        if not charge.is_done:
            connection.execute("insert into public.charge (cents) values (1900)")
            reach("charged")
            charge.result = {"cents": 1900}
    reach("committed")
print(charge.is_done, charge.result["cents"])
"""


class Shop:
    """An application with a table of its own, a login role that may complete steps, and a task of its tenant."""

    def __init__(self, home: House, role: str, dsn: str, task_id: str) -> None:
        self.home, self.role, self.dsn, self.task_id = home, role, dsn, task_id

    async def charges(self) -> int:
        return int(await self.home.pool.fetchval("select count(*) from public.charge"))

    async def steps(self) -> int:
        return await self.home.count("task_step")


@asynccontextmanager
async def shop(database: str, pool: asyncpg.Pool) -> AsyncIterator[Shop]:
    async with house(database, pool) as home:
        await home.put()
        task_id = await home.trigger()
        role = f"shop_{uuid4().hex}"
        await pool.execute(f"create role {role} login password 'secret'")
        await pool.execute("create table public.charge (cents integer)")
        await pool.execute(f"grant select, insert on public.charge to {role}")
        await pool.execute("select broadaxe.grant_enqueue($1, $2)", role, home.tenant_id)
        parts = urlsplit(database)
        dsn = urlunsplit(parts._replace(netloc=f"{role}:secret@{parts.netloc.rpartition('@')[2]}"))
        try:
            yield Shop(home, role, dsn, task_id)
        finally:
            await pool.execute(f"drop owned by {role}")
            await pool.execute(f"drop role {role}")


@pytest.fixture
async def acme(database: str, pool: asyncpg.Pool) -> AsyncIterator[Shop]:
    async with shop(database, pool) as made:
        yield made


async def charging(acme: Shop, point: str) -> tuple[int, str]:
    """Runs the program until it reaches the point, where it is killed, or to its end; its status and its words."""
    program = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", CHARGE, STEPS, acme.dsn, acme.task_id, point),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert program.stdout is not None
    said = (await asyncio.wait_for(program.stdout.readline(), PATIENCE_S)).decode().strip()
    if said == point:
        program.send_signal(signal.SIGKILL)
    return await asyncio.wait_for(program.wait(), PATIENCE_S), said


async def test_a_program_killed_in_its_step_leaves_nothing_and_one_killed_after_it_all(acme: Shop) -> None:
    assert await charging(acme, "charged") == (-signal.SIGKILL, "charged")
    assert (await acme.charges(), await acme.steps()) == (0, 0)
    assert await charging(acme, "committed") == (-signal.SIGKILL, "committed")
    assert (await acme.charges(), await acme.steps()) == (1, 1)
    assert await charging(acme, "") == (0, "True 1900")
    assert (await acme.charges(), await acme.steps()) == (1, 1)


async def connected(acme: Shop, library: str) -> Any:
    if library == "asyncpg":
        return await asyncpg.connect(acme.dsn)
    return await psycopg.AsyncConnection.connect(acme.dsn, autocommit=True)


@pytest.mark.parametrize("library", ["asyncpg", "psycopg"])
async def test_two_attempts_at_once_take_turns(acme: Shop, library: str) -> None:
    first, second = await connected(acme, library), await connected(acme, library)
    has_charged = asyncio.Event()

    async def charge(connection: Any, cents: int) -> tuple[bool, object]:
        async with async_step(connection, acme.task_id, "charge") as charging:
            if not charging.is_done:
                await connection.execute(f"insert into public.charge (cents) values ({cents})")
                charging.result = cents
                if connection is first:
                    has_charged.set()
                    await waited()
        return charging.is_done, charging.result

    async def waited() -> None:
        """Until the other one waits for this one."""
        waiting = (
            "select count(*) from pg_locks where locktype = 'advisory' and not granted and database = "
            "(select oid from pg_database where datname = current_database())"
        )
        async with asyncio.timeout(PATIENCE_S):
            while not await acme.home.pool.fetchval(waiting):
                pass

    one = asyncio.create_task(charge(first, 1))
    await has_charged.wait()
    assert await charge(second, 2) == (True, 1)
    assert await one == (False, 1)
    assert await acme.charges() == 1
    # Whoever goes round the order is refused, and so are its rows.
    await first.execute("begin")
    await first.execute("insert into public.charge (cents) values (3)")
    with pytest.raises((asyncpg.UniqueViolationError, psycopg.errors.UniqueViolation), match="was completed before"):
        await first.execute(f"select broadaxe.complete_step('{acme.task_id}', 'charge')")
    await first.execute("rollback")
    assert await acme.charges() == 1
    await first.close()
    await second.close()


async def test_a_step_that_raises_is_not_done(acme: Shop) -> None:
    def fail(connection: psycopg.Connection) -> None:
        with step(connection, acme.task_id, "charge"):
            connection.execute("insert into public.charge (cents) values (1)")
            raise ZeroDivisionError

    def look(connection: psycopg.Connection) -> tuple[bool, object]:
        with step(connection, acme.task_id, "charge") as charge:
            pass
        with step(connection, acme.task_id, "charge") as again:
            pass
        assert charge.is_done is False
        return again.is_done, again.result

    connection = await asyncio.to_thread(psycopg.connect, acme.dsn, autocommit=True)
    with pytest.raises(ZeroDivisionError):
        await asyncio.to_thread(fail, connection)
    assert (await acme.charges(), await acme.steps()) == (0, 0)
    # A result may be nothing at all, which is not the same as not being done.
    assert await asyncio.to_thread(look, connection) == (True, None)
    await asyncio.to_thread(connection.close)


async def test_what_is_wrong_with_a_step_is_said(acme: Shop, pool: asyncpg.Pool) -> None:
    other = await make_tenant(pool)
    stranger = str(uuid4())
    connection = await asyncpg.connect(acme.dsn)
    begin, complete = "select broadaxe.begin_step($1, $2)", "select broadaxe.complete_step($1, $2, $3)"
    for call in ((begin, stranger, "a"), (complete, stranger, "a", "1")):
        with pytest.raises(asyncpg.UndefinedObjectError, match="there is no task"):
            await connection.execute(*call)
    with pytest.raises(asyncpg.InvalidParameterValueError, match="a step needs a name"):
        await connection.execute(complete, acme.task_id, "", "1")
    with pytest.raises(asyncpg.ProgramLimitExceededError, match="may have 1024"):
        await connection.execute(begin, acme.task_id, "n" * 1025)
    with pytest.raises(asyncpg.ProgramLimitExceededError, match="result has 4194307 bytes"):
        await connection.execute(complete, acme.task_id, "a", '"' + "x" * 4_194_305 + '"')
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await connection.execute("select broadaxe.begin_step($1, 'a', $2)", acme.task_id, other)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await connection.fetch("select * from broadaxe.task_step")
    await acme.home.engine.submit(acme.home.tenant_id, CancelTasks((acme.task_id,)))
    with pytest.raises(asyncpg.ObjectNotInPrerequisiteStateError, match="is over"):
        await connection.execute(complete, acme.task_id, "a", "1")
    assert await acme.steps() == 0
    await pool.execute("select broadaxe.revoke_enqueue($1, $2)", acme.role, acme.home.tenant_id)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await connection.execute(begin, acme.task_id, "a")
    await connection.close()


async def test_a_run_says_what_it_is_at_and_whoever_may_asks(acme: Shop, pool: asyncpg.Pool) -> None:
    connection = await asyncpg.connect(acme.dsn)
    put, get = "select broadaxe.set_value($1, $2, $3)", "select broadaxe.get_value($1, $2)"
    assert await connection.fetchval(get, acme.task_id, "progress") is None
    await connection.execute(put, acme.task_id, "progress", '{"done": 1}')
    await connection.execute(put, acme.task_id, "progress", '{"done": 2}')
    with pytest.raises(ZeroDivisionError):
        async with connection.transaction():
            await connection.execute(put, acme.task_id, "progress", '{"done": 3}')
            raise ZeroDivisionError
    assert await connection.fetchval(get, acme.task_id, "progress") == '{"done": 2}'
    with pytest.raises(asyncpg.UndefinedObjectError, match="there is no run"):
        await connection.execute(put, str(uuid4()), "progress", "1")
    # Of another tenant it says nothing, and of which is meant must be said by who has several.
    other = await make_tenant(pool)
    await pool.execute("select broadaxe.grant_enqueue($1, $2)", acme.role, other)
    named = "select broadaxe.get_value($1, 'progress', $2)"
    assert await connection.fetchval(named, acme.task_id, other) is None
    assert await connection.fetchval(named, acme.task_id, acme.home.tenant_id) == '{"done": 2}'
    with pytest.raises(asyncpg.AmbiguousParameterError):
        await connection.fetchval(get, acme.task_id, "progress")
    await connection.close()
