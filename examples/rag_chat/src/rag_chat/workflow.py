"""The four steps between a question and its answer, as durable workflows: one for `balanced` answers, one for `quick`.

    start ──▶ load_docs ──▶ reason_docs ──▶ generate_response

Owns what each step promises to the engine: its timeouts, its retries. The work itself is in `answer_steps`; answers in
`thorough` mode have a workflow with more steps, `thorough_workflow`. Pages and passages live in the chat's Postgres, so
a step that is run again after a crash finds them there.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from hatchet_sdk import ConcurrencyExpression, ConcurrencyLimitStrategy, Context, Hatchet
from hatchet_sdk.runnables.task import Task
from hatchet_sdk.runnables.workflow import Workflow

from rag_chat import answer_steps
from rag_chat.answer_steps import BALANCED, Depth
from rag_chat.messages import (
    QUESTION_EVENT,
    STATUS_AFTER,
    WORKFLOW_NAMES,
    GenerateResponseOutput,
    LoadDocsOutput,
    Mode,
    Question,
    ReasonDocsOutput,
    StartOutput,
    Step,
)
from rag_chat.step_voice import step_of

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


def fair_per_person(answers: int) -> ConcurrencyExpression:
    """Nobody's many questions hold up somebody else's one: `answers` of a person are made at once."""
    return ConcurrencyExpression(
        expression=PERSON_KEY, max_runs=answers, limit_strategy=ConcurrencyLimitStrategy.GROUP_ROUND_ROBIN
    )


def build_workflow(hatchet: Hatchet, depth: Depth = BALANCED) -> RagWorkflow:
    """Declare the workflow of a depth on a client, for a worker to run."""
    workflow = hatchet.workflow(
        name=WORKFLOW_NAMES[depth.mode],
        description="Reads a page, finds the passages that matter, and answers with citations.",
        input_validator=Question,
        on_events=[QUESTION_EVENT] if depth.mode is Mode.BALANCED else [],
        concurrency=fair_per_person(ANSWERS_PER_PERSON_MAX),
    )

    @workflow.task(name=Step.START, execution_timeout=timedelta(seconds=30), schedule_timeout=timedelta(minutes=10))
    async def start(question: Question, ctx: Context) -> StartOutput:
        """Check what was asked and where to look."""
        status = STATUS_AFTER[Step.START]
        async with step_of(ctx, Step.START, status) as voice:
            return answer_steps.begin(question, ctx, voice, status)

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
        status = STATUS_AFTER[Step.LOAD_DOCS]
        async with step_of(ctx, Step.LOAD_DOCS, status) as voice:
            begun = ctx.task_output(start)
            site = await answer_steps.load(begun, begun.search_text, ctx, voice)
            return answer_steps.loaded(site, ctx, voice, status)

    @workflow.task(
        name=Step.REASON_DOCS,
        parents=[start, load_docs],
        # A model that puts the question into another language may have to be loaded first.
        execution_timeout=timedelta(minutes=20),
        schedule_timeout=timedelta(minutes=10),
        retries=2,
        backoff_factor=2.0,
        backoff_max_seconds=10,
    )
    async def reason_docs(question: Question, ctx: Context) -> ReasonDocsOutput:
        """Find the passages that answer the question."""
        status = STATUS_AFTER[Step.REASON_DOCS]
        async with step_of(ctx, Step.REASON_DOCS, status) as voice:
            begun, page_ids = ctx.task_output(start), ctx.task_output(load_docs).page_ids
            return await answer_steps.reason(question, begun, page_ids, [], depth, ctx, voice, status)

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
        async with step_of(ctx, Step.GENERATE_RESPONSE, STATUS_AFTER[Step.GENERATE_RESPONSE]) as voice:
            begun, reasons = ctx.task_output(start), ctx.task_output(reason_docs)
            return await answer_steps.generate(question, begun, reasons, [], depth, ctx, voice)

    return RagWorkflow(workflow, start, load_docs, reason_docs, generate_response)
