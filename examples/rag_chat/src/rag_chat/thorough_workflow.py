"""A thorough answer: plan what has to be found out, read more pages first, then find passages for all of it.

    start ──▶ plan ──▶ load_docs ──▶ read_more ──▶ reason_docs ──▶ generate_response
                                         └──▶ rag-chat-source-page, once for each further page

Owns what these steps promise to the engine. Further pages are children of a durable task, the same ones that read the
library, so that how often a host is asked is one limit for all; a worker that is killed costs the pages it was at. One
thorough answer to a person is made at a time, beside their quicker ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urlsplit

from hatchet_sdk import Context, DurableContext, Hatchet
from hatchet_sdk.runnables.task import Task
from hatchet_sdk.runnables.workflow import Standalone, Workflow

from rag_chat import answer_steps
from rag_chat.answer_steps import THOROUGH
from rag_chat.asides import plan_of
from rag_chat.further_pages import further_pages
from rag_chat.library_workflow import PageInput, PageOutcome
from rag_chat.messages import (
    STATUS_AFTER,
    STATUS_WHILE,
    WORKFLOW_NAMES,
    GenerateResponseOutput,
    LoadDocsOutput,
    PlanOutput,
    Question,
    ReadMoreOutput,
    ReasonDocsOutput,
    StartOutput,
    Step,
)
from rag_chat.resources import resources_of
from rag_chat.step_voice import step_of
from rag_chat.workflow import fair_per_person

# Its children read so many pages, so one at a time is enough for one person.
THOROUGH_ANSWERS_PER_PERSON_MAX = 1
PAGES_AT_ONCE = 6
PLAN_PATIENCE_S_MAX = 900.0


@dataclass(frozen=True, slots=True)
class ThoroughWorkflow:
    workflow: Workflow[Question]
    start: Task[Question, StartOutput]
    plan: Task[Question, PlanOutput]
    load_docs: Task[Question, LoadDocsOutput]
    read_more: Task[Question, ReadMoreOutput]
    reason_docs: Task[Question, ReasonDocsOutput]
    generate_response: Task[Question, GenerateResponseOutput]


def build_thorough(hatchet: Hatchet, page: Standalone[PageInput, PageOutcome]) -> ThoroughWorkflow:
    """Declare it on a client. `page` is the task of the library that reads one page."""
    workflow = hatchet.workflow(
        name=WORKFLOW_NAMES[THOROUGH.mode],
        description="Plans what to find out, reads more pages, and answers with citations.",
        input_validator=Question,
        concurrency=fair_per_person(THOROUGH_ANSWERS_PER_PERSON_MAX),
    )

    @workflow.task(name=Step.START, execution_timeout=timedelta(seconds=30), schedule_timeout=timedelta(minutes=30))
    async def start(question: Question, ctx: Context) -> StartOutput:
        """Check what was asked and where to look."""
        status = STATUS_WHILE[Step.PLAN]
        async with step_of(ctx, Step.START, status) as voice:
            return answer_steps.begin(question, ctx, voice, status)

    @workflow.task(
        name=Step.PLAN,
        parents=[start],
        execution_timeout=timedelta(minutes=20),
        schedule_timeout=timedelta(minutes=10),
        retries=2,
    )
    async def plan(question: Question, ctx: Context) -> PlanOutput:
        """Split the question into smaller ones. Without a model it is searched for as it stands."""
        status = STATUS_AFTER[Step.PLAN]
        async with step_of(ctx, Step.PLAN, status) as voice:
            begun, model = ctx.task_output(start), resources_of(ctx).model
            await voice.progress("Thinking of what has to be found out")
            patience_s = min(model.settings.first_token_wait_s, PLAN_PATIENCE_S_MAX)
            questions = await plan_of(model, question.messages, question.model, patience_s)
            voice.searched_for = questions or [begun.search_text]
            ctx.log("Looking for: " + " | ".join(voice.searched_for))
            return PlanOutput(
                status=status,
                seconds=voice.seconds(),
                attempt=ctx.attempt_number,
                questions=voice.searched_for,
                by_model=bool(questions),
            )

    @workflow.task(
        name=Step.LOAD_DOCS,
        parents=[start, plan],
        execution_timeout=timedelta(seconds=240),
        schedule_timeout=timedelta(minutes=10),
        retries=2,
        backoff_factor=2.0,
        backoff_max_seconds=10,
    )
    async def load_docs(question: Question, ctx: Context) -> LoadDocsOutput:
        """Read what was named, and choose which of the linked pages to read after it."""
        status = STATUS_WHILE[Step.READ_MORE]
        async with step_of(ctx, Step.LOAD_DOCS, status) as voice:
            begun = ctx.task_output(start)
            words = " ".join([begun.search_text, *ctx.task_output(plan).questions])
            site = await answer_steps.load(begun, words, ctx, voice)
            further = await further_pages(resources_of(ctx).reader, [begun.url, *begun.sources], site, words)
            return answer_steps.loaded(site, ctx, voice, status, further)

    @workflow.durable_task(
        name=Step.READ_MORE,
        parents=[load_docs],
        execution_timeout=timedelta(minutes=20),
        schedule_timeout=timedelta(minutes=10),
        retries=2,
    )
    async def read_more(question: Question, ctx: DurableContext) -> ReadMoreOutput:
        """Read the further pages, a few at a time. One that cannot be read costs only itself."""
        status = STATUS_AFTER[Step.READ_MORE]
        async with step_of(ctx, Step.READ_MORE, status) as voice:
            wanted = ctx.task_output(load_docs).further
            page_ids: list[int] = []
            skipped: list[str] = []
            for begin in range(0, len(wanted), PAGES_AT_ONCE):
                await voice.progress(f"Read {begin} of {len(wanted)} further pages")
                children = [
                    page.create_bulk_run_item(PageInput(url=url, host=urlsplit(url).netloc), child_key=url)
                    for url in wanted[begin : begin + PAGES_AT_ONCE]
                ]
                for outcome in await page.aio_run_many(children, return_exceptions=True):
                    if isinstance(outcome, BaseException):
                        skipped.append(f"A page could not be read: {type(outcome).__name__}.")
                    elif outcome.page_id is not None:
                        page_ids.append(outcome.page_id)
                    elif outcome.error is not None:
                        skipped.append(outcome.error)
            return ReadMoreOutput(
                status=status,
                seconds=voice.seconds(),
                attempt=ctx.attempt_number,
                page_ids=page_ids,
                tried=len(wanted),
                skipped=skipped,
            )

    @workflow.task(
        name=Step.REASON_DOCS,
        parents=[start, plan, load_docs, read_more],
        # A model that puts the question into another language may have to be loaded first.
        execution_timeout=timedelta(minutes=20),
        schedule_timeout=timedelta(minutes=10),
        retries=2,
        backoff_factor=2.0,
        backoff_max_seconds=10,
    )
    async def reason_docs(question: Question, ctx: Context) -> ReasonDocsOutput:
        """Find passages for the question and for each part of its plan."""
        status = STATUS_AFTER[Step.REASON_DOCS]
        async with step_of(ctx, Step.REASON_DOCS, status) as voice:
            page_ids = [*ctx.task_output(load_docs).page_ids, *ctx.task_output(read_more).page_ids]
            planned = ctx.task_output(plan).questions
            pages = list(dict.fromkeys(page_ids))
            begun = ctx.task_output(start)
            return await answer_steps.reason(question, begun, pages, planned, THOROUGH, ctx, voice, status)

    @workflow.task(
        name=Step.GENERATE_RESPONSE,
        parents=[start, plan, reason_docs],
        execution_timeout=timedelta(minutes=90),
        schedule_timeout=timedelta(minutes=10),
        retries=3,
        backoff_factor=2.0,
        backoff_max_seconds=15,
    )
    async def generate_response(question: Question, ctx: Context) -> GenerateResponseOutput:
        """Write the answer to all parts of the plan, streaming it while it is written."""
        async with step_of(ctx, Step.GENERATE_RESPONSE, STATUS_AFTER[Step.GENERATE_RESPONSE]) as voice:
            begun, reasons, planned = ctx.task_output(start), ctx.task_output(reason_docs), ctx.task_output(plan)
            covering = planned.questions if planned.by_model else []
            return await answer_steps.generate(question, begun, reasons, covering, THOROUGH, ctx, voice)

    return ThoroughWorkflow(workflow, start, plan, load_docs, read_more, reason_docs, generate_response)
