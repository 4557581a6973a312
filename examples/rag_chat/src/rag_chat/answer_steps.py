"""What the steps of an answer do, whichever workflow they belong to.

Owns the work between a question and its answer, given how deep to go (`Depth`). Promises to the engine are made by
`workflow` and `thorough_workflow`. Steps hand each other ids and short texts, never pages, and every one of them is
safe to run twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hatchet_sdk import Context

from rag_chat.answering import cited, extractive_answer, follow_ups, heading_of, question_of, quote_of, search_text_of
from rag_chat.asides import in_other_words, next_questions
from rag_chat.embedding import choose_embedder
from rag_chat.errors import ModelError, ModelUnreachable
from rag_chat.foreign_questions import NOTICE, are_foreign, translated
from rag_chat.library_store import checked_address
from rag_chat.messages import (
    Citation,
    GenerateResponseOutput,
    LoadDocsOutput,
    Mode,
    Outcome,
    Question,
    ReasonDocsOutput,
    StartOutput,
)
from rag_chat.model import ModelClient
from rag_chat.question_sources import read_all
from rag_chat.reading import ReadSite
from rag_chat.resources import resources_of
from rag_chat.retrieval import retrieve
from rag_chat.step_voice import StepVoice
from rag_chat.token_stream import TokenStream
from rag_chat.writing import Writer, Written


@dataclass(frozen=True, slots=True)
class Depth:
    """How much is done for an answer: how many passages the model is given, and whether it is asked short questions
    beside it. A question in `quick` mode goes to the small model, where one is set."""

    mode: Mode
    passages_max: int
    asides: bool


QUICK = Depth(Mode.QUICK, passages_max=3, asides=False)
BALANCED = Depth(Mode.BALANCED, passages_max=6, asides=True)
THOROUGH = Depth(Mode.THOROUGH, passages_max=12, asides=True)


def begin(question: Question, ctx: Context, voice: StepVoice, status: str) -> StartOutput:
    """Check what was asked and where to look."""
    url = checked_address(question.url)
    sources = dict.fromkeys(checked_address(source) for source in question.sources)
    sources.pop(url, None)
    ctx.log(f"Asked about {', '.join([url, *sources])}: {question_of(question.messages)[:200]}")
    return StartOutput(
        status=status,
        seconds=voice.seconds(),
        attempt=ctx.attempt_number,
        question=question_of(question.messages),
        search_text=search_text_of(question.messages),
        url=url,
        sources=list(sources),
    )


async def load(begun: StartOutput, words: str, ctx: Context, voice: StepVoice) -> ReadSite:
    """Read each page, and the pages below it when it is an index; index what is new. `words` choose among its pages."""
    addresses = [begun.url, *begun.sources]
    site = await read_all(resources_of(ctx), addresses, words, voice.progress, ctx.attempt_number)
    for sentence in site.skipped:
        ctx.log(sentence)
    return site


def loaded(site: ReadSite, ctx: Context, voice: StepVoice, status: str, further: Sequence[str] = ()) -> LoadDocsOutput:
    return LoadDocsOutput(
        status=status,
        seconds=voice.seconds(),
        attempt=ctx.attempt_number,
        page_ids=[page.page_id for page in site.pages],
        pages=[page.url for page in site.pages],
        indexed=sum(page.indexed for page in site.pages),
        skipped=list(site.skipped),
        further=list(further),
    )


async def reason(
    question: Question,
    begun: StartOutput,
    page_ids: Sequence[int],
    plan: Sequence[str],
    depth: Depth,
    ctx: Context,
    voice: StepVoice,
    status: str,
) -> ReasonDocsOutput:
    """Find the passages that answer the question, and the smaller questions of its `plan`."""
    resources = resources_of(ctx)
    view = await resources.model.look()
    embedder = choose_embedder(resources.model, view.embedding_model, resources.local_embedder)
    if embedder and not await resources.indexer.prepare(page_ids, embedder, voice.progress):
        embedder = None
    reworded = await _reworded(question, depth, resources.model) if not plan else None
    besides = list(plan) if reworded is None else [reworded]
    searched_for = besides or ([begun.search_text] if begun.search_text != begun.question else [])
    asked = [begun.search_text, *besides]
    understood = asked if reworded is None else besides
    notices: list[str] = []
    if await are_foreign(resources.store, page_ids, understood):
        others = await _translated(question, understood, page_ids, depth, ctx, voice)
        if others:
            # In place of the question: its own words would only find what looks like them by accident.
            asked = searched_for = others
        else:
            notices.append(NOTICE)
    found = await retrieve(
        resources.store, page_ids, asked[0], embedder, besides=asked[1:], passages_max=depth.passages_max
    )
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
    voice.searched_for = searched_for
    return ReasonDocsOutput(
        status=status,
        seconds=voice.seconds(),
        attempt=ctx.attempt_number,
        method=found.method,
        passages=passages,
        searched_for=searched_for,
        notices=notices,
        model_seen=not isinstance(view.problem, ModelUnreachable),
    )


async def _reworded(question: Question, depth: Depth, model: ModelClient) -> str | None:
    """The question as it is understood without the conversation, in the words of the model, if it has any."""
    return await in_other_words(model, question.messages, question.model) if depth.asides else None


async def _translated(
    question: Question, asked: Sequence[str], page_ids: Sequence[int], depth: Depth, ctx: Context, voice: StepVoice
) -> list[str]:
    resources = resources_of(ctx)
    if not depth.asides:
        return []
    return await translated(resources.store, resources.model, page_ids, asked, question.model, voice.progress)


async def generate(
    question: Question,
    begun: StartOutput,
    reasons: ReasonDocsOutput,
    plan: Sequence[str],
    depth: Depth,
    ctx: Context,
    voice: StepVoice,
) -> GenerateResponseOutput:
    """Write the answer, streaming it while it is written; quote the passages when no model can."""
    client = resources_of(ctx).model
    wanted = question.model or (client.settings.quick_model if depth.mode is Mode.QUICK else None)
    writer = Writer(client, voice.progress, ctx.log, seen=reasons.model_seen)
    async with TokenStream(ctx.aio_put_stream, ctx.attempt_number) as answer:
        try:
            written = await writer.write(question.messages, reasons.passages, wanted, answer, plan)
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
            for piece in extractive_answer(begun.question, reasons.passages, matched, None if absent else error):
                answer.add(piece)
            return _quoted(answer.text, begun.question, reasons, matched, ctx, voice)
    citations = cited(written.text, written.passages, not_said=written.not_said)
    suggestions = await _suggestions(begun.question, written, reasons.passages, citations, depth, client, wanted, voice)
    return GenerateResponseOutput(
        status=Outcome.COMPLETE,
        seconds=voice.seconds(),
        attempt=ctx.attempt_number,
        message=written.text,
        citations=[citation.without_text() for citation in citations],
        given=len(written.passages),
        suggestions=suggestions,
        model=written.model,
        extractive=False,
        not_said=written.not_said,
        notices=[*reasons.notices, *written.notices],
        reasoning=written.reasoning,
    )


def _quoted(
    message: str, asked: str, reasons: ReasonDocsOutput, matched: bool, ctx: Context, voice: StepVoice
) -> GenerateResponseOutput:
    citations = [citation.without_text() for citation in cited(message, reasons.passages)]
    return GenerateResponseOutput(
        status=Outcome.COMPLETE,
        seconds=voice.seconds(),
        attempt=ctx.attempt_number,
        message=message,
        citations=citations,
        given=len(reasons.passages),
        suggestions=follow_ups(asked, reasons.passages, citations),
        model=None,
        extractive=True,
        not_said=not matched,
        notices=reasons.notices,
    )


async def _suggestions(
    asked: str,
    written: Written,
    found: Sequence[Citation],
    citations: Sequence[Citation],
    depth: Depth,
    client: ModelClient,
    wanted: str | None,
    voice: StepVoice,
) -> list[str]:
    """What might be asked next: the model's ideas first, then what was found and not used."""
    certain = follow_ups(asked, found, citations)
    if not depth.asides:
        return certain
    await voice.progress("Thinking of what might be asked next")
    headings = [heading_of(passage) for passage in found]
    ideas = await next_questions(client, asked, written.text, headings, wanted)
    return list(dict.fromkeys([*ideas, *certain]))[: max(len(ideas), len(certain))]
