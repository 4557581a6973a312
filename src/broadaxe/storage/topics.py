"""Messages of topics as their readers get them: page by page, in the order of their numbers.

Read from the server that is written to: a page that was read after a commit has what that stored. Owns what of a topic
is kept at this moment, and the payloads that are stored by themselves. Refuses to know cursors and subscriptions.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

import asyncpg
import msgspec

from broadaxe.core.audit import Action, Subject
from broadaxe.core.commands.asked import Initiator
from broadaxe.core.commands.topics import MessageRequest
from broadaxe.core.decision import MessageRow
from broadaxe.core.publishing import PAYLOAD_BYTES_MAX
from broadaxe.core.topics import BEGINNING, Position
from broadaxe.errors import InvalidArgument, NotFound
from broadaxe.storage import audit
from broadaxe.storage.ids import is_id, new_id
from broadaxe.storage.pages import ByTopic, Page, page_of_rows
from broadaxe.storage.read_replica import Queries
from broadaxe.storage.reads import COUNT_MAX
from broadaxe.storage.statements import statement

__all__ = [
    "PAGE_BYTES_MAX",
    "PAGE_MESSAGES_MAX",
    "RETENTION_HOURS_MAX",
    "STORED_BYTES_MAX",
    "StreamPayloads",
    "TopicPage",
    "TopicReads",
    "TopicRecord",
    "before_last",
    "read_page",
    "set_retention",
]

PAGE_MESSAGES_MAX: Final = 500
#: Of the payloads of a page, but for that of its last message.
PAGE_BYTES_MAX: Final = 1024 * 1024
#: For how long a tenant may keep messages.
RETENTION_HOURS_MAX: Final = 62 * 24
#: Of the payload of one message, as clients publish it.
MESSAGE_BYTES_MAX: Final = 4 * 1024 * 1024
#: Of one payload that is stored by itself.
STORED_BYTES_MAX: Final = 64 * 1024 * 1024


class TopicPage(msgspec.Struct, frozen=True):
    messages: tuple[MessageRow, ...]
    last: Position | None
    """The topic's latest message when the page was read; None if nobody has published to it."""


async def read_page(
    pool: asyncpg.Pool,
    tenant_id: str,
    topic_id: str,
    after: Position | None,
    messages_max: int = PAGE_MESSAGES_MAX,
    bytes_max: int = PAGE_BYTES_MAX,
) -> TopicPage:
    """What follows `after`; None is where readers of the topic begin."""
    after_id = None if after is None or after == BEGINNING else after.id
    rows = await pool.fetch(statement("topics/page"), tenant_id, topic_id, after_id, messages_max, bytes_max)
    if not rows:
        return TopicPage((), None)
    messages = tuple(
        MessageRow(row["id"], topic_id, row["number"], row["created_at_us"], row["payload"], row["payload_ref"])
        for row in rows
        if row["id"] is not None
    )
    return TopicPage(messages, Position(rows[0]["last_number"], rows[0]["last_message_id"]))


async def before_last(pool: asyncpg.Pool, tenant_id: str, topic_id: str, count: int) -> Position | None:
    """The message behind which there are so many; None if there are no more than these."""
    row = await pool.fetchrow(statement("topics/before_last"), tenant_id, topic_id, count)
    return None if row is None else Position(*row)


class TopicRecord(msgspec.Struct, frozen=True):
    namespace: str
    name: str
    created_at: datetime
    last_published_at: datetime
    message_count: int
    """Of those that are kept."""


class TopicReads:
    """The list of topics, as people read it. Holds nothing but the pool."""

    def __init__(self, pool: Queries) -> None:
        self._pool = pool

    async def topics_page(
        self, tenant_id: str, search: str, *, limit: int, offset: int, after: ByTopic | None = None
    ) -> Page[TopicRecord, ByTopic]:
        """Topics with `search` in their name or namespace, in the order of both."""
        namespace, name = (None, None) if after is None else (after.namespace, after.name)
        rows = await self._pool.fetch(statement("topics/list"), tenant_id, search, limit, offset, namespace, name)
        records = [TopicRecord(*row) for row in rows]
        return page_of_rows(rows, records, limit, lambda row: ByTopic(row["namespace"], row["name"]))

    async def count(self, tenant_id: str, search: str) -> int:
        """No further than `COUNT_MAX`."""
        count: int = await self._pool.fetchval(statement("topics/count"), tenant_id, search, COUNT_MAX)
        return count

    async def retention_hours(self, tenant_id: str) -> int:
        hours: int = await self._pool.fetchval(statement("topics/retention"), tenant_id)
        return hours


async def set_retention(db: audit.Queryable, tenant_id: str, hours: int, by: Initiator) -> None:
    """Keeps messages for so many hours from now on, and shows no older ones."""
    if not 1 <= hours <= RETENTION_HOURS_MAX:
        raise InvalidArgument(f"between 1 and {RETENTION_HOURS_MAX} hours, not {hours}", field="retentionHours")
    async with audit.transaction(db) as connection:
        row = await connection.fetchrow(statement("topics/lock_retention"), tenant_id)
        if row is None:
            raise NotFound(f"there is no tenant {tenant_id}")
        if row["stream_retention_hours"] == hours:
            return
        await connection.execute(statement("topics/set_retention"), tenant_id, hours)
        subject = Subject(tenant_id, row["name"], {"stream_retention_hours": hours})
        before = {"stream_retention_hours": row["stream_retention_hours"]}
        await audit.write(connection, tenant_id, by, Action.TENANT_CHANGE, subject, before=before)


class StreamPayloads:
    """Payloads that are stored once and named by messages. They go a day after the messages of their time."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def put(self, tenant_id: str, content: bytes) -> str:
        """Returns the reference, good for messages that are published within a day."""
        if len(content) > STORED_BYTES_MAX:
            raise InvalidArgument(f"a payload has at most {STORED_BYTES_MAX} bytes, not {len(content)}")
        ref = new_id()
        await self._pool.execute(statement("topics/insert_payload"), tenant_id, ref, content)
        return ref

    async def get(self, tenant_id: str, ref: str) -> bytes:
        """NotFound if there is none."""
        content: bytes | None = None
        if is_id(ref):
            content = await self._pool.fetchval(statement("topics/payload"), tenant_id, ref)
        if content is None:
            raise NotFound("there is no such payload, or it is not kept any more", field="ref")
        return content

    async def settled(self, tenant_id: str, message: MessageRequest) -> MessageRequest:
        """The message as the core takes it: a payload that is a little too large for that is stored and named.
        InvalidArgument for a reference to nothing."""
        if message.payload_ref:
            ref = message.payload_ref
            if not is_id(ref) or not await self._pool.fetchval(statement("topics/has_payload"), tenant_id, ref):
                raise InvalidArgument(
                    "no payload was stored under this reference within a day; store it (again) and publish that "
                    "reference",
                    field="payload_ref",
                )
        if PAYLOAD_BYTES_MAX < len(message.payload) <= MESSAGE_BYTES_MAX:
            ref = await self.put(tenant_id, message.payload)
            return msgspec.structs.replace(message, payload=b"", payload_ref=ref)
        return message
