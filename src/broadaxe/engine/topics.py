"""Readers of topics: from where each of them stands in the tables, to the live end and on from there.

A reader that is behind reads pages of the table at its own pace. Having read everything it is *live*: what is committed
is put into its queue, as long as that is short and the numbers follow each other. Whatever else happens (the queue is
full, a number is missing, the tenant was loaded anew, another node decides it now) puts it behind again, and the table
says what it has missed. So nothing is skipped or told twice, however it came.

What is told while a page is read is only counted: a reader is live when nothing was told since the read began that
came back as the last page.

Bounds: `FOLLOWERS_MAX` readers of a tenant on a node; of each, `LIVE_MESSAGES_MAX` messages and `LIVE_BYTES_MAX` bytes
wait, and are shared with those of others; `READS_AT_ONCE_MAX` pages are read at a time.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Protocol

import structlog

from broadaxe.core.decision import MessageRow
from broadaxe.core.topics import BEGINNING, Position, not_kept
from broadaxe.errors import ResourceExhausted, Unavailable
from broadaxe.storage.topics import TopicPage

__all__ = ["LIVE_BYTES_MAX", "TopicFeed", "TopicSubscription"]

FOLLOWERS_MAX: Final = 10_000
LIVE_MESSAGES_MAX: Final = 500
LIVE_BYTES_MAX: Final = 1024 * 1024
READS_AT_ONCE_MAX: Final = 4
READ_AGAIN_S: Final = 1.0

_log = structlog.get_logger(__name__)

#: A page of a topic behind a position; None is where readers begin.
ReadPage = Callable[[str, Position | None], Awaitable[TopicPage]]


class Elsewhere(Protocol):
    """Who tells of topics that are followed here, while another node decides the tenant."""

    def want_topic(self, topic_id: str) -> None:
        """Answered by `TopicFeed.told` with no messages: what was committed before may not have been told."""
        ...

    def want_no_topic(self, topic_id: str) -> None: ...


class TopicSubscription:
    """One reader of a topic."""

    def __init__(self, topic_id: str, after: Position | None, read: ReadPage) -> None:
        self.topic_id = topic_id
        self._after = after
        """The last message that was put in line; None before anything is known."""
        self._is_checked = after is not None and after != BEGINNING
        """Whether the next message must have the next number: else some are not kept any more."""
        self._read = read
        self._live: deque[MessageRow] = deque()
        self._bytes = 0
        self._is_behind = True
        self._told_count = 0
        self._wake = asyncio.Event()
        self._is_closed = False

    @property
    def after(self) -> Position:
        """The last message that was put in line, or the beginning."""
        return self._after or BEGINNING

    @property
    def is_closed(self) -> bool:
        return self._is_closed

    def told(self, messages: Sequence[MessageRow]) -> None:
        """What was committed, in order; nothing if that may have been told to nobody."""
        self._told_count += 1
        if not messages:
            self._is_behind = True
        for message in messages:
            if self._is_behind:
                break
            number = self.after.number
            if message.number <= number:
                continue
            is_full = len(self._live) >= LIVE_MESSAGES_MAX or self._bytes + len(message.payload) > LIVE_BYTES_MAX
            if message.number > number + 1 or (is_full and self._live):
                self._is_behind = True
                break
            self._live.append(message)
            self._bytes += len(message.payload)
            self._after = Position(message.number, message.id)
        self._wake.set()

    async def check(self) -> None:
        """Reads the first page; `next` begins with it. OutOfRange as of `next`."""
        if self._is_behind and not self._live:
            self._live.extend(await self._catch_up())

    async def next(self) -> Sequence[MessageRow]:
        """Messages that follow, one at least; none once the subscription is closed. OutOfRange when some that should
        follow are not kept any more."""
        while not self._is_closed:
            if self._live:
                taken = tuple(self._live)
                self._live.clear()
                self._bytes = 0
                return taken
            if self._is_behind:
                if messages := await self._catch_up():
                    return messages
                continue
            self._wake.clear()
            await self._wake.wait()
        return ()

    async def _catch_up(self) -> Sequence[MessageRow]:
        told_count = self._told_count
        try:
            page = await self._read(self.topic_id, self._after)
        except Unavailable as error:
            _log.warning("messages could not be read; trying again", topic=self.topic_id, error=str(error))
            await asyncio.sleep(READ_AGAIN_S)
            return ()
        messages, last = page.messages, page.last or BEGINNING
        first_number = messages[0].number if messages else last.number + 1
        if self._is_checked and first_number != self.after.number + 1:
            raise not_kept()
        end = Position(messages[-1].number, messages[-1].id) if messages else last
        self._after, self._is_checked = end, end != BEGINNING
        if end.number >= last.number and self._told_count == told_count:
            self._is_behind = False
        return messages

    def close(self) -> None:
        self._is_closed = True
        self._wake.set()


class TopicFeed:
    """The readers of one tenant's topics on this node."""

    def __init__(self, read: ReadPage) -> None:
        self._read = read
        self._reads = asyncio.Semaphore(READS_AT_ONCE_MAX)
        self._followers: dict[str, dict[TopicSubscription, None]] = {}
        self._count = 0
        self.elsewhere: Elsewhere | None = None
        """Set while another node decides the tenant."""

    def is_followed(self) -> bool:
        return bool(self._followers)

    def follow(self, topic_id: str, after: Position | None) -> TopicSubscription:
        if self._count >= FOLLOWERS_MAX:
            raise ResourceExhausted(f"{FOLLOWERS_MAX} readers follow topics of this tenant here already; close some")
        subscription = TopicSubscription(topic_id, after, self._page)
        if topic_id not in self._followers:
            self._followers[topic_id] = {}
            if self.elsewhere is not None:
                self.elsewhere.want_topic(topic_id)
        self._followers[topic_id][subscription] = None
        self._count += 1
        return subscription

    def unfollow(self, subscription: TopicSubscription) -> None:
        subscription.close()
        followers = self._followers.get(subscription.topic_id, {})
        if subscription in followers:
            del followers[subscription]
            self._count -= 1
            if not followers:
                del self._followers[subscription.topic_id]
                if self.elsewhere is not None:
                    self.elsewhere.want_no_topic(subscription.topic_id)

    def told(self, topic_id: str, messages: Sequence[MessageRow]) -> None:
        for subscription in self._followers.get(topic_id, ()):
            subscription.told(messages)

    def look_again(self) -> None:
        """The tenant was loaded anew: what the last round before had to tell may have been told to nobody."""
        for topic_id in self._followers:
            self.told(topic_id, ())

    def tell_elsewhere(self, elsewhere: Elsewhere) -> None:
        """From here on that node tells."""
        self.elsewhere = elsewhere
        for topic_id in self._followers:
            elsewhere.want_topic(topic_id)

    def close(self) -> None:
        """Every reader is hung up on, and comes again with its cursor."""
        for followers in self._followers.values():
            for subscription in followers:
                subscription.close()

    async def _page(self, topic_id: str, after: Position | None) -> TopicPage:
        async with self._reads:
            return await self._read(topic_id, after)
