"""The routes about what was asked: a person's list of conversations, one of them, its name, its link, its end.

    GET    /conversations?search=&before=    those of the person who asks, the latest first
    GET    /conversations/{id}               its messages      PATCH renames it   DELETE forgets it
    POST   /conversations/{id}/share         a new link to it  DELETE makes the link lead nowhere
    GET    /shared/{link}                    what a link shows
    PUT    /message/{id}/feedback            what the person thinks of an answer

Somebody else's conversation looks exactly like one that does not exist.
"""

from __future__ import annotations

import logging
from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, StringConstraints

from rag_chat.conversation_store import Feedback, ShownMessage
from rag_chat.edge import EdgeOf, Problem
from rag_chat.errors import EngineError
from rag_chat.messages import Mode, Result
from rag_chat.people import KnownPerson, NamedPerson, hash_of, new_secret

LISTED_MAX = 50
TITLE_CHARS_MAX = 120

logger = logging.getLogger(__name__)
router = APIRouter()

Link = Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{43}$")]


class Listed(BaseModel):
    conversationId: UUID
    title: str
    updatedAt: datetime
    sharedAt: datetime | None
    # The part of a message in which the words of a search are; null without a search, and when only the name has them.
    excerpt: str | None


class Conversations(BaseModel):
    conversations: list[Listed]
    # Give it as `before` to get what comes next; null at the end.
    next: datetime | None


class Conversation(BaseModel):
    conversationId: UUID
    title: str
    sharedAt: datetime | None
    messages: list[ShownMessage]


class Renamed(BaseModel):
    title: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=TITLE_CHARS_MAX)]


class Sharing(BaseModel):
    messageId: UUID


class Shared(BaseModel):
    """The link is told once: only its hash is kept."""

    link: str
    sharedAt: datetime


class SharedMessage(BaseModel):
    """A message as strangers see it: nothing in it opens or changes anything."""

    role: Literal["user", "assistant"]
    status: Literal["complete", "failed", "cancelled"]
    content: str
    url: str
    sources: list[str]
    mode: Mode
    result: Result | None


class SharedConversation(BaseModel):
    title: str
    messages: list[SharedMessage]


class Judged(BaseModel):
    feedback: Feedback | None


@router.get("/conversations")
async def conversations(
    edge: EdgeOf,
    person: NamedPerson,
    search: Annotated[str, Query(max_length=200)] = "",
    before: datetime | None = None,
) -> Conversations:
    """The conversations of who asks, the latest first, LISTED_MAX at once."""
    found = await edge.conversations.headings(person, search, before, LISTED_MAX)
    listed = [
        Listed(
            conversationId=each.conversation_id,
            title=each.title,
            updatedAt=each.updated_at,
            sharedAt=each.shared_at,
            excerpt=each.excerpt,
        )
        for each in found
        if each.updated_at is not None
    ]
    return Conversations(conversations=listed, next=listed[-1].updatedAt if len(listed) == LISTED_MAX else None)


@router.get("/conversations/{conversation_id}")
async def conversation(conversation_id: UUID, edge: EdgeOf, person: KnownPerson) -> Conversation:
    """The kept messages of all branches, oldest first. An unknown conversation is an empty one."""
    heading = await edge.conversations.heading(conversation_id, person)
    if heading is None:
        return Conversation(conversationId=conversation_id, title="", sharedAt=None, messages=[])
    return Conversation(
        conversationId=conversation_id,
        title=heading.title,
        sharedAt=heading.shared_at,
        messages=await edge.conversations.latest(conversation_id),
    )


@router.patch("/conversations/{conversation_id}")
async def rename(conversation_id: UUID, renamed: Renamed, edge: EdgeOf, person: KnownPerson) -> Renamed:
    """Give it another name."""
    if not await edge.conversations.rename(conversation_id, person, renamed.title):
        raise _unknown(conversation_id)
    return renamed


@router.delete("/conversations/{conversation_id}", status_code=204)
async def forget(conversation_id: UUID, edge: EdgeOf, person: KnownPerson) -> Response:
    """Forget a conversation for good, with its link, and stop the answers that are still being made."""
    for run_id in await edge.conversations.running_in(conversation_id, person):
        try:
            await edge.gateway.cancel(run_id)
        except EngineError as error:
            # It ends by itself, and there will be nobody to tell.
            logger.warning("the run %s of a forgotten conversation goes on: %s", run_id, error)
    await edge.conversations.delete(conversation_id, person)
    return Response(status_code=204)


@router.post("/conversations/{conversation_id}/share", status_code=201)
async def share(conversation_id: UUID, sharing: Sharing, edge: EdgeOf, person: KnownPerson) -> Shared:
    """A link by which anybody reads the conversation up to this answer. An earlier link stops working."""
    link = new_secret()
    shared_at = await edge.conversations.share(conversation_id, person, sharing.messageId, hash_of(link))
    if shared_at is None:
        raise Problem(404, "unknown_message", "This conversation has no such finished answer.", field="messageId")
    return Shared(link=link, sharedAt=shared_at)


@router.delete("/conversations/{conversation_id}/share", status_code=204)
async def unshare(conversation_id: UUID, edge: EdgeOf, person: KnownPerson) -> Response:
    """Make the link lead nowhere."""
    await edge.conversations.unshare(conversation_id, person)
    return Response(status_code=204)


@router.get("/shared/{link}")
async def shared(link: Link, edge: EdgeOf, response: Response) -> SharedConversation:
    """What a link shows. Ids are left out, since they would open more than the link does."""
    found = await edge.conversations.shared(hash_of(link))
    if found is None:
        raise Problem(404, "unknown_link", "This link leads nowhere: its owner stopped sharing, or it is incomplete.")
    response.headers["X-Robots-Tag"] = "noindex"
    title, messages = found
    return SharedConversation(
        title=title, messages=[SharedMessage.model_validate(message.model_dump()) for message in messages]
    )


@router.put("/message/{message_id}/feedback")
async def judge(message_id: UUID, judged: Judged, edge: EdgeOf, person: KnownPerson) -> Judged:
    """Keep whether an answer was good, bad, or neither."""
    if not await edge.conversations.judge(message_id, person, judged.feedback):
        raise Problem(404, "unknown_message", f"There is no answer {message_id}.")
    return judged


def _unknown(conversation_id: UUID) -> Problem:
    return Problem(404, "unknown_conversation", f"There is no conversation {conversation_id}.")
