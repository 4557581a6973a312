"""The routes about evaluations.

POST /evaluations       begin one: {url?, questions?} -> the evaluation; without questions those about the docs
GET  /evaluations       the latest, newest first
GET  /evaluations/{id}  one: its measures by method, and each question
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, Field, StringConstraints

from rag_chat.addresses import URL_CHARS_MAX, parse_web_address
from rag_chat.edge import EdgeOf, Problem
from rag_chat.errors import AddressRefused, EngineError
from rag_chat.evaluation import (
    QUESTIONS_MAX,
    KnownQuestion,
    Method,
    Score,
    Summary,
    questions_about_the_docs,
    summarise,
)
from rag_chat.evaluation_runs import begin_evaluation, settle
from rag_chat.evaluation_store import EvaluationStore, StoredEvaluation

router = APIRouter()


class Wanted(BaseModel):
    """The body of POST /evaluations."""

    url: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=URL_CHARS_MAX)] | None = None
    questions: Annotated[list[KnownQuestion], Field(min_length=1, max_length=QUESTIONS_MAX)] | None = None


class ShownEvaluation(BaseModel):
    evaluationId: UUID
    url: str
    status: str
    error: str | None
    runId: str | None
    # The model that compared meanings; null when there was none.
    embedder: str | None
    questions: int
    createdAt: datetime
    finishedAt: datetime | None


class Listed(BaseModel):
    evaluations: list[ShownEvaluation]


class ShownQuestion(BaseModel):
    position: int
    question: str
    pages: list[str]
    scores: dict[Method, Score]


class WholeEvaluation(ShownEvaluation):
    done: int
    summaries: dict[Method, Summary]
    answers: list[ShownQuestion]


@router.post("/evaluations", status_code=202)
async def begin(wanted: Wanted, edge: EdgeOf) -> ShownEvaluation:
    """Begin an evaluation; a run reads the site and asks the questions."""
    try:
        url = parse_web_address(wanted.url or edge.settings.default_url).geturl()
    except AddressRefused as error:
        raise Problem(422, error.code, str(error), field="url") from None
    store = EvaluationStore(edge.database)
    try:
        evaluation_id = await begin_evaluation(edge.gateway, store, url, wanted.questions or questions_about_the_docs())
    except EngineError as error:
        raise Problem(503, error.code, str(error)) from None
    return _shown(await _evaluation(store, evaluation_id))


@router.get("/evaluations")
async def latest(edge: EdgeOf) -> Listed:
    """The latest evaluations, newest first."""
    return Listed(evaluations=[_shown(each) for each in await EvaluationStore(edge.database).latest()])


@router.get("/evaluations/{evaluation_id}")
async def one(evaluation_id: UUID, edge: EdgeOf) -> WholeEvaluation:
    """One evaluation, as far as it has come."""
    store = EvaluationStore(edge.database)
    await settle(edge.gateway, store, evaluation_id)
    evaluation = await _evaluation(store, evaluation_id)
    answers = await store.questions(evaluation_id)
    return WholeEvaluation(
        **_shown(evaluation).model_dump(),
        done=len(answers),
        summaries=summarise([answer.scores for answer in answers]),
        answers=[
            ShownQuestion(
                position=answer.position,
                question=answer.question.question,
                pages=answer.question.pages,
                scores=answer.scores,
            )
            for answer in answers
        ],
    )


async def _evaluation(store: EvaluationStore, evaluation_id: UUID) -> StoredEvaluation:
    evaluation = await store.get(evaluation_id)
    if evaluation is None:
        raise Problem(404, "unknown_evaluation", f"There is no evaluation {evaluation_id}.")
    return evaluation


def _shown(evaluation: StoredEvaluation) -> ShownEvaluation:
    return ShownEvaluation(
        evaluationId=evaluation.evaluation_id,
        url=evaluation.url,
        status=evaluation.status,
        error=evaluation.error,
        runId=evaluation.run_id,
        embedder=evaluation.embedder,
        questions=evaluation.questions,
        createdAt=evaluation.created_at,
        finishedAt=evaluation.finished_at,
    )
