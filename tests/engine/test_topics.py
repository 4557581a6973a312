"""Readers of topics: every message once and in order, whether it comes from the table or live, and whatever happens."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence

import asyncpg
import pytest

from broadaxe.core.commands.topics import MessageRequest, PublishedMessage, PublishMessages
from broadaxe.core.decision import MessageRow
from broadaxe.core.topics import BEGINNING, Position, position_of, topic_id
from broadaxe.engine import topics
from broadaxe.engine.topics import TopicFeed, TopicSubscription
from broadaxe.errors import OutOfRange, ResourceExhausted, Unavailable
from broadaxe.storage.topics import TopicPage
from tests.engine.house import PATIENCE_S, House, LosingAnswers, house, listening_house

NEWS = topic_id("", "news")


def row(number: int, payload: bytes = b"") -> MessageRow:
    return MessageRow(f"{number:032x}", NEWS, number, 0, payload or str(number).encode(), "")


class Table:
    """What is committed of a topic; each page is read as of the middle of the call."""

    def __init__(self, *numbers: int, page_max: int = 3) -> None:
        self.rows = [row(number) for number in numbers]
        self.last = numbers[-1] if numbers else 0
        self.page_max = page_max
        self.reads = 0
        self.faults = 0
        self.gates: list[asyncio.Event] = []
        self.is_read = asyncio.Event()
        """A snapshot was taken."""

    async def read(self, topic: str, after: Position | None) -> TopicPage:
        self.reads += 1
        await asyncio.sleep(0)
        if self.faults:
            self.faults -= 1
            raise Unavailable
        number = 0 if after is None else after.number
        found = tuple(each for each in self.rows if each.number > number)[: self.page_max]
        last = Position(self.last, f"{self.last:032x}") if self.last else None
        self.is_read.set()
        if self.gates:
            await self.gates.pop(0).wait()
        return TopicPage(found, last)

    def add(self, payload: bytes = b"") -> MessageRow:
        self.last += 1
        self.rows.append(row(self.last, payload))
        return self.rows[-1]


async def some(subscription: TopicSubscription) -> list[int]:
    return [message.number for message in await asyncio.wait_for(subscription.next(), PATIENCE_S)]


async def until(subscription: TopicSubscription, last: int) -> list[int]:
    seen: list[int] = []
    while not seen or seen[-1] < last:
        seen += await some(subscription)
    return seen


async def test_a_reader_reads_pages_and_then_lives_of_what_is_told() -> None:
    table = Table(1, 2, 3, 4)
    feed = TopicFeed(table.read)
    subscription = feed.follow(NEWS, None)
    assert await some(subscription) == [1, 2, 3]
    assert await some(subscription) == [4]
    reads = table.reads
    for _ in range(2):
        feed.told(NEWS, [table.add(), table.add()])
    assert await some(subscription) == [5, 6, 7, 8]
    assert table.reads == reads
    # What it has read is told once more, late.
    feed.told(NEWS, [row(8), table.add()])
    assert await some(subscription) == [9]
    feed.unfollow(subscription)
    assert await subscription.next() == () and not feed.is_followed()


async def test_what_is_told_while_the_last_page_is_read_is_not_lost() -> None:
    table = Table(1)
    gate = asyncio.Event()
    table.gates.append(gate)
    feed = TopicFeed(table.read)
    subscription = feed.follow(NEWS, None)
    reading = asyncio.ensure_future(some(subscription))
    await table.is_read.wait()
    feed.told(NEWS, [table.add()])
    gate.set()
    assert await reading == [1]
    assert await some(subscription) == [2]


async def test_who_reads_slowly_keeps_a_short_queue_and_goes_on_from_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(topics, "LIVE_MESSAGES_MAX", 2)
    table = Table(1)
    feed = TopicFeed(table.read)
    subscription = feed.follow(NEWS, None)
    assert await some(subscription) == [1]
    for _ in range(50):
        feed.told(NEWS, [table.add()])
    assert len(subscription._live) == 2
    assert await until(subscription, 51) == list(range(2, 52))
    monkeypatch.setattr(topics, "LIVE_BYTES_MAX", 10)
    for payload in (bytes(11), b"small", bytes(11)):
        feed.told(NEWS, [table.add(payload)])
    assert [len(message.payload) for message in subscription._live] == [11]
    assert await until(subscription, 54) == [52, 53, 54]


async def test_a_gap_in_what_is_told_is_looked_up() -> None:
    table = Table(1)
    feed = TopicFeed(table.read)
    subscription = feed.follow(NEWS, Position(1, row(1).id))
    reading = asyncio.ensure_future(some(subscription))
    await table.is_read.wait()
    await asyncio.sleep(0)
    table.add()
    feed.told(NEWS, [table.add()])
    assert await reading == [2, 3]
    # Nothing at all was told.
    table.add()
    feed.look_again()
    assert await some(subscription) == [4]


async def test_what_is_not_kept_any_more_is_an_error_and_not_a_gap() -> None:
    table = Table(5, 6)
    feed = TopicFeed(table.read)
    with pytest.raises(OutOfRange):
        await some(feed.follow(NEWS, Position(3, row(3).id)))
    assert await some(feed.follow(NEWS, Position(4, row(4).id))) == [5, 6]
    assert await some(feed.follow(NEWS, BEGINNING)) == [5, 6]
    assert await some(feed.follow(NEWS, None)) == [5, 6]
    # It comes while somebody reads, too.
    table.page_max = 1
    slow = feed.follow(NEWS, Position(4, row(4).id))
    assert await some(slow) == [5]
    table.add()
    del table.rows[:2]
    with pytest.raises(OutOfRange):
        await some(slow)
    # Nothing is kept, and something is missing; or nobody knows the topic.
    table.rows.clear()
    with pytest.raises(OutOfRange):
        await some(feed.follow(NEWS, Position(6, row(6).id)))
    with pytest.raises(OutOfRange):
        await some(TopicFeed(Table().read).follow(NEWS, Position(1, row(1).id)))


async def test_who_has_everything_that_was_kept_waits_for_more() -> None:
    table = Table()
    table.last = 7
    feed = TopicFeed(table.read)
    for is_resumed in (False, True):
        subscription = feed.follow(NEWS, Position(table.last, row(table.last).id) if is_resumed else None)
        table.is_read.clear()
        reading = asyncio.ensure_future(some(subscription))
        await table.is_read.wait()
        feed.told(NEWS, [table.add()])
        assert await reading == [table.last]
        table.rows.clear()


async def test_a_page_that_cannot_be_read_is_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(topics, "READ_AGAIN_S", 0)
    table = Table(1)
    table.faults = 3
    assert await some(TopicFeed(table.read).follow(NEWS, None)) == [1]


async def test_readers_of_a_tenant_have_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(topics, "FOLLOWERS_MAX", 1)
    feed = TopicFeed(Table().read)
    first = feed.follow(NEWS, None)
    with pytest.raises(ResourceExhausted):
        feed.follow(NEWS, None)
    feed.unfollow(first)
    feed.unfollow(first)
    feed.follow(NEWS, None)


@pytest.mark.parametrize("seed", range(40))
async def test_nothing_is_skipped_or_told_twice_whatever_happens(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commits, told late, in pieces or never; loads; cancelled waits; readers that come and go with their cursor."""
    monkeypatch.setattr(topics, "LIVE_MESSAGES_MAX", 3)
    monkeypatch.setattr(topics, "READ_AGAIN_S", 0)
    chance = random.Random(seed)
    table = Table()
    feed = TopicFeed(table.read)
    seen: list[int] = []
    total = 200

    async def write() -> None:
        untold: list[MessageRow] = []
        while table.last < total:
            untold += [table.add() for _ in range(chance.randint(1, 4))]
            for _ in range(chance.randint(0, 3)):
                await asyncio.sleep(0)
            what = chance.random()
            if what < 0.7:
                told: Sequence[MessageRow] = untold[: chance.randint(1, len(untold))]
                feed.told(NEWS, told)
                del untold[: len(told)]
            elif what < 0.8:
                # The memory is lost with what it had to tell, and loaded anew.
                untold.clear()
                feed.look_again()
            elif what < 0.85:
                table.faults = 1
        feed.told(NEWS, untold)

    async def read() -> None:
        after: Position | None = None
        while not seen or seen[-1] < total:
            subscription = feed.follow(NEWS, after)
            for _ in range(chance.randint(1, 20)):
                waiting = asyncio.ensure_future(subscription.next())
                for _ in range(chance.randint(1, 12)):
                    await asyncio.sleep(0)
                if not waiting.done() and chance.random() < 0.3:
                    waiting.cancel()
                    await asyncio.gather(waiting, return_exceptions=True)
                    continue
                if seen and seen[-1] >= total:
                    waiting.cancel()
                    break
                for message in await asyncio.wait_for(waiting, PATIENCE_S):
                    seen.append(message.number)
                    after = Position(message.number, message.id)
                if seen and seen[-1] >= total:
                    break
            feed.unfollow(subscription)

    await asyncio.wait_for(asyncio.gather(write(), read()), PATIENCE_S)
    assert seen == list(range(1, seen[-1] + 1))


# On a database ------------------------------------------------------------------------------------------------------


async def publish(home: House, *payloads: bytes, producer: str = "", seq: int = 0) -> tuple[PublishedMessage, ...]:
    messages = (
        MessageRequest(topic="news", payload=payload, producer_id=producer, producer_seq=seq + position)
        for position, payload in enumerate(payloads)
    )
    reply = await home.submit(PublishMessages(tuple(messages)))
    assert isinstance(reply, tuple)
    return tuple(message for message in reply if isinstance(message, PublishedMessage))


async def payloads_of(subscription: TopicSubscription, count: int) -> list[bytes]:
    seen: list[bytes] = []
    while len(seen) < count:
        seen += [m.payload for m in await asyncio.wait_for(subscription.next(), PATIENCE_S)]
    return seen


async def test_a_published_message_is_there_for_who_comes_later_and_for_who_is_there(
    database: str, pool: asyncpg.Pool
) -> None:
    async with house(database, pool) as home:
        early = await home.engine.follow_topic(home.tenant_id, NEWS, None)
        waiting = asyncio.ensure_future(payloads_of(early, 3))
        first, _ = await publish(home, b"a", b"b")
        await publish(home, b"c")
        assert await waiting == [b"a", b"b", b"c"]
        late = await home.engine.follow_topic(home.tenant_id, NEWS, position_of(NEWS, first.cursor))
        assert await payloads_of(late, 2) == [b"b", b"c"]
        assert not home.activation.is_idle(float("inf"))
        for subscription in (early, late):
            home.engine.unfollow_topic(home.tenant_id, subscription)
        assert home.activation.is_idle(float("inf"))


@pytest.mark.parametrize("was_made", [True, False], ids=["made", "not-made"])
@pytest.mark.parametrize("producer", ["", "p"], ids=["anybody", "producer"])
async def test_a_message_of_which_nobody_heard_whether_it_was_stored_is_stored_once(
    database: str, pool: asyncpg.Pool, was_made: bool, producer: str
) -> None:
    losing = LosingAnswers(lambda writes: bool(writes.messages), was_made=was_made)
    async with house(database, pool, losing=losing) as home:
        subscription = await home.engine.follow_topic(home.tenant_id, NEWS, None)
        waiting = asyncio.ensure_future(payloads_of(subscription, 2))
        await publish(home, b"a", producer=producer)
        await publish(home, b"b", producer=producer, seq=1)
        assert await waiting == [b"a", b"b"]
        assert losing.lost == 1
        assert await home.count("stream_message") == 2


async def test_whoever_reads_to_the_end_is_told_the_last_message_of_which_nobody_heard(
    database: str, pool: asyncpg.Pool
) -> None:
    """No message after it can show the gap: the load that follows such a commit says to look again."""
    losing = LosingAnswers(lambda writes: bool(writes.messages), was_made=True)
    async with house(database, pool, losing=losing) as home:
        subscription = await home.engine.follow_topic(home.tenant_id, NEWS, None)
        waiting = asyncio.ensure_future(payloads_of(subscription, 1))
        await publish(home, b"last")
        assert await waiting == [b"last"]
        assert losing.lost == 1


async def test_a_message_of_an_applications_transaction_exists_if_and_only_if_that_commits(
    database: str, pool: asyncpg.Pool
) -> None:
    async with listening_house(database, pool) as home:
        subscription = await home.engine.follow_topic(home.tenant_id, topic_id("team", "orders"), None)
        waiting = asyncio.ensure_future(payloads_of(subscription, 3))
        async with pool.acquire() as shop:
            publish_in_sql = "select broadaxe.publish('orders', $1, namespace => 'team')"
            transaction = shop.transaction()
            await transaction.start()
            await shop.execute(publish_in_sql, "called off")
            await transaction.rollback()
            async with shop.transaction():
                await shop.execute(publish_in_sql, '{"order": 1}')
                await shop.execute(publish_in_sql, "zwölf")
            await shop.execute(publish_in_sql, "three")
            for wrong, state in (
                ("select broadaxe.publish('', 'x')", "22023"),
                ("select broadaxe.publish('t', null)", "22023"),
                ("select broadaxe.publish(repeat('t', 256), 'x')", "54000"),
                ("select broadaxe.publish('t', repeat('x', 4190209))", "54000"),
                ("select broadaxe.publish('t', 'x', tenant => 'nobody')", "42704"),
            ):
                with pytest.raises(asyncpg.PostgresError) as refused:
                    await shop.execute(wrong)
                assert refused.value.sqlstate == state
        assert await waiting == [b'{"order": 1}', "zwölf".encode(), b"three"]
        assert await home.count("outbox") == 0 and await home.count("stream_message") == 3
        await shop_may(pool, home, "grant_enqueue")
        await shop_may(pool, home, "revoke_enqueue")


async def shop_may(pool: asyncpg.Pool, home: House, change: str) -> None:
    """Whether a role may publish follows from what it may enqueue."""
    role = f"shop_{home.tenant_id.replace('-', '')}"
    is_granted = change == "grant_enqueue"
    if is_granted:
        await pool.execute(f"create role {role}")
    await pool.execute(f"select broadaxe.{change}($1, $2)", role, home.tenant_id)
    may = await pool.fetchval(
        "select has_function_privilege($1, 'broadaxe.publish(text, text, text, text)', 'execute')", role
    )
    assert may is is_granted
    if not is_granted:
        await pool.execute(f"drop owned by {role}")
        await pool.execute(f"drop role {role}")
