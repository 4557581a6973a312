"""Steps of a task that commit with the application's own rows, or not at all (docs/transactions.md).

    with step(connection, ctx.task_run_id, "charge") as charge:
        if not charge.is_done:
            connection.execute("update account set balance = balance - 19 where id = 7")
            charge.result = {"paid": 19}

The block is one transaction. What it changed and the result are there for every later attempt, or neither is: a crash
before the commit leaves nothing, a crash after it finds the step done. Two attempts at once take turns. It needs the
engine's tables in the application's database; nothing here knows more of the engine than two SQL functions.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

__all__ = ["Step", "async_step", "step"]


class Step:
    """`result` is what the step was completed with if it `is_done`; if not, set it to anything JSON can say."""

    __slots__ = ("is_done", "result")

    def __init__(self, kept: tuple[str] | None) -> None:
        self.is_done = kept is not None
        self.result: Any = None if kept is None else json.loads(kept[0])


@contextmanager
def step(
    connection: Any, task_id: str, name: str, *, tenant: str | None = None, schema: str = "broadaxe"
) -> Generator[Step]:
    """With a psycopg connection. `task_id` is the SDK's `ctx.task_run_id`, `tenant` is for roles that may act for
    several, `schema` the one the engine's tables are in.

    Raises what the database says, with its SQLSTATE: 42704 if there is no such task, 55000 if it is over, 42501 without
    the right (`broadaxe.grant_enqueue`).
    """
    begin, complete = _statements(schema, "%s", "%s", "%s", "%s")
    with connection.transaction():
        done = Step(connection.execute(begin, (task_id, name, tenant)).fetchone())
        yield done
        if not done.is_done:
            connection.execute(complete, (task_id, name, json.dumps(done.result), tenant))


@asynccontextmanager
async def async_step(
    connection: Any, task_id: str, name: str, *, tenant: str | None = None, schema: str = "broadaxe"
) -> AsyncGenerator[Step]:
    """The same with a connection of asyncpg, or an asynchronous one of psycopg."""
    is_asyncpg = hasattr(connection, "fetchrow")
    begin, complete = _statements(schema, *(("$1", "$2", "$3", "$4") if is_asyncpg else ("%s",) * 4))
    async with connection.transaction():
        if is_asyncpg:
            done = Step(await connection.fetchrow(begin, task_id, name, tenant))
        else:
            done = Step(await (await connection.execute(begin, (task_id, name, tenant))).fetchone())
        yield done
        if not done.is_done:
            given = (task_id, name, json.dumps(done.result), tenant)
            await (connection.execute(complete, *given) if is_asyncpg else connection.execute(complete, given))


def _statements(schema: str, *marks: str) -> tuple[str, str]:
    """What begins a step and what completes it, with the placeholders of a library."""
    quoted = '"' + schema.replace('"', '""') + '"'
    task, name, third, fourth = marks
    return (
        f"select result::text from {quoted}.begin_step({task}, {name}, {third})",
        f"select {quoted}.complete_step({task}, {name}, {third}::text::jsonb, {fourth})",
    )
