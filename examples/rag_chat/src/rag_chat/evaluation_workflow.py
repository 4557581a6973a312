"""An evaluation as a durable run: read the site, then a child for each question, all side by side.

    read ──▶ measure ──▶ rag-chat-evaluated-question, once for each question

A question that was measured is kept, so a worker that is killed in the middle costs only what it was just doing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated
from uuid import UUID

from hatchet_sdk import Context, DurableContext, Hatchet, NonRetryableException
from hatchet_sdk.runnables.workflow import Standalone, Workflow
from pydantic import BaseModel, ConfigDict, Field

from rag_chat.embedding import Embedder, ServerEmbedder, choose_embedder
from rag_chat.errors import ChatError
from rag_chat.evaluation import QUESTIONS_MAX, KnownQuestion, Method, Score, score, summarise
from rag_chat.resources import Resources, resources_of
from rag_chat.retrieval import retrieve

EVALUATION_WORKFLOW = "rag-chat-evaluation"
QUESTION_WORKFLOW = "rag-chat-evaluated-question"
SITE_PAGES_MAX = 100
SITE_TIME_S_MAX = 600.0


class EvaluationInput(BaseModel):
    model_config = ConfigDict(frozen=True)

    evaluation_id: UUID
    url: str
    questions: Annotated[list[KnownQuestion], Field(min_length=1, max_length=QUESTIONS_MAX)]


class SiteRead(BaseModel):
    """`embedder` is the name of the model that has seen all passages, if one has."""

    page_ids: list[int]
    skipped: list[str]
    embedder: str | None


class QuestionInput(BaseModel):
    model_config = ConfigDict(frozen=True)

    evaluation_id: UUID
    position: int
    question: KnownQuestion
    page_ids: list[int]
    embedder: str | None


class QuestionScores(BaseModel):
    scores: dict[Method, Score]


class Measured(BaseModel):
    found: dict[Method, str]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The workflow of an evaluation and the task of one of its questions, for a worker to run."""

    workflow: Workflow[EvaluationInput]
    find: Standalone[QuestionInput, QuestionScores]


def build_evaluation(hatchet: Hatchet) -> Evaluation:
    """Declare them on a client."""

    @hatchet.task(
        name=QUESTION_WORKFLOW,
        description="Finds passages for one question whose right pages are known, by each method.",
        input_validator=QuestionInput,
        execution_timeout=timedelta(minutes=2),
        schedule_timeout=timedelta(hours=1),
        retries=2,
    )
    async def find(asked: QuestionInput, ctx: Context) -> QuestionScores:
        """Find passages by words, by meaning and by both."""
        resources = resources_of(ctx)
        embedder = None if asked.embedder is None else _embedder_called(resources, asked.embedder)
        scores: dict[Method, Score] = {}
        for method in Method:
            if method is not Method.WORDS and embedder is None:
                continue
            found = await retrieve(
                resources.store,
                asked.page_ids,
                asked.question.question,
                None if method is Method.WORDS else embedder,
                by_words=method is not Method.MEANING,
            )
            scores[method] = score(asked.question, [passage.url for passage in found.passages])
        await resources.evaluations.add(asked.evaluation_id, asked.position, asked.question, scores)
        return QuestionScores(scores=scores)

    whole = hatchet.workflow(
        name=EVALUATION_WORKFLOW,
        description="Measures how well passages are found: reads a site, asks questions whose right pages are known.",
        input_validator=EvaluationInput,
    )

    @whole.task(name="read", execution_timeout=timedelta(minutes=40), schedule_timeout=timedelta(hours=1), retries=2)
    async def read(asked: EvaluationInput, ctx: Context) -> SiteRead:
        """Read all of the site, and make every vector before the first question."""
        resources = resources_of(ctx)

        async def report(detail: str) -> None:
            ctx.log(detail)

        words = " ".join(question.question for question in asked.questions)
        reader = resources.reader.widened(SITE_PAGES_MAX, SITE_TIME_S_MAX)
        try:
            site = await reader.read(asked.url, words, report, ctx.attempt_number)
        except ChatError as error:
            if error.retryable:
                raise
            raise NonRetryableException(str(error)) from None
        page_ids = [page.page_id for page in site.pages]
        view = await resources.model.look()
        embedder = choose_embedder(resources.model, view.embedding_model, resources.local_embedder)
        if embedder is not None and not await resources.indexer.complete(page_ids, embedder):
            ctx.log(f"{embedder.name} failed to embed the passages, so only words are measured.")
            embedder = None
        return SiteRead(
            page_ids=page_ids, skipped=list(site.skipped), embedder=None if embedder is None else embedder.name
        )

    @whole.durable_task(
        name="measure",
        parents=[read],
        execution_timeout=timedelta(hours=1),
        schedule_timeout=timedelta(hours=1),
        retries=3,
    )
    async def measure(asked: EvaluationInput, ctx: DurableContext) -> Measured:
        """Ask all questions side by side, and close the evaluation."""
        site = ctx.task_output(read)
        children = [
            find.create_bulk_run_item(
                QuestionInput(
                    evaluation_id=asked.evaluation_id,
                    position=position,
                    question=question,
                    page_ids=site.page_ids,
                    embedder=site.embedder,
                ),
                child_key=str(position),
            )
            for position, question in enumerate(asked.questions)
        ]
        scores = [answer.scores for answer in await find.aio_run_many(children)]
        await resources_of(ctx).evaluations.finish(asked.evaluation_id, embedder=site.embedder)
        return Measured(
            found={method: f"{each.found} of {each.questions}" for method, each in summarise(scores).items()}
        )

    return Evaluation(whole, find)


def _embedder_called(resources: Resources, name: str) -> Embedder:
    local = resources.local_embedder
    return local if local is not None and local.name == name else ServerEmbedder(resources.model, name)
