"""The routes that open a citation: the passage as it was when the answer was made, in its surroundings.

    GET /message/{id}/passages/{index}                 one that was found for an answer
    GET /shared/{link}/passages/{number}/{index}       the same for readers of a link; the number counts its messages

The passage is what the answer kept. What stands round it is read from the page as it was read last; when the passage is
not there any more, the page has changed since, which is said.
"""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel

from rag_chat.conversations_api import Link
from rag_chat.edge import Edge, EdgeOf, Problem
from rag_chat.messages import Citation
from rag_chat.people import KnownPerson, hash_of
from rag_chat.queries import query

SURROUNDING_MAX = 3

router = APIRouter()


class Piece(BaseModel):
    heading: str
    text: str


class OpenPassage(BaseModel):
    index: int
    title: str
    heading: str
    url: str
    score: float | None
    text: str
    before: list[Piece]
    after: list[Piece]
    # The passage is not on its page any more, as far as the page was read since.
    changed: bool


@router.get("/message/{message_id}/passages/{index}")
async def passage(message_id: UUID, index: int, edge: EdgeOf, person: KnownPerson) -> OpenPassage:
    """A passage that was found for an answer, in its surroundings."""
    if await edge.conversations.get(message_id, person) is None:
        raise Problem(404, "unknown_message", f"There is no answer {message_id}.")
    return await _open(edge, message_id, index)


@router.get("/shared/{link}/passages/{number}/{index}")
async def shared_passage(link: Link, number: int, index: int, edge: EdgeOf) -> OpenPassage:
    """A passage behind an answer of a shared conversation."""
    found = await edge.conversations.shared(hash_of(link))
    if found is None or not 0 <= number < len(found[1]):
        raise Problem(404, "unknown_link", "This link leads nowhere: its owner stopped sharing, or it is incomplete.")
    return await _open(edge, found[1][number].messageId, index)


async def _open(edge: Edge, message_id: UUID, index: int) -> OpenPassage:
    passages = await edge.conversations.passages(message_id)
    wanted: Citation | None = next((each for each in passages if each.index == index), None)
    if wanted is None:
        raise Problem(404, "unknown_passage", f"This answer has no passage {index}.")
    rows = await edge.database.pool.fetch(query("surroundings"), wanted.page_id, wanted.text, SURROUNDING_MAX)
    return OpenPassage(
        index=wanted.index,
        title=wanted.title,
        heading=wanted.heading,
        url=wanted.url,
        score=wanted.score,
        text=wanted.text,
        before=[Piece(heading=row["heading"], text=row["body"]) for row in rows if row["distance"] < 0],
        after=[Piece(heading=row["heading"], text=row["body"]) for row in rows if row["distance"] > 0],
        changed=not rows,
    )
