"""Conversations and their messages in Postgres, which is what lets an answer survive a reload, a crash and a restart.

Owns the life of an answer: `running`, then one of `complete`, `failed`, `cancelled`, written once. A second writer of
the end changes nothing. A conversation is known by an unguessable id that only its browser has; there is no list of
conversations.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal
from uuid import UUID, uuid4

import asyncpg
from pydantic import BaseModel

from rag_chat.database import Database
from rag_chat.messages import Outcome, Result, StepChunk
from rag_chat.queries import query

MESSAGES_SHOWN_MAX = 200
RUNNING_MAX = 1_000


@dataclass(frozen=True, slots=True)
class StoredMessage:
    message_id: UUID
    conversation_id: UUID
    role: str
    status: str
    content: str
    url: str
    run_id: str | None
    steps: tuple[StepChunk, ...]
    result: Result | None


class ShownMessage(BaseModel):
    """A message as the page shows it."""

    messageId: UUID
    role: Literal["user", "assistant"]
    status: Literal["running", "complete", "failed", "cancelled"]
    content: str
    url: str
    runId: str | None
    result: Result | None


class ConversationStore:
    def __init__(self, database: Database) -> None:
        self._pool = database.pool

    async def ask(self, conversation_id: UUID, question: str, url: str) -> UUID:
        """Write a question and the answer it waits for; returns the answer's id."""
        answer_id = uuid4()
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.execute(query("put_conversation"), conversation_id)
            await connection.execute(query("insert_question"), uuid4(), conversation_id, _storable(question), url)
            await connection.execute(query("insert_answer"), answer_id, conversation_id, url)
        return answer_id

    async def set_run(self, message_id: UUID, run_id: str) -> None:
        await self._pool.execute(query("set_run"), message_id, run_id)

    async def save_progress(self, message_id: UUID, steps: list[StepChunk], text: str) -> None:
        await self._pool.execute(query("save_progress"), message_id, _plain(steps), _storable(text))

    async def finish(self, message_id: UUID, steps: list[StepChunk], result: Result) -> None:
        await self._pool.execute(
            query("finish_answer"),
            message_id,
            result.status,
            _storable(result.message),
            _plain(steps),
            result.model_dump(mode="json"),
        )

    async def get(self, message_id: UUID) -> StoredMessage | None:
        row = await self._pool.fetchrow(query("get_message"), message_id)
        return None if row is None else _stored(row)

    async def latest(self, conversation_id: UUID) -> list[ShownMessage]:
        """The conversation, oldest first, at most its last MESSAGES_SHOWN_MAX messages."""
        rows = await self._pool.fetch(query("list_messages"), conversation_id, MESSAGES_SHOWN_MAX)
        return [_shown(_stored(row)) for row in reversed(rows)]

    async def running(self) -> list[UUID]:
        return [row["message_id"] for row in await self._pool.fetch(query("list_running"), RUNNING_MAX)]

    async def delete(self, conversation_id: UUID) -> None:
        await self._pool.execute(query("delete_conversation"), conversation_id)


def _stored(row: asyncpg.Record) -> StoredMessage:
    return StoredMessage(
        message_id=row["message_id"],
        conversation_id=row["conversation_id"],
        role=row["role"],
        status=row["status"],
        content=row["content"],
        url=row["url"],
        run_id=row["run_id"],
        steps=tuple(StepChunk.model_validate(step) for step in row["steps"]),
        result=None if row["result"] is None else Result.model_validate(row["result"]),
    )


def _shown(message: StoredMessage) -> ShownMessage:
    return ShownMessage.model_validate(
        {
            "messageId": message.message_id,
            "role": message.role,
            "status": message.status,
            "content": message.content,
            "url": message.url,
            "runId": message.run_id,
            "result": message.result,
        }
    )


def _plain(steps: list[StepChunk]) -> list[dict[str, object]]:
    return [step.model_dump(mode="json") for step in steps]


def _storable(text: str) -> str:
    """Postgres text holds no NUL."""
    return text.replace("\x00", "")


def terminal(status: str) -> bool:
    return status in {outcome.value for outcome in Outcome}
