"""The SQL functions of transactional enqueue: who may call them, what they refuse, and when they tell the engine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import asyncpg
import pytest

from broadaxe.core.commands.events import EventRequest
from broadaxe.core.commands.triggers import RunRequest
from broadaxe.storage import outbox as outbox_module
from broadaxe.storage.ids import new_id
from broadaxe.storage.outbox import CHANNEL, Outbox
from tests.storage.ground import make_tenant

PATIENCE_S = 20.0
WORKFLOW = (
    "insert into broadaxe.workflow (tenant_id, id, name, created_at, updated_at) values ($1, $2, $3, now(), now())"
)


async def make_workflow(pool: asyncpg.Pool, tenant_id: str, name: str = "ship") -> None:
    await pool.execute(WORKFLOW, tenant_id, new_id(), name)


@pytest.fixture
async def tenant(pool: asyncpg.Pool) -> str:
    """The only tenant, with one workflow, `ship`."""
    tenant_id = await make_tenant(pool)
    await make_workflow(pool, tenant_id)
    return tenant_id


@asynccontextmanager
async def application(pool: asyncpg.Pool, database: str) -> AsyncIterator[tuple[str, asyncpg.Connection]]:
    """A login role without any right of ours, and a connection of it."""
    role = f"app_{uuid4().hex}"
    await pool.execute(f"create role {role} login password 'secret'")
    parts = urlsplit(database)
    host = parts.netloc.rpartition("@")[2]
    connection = await asyncpg.connect(urlunsplit(parts._replace(netloc=f"{role}:secret@{host}")))
    try:
        yield role, connection
    finally:
        await connection.close()
        await pool.execute(f"drop owned by {role}")
        await pool.execute(f"drop role {role}")


async def rows(pool: asyncpg.Pool) -> list[asyncpg.Record]:
    return await pool.fetch("select *, id::text as id_text from broadaxe.outbox order by position")


# What is left in the outbox ------------------------------------------------------------------------------------------


async def test_a_run_waits_as_it_was_asked_for(pool: asyncpg.Pool, tenant: str) -> None:
    run_id = await pool.fetchval(
        "select broadaxe.enqueue('ship', $1, additional_metadata => $2, priority => 3)::text",
        '{"order": 7}',
        '{"who": "me"}',
    )
    page = await Outbox(pool).waiting(tenant, (0, 0))
    assert page.is_last
    (request,) = page.requests
    assert isinstance(request, RunRequest)
    assert request.promise is not None
    assert (request.promise.id, request.workflow_name, request.input) == (run_id, "ship", '{"order": 7}')
    assert (request.additional_metadata, request.priority) == ('{"who": "me"}', 3)
    # A UUIDv7 of now, to the millisecond, as the tables are partitioned by it.
    assert run_id[14] == "7" and run_id[19] in "89ab"
    assert int(run_id.replace("-", "")[:12], 16) == request.promise.at_us // 1000


async def test_an_event_waits_as_it_was_pushed(pool: asyncpg.Pool, tenant: str) -> None:
    event_id = await pool.fetchval("select broadaxe.push_event('order:made', '{\"n\": 1}', scope => 'eu')::text")
    (request,) = (await Outbox(pool).waiting(tenant, (0, 0))).requests
    assert isinstance(request, EventRequest)
    assert request.promise is not None
    assert (request.promise.id, request.key, request.payload, request.scope) == (
        event_id,
        "order:made",
        '{"n": 1}',
        "eu",
    )
    assert (request.additional_metadata, request.priority) == (None, None)


async def test_ids_and_rows_come_in_the_order_of_the_calls(pool: asyncpg.Pool, tenant: str) -> None:
    ids = [
        row["id"]
        for row in await pool.fetch("select broadaxe.enqueue('ship')::text as id from generate_series(1, 1500)")
    ]
    assert len(set(ids)) == 1500
    read: list[str] = []
    after = (0, 0)
    while True:
        page = await Outbox(pool).waiting(tenant, after)
        read += [request.promise.id for request in page.requests if request.promise]
        if page.is_last:
            break
        assert len(page.requests) == outbox_module.PAGE_ROWS_MAX
        after = page.last
    assert read == ids
    assert sorted(ids, key=lambda i: i[:18]) == ids


async def test_nothing_waits_for_what_was_rolled_back(pool: asyncpg.Pool, tenant: str) -> None:
    async with pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute("select broadaxe.enqueue('ship')")
        await transaction.rollback()
        async with connection.transaction():
            kept = await connection.fetchval("select broadaxe.enqueue('ship')::text")
            savepoint = connection.transaction()
            await savepoint.start()
            await connection.execute("select broadaxe.enqueue('ship')")
            await savepoint.rollback()
            assert (await Outbox(pool).waiting(tenant, (0, 0))).requests == ()
    assert [row["id_text"] for row in await rows(pool)] == [kept]


# Reading -------------------------------------------------------------------------------------------------------------


async def test_transactions_are_read_in_the_order_they_were_told_of(pool: asyncpg.Pool, tenant: str) -> None:
    for name in ("b", "c"):
        await make_workflow(pool, tenant, name)
    async with pool.acquire() as one, pool.acquire() as two:
        first, second = one.transaction(), two.transaction()
        await first.start()
        await one.execute("select broadaxe.enqueue('ship')")
        await second.start()
        await two.execute("select broadaxe.enqueue('b'), broadaxe.enqueue('c')")
        await second.commit()
        await first.commit()
    transactions = list(dict.fromkeys(row["transaction_id"] for row in await rows(pool)))
    page = await Outbox(pool).told(tenant, dict.fromkeys(reversed(transactions), 0))
    assert [request.workflow_name for request in page.requests if isinstance(request, RunRequest)] == ["b", "c", "ship"]
    assert page.is_last
    page = await Outbox(pool).told(tenant, {transactions[1]: (await rows(pool))[1]["position"]})
    assert [request.workflow_name for request in page.requests if isinstance(request, RunRequest)] == ["c"]


async def test_a_page_is_bounded_in_bytes_and_never_empty(pool: asyncpg.Pool, tenant: str) -> None:
    large = '{"x": "' + "y" * 4_000_000 + '"}'
    async with pool.acquire() as connection, connection.transaction():
        for _ in range(9):
            await connection.execute("select broadaxe.enqueue('ship', $1)", large)
    (transaction,) = {row["transaction_id"] for row in await rows(pool)}
    for told in (True, False):
        sizes: list[int] = []
        after = (transaction, 0)
        while True:
            page = await (
                Outbox(pool).told(tenant, {transaction: after[1]}) if told else Outbox(pool).waiting(tenant, after)
            )
            sizes.append(len(page.requests))
            if page.is_last:
                break
            after = page.last
        assert sizes == [4, 4, 1]


async def test_a_read_touches_neither_other_tenants_nor_other_transactions(pool: asyncpg.Pool, tenant: str) -> None:
    crowd = await make_tenant(pool)
    await make_workflow(pool, crowd)
    slug = await pool.fetchval("select slug from broadaxe.tenant where id = $1", tenant)
    await pool.execute(
        "insert into broadaxe.outbox (tenant_id, id, transaction_id, kind, name, payload, created_at) "
        "select $1, gen_random_uuid(), 1000000 + n / 3, 'RUN', 'ship', '{}', now() from generate_series(1, 50000) as n",
        crowd,
    )
    await pool.execute("analyze broadaxe.outbox")
    await pool.execute("select broadaxe.enqueue('ship', tenant => $1)", slug)
    transaction = await pool.fetchval("select transaction_id from broadaxe.outbox where tenant_id = $1", tenant)
    for name, arguments in (
        ("outbox/told", (tenant, [transaction], [0], 500, 1 << 24)),
        ("outbox/told", (crowd, [1000001, 1000005], [0, 0], 500, 1 << 24)),
        ("outbox/waiting", (tenant, 0, 0, 500, 1 << 24)),
        ("outbox/waiting", (crowd, 0, 0, 500, 1 << 24)),
        ("outbox/tenants", ()),
    ):
        plan = await explain(pool, name, *arguments)
        assert "Seq Scan on outbox" not in plan, plan
        assert "Index" in plan, plan
        rows_read = [
            int(line.split(" rows=")[-1].split()[0].split(".")[0]) for line in plan.splitlines() if "on outbox" in line
        ]
        assert rows_read and max(rows_read) <= 500, plan


async def explain(pool: asyncpg.Pool, name: str, *arguments: object) -> str:
    from broadaxe.storage.statements import statement

    text = "explain (analyze, costs off, timing off) " + statement(name)
    return "\n".join(row[0] for row in await pool.fetch(text, *arguments))


# Telling -------------------------------------------------------------------------------------------------------------


async def test_a_commit_tells_once_per_tenant_and_a_rollback_nobody(pool: asyncpg.Pool, tenant: str) -> None:
    heard: asyncio.Queue[str] = asyncio.Queue()
    other = await make_tenant(pool)
    slug, other_slug = [
        await pool.fetchval("select slug from broadaxe.tenant where id = $1", i) for i in (tenant, other)
    ]
    async with pool.acquire() as listener, pool.acquire() as connection:
        await listener.add_listener(CHANNEL, lambda *heard_of: heard.put_nowait(str(heard_of[3])))
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute("select broadaxe.push_event('k', tenant => $1)", slug)
        await transaction.rollback()
        async with connection.transaction():
            for _ in range(5):
                await connection.execute("select broadaxe.push_event('k', tenant => $1)", slug)
            await connection.execute("select broadaxe.push_event('k', tenant => $1)", other_slug)
            async with connection.transaction():
                await connection.execute("select broadaxe.push_event('k', tenant => $1)", slug)
            number = await connection.fetchval("select pg_current_xact_id()::text")
            assert heard.empty()
        told = {await asyncio.wait_for(heard.get(), PATIENCE_S) for _ in range(2)}
        assert told == {f"{tenant} {number}", f"{other} {number}"}
        await connection.execute("select broadaxe.push_event('k', tenant => $1)", slug)
        assert (await asyncio.wait_for(heard.get(), PATIENCE_S)).startswith(tenant)
        await listener.reset()


# Refusals ------------------------------------------------------------------------------------------------------------


#: (call, error, what the message names)
WRONG: tuple[tuple[str, type[Exception], str], ...] = (
    ("enqueue('shop')", asyncpg.UndefinedObjectError, "'shop'"),
    ("enqueue('Ship')", asyncpg.UndefinedObjectError, "'Ship'"),
    ("enqueue(null)", asyncpg.UndefinedObjectError, "null"),
    ("enqueue('ship', '[1]')", asyncpg.InvalidParameterValueError, "input must be a JSON object, not array"),
    ("enqueue('ship', 'null')", asyncpg.InvalidParameterValueError, "input must be a JSON object, not null"),
    ("enqueue('ship', '{')", asyncpg.InvalidTextRepresentationError, "json"),
    ("enqueue('ship', '{\"a\": \"\\u0000\"}')", asyncpg.UntranslatableCharacterError, "Unicode"),
    ("enqueue('ship', '{}', '[]')", asyncpg.InvalidParameterValueError, "additional_metadata must be a JSON object"),
    ("enqueue('ship', priority => 4)", asyncpg.InvalidParameterValueError, "1, 2 or 3, not 4"),
    ("enqueue('ship', jsonb_build_object('a', repeat('x', 4194304)))", asyncpg.ProgramLimitExceededError, "4194304"),
    ("enqueue('ship', tenant => 'x')", asyncpg.UndefinedObjectError, "tenant 'x'"),
    ("push_event('')", asyncpg.InvalidParameterValueError, "key"),
    ("push_event(null)", asyncpg.InvalidParameterValueError, "key"),
    ("push_event(repeat('k', 1025))", asyncpg.ProgramLimitExceededError, "1024"),
    ("push_event('k', scope => repeat('s', 2001))", asyncpg.ProgramLimitExceededError, "2000"),
    ("push_event('k', '3')", asyncpg.InvalidParameterValueError, "payload must be a JSON object, not number"),
)


async def test_what_can_be_seen_to_be_wrong_fails_in_the_callers_transaction(pool: asyncpg.Pool, tenant: str) -> None:
    for call, error, message in WRONG:
        with pytest.raises(error, match=message):
            await pool.execute(f"select broadaxe.{call}")
    assert await rows(pool) == []


async def test_null_is_an_empty_object(pool: asyncpg.Pool, tenant: str) -> None:
    await pool.execute("select broadaxe.enqueue('ship', null, null)")
    (row,) = await rows(pool)
    assert (row["payload"], row["additional_metadata"]) == ("{}", None)


async def test_a_deleted_workflow_is_unknown(pool: asyncpg.Pool, tenant: str) -> None:
    await pool.execute("update broadaxe.workflow set deleted_at = now()")
    with pytest.raises(asyncpg.UndefinedObjectError, match="ship"):
        await pool.execute("select broadaxe.enqueue('ship')")


async def test_the_owner_names_the_tenant_once_there_are_two(pool: asyncpg.Pool, tenant: str) -> None:
    other = await make_tenant(pool)
    await make_workflow(pool, other)
    with pytest.raises(asyncpg.AmbiguousParameterError):
        await pool.execute("select broadaxe.enqueue('ship')")
    for named in (other, other.upper(), other[:8]):
        await pool.execute("select broadaxe.enqueue('ship', tenant => $1)", named)
    assert [str(row["tenant_id"]) for row in await rows(pool)] == [other] * 3


# Rights --------------------------------------------------------------------------------------------------------------


async def test_a_role_may_enqueue_for_the_tenants_it_was_granted_and_do_nothing_else(
    pool: asyncpg.Pool, database: str, tenant: str
) -> None:
    other = await make_tenant(pool)
    await make_workflow(pool, other)
    async with application(pool, database) as (role, connection):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute("select broadaxe.enqueue('ship')")
        await pool.execute("select broadaxe.grant_enqueue($1, $2)", role, tenant)
        # Whose runs they are needs no word while the role is bound to one tenant.
        await connection.execute("select broadaxe.enqueue('ship')")
        await connection.execute("select broadaxe.push_event('k', tenant => $1)", tenant[:8])
        assert [str(row["tenant_id"]) for row in await rows(pool)] == [tenant, tenant]
        for named in (other, other[:8], "nobody"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError, match=named):
                await connection.execute("select broadaxe.enqueue('ship', tenant => $1)", named)
        for forbidden in (
            "select * from broadaxe.outbox",
            "insert into broadaxe.enqueue_grant values (session_user, gen_random_uuid())",
            f"select broadaxe.grant_enqueue(session_user, '{other}')",
            f"select broadaxe.put_into_outbox('{other}', 'RUN', 'ship', '{{}}', null, null, null, 'input')",
            "select broadaxe.make_partition('run', current_date, current_date + 1)",
            "delete from broadaxe.run",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(forbidden)
        await pool.execute("select broadaxe.grant_enqueue($1, $2)", role, other[:8])
        with pytest.raises(asyncpg.AmbiguousParameterError, match=role):
            await connection.execute("select broadaxe.enqueue('ship')")
        await connection.execute("select broadaxe.enqueue('ship', tenant => $1)", other[:8])
        await pool.execute("select broadaxe.revoke_enqueue($1, $2)", role, other)
        await connection.execute("select broadaxe.enqueue('ship')")
        await pool.execute("select broadaxe.revoke_enqueue($1, $2)", role, tenant)
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="enqueue"):
            await connection.execute("select broadaxe.enqueue('ship')")


async def test_a_member_may_what_its_group_may_but_not_by_pretending(
    pool: asyncpg.Pool, database: str, tenant: str
) -> None:
    async with application(pool, database) as (role, connection), application(pool, database) as (group, stranger):
        await pool.execute("select broadaxe.grant_enqueue($1, $2)", group, tenant)
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute("select broadaxe.enqueue('ship')")
        await pool.execute(f"grant {group} to {role}")
        await connection.execute("select broadaxe.enqueue('ship')")
        await stranger.execute("select broadaxe.enqueue('ship')")
        assert len(await rows(pool)) == 2


async def test_a_callers_search_path_changes_nothing(pool: asyncpg.Pool, database: str, tenant: str) -> None:
    async with application(pool, database) as (role, connection):
        await pool.execute("select broadaxe.grant_enqueue($1, $2)", role, tenant)
        await connection.execute("create temp table tenant (id uuid, slug text)")
        await connection.execute(
            "create function pg_temp.pg_has_role(name, name, text) returns boolean language sql return true"
        )
        await connection.execute("set search_path = pg_temp, pg_catalog")
        other = await make_tenant(pool)
        await make_workflow(pool, other)
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute("select broadaxe.enqueue('ship', tenant => $1)", other)


async def test_granting_what_is_not_there_says_so(pool: asyncpg.Pool, tenant: str) -> None:
    for call, message in (
        (f"grant_enqueue('nobody_here', '{tenant}')", "nobody_here"),
        ("grant_enqueue(current_user, 'nowhere')", "nowhere"),
        (f"revoke_enqueue(current_user, '{tenant}')", "was not granted"),
    ):
        with pytest.raises(asyncpg.UndefinedObjectError, match=message):
            await pool.execute(f"select broadaxe.{call}")
