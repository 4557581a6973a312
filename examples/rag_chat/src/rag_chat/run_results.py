"""What a run that ended is to the person who asked: the answer or why there is none, what was found, how it went.

Reads the outputs the engine keeps, which are the truth; of the stream only the reasons for further attempts. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic import ValidationError

from rag_chat.engine import RunView, TaskView
from rag_chat.messages import (
    Citation,
    GenerateResponseOutput,
    LoadDocsOutput,
    Outcome,
    PlanOutput,
    ReadMoreOutput,
    ReasonDocsOutput,
    Result,
    Step,
    StepChunk,
    StepOutput,
    StepRecord,
)

SKIPPED_SHOWN_MAX = 20
HOW_FOUND = {
    "text": "by their words",
    "meaning": "by their meaning",
    "text+meaning": "by their words and their meaning",
    "openings": "from the beginnings of the pages, as no word of the question is in them",
}


def result_of(view: RunView, text: str) -> Result:
    """The end of a run, in words fit to be shown. `text` is what was written of its answer."""
    match view.outcome:
        case Outcome.COMPLETE:
            return _complete(view)
        case Outcome.CANCELLED:
            # A task that nobody started in time is cancelled by the engine as well; then there is a reason.
            reason = _reason(view)
            message = text or reason or "The run was cancelled."
            found = _found(view)
            # What was written may refer to passages; they stay reachable.
            return Result(
                status=Outcome.CANCELLED, message=message, citations=found if text else [], error=reason, found=found
            )
        case _:
            failed = failure(_reason(view) or "The run failed without telling why.")
            return failed.model_copy(update={"found": _found(view)})


def failure(reason: str) -> Result:
    return Result(status=Outcome.FAILED, message=reason, error=reason)


def passages_found(view: RunView) -> list[Citation]:
    """The passages an answer was to rest on, in full, as far as the run came."""
    output = _output(view, Step.REASON_DOCS)
    try:
        return [] if output is None else ReasonDocsOutput.model_validate(output).passages
    except ValidationError:
        return []


def shown_passages(output: Mapping[str, object]) -> list[Citation] | None:
    """The passages in an output of reason_docs, as readers see them; None when it is none."""
    try:
        return [passage.without_text() for passage in ReasonDocsOutput.model_validate(output).passages]
    except ValidationError:
        return None


def searched_for(step: Step, output: Mapping[str, object]) -> list[str] | None:
    """What a step's output says is searched for; None when it is none of those that say it."""
    try:
        match step:
            case Step.PLAN:
                return PlanOutput.model_validate(output).questions
            case Step.REASON_DOCS:
                return ReasonDocsOutput.model_validate(output).searched_for
            case _:
                return None
    except ValidationError:
        return None


def step_records(view: RunView, told: Sequence[StepChunk]) -> list[StepRecord]:
    """The steps that ended, and those of which something was told."""
    records: list[StepRecord] = []
    for step in Step:
        output = _output(view, step)
        tries = [chunk.detail for chunk in told if chunk.step is step and chunk.phase == "retrying" and chunk.detail]
        attempts = max((chunk.attempt for chunk in told if chunk.step is step), default=0)
        if output is None and not attempts:
            continue
        try:
            ended = StepOutput.model_validate(output)
        except ValidationError:
            ended = StepOutput(status="")
        notes = [] if output is None else _notes(step, output)
        attempts = max(attempts, ended.attempt, 1)
        records.append(StepRecord(step=step, seconds=ended.seconds, attempts=attempts, notes=[*tries, *notes]))
    return records


def _notes(step: Step, output: Mapping[str, object]) -> list[str]:
    """What a step did, in sentences."""
    try:
        match step:
            case Step.LOAD_DOCS:
                loaded = LoadDocsOutput.model_validate(output)
                pages = f"Read {_count(len(loaded.pages), 'page')}, {loaded.indexed} of them new or changed."
                return [pages, *loaded.skipped[:SKIPPED_SHOWN_MAX]]
            case Step.PLAN:
                plan = PlanOutput.model_validate(output)
                made = "Looked for:" if plan.by_model else "No model was there to plan; looked for the question alone:"
                return [made, *plan.questions]
            case Step.READ_MORE:
                more = ReadMoreOutput.model_validate(output)
                pages = f"Read {len(more.page_ids)} of {_count(more.tried, 'further page')}."
                return [pages, *more.skipped[:SKIPPED_SHOWN_MAX]]
            case Step.REASON_DOCS:
                reasons = ReasonDocsOutput.model_validate(output)
                how = HOW_FOUND.get(reasons.method, reasons.method)
                return [f"Found {_count(len(reasons.passages), 'passage')} {how}."]
            case _:
                return []
    except ValidationError:
        return []


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _output(view: RunView, step: Step) -> Mapping[str, object] | None:
    task: TaskView | None = view.tasks.get(step)
    return None if task is None else task.output


def _reason(view: RunView) -> str | None:
    """Why a run ended without an answer; a task that failed knows better than those given up because of it."""
    tasks = sorted(view.tasks.values(), key=lambda task: not task.failed)
    return next((task.error for task in tasks if task.error), None)


def _found(view: RunView) -> list[Citation]:
    return [passage.without_text() for passage in passages_found(view)]


def _complete(view: RunView) -> Result:
    reasons = _output(view, Step.REASON_DOCS)
    try:
        answer = GenerateResponseOutput.model_validate(_output(view, Step.GENERATE_RESPONSE))
    except ValidationError:
        return failure("The run ended without an answer.")
    return Result(
        status=Outcome.COMPLETE,
        message=answer.message,
        citations=answer.citations,
        model=answer.model,
        extractive=answer.extractive,
        not_said=answer.not_said,
        searched_for=[] if reasons is None else searched_for(Step.REASON_DOCS, reasons) or [],
        notices=answer.notices,
        reasoning=answer.reasoning,
        found=_found(view),
        given=answer.given,
        suggestions=answer.suggestions,
    )
