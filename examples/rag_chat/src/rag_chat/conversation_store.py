"""Conversations and their messages in Postgres, which is what lets an answer survive a reload, a crash and a restart.

Owns the life of an answer: `running`, then one of `complete`, `failed`, `cancelled`, written once. A second writer of
the end changes nothing. A conversation is a tree: a question follows an answer, an answer its question, and messages of
one parent are versions of each other. One with an owner is there for that person alone; one without, which a program
began, for whoever knows its unguessable id.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID, uuid4

import asyncpg
from pydantic import BaseModel

from rag_chat.database import Connection, Database
from rag_chat.errors import UnknownPlace
from rag_chat.messages import Citation, Mode, Outcome, Result, StepChunk
from rag_chat.queries import query

MESSAGES_SHOWN_MAX = 400
RUNNING_MAX = 1_000
SEARCH_WORDS_MAX = 8
EXCERPT_CHARS = 160
LIKE_SIGNS = re.compile(r"[%_\\]")

Feedback = Literal["good", "bad"]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a question goes in its conversation. `question_id` names one that is there already and gets another answer;
    else it goes behind the answer `after`, at the beginning when that is None, or, with `latest`, where the
    conversation left off."""

    after: UUID | None = None
    question_id: UUID | None = None
    latest: bool = False


@dataclass(frozen=True, slots=True)
class About:
    """What a question is about, a first address and further ones, and how much is done for its answer."""

    url: str
    sources: Sequence[str] = ()
    mode: Mode = Mode.BALANCED


@dataclass(frozen=True, slots=True)
class StoredMessage:
    message_id: UUID
    conversation_id: UUID
    parent_id: UUID | None
    role: str
    status: str
    content: str
    about: About
    run_id: str | None
    steps: tuple[StepChunk, ...]
    result: Result | None
    feedback: Feedback | None


class ShownMessage(BaseModel):
    """A message as the page shows it."""

    messageId: UUID
    parentId: UUID | None
    role: Literal["user", "assistant"]
    status: Literal["running", "complete", "failed", "cancelled"]
    content: str
    url: str
    sources: list[str]
    mode: Mode
    runId: str | None
    result: Result | None
    feedback: Feedback | None


@dataclass(frozen=True, slots=True)
class Asked:
    """A question and the answer it waits for, as written."""

    question_id: UUID
    answer_id: UUID


@dataclass(frozen=True, slots=True)
class Heading:
    """What a conversation is called. `excerpt` is the part of it in which the words of a search are."""

    conversation_id: UUID
    title: str
    shared_at: datetime | None
    updated_at: datetime | None = None
    excerpt: str | None = None


class ConversationStore:
    def __init__(self, database: Database) -> None:
        self._pool = database.pool

    async def ask(self, conversation_id: UUID, person: str | None, question: str, about: About, place: Place) -> Asked:
        """Write a question, unless it is there, and the answer it waits for. Raises UnknownPlace."""
        question = _storable(question)
        answer_id = uuid4()
        where = (about.url, list(about.sources), about.mode)
        async with self._pool.acquire() as connection, connection.transaction():
            mine = await connection.fetchval(query("put_conversation"), conversation_id, person, _title_of(question))
            if mine is None:
                raise UnknownPlace(f"There is no conversation {conversation_id}.", "conversationId")
            question_id = place.question_id
            if question_id is None:
                question_id = uuid4()
                after = await _answer_before(connection, conversation_id, place)
                await connection.execute(
                    query("insert_question"), question_id, conversation_id, after, question, *where
                )
            else:
                kept = await connection.fetchrow(query("find_in_conversation"), question_id, conversation_id)
                if kept is None or kept["role"] != "user" or kept["content"].strip() != question.strip():
                    raise UnknownPlace("This conversation has no such question.", "questionId")
            await connection.execute(query("insert_answer"), answer_id, conversation_id, question_id, *where)
        return Asked(question_id, answer_id)

    async def set_run(self, message_id: UUID, run_id: str) -> None:
        await self._pool.execute(query("set_run"), message_id, run_id)

    async def save_progress(self, message_id: UUID, steps: list[StepChunk], text: str) -> None:
        await self._pool.execute(query("save_progress"), message_id, _plain(steps), _storable(text))

    async def finish(
        self, message_id: UUID, steps: list[StepChunk], result: Result, passages: Sequence[Citation] = ()
    ) -> None:
        """Write the end of an answer, and in full the passages that were found for it."""
        await self._pool.execute(
            query("finish_answer"),
            message_id,
            result.status,
            _storable(result.message),
            _plain(steps),
            result.model_dump(mode="json"),
            [passage.model_dump(mode="json") for passage in passages],
        )

    async def get(self, message_id: UUID, person: str | None) -> StoredMessage | None:
        """A message of a conversation that this person may see."""
        row = await self._pool.fetchrow(query("get_message"), message_id, person)
        return None if row is None else _stored(row)

    async def get_running(self, message_id: UUID) -> StoredMessage | None:
        """A message for the process that makes it, whoever asked."""
        row = await self._pool.fetchrow(query("get_running"), message_id)
        return None if row is None else _stored(row)

    async def passages(self, message_id: UUID) -> list[Citation]:
        """What was found for an answer, in full, as it was then. Whoever calls knows that it may be seen."""
        kept = await self._pool.fetchval(query("get_found"), message_id)
        return [Citation.model_validate(passage) for passage in kept or []]

    async def heading(self, conversation_id: UUID, person: str | None) -> Heading | None:
        row = await self._pool.fetchrow(query("get_conversation"), conversation_id, person)
        return None if row is None else Heading(row["conversation_id"], row["title"], row["shared_at"])

    async def latest(self, conversation_id: UUID) -> list[ShownMessage]:
        """The conversation's messages, all branches, oldest first, at most the last MESSAGES_SHOWN_MAX."""
        rows = await self._pool.fetch(query("list_messages"), conversation_id, MESSAGES_SHOWN_MAX)
        return [shown(_stored(row)) for row in reversed(rows)]

    async def headings(self, person: str, search: str, before: datetime | None, limit: int) -> list[Heading]:
        """A person's conversations with all the words in their name or in one of their messages, the latest first."""
        words = search.replace("\x00", "").split()[:SEARCH_WORDS_MAX]
        patterns = ["%" + LIKE_SIGNS.sub(r"\\\g<0>", word) + "%" for word in words]
        rows = await self._pool.fetch(query("list_conversations"), person, before, patterns, limit)
        return [
            Heading(
                row["conversation_id"],
                row["title"],
                row["shared_at"],
                row["updated_at"],
                None if row["found"] is None else excerpt_of(row["found"], words),
            )
            for row in rows
        ]

    async def rename(self, conversation_id: UUID, person: str | None, title: str) -> bool:
        """Whether there was one to rename."""
        return (
            await self._pool.fetchval(query("rename_conversation"), conversation_id, person, _storable(title))
        ) is not None

    async def running(self) -> list[UUID]:
        return [row["message_id"] for row in await self._pool.fetch(query("list_running"), RUNNING_MAX)]

    async def running_in(self, conversation_id: UUID, person: str | None) -> list[str]:
        """The runs that still make answers of a conversation."""
        rows = await self._pool.fetch(query("list_running_in"), conversation_id, person, RUNNING_MAX)
        return [row["run_id"] for row in rows]

    async def delete(self, conversation_id: UUID, person: str | None) -> None:
        await self._pool.execute(query("delete_conversation"), conversation_id, person)

    async def judge(self, message_id: UUID, person: str | None, feedback: Feedback | None) -> bool:
        """Keep what a person thinks of an answer; whether there is such an answer."""
        return await self._pool.fetchval(query("set_feedback"), message_id, person, feedback) is not None

    async def share(
        self, conversation_id: UUID, person: str | None, message_id: UUID, link_hash: str
    ) -> datetime | None:
        """Share up to a finished answer, by a link that replaces an earlier one; None when there is no such answer."""
        shared_at: datetime | None = await self._pool.fetchval(
            query("put_share"), conversation_id, person, message_id, link_hash
        )
        return shared_at

    async def unshare(self, conversation_id: UUID, person: str | None) -> None:
        await self._pool.execute(query("delete_share"), conversation_id, person)

    async def shared(self, link_hash: str) -> tuple[str, list[ShownMessage]] | None:
        """The name and the messages a link shows, oldest first; None when it leads nowhere."""
        rows = await self._pool.fetch(query("list_shared"), link_hash, MESSAGES_SHOWN_MAX)
        return None if not rows else (rows[0]["title"], [shown(_stored(row)) for row in rows])


async def _answer_before(connection: Connection, conversation_id: UUID, place: Place) -> UUID | None:
    """The answer a new question goes behind; None at the beginning of a conversation."""
    if place.latest:
        latest: UUID | None = await connection.fetchval(query("latest_answer"), conversation_id)
        return latest
    if place.after is not None:
        kept = await connection.fetchrow(query("find_in_conversation"), place.after, conversation_id)
        if kept is None or kept["role"] != "assistant":
            raise UnknownPlace("This conversation has no such answer.", "parentId")
    return place.after


def shown(message: StoredMessage) -> ShownMessage:
    return ShownMessage.model_validate(
        {
            "messageId": message.message_id,
            "parentId": message.parent_id,
            "role": message.role,
            "status": message.status,
            "content": message.content,
            "url": message.about.url,
            "sources": list(message.about.sources),
            "mode": message.about.mode,
            "runId": message.run_id,
            "result": message.result,
            "feedback": message.feedback,
        }
    )


def excerpt_of(text: str, words: Sequence[str]) -> str:
    """A line of a message round the first of some words, whatever their case."""
    line = " ".join(text.split())
    places = [place for word in words if (place := line.lower().find(word.lower())) >= 0]
    begin = max(0, min(places, default=0) - EXCERPT_CHARS // 4)
    piece = line[begin : begin + EXCERPT_CHARS]
    return f"{'…' if begin else ''}{piece}{'…' if begin + EXCERPT_CHARS < len(line) else ''}"


def _stored(row: asyncpg.Record) -> StoredMessage:
    return StoredMessage(
        message_id=row["message_id"],
        conversation_id=row["conversation_id"],
        parent_id=row["parent_id"],
        role=row["role"],
        status=row["status"],
        content=row["content"],
        about=About(row["url"], tuple(row["sources"]), Mode(row["mode"])),
        run_id=row["run_id"],
        steps=tuple(StepChunk.model_validate(step) for step in row["steps"]),
        result=None if row["result"] is None else Result.model_validate(row["result"]),
        feedback=row["feedback"],
    )


def _plain(steps: list[StepChunk]) -> list[dict[str, object]]:
    return [step.model_dump(mode="json") for step in steps]


def _title_of(question: str) -> str:
    return " ".join(question.split())


def _storable(text: str) -> str:
    """Postgres text holds no NUL."""
    return text.replace("\x00", "")


def terminal(status: str) -> bool:
    return status in {outcome.value for outcome in Outcome}
