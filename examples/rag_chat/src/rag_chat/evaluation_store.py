"""Evaluations and their questions in Postgres.

Owns the life of an evaluation: `running`, then `complete` or `failed`, written once. Each question is written when it
is done, which is what progress is counted by; written again, it is the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from rag_chat.database import Database
from rag_chat.evaluation import KnownQuestion, Method, Score
from rag_chat.queries import query

LISTED_MAX = 50


@dataclass(frozen=True, slots=True)
class StoredEvaluation:
    evaluation_id: UUID
    url: str
    status: str
    error: str | None
    run_id: str | None
    embedder: str | None
    questions: int
    created_at: datetime
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class EvaluatedQuestion:
    position: int
    question: KnownQuestion
    scores: dict[Method, Score]


class EvaluationStore:
    def __init__(self, database: Database) -> None:
        self._pool = database.pool

    async def begin(self, evaluation_id: UUID, url: str, questions: int) -> None:
        await self._pool.execute(query("insert_evaluation"), evaluation_id, url, questions)

    async def set_run(self, evaluation_id: UUID, run_id: str) -> None:
        await self._pool.execute(query("set_evaluation_run"), evaluation_id, run_id)

    async def add(
        self, evaluation_id: UUID, position: int, question: KnownQuestion, scores: Mapping[Method, Score]
    ) -> None:
        await self._pool.execute(
            query("put_evaluated_question"),
            evaluation_id,
            position,
            question.question,
            question.pages,
            {method.value: each.model_dump(mode="json") for method, each in scores.items()},
        )

    async def finish(self, evaluation_id: UUID, error: str | None = None, embedder: str | None = None) -> None:
        """The end, by its error a failed one."""
        status = "complete" if error is None else "failed"
        await self._pool.execute(query("finish_evaluation"), evaluation_id, status, error, embedder)

    async def get(self, evaluation_id: UUID) -> StoredEvaluation | None:
        row = await self._pool.fetchrow(query("get_evaluation"), evaluation_id)
        return None if row is None else _stored(row)

    async def latest(self) -> list[StoredEvaluation]:
        return [_stored(row) for row in await self._pool.fetch(query("list_evaluations"), LISTED_MAX)]

    async def questions(self, evaluation_id: UUID) -> list[EvaluatedQuestion]:
        rows = await self._pool.fetch(query("list_evaluated_questions"), evaluation_id)
        return [
            EvaluatedQuestion(
                position=row["position"],
                question=KnownQuestion(question=row["question"], pages=row["pages"]),
                scores={Method(name): Score.model_validate(each) for name, each in row["scores"].items()},
            )
            for row in rows
        ]


def _stored(row: asyncpg.Record) -> StoredEvaluation:
    return StoredEvaluation(*row.values())
