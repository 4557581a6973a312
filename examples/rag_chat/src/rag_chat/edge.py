"""What the edge's routes share: its parts, and the form of an answer other than the wanted one.

Owns the shape of errors: `{"error": {"code", "message", "field"?}}`. Routers import it; `api` puts them together.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, Request
from fastapi.responses import JSONResponse

from rag_chat.answer_feed import AnswerFeeds
from rag_chat.conversation_store import ConversationStore
from rag_chat.database import Database
from rag_chat.engine import RunGateway
from rag_chat.model import ModelClient
from rag_chat.settings import Settings


class Problem(Exception):
    """An answer other than the wanted one, with a sentence for the person."""

    def __init__(self, status: int, code: str, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.field = field

    def as_response(self) -> JSONResponse:
        error = {"code": self.code, "message": str(self)} | ({"field": self.field} if self.field else {})
        return JSONResponse({"error": error}, status_code=self.status)


@dataclass(slots=True)
class Edge:
    """What the handlers share."""

    settings: Settings
    database: Database
    conversations: ConversationStore
    gateway: RunGateway
    feeds: AnswerFeeds
    model: ModelClient
    closing: asyncio.Event = field(default_factory=asyncio.Event)
    watchers: int = 0


def edge_of(request: Request) -> Edge:
    edge: Edge = request.app.state.edge
    return edge


EdgeOf = Annotated[Edge, Depends(edge_of)]
