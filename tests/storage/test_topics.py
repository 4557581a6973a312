"""Messages of topics in PostgreSQL: written with their round, read page by page from partition to partition, dropped
when nobody keeps them any more."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from broadaxe.core.commands.topics import MessageRequest, PublishMessages
from broadaxe.core.publishing import PAYLOAD_BYTES_MAX
from broadaxe.core.tenant import Tenant
from broadaxe.core.topics import BEGINNING, Position, topic_id
from broadaxe.engine.doubt import witness_of
from broadaxe.errors import InvalidArgument, NotFound
from broadaxe.storage import retention
from broadaxe.storage.ids import id_floor, id_time, new_id
from broadaxe.storage.loader import load_missing
from broadaxe.storage.partitions import ensure_partitions
from broadaxe.storage.statements import statement
from broadaxe.storage.topics import StreamPayloads, read_page
from tests.storage.ground import make_journal, make_tenant

NEWS = topic_id("", "news")


class Publisher:
    """A tenant and its journal, which may be loaded anew."""

    def __init__(self, pool: asyncpg.Pool, tenant_id: str, journal: Any) -> None:
        self.pool, self.tenant_id, self.journal = pool, tenant_id, journal
        self.tenant = Tenant(new_id)

    @classmethod
    async def make(cls, pool: asyncpg.Pool) -> Publisher:
        tenant_id = await make_tenant(pool)
        return cls(pool, tenant_id, await make_journal(pool, tenant_id))

    async def publish(self, *messages: MessageRequest) -> Any:
        command, now_us = PublishMessages(messages), time.time_ns() // 1000
        if missing := self.tenant.missing(command):
            self.tenant.adopt(await load_missing(self.pool, self.tenant_id, missing), now_us)
        decision = self.tenant.decide((command,), now_us)
        await self.journal.commit(decision.writes)
        return decision


def say(payload: bytes, topic: str = "news", producer: str = "", seq: int = 0) -> MessageRequest:
    return MessageRequest(topic=topic, payload=payload, producer_id=producer, producer_seq=seq)


async def seed(pool: asyncpg.Pool, tenant_id: str, count: int, hours_ago: int = 0, topic: str = "news") -> None:
    """So many messages of a topic, a millisecond between two of them, the latest so many hours ago."""
    await pool.execute(
        """
        with made as (
            insert into broadaxe.stream_message (tenant_id, topic_id, id, number, created_at, payload, payload_ref)
            select
                $1, $2, broadaxe.id_floor(at.at), n, at.at, convert_to('message ' || n, 'UTF8'), ''
            from generate_series(1, $3) as n
            cross join lateral (
                select clock_timestamp() - make_interval(hours => $4, secs => ($3 - n) / 1000.0) as at
            ) as at
            returning id, number
        )
        insert into broadaxe.stream_topic
        select $1, $2, '', $5, $3, (array_agg(id order by id desc))[1], now(), now(), 0, $6
        from made
        """,
        tenant_id,
        topic_id("", topic),
        count,
        hours_ago,
        topic,
        BEGINNING.id,
    )
    await pool.execute("analyze broadaxe.stream_message")


async def test_messages_come_back_in_pages_and_after_a_load(pool: asyncpg.Pool) -> None:
    publisher = await Publisher.make(pool)
    tenant_id = publisher.tenant_id
    assert await read_page(pool, tenant_id, NEWS, None) == (await read_page(pool, tenant_id, NEWS, BEGINNING))
    assert (await read_page(pool, tenant_id, NEWS, None)).last is None
    await publisher.publish(say(b"a"), say(b"\x00\xff"), say(b"x", topic="other"))
    publisher.tenant = Tenant(new_id)
    await publisher.publish(say(b"c"))
    page = await read_page(pool, tenant_id, NEWS, None, messages_max=2)
    assert [(m.number, m.payload) for m in page.messages] == [(1, b"a"), (2, b"\x00\xff")]
    end = Position(page.messages[-1].number, page.messages[-1].id)
    page = await read_page(pool, tenant_id, NEWS, end)
    assert [(m.number, m.payload) for m in page.messages] == [(3, b"c")]
    assert page.last == Position(3, page.messages[0].id)
    page = await read_page(pool, tenant_id, NEWS, page.last)
    assert page.messages == () and page.last is not None and page.last.number == 3
    # Somebody else's topic of the same name.
    assert (await read_page(pool, await make_tenant(pool), NEWS, None)).last is None


async def test_a_page_has_a_bound_in_bytes_and_one_message_at_least(pool: asyncpg.Pool) -> None:
    publisher = await Publisher.make(pool)
    await publisher.publish(*(say(bytes(1000)) for _ in range(5)))
    counts = [
        len((await read_page(pool, publisher.tenant_id, NEWS, None, bytes_max=limit)).messages)
        for limit in (1, 1000, 1001, 10_000)
    ]
    assert counts == [1, 1, 2, 5]


async def test_producers_are_known_after_a_load(pool: asyncpg.Pool) -> None:
    publisher = await Publisher.make(pool)
    await publisher.publish(say(b"a", producer="p", seq=3))
    publisher.tenant = Tenant(new_id)
    decision = await publisher.publish(say(b"a", producer="p", seq=3), say(b"b", producer="p", seq=4))
    assert [message.payload for message in decision.writes.messages] == [b"b"]
    page = await read_page(pool, publisher.tenant_id, NEWS, None)
    assert [message.payload for message in page.messages] == [b"a", b"b"]


async def test_a_message_tells_whether_its_round_was_committed(pool: asyncpg.Pool) -> None:
    publisher = await Publisher.make(pool)
    decision = await publisher.publish(say(b"a"))
    witness = witness_of(decision.writes, decision.replies, ())
    assert witness is not None and witness.stays
    there = await pool.fetchval(statement("journal/is_there"), publisher.tenant_id, witness.kind.value, witness.id)
    absent = await pool.fetchval(
        statement("journal/is_there"), publisher.tenant_id, witness.kind.value, f"{NEWS}/{new_id()}"
    )
    assert (there, absent) == (True, False)


async def test_a_round_without_messages_asks_nothing_of_their_tables(pool: asyncpg.Pool) -> None:
    publisher = await Publisher.make(pool)
    decision = Tenant(new_id).decide((), time.time_ns() // 1000)
    assert not decision.writes.topics and not decision.writes.producers and not decision.writes.messages
    assert not decision.effects
    # A repeat is answered without a commit.
    await publisher.publish(say(b"a", producer="p"))
    assert not (await publisher.publish(say(b"a", producer="p"))).writes


async def test_reading_a_page_costs_the_same_however_many_messages_there_are(pool: asyncpg.Pool) -> None:
    tenant_id = await make_tenant(pool)
    await seed(pool, tenant_id, 200_000, hours_ago=100)
    await seed(pool, tenant_id, 2_000, hours_ago=100, topic="other")
    middle = await pool.fetchrow(
        "select number, id::text from broadaxe.stream_message where tenant_id = $1 and topic_id = $2 and number = $3",
        tenant_id,
        NEWS,
        150_000,
    )
    for after in (None, Position(*middle)):
        plan = await pool.fetchval(
            f"explain (analyze, buffers, format json) {statement('topics/page')}",
            tenant_id,
            NEWS,
            None if after is None else after.id,
            500,
            1024 * 1024,
        )
        (explained,) = json.loads(plan)
        blocks = explained["Plan"]["Shared Hit Blocks"] + explained["Plan"]["Shared Read Blocks"]
        # 500 rows stand on a dozen blocks, and so do those of their index; every partition's index is looked into.
        assert blocks < 200
    page = await read_page(pool, tenant_id, NEWS, Position(*middle))
    assert [message.number for message in page.messages] == list(range(150_001, 150_501))


async def test_readers_are_not_shown_what_their_tenant_does_not_keep(pool: asyncpg.Pool) -> None:
    short, long = await make_tenant(pool), await make_tenant(pool)
    await pool.execute("update broadaxe.tenant set stream_retention_hours = 2 where id = $1", short)
    for tenant_id in (short, long):
        await seed(pool, tenant_id, 3, hours_ago=3)
    assert (await read_page(pool, short, NEWS, None)).messages == ()
    last = (await read_page(pool, short, NEWS, None)).last
    assert last is not None and last.number == 3
    assert len((await read_page(pool, long, NEWS, None)).messages) == 3


async def test_partitions_of_messages_go_when_no_tenant_keeps_them(pool: asyncpg.Pool) -> None:
    now = datetime.now(UTC)
    tenant_id = await make_tenant(pool)
    await pool.execute("update broadaxe.tenant set stream_retention_hours = 24")
    for days in (9, 5, 0):
        await ensure_partitions(pool, now - timedelta(days=days))
    payloads = StreamPayloads(pool)
    await payloads.put(tenant_id, b"large")
    for number, days in enumerate((4, 0), 1):
        await pool.execute(
            "insert into broadaxe.stream_message values ($1, $2, $3, $4, now(), 'x', '')",
            tenant_id,
            NEWS,
            id_floor(now - timedelta(days=days)),
            number,
        )
    gone = await retention.enforce_messages(pool, now)
    assert f"stream_message_{now - timedelta(days=4):%Y%m%d}" in gone
    assert f"stream_payload_{now - timedelta(days=4):%Y%m%d}" in gone
    assert not [name for name in gone if name.endswith(f"{now:%Y%m%d}") or not name.startswith("stream_")]
    left = await pool.fetch("select id::text from broadaxe.stream_message where tenant_id = $1", tenant_id)
    assert [id_time(row["id"]).date() for row in left] == [now.date()]
    assert await retention.enforce_messages(pool, now) == []


async def test_topics_and_producers_that_nobody_uses_are_forgotten(pool: asyncpg.Pool) -> None:
    publisher = await Publisher.make(pool)
    await publisher.publish(say(b"a", producer="p"), say(b"b", topic="other", producer="p"))
    await pool.execute(
        "update broadaxe.stream_topic set last_published_at = now() - interval '90 days' where name='news'"
    )
    await pool.execute(
        "update broadaxe.stream_producer set used_at = now() - interval '90 days' where topic_id=$1", NEWS
    )
    await retention.enforce_messages(pool, datetime.now(UTC))
    assert [row["name"] for row in await pool.fetch("select name from broadaxe.stream_topic")] == ["other"]
    assert await pool.fetchval("select count(*) from broadaxe.stream_producer") == 1
    # Memory still knows it, and its row comes back with the next message.
    await publisher.publish(say(b"c"))
    page = await read_page(pool, publisher.tenant_id, NEWS, None)
    assert [message.number for message in page.messages] == [1, 2]


async def test_stored_payloads_are_their_tenants_own(pool: asyncpg.Pool) -> None:
    tenant_id, other_id = await make_tenant(pool), await make_tenant(pool)
    payloads = StreamPayloads(pool)
    ref = await payloads.put(tenant_id, b"large")
    assert await payloads.get(tenant_id, ref) == b"large"
    for asked, named in ((other_id, ref), (tenant_id, new_id()), (tenant_id, "nonsense")):
        with pytest.raises(NotFound):
            await payloads.get(asked, named)
    named = MessageRequest(topic="t", payload_ref=ref)
    assert await payloads.settled(tenant_id, named) == named
    with pytest.raises(InvalidArgument):
        await payloads.settled(other_id, named)
    fits, large = bytes(PAYLOAD_BYTES_MAX), bytes(PAYLOAD_BYTES_MAX + 1)
    assert await payloads.settled(tenant_id, say(fits)) == say(fits)
    stored = await payloads.settled(tenant_id, say(large))
    assert stored.payload == b"" and await payloads.get(tenant_id, stored.payload_ref) == large
