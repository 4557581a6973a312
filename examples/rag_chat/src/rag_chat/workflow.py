"""The four steps between a question and its answer, as a durable workflow.

    start ──▶ load_docs ──▶ reason_docs ──▶ generate_response

Owns what each step promises to the engine: its timeouts, its retries, which failures are final. The work itself is
elsewhere. Steps hand each other ids and short texts, never pages: pages and passages live in the chat's Postgres, so a
step that is run again after a crash finds them there. Every step is safe to run twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from hatchet_sdk import (
    ConcurrencyExpression,
    ConcurrencyLimitStrategy,
    Context,
    Hatchet,
    NonRetryableException,
)
from hatchet_sdk.runnables.task import Task
from hatchet_sdk.runnables.workflow import Workflow

from rag_chat.answering import cited, extractive_answer, follow_ups, question_of, quote_of, search_text_of
from rag_chat.embedding import choose_embedder
from rag_chat.errors import ChatError, ModelError, ModelUnreachable
from rag_chat.library_store import checked_address
from rag_chat.messages import (
    QUESTION_EVENT,
    STATUS_AFTER,
    STATUS_WHILE,
    WORKFLOW_NAME,
    Citation,
    GenerateResponseOutput,
    LoadDocsOutput,
    Outcome,
    ProgressChunk,
    Question,
    ReasonDocsOutput,
    StartOutput,
    Step,
    StepChunk,
)
from rag_chat.question_sources import read_all
from rag_chat.resources import resources_of
from rag_chat.retrieval import retrieve
from rag_chat.token_stream import TokenStream
from rag_chat.writing import Writer

TELL_TIMEOUT_S = 3.0
RETELL_EVERY_S = 1.0
# How many answers to one person are made at once; further questions wait for their turn.
ANSWERS_PER_PERSON_MAX = 3
# Whoever pushes an event names nobody; then it is the page that takes turns.
PERSON_KEY = "has(additional_metadata.person) ? additional_metadata.person : input.url"


@dataclass(frozen=True, slots=True)
class RagWorkflow:
    workflow: Workflow[Question]
    start: Task[Question, StartOutput]
    load_docs: Task[Question, LoadDocsOutput]
    reason_docs: Task[Question, ReasonDocsOutput]
    generate_response: Task[Question, GenerateResponseOutput]


def build_workflow(hatchet: Hatchet) -> RagWorkflow:
    """Declare the workflow on a client; the edge declares it to trigger runs, the worker to run them."""
    workflow = hatchet.workflow(
        name=WORKFLOW_NAME,
        description="Reads a page, finds the passages that matter, and answers with citations.",
        input_validator=Question,
        on_events=[QUESTION_EVENT],
        # Nobody's many questions hold up somebody else's one.
        concurrency=ConcurrencyExpression(
            expression=PERSON_KEY,
            max_runs=ANSWERS_PER_PERSON_MAX,
            limit_strategy=ConcurrencyLimitStrategy.GROUP_ROUND_ROBIN,
        ),
    )

    @workflow.task(name=Step.START, execution_timeout=timedelta(seconds=30), schedule_timeout=timedelta(minutes=10))
    async def start(question: Question, ctx: Context) -> StartOutput:
        """Check what was asked and where to look."""
        async with _step(ctx, Step.START) as voice:
            url = checked_address(question.url)
            sources = dict.fromkeys(checked_address(source) for source in question.sources)
            sources.pop(url, None)
            ctx.log(f"Asked about {', '.join([url, *sources])}: {question_of(question.messages)[:200]}")
            return StartOutput(
                status=STATUS_AFTER[Step.START],
                seconds=voice.seconds(),
                attempt=ctx.attempt_number,
                question=question_of(question.messages),
                search_text=search_text_of(question.messages),
                url=url,
                sources=list(sources),
            )

    @workflow.task(
        name=Step.LOAD_DOCS,
        parents=[start],
        execution_timeout=timedelta(seconds=150),
        schedule_timeout=timedelta(minutes=10),
        retries=2,
        backoff_factor=2.0,
        backoff_max_seconds=10,
    )
    async def load_docs(question: Question, ctx: Context) -> LoadDocsOutput:
        """Read each page, and the pages below it when it is an index; index what is new."""
        async with _step(ctx, Step.LOAD_DOCS) as voice:
            begun = ctx.task_output(start)
            site = await read_all(
                resources_of(ctx),
                [begun.url, *begun.sources],
                begun.search_text,
                voice.progress,
                ctx.attempt_number,
            )
            for sentence in site.skipped:
                ctx.log(sentence)
            return LoadDocsOutput(
                status=STATUS_AFTER[Step.LOAD_DOCS],
                seconds=voice.seconds(),
                attempt=ctx.attempt_number,
                page_ids=[page.page_id for page in site.pages],
                pages=[page.url for page in site.pages],
                indexed=sum(page.indexed for page in site.pages),
                skipped=list(site.skipped),
            )

    @workflow.task(
        name=Step.REASON_DOCS,
        parents=[start, load_docs],
        execution_timeout=timedelta(minutes=5),
        schedule_timeout=timedelta(minutes=10),
        retries=2,
        backoff_factor=2.0,
        backoff_max_seconds=10,
    )
    async def reason_docs(question: Question, ctx: Context) -> ReasonDocsOutput:
        """Find the passages that answer the question."""
        async with _step(ctx, Step.REASON_DOCS) as voice:
            resources = resources_of(ctx)
            begun, loaded = ctx.task_output(start), ctx.task_output(load_docs)
            view = await resources.model.look()
            embedder = choose_embedder(resources.model, view.embedding_model, resources.local_embedder)
            if embedder and not await resources.indexer.prepare(loaded.page_ids, embedder, voice.progress):
                embedder = None
            found = await retrieve(resources.store, loaded.page_ids, begun.search_text, embedder)
            ctx.log(f"Chose {len(found.passages)} passages by {found.method}")
            passages = [
                Citation(
                    index=index,
                    title=passage.title,
                    heading=passage.heading,
                    url=passage.url,
                    quote=quote_of(passage.body),
                    page_id=passage.page_id,
                    passage_id=passage.passage_id,
                    score=score,
                    text=passage.body,
                )
                for index, (passage, score) in enumerate(zip(found.passages, found.scores, strict=True), start=1)
            ]
            voice.citations = [passage.without_text() for passage in passages]
            return ReasonDocsOutput(
                status=STATUS_AFTER[Step.REASON_DOCS],
                seconds=voice.seconds(),
                attempt=ctx.attempt_number,
                method=found.method,
                passages=passages,
                model_seen=not isinstance(view.problem, ModelUnreachable),
            )

    @workflow.task(
        name=Step.GENERATE_RESPONSE,
        parents=[start, reason_docs],
        # The writer has bounds of its own, for the first token and for the whole; this one is for what they overlook.
        execution_timeout=timedelta(minutes=90),
        schedule_timeout=timedelta(minutes=10),
        retries=3,
        backoff_factor=2.0,
        backoff_max_seconds=15,
    )
    async def generate_response(question: Question, ctx: Context) -> GenerateResponseOutput:
        """Write the answer, streaming it while it is written."""
        async with _step(ctx, Step.GENERATE_RESPONSE) as voice:
            begun, reasons = ctx.task_output(start), ctx.task_output(reason_docs)
            answer = await _generate(question, ctx, voice, begun.question, reasons)
            return answer.model_copy(update={"seconds": voice.seconds(), "attempt": ctx.attempt_number})

    return RagWorkflow(workflow, start, load_docs, reason_docs, generate_response)


async def _generate(
    question: Question, ctx: Context, voice: StepVoice, asked: str, reasons: ReasonDocsOutput
) -> GenerateResponseOutput:
    client = resources_of(ctx).model
    writer = Writer(client, voice.progress, ctx.log, seen=reasons.model_seen)
    async with TokenStream(ctx.aio_put_stream, ctx.attempt_number) as answer:
        try:
            written = await writer.write(question.messages, reasons.passages, question.model, answer)
        except ModelError as error:
            # That nothing was ever there is no failure of a model, and is known at once where nobody named an address.
            absent = isinstance(error, ModelUnreachable) and not reasons.model_seen and not client.settings.explicit
            absent = absent and ctx.attempt_number == 1
            # A restart takes seconds, so it is tried again where that may help. When it does not, the passages were
            # found all the same, and are more use to the person than an error alone.
            if error.retryable and not absent and ctx.attempt_number < ctx.max_attempts:
                raise
            ctx.log(f"{error} Quoting passages instead.")
            if answer.text.strip():
                answer.add("\n\n---\n\n")
            matched = reasons.method != "openings"
            for piece in extractive_answer(asked, reasons.passages, matched, None if absent else error):
                answer.add(piece)
            return _output(answer.text, asked, reasons.passages, reasons.passages, extractive=True)
    return _output(
        written.text,
        asked,
        reasons.passages,
        written.passages,
        model=written.model,
        notices=written.notices,
        reasoning=written.reasoning,
    )


def _output(
    message: str,
    asked: str,
    found: Sequence[Citation],
    passages: Sequence[Citation],
    *,
    model: str | None = None,
    extractive: bool = False,
    notices: Sequence[str] = (),
    reasoning: str = "",
) -> GenerateResponseOutput:
    """`passages` are those of the `found` ones that the answer was made from."""
    citations = [citation.without_text() for citation in cited(message, passages)]
    return GenerateResponseOutput(
        status=Outcome.COMPLETE,
        message=message,
        citations=citations,
        given=len(passages),
        suggestions=follow_ups(asked, found, citations),
        model=model,
        extractive=extractive,
        notices=list(notices),
        reasoning=reasoning,
    )


class StepVoice:
    """Tells people who watch what a step does, and tells it again now and then, because the stream has no history.

    An engine that is away for a moment never holds up the step.
    """

    def __init__(self, ctx: Context, step: Step) -> None:
        self._ctx = ctx
        self._step = step
        self._detail: str | None = None
        self._begun = asyncio.get_running_loop().time()
        # The passages a finished step hands to those who watch.
        self.citations: list[Citation] | None = None

    def seconds(self) -> float:
        """Since the step began."""
        return round(asyncio.get_running_loop().time() - self._begun, 3)

    async def progress(self, detail: str) -> None:
        self._ctx.log(detail)
        self._detail = detail
        await self._send(ProgressChunk(step=self._step, detail=detail))

    async def tell(self, phase: Literal["started", "finished", "retrying"], detail: str | None = None) -> None:
        status = STATUS_AFTER[self._step] if phase == "finished" else STATUS_WHILE[self._step]
        attempt = self._ctx.attempt_number
        citations = self.citations if phase == "finished" else None
        await self._send(
            StepChunk(step=self._step, phase=phase, attempt=attempt, status=status, detail=detail, citations=citations)
        )

    async def repeat(self) -> None:
        while True:
            await asyncio.sleep(RETELL_EVERY_S)
            await self.tell("started")
            if self._detail is not None:
                await self._send(ProgressChunk(step=self._step, detail=self._detail))

    async def _send(self, chunk: StepChunk | ProgressChunk) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(TELL_TIMEOUT_S):
                await self._ctx.aio_put_stream(chunk.model_dump_json())


@asynccontextmanager
async def _step(ctx: Context, step: Step) -> AsyncIterator[StepVoice]:
    """Tell the browser when a step begins and ends, and the engine which failures are final."""
    voice = StepVoice(ctx, step)
    await voice.tell("started")
    repeating = asyncio.create_task(voice.repeat())
    try:
        yield voice
    except ChatError as error:
        if not error.retryable:
            raise NonRetryableException(str(error)) from None
        if ctx.attempt_number < ctx.max_attempts:
            ctx.log(f"{error} Trying again.")
            await voice.tell("retrying", str(error))
        raise
    finally:
        repeating.cancel()
    if step is not Step.GENERATE_RESPONSE:
        # The end of the last step is the answer itself, which the edge reads from the run's result.
        await voice.tell("finished")
