"""The examples of transactional enqueue run, with each library and as a role with few rights; the page shows them."""

from __future__ import annotations

import asyncio
import importlib.util
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit, urlunsplit
from uuid import uuid4

import asyncpg
import django
import django.conf
import django.db
import psycopg
import pytest
import sqlalchemy
import sqlalchemy.exc
import sqlalchemy.orm

from broadaxe.core.commands.triggers import TriggerRuns
from tests.core.world import task
from tests.engine.house import House, Seen, listening_house

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "transactional_enqueue"
LIBRARIES = ("psycopg", "asyncpg", "sqlalchemy", "django")
#: Half of the first and all of the other batch of the engine, and more.
MANY = [f"item {n}" for n in range(1000)]
#: A page, and the names it has for what every test makes anew.
ROLE, TENANT = "shop_app", "acme"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Shop:
    """The functions of an example, called with whatever its library calls a connection."""

    order: Callable[[str], Awaitable[Any]]
    order_with_gift: Callable[[str, str], Awaitable[Sequence[Any]]]
    orders: Callable[[list[str]], Awaitable[Sequence[Any]]]
    out_of_stock: type[Exception]


def example(library: str) -> ModuleType:
    path = EXAMPLES / f"with_{library}.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@asynccontextmanager
async def psycopg_shop(dsn: str) -> AsyncIterator[Shop]:
    module = example("psycopg")
    connection = await asyncio.to_thread(psycopg.connect, dsn, autocommit=True)
    yield Shop(
        lambda item: asyncio.to_thread(module.place_order, connection, item),
        lambda item, gift: asyncio.to_thread(module.place_order_with_gift, connection, item, gift),
        lambda items: asyncio.to_thread(module.place_orders, connection, items),
        psycopg.errors.CheckViolation,
    )
    connection.close()


@asynccontextmanager
async def asyncpg_shop(dsn: str) -> AsyncIterator[Shop]:
    module = example("asyncpg")
    connection = await asyncpg.connect(dsn)
    yield Shop(
        lambda item: module.place_order(connection, item),
        lambda item, gift: module.place_order_with_gift(connection, item, gift),
        lambda items: module.place_orders(connection, items),
        asyncpg.CheckViolationError,
    )
    await connection.close()


@asynccontextmanager
async def sqlalchemy_shop(dsn: str) -> AsyncIterator[Shop]:
    module = example("sqlalchemy")
    engine = sqlalchemy.create_engine(dsn.replace("postgresql://", "postgresql+psycopg://"))

    def committed(work: Callable[..., T], *arguments: object) -> Awaitable[T]:
        def run() -> T:
            with sqlalchemy.orm.Session(engine) as session, session.begin():
                return work(session, *arguments)

        return asyncio.to_thread(run)

    yield Shop(
        lambda item: committed(module.place_order, item),
        lambda item, gift: committed(module.place_order_with_gift, item, gift),
        lambda items: committed(module.place_orders, items),
        sqlalchemy.exc.IntegrityError,
    )
    engine.dispose()


@asynccontextmanager
async def django_shop(dsn: str) -> AsyncIterator[Shop]:
    parts = urlsplit(dsn)
    host = dict(pair.split("=", 1) for pair in parts.query.split("&")) if parts.query else {}
    settings = {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts.path.lstrip("/"),
        "USER": parts.username,
        "PASSWORD": parts.password,
        "HOST": unquote(host.get("host", parts.hostname or "")),
        "PORT": host.get("port", str(parts.port or "")),
    }
    if not django.conf.settings.configured:
        django.conf.settings.configure(DATABASES={"default": settings})
        django.setup()
    module = example("django")

    def closing(work: Callable[..., T], *arguments: object) -> Awaitable[T]:
        def run() -> T:
            try:
                return work(*arguments)
            finally:
                # Connections belong to threads there, and the next call may come from another one.
                django.db.connections.close_all()

        return asyncio.to_thread(run)

    yield Shop(
        lambda item: closing(module.place_order, item),
        lambda item, gift: closing(module.place_order_with_gift, item, gift),
        lambda items: closing(module.place_orders, items),
        django.db.IntegrityError,
    )


SHOPS = {"psycopg": psycopg_shop, "asyncpg": asyncpg_shop, "sqlalchemy": sqlalchemy_shop, "django": django_shop}


@asynccontextmanager
async def application(pool: asyncpg.Pool, database: str) -> AsyncIterator[tuple[str, str]]:
    """A login role without rights in the engine's schema, with the tables of a shop; the role and its DSN."""
    role = f"shop_{uuid4().hex}"
    await pool.execute(f"create role {role} login password 'secret'")
    # The server's owner is called as the engine's schema is, which therefore comes first in its search path.
    await pool.execute("set search_path = public;" + (EXAMPLES / "schema.sql").read_text() + "reset search_path")
    await pool.execute("insert into public.stock (item, pieces) values ('lamp', 10), ('rug', 0)")
    await pool.execute(f"grant select, insert, update on public.orders, public.stock to {role}")
    parts = urlsplit(database)
    try:
        yield role, urlunsplit(parts._replace(netloc=f"{role}:secret@{parts.netloc.rpartition('@')[2]}"))
    finally:
        await pool.execute(f"drop owned by {role}")
        await pool.execute(f"drop role {role}")


@pytest.mark.parametrize("library", LIBRARIES)
async def test_the_example_keeps_orders_and_runs_together(library: str, database: str, pool: asyncpg.Pool) -> None:
    seen = Seen()
    async with (
        listening_house(database, pool, observe=seen) as home,
        application(pool, database) as (role, dsn),
        SHOPS[library](dsn) as shop,
    ):
        await home.put(task("ship"), name="ship-order")
        await pool.execute("select broadaxe.grant_enqueue($1, $2)", role, home.tenant_id)
        # Committed: there is an order and its run.
        run_id = str(await shop.order("lamp"))
        assert await seen.next_runs(1) == [run_id]
        order_id = await pool.fetchval(
            "select (input::jsonb ->> 'order_id')::bigint from broadaxe.run where id = $1", run_id
        )
        assert await pool.fetchval("select item from orders where id = $1", order_id) == "lamp"
        # Rolled back after the call: neither.
        with pytest.raises(shop.out_of_stock):
            await shop.order("rug")
        # Rolled back to a savepoint: what came before stays.
        run_ids = [str(i) for i in await shop.order_with_gift("lamp", "rug")]
        assert len(run_ids) == 1
        assert await seen.next_runs(1) == run_ids
        # Many in one transaction: all of them, in order.
        many = [str(i) for i in await shop.orders(MANY)]
        assert await seen.next_runs(len(MANY)) == many
        assert await home.count("run") == await pool.fetchval("select count(*) from orders") == 2 + len(MANY)
        items = await pool.fetch(
            "select o.item from broadaxe.run as r join orders as o on o.id = (r.input::jsonb ->> 'order_id')::bigint "
            "where r.id = any($1) order by array_position($1, r.id)",
            many,
        )
        assert [row["item"] for row in items] == MANY
        assert await home.count("outbox") == 0


def test_the_page_shows_the_examples(docs: dict[str, Any]) -> None:
    shown = [fence.text.strip() for fence in docs["transactional-enqueue"].fences if fence.language == "python"]
    tested = []
    for library in LIBRARIES:
        text = (EXAMPLES / f"with_{library}.py").read_text(encoding="utf-8")
        tested.append(re.sub(r'\A""".*?"""\n+', "", text, flags=re.DOTALL).strip())
    assert shown == tested


async def test_the_sql_of_the_page_runs(docs: dict[str, Any], database: str, pool: asyncpg.Pool) -> None:
    blocks = [fence.text for fence in docs["transactional-enqueue"].fences if fence.language == "sql"]
    (order, grant, trigger, refused, again) = blocks
    seen = Seen()
    async with (
        listening_house(database, pool, observe=seen) as home,
        application(pool, database) as (role, dsn),
    ):
        await home.put(task("ship"), name="ship-order")
        slug = await pool.fetchval("select slug from broadaxe.tenant")
        assert ROLE in grant and TENANT in grant
        await pool.execute(grant.replace(ROLE, role).replace(TENANT, slug))
        connection = await asyncpg.connect(dsn)
        await connection.execute(order)
        await seen.next_runs(1)
        await pool.execute(f"set search_path = public; {trigger}; reset search_path")
        await connection.execute("insert into orders (item) values ('rug'), ('lamp')")
        await seen.next_runs(2)
        assert await pool.fetch(refused) == []
        await pool.execute(
            "insert into broadaxe.outbox_refused "
            "(tenant_id, id, kind, name, payload, created_at, refused_at, reason) "
            "values ($1, gen_random_uuid(), 'RUN', 'ship-order', '{}', now(), now(), 'for a test')",
            home.tenant_id,
        )
        assert [row["reason"] for row in await pool.fetch(refused)] == ["for a test"]
        await pool.execute(again)
        await seen.next_runs(1)
        assert await pool.fetch(refused) == []
        await connection.close()


async def test_the_errors_of_the_page_are_those_of_the_functions(
    docs: dict[str, Any], database: str, pool: asyncpg.Pool
) -> None:
    documented = set(re.findall(r"^\|.*\| `([0-9A-Z]{5})`", docs["transactional-enqueue"].text, re.MULTILINE))
    async with listening_house(database, pool) as home, application(pool, database) as (role, dsn):
        await home.put(task("ship"), name="ship-order")
        other = House(home.engine, str(uuid4()), pool)
        await pool.execute(
            "insert into broadaxe.tenant (id, name, slug) values ($1, 'other', 'other')", other.tenant_id
        )
        await home.engine.submit(home.tenant_id, TriggerRuns(()))
        slug = await pool.fetchval("select slug from broadaxe.tenant where id = $1", home.tenant_id)
        connection = await asyncpg.connect(dsn)
        found = set()
        await pool.execute("select broadaxe.grant_enqueue($1, $2)", role, slug)
        for call in (
            "enqueue('nothing')",
            "enqueue('ship-order', '[]')",
            "push_event(repeat('k', 2001))",
            "enqueue('ship-order', tenant => 'other')",
        ):
            with pytest.raises(asyncpg.PostgresError) as refused:
                await connection.execute(f"select broadaxe.{call}")
            found.add(refused.value.sqlstate)
        await pool.execute("select broadaxe.grant_enqueue($1, 'other')", role)
        with pytest.raises(asyncpg.PostgresError) as refused:
            await connection.execute("select broadaxe.enqueue('ship-order')")
        found.add(refused.value.sqlstate)
        await connection.close()
    assert found == documented
