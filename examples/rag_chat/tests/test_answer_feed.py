"""The state of an answer, whatever the engine's stream loses, repeats or reorders."""

from __future__ import annotations

import pytest

from rag_chat.answer_feed import AnswerState
from rag_chat.engine import RunView, TaskView
from rag_chat.messages import DraftChunk, Outcome, Step, StepChunk, TokenChunk
from rag_chat.run_results import result_of, step_records


def token(offset: int, text: str, attempt: int = 1) -> TokenChunk:
    return TokenChunk(attempt=attempt, offset=offset, text=text)


def draft(text: str, attempt: int = 1) -> DraftChunk:
    return DraftChunk(attempt=attempt, text=text)


@pytest.mark.parametrize(
    ("chunks", "text", "replaced"),
    [
        ([token(0, "Hello"), token(5, " you")], "Hello you", 0),
        # A piece was lost: what follows waits for the draft, which continues what was shown.
        ([token(0, "Hello"), token(9, "!")], "Hello", 0),
        ([token(0, "Hello"), token(9, "!"), draft("Hello you!")], "Hello you!", 0),
        ([token(0, "Hello"), token(0, "Hello"), token(5, "!")], "Hello!", 0),
        # Attached late: the draft is the beginning.
        ([token(50, "x"), draft("The beginning"), token(13, ".")], "The beginning.", 0),
        # Another attempt replaces the text of the one before, and late pieces of that one are ignored.
        ([token(0, "Old"), token(0, "New", 2), token(3, "er", 1), token(3, "er", 2)], "Newer", 1),
        ([token(0, "Old"), draft("New", 2), draft("Old text", 1)], "New", 1),
        ([token(0, "Hello"), draft("Hell")], "Hello", 0),
        ([token(0, "Hello"), draft("Howdy")], "Howdy", 1),
    ],
)
def test_text_is_never_torn(chunks: list[TokenChunk | DraftChunk], text: str, replaced: int) -> None:
    state = AnswerState()
    for chunk in chunks:
        state.apply(chunk)
    assert (state.text, state.draft_number) == (text, replaced)


def test_text_is_bounded() -> None:
    state = AnswerState()
    for n in range(10):
        state.apply(token(n * 10_000, "x" * 10_000))
    assert len(state.text) == 40_000


def test_steps_told_twice_are_kept_once_and_attempts_apart() -> None:
    state = AnswerState()
    started = StepChunk(step=Step.LOAD_DOCS, phase="started", attempt=1, status="reading")
    again = started.model_copy(update={"attempt": 2})
    finished = started.model_copy(update={"phase": "finished"})
    for chunk in (started, started, again, finished, finished.model_copy(update={"attempt": 2})):
        state.apply(chunk)
    told = [(step.phase, step.attempt) for step in state.steps if step.step is Step.LOAD_DOCS]
    assert told == [("started", 1), ("started", 2), ("finished", 1)]


def test_a_step_nobody_heard_ending_has_ended_when_a_later_one_speaks_and_stays_in_its_place() -> None:
    state = AnswerState()
    state.apply(StepChunk(step=Step.LOAD_DOCS, phase="finished", attempt=1, status="making sense"))
    state.apply(StepChunk(step=Step.START, phase="finished", attempt=1, status="reading"))
    assert [(step.step, step.status) for step in state.steps] == [("start", "reading"), ("load_docs", "making sense")]


def test_the_end_of_a_run_is_told_in_words() -> None:
    answered = {"status": "complete", "message": "Hi [1]", "citations": [], "model": "m", "extractive": False}
    complete = result_of(RunView(Outcome.COMPLETE, {"generate_response": TaskView(answered, None)}), "H")
    assert (complete.status, complete.message, complete.model) == (Outcome.COMPLETE, "Hi [1]", "m")
    failed = result_of(
        RunView(Outcome.FAILED, {"start": TaskView(None, None), "load_docs": TaskView(None, "no page")}), ""
    )
    assert (failed.status, failed.message) == (Outcome.FAILED, "no page")
    both = {"reason_docs": TaskView(None, "its parent failed"), "load_docs": TaskView(None, "no page", failed=True)}
    assert result_of(RunView(Outcome.FAILED, both), "").message == "no page"
    stopped = result_of(RunView(Outcome.CANCELLED, {}), "Half an ans")
    assert (stopped.status, stopped.message) == (Outcome.CANCELLED, "Half an ans")
    assert result_of(RunView(Outcome.COMPLETE, {}), "").status is Outcome.FAILED


def test_a_stopped_answer_keeps_the_passages_it_refers_to() -> None:
    passage = {"index": 1, "title": "Install", "heading": "", "url": "http://e.org/i", "quote": "pip", "text": "all"}
    reasons = {"status": "writing", "method": "words", "passages": [passage]}
    view = RunView(Outcome.CANCELLED, {"reason_docs": TaskView(reasons, None)})
    assert [citation.url for citation in result_of(view, "With pip [1]").citations] == ["http://e.org/i"]
    assert result_of(view, "").citations == []


def test_what_was_found_is_shown_however_the_run_ended() -> None:
    passage = {"index": 1, "title": "Install", "heading": "", "url": "http://e.org/i", "quote": "pip", "text": "all"}
    tasks = {
        "reason_docs": TaskView({"status": "writing", "method": "text", "passages": [passage]}, None),
        "generate_response": TaskView(None, "The worker was lost.", failed=True),
    }
    for outcome in (Outcome.FAILED, Outcome.CANCELLED):
        result = result_of(RunView(outcome, tasks), "")
        assert [(found.url, found.text) for found in result.found] == [("http://e.org/i", "")]


def test_steps_are_remembered_with_their_times_and_what_they_did() -> None:
    tasks = {
        "start": TaskView({"status": "reading", "seconds": 0.1}, None),
        "load_docs": TaskView(
            {
                "status": "making sense", "seconds": 2.5, "attempt": 2, "page_ids": [1], "pages": ["http://e.org/"],
                "indexed": 1, "skipped": ["http://e.org/x was not read."],
            },
            None,
        ),
        "reason_docs": TaskView(None, "stopped"),
    }  # fmt: skip
    told = [
        StepChunk(step=Step.LOAD_DOCS, phase="retrying", attempt=1, status="reading", detail="HTTP 503."),
        StepChunk(step=Step.REASON_DOCS, phase="started", attempt=1, status="making sense"),
    ]
    records = step_records(RunView(Outcome.CANCELLED, tasks), told)
    assert [(each.step, each.seconds, each.attempts, each.notes) for each in records] == [
        ("start", 0.1, 1, []),
        ("load_docs", 2.5, 2, ["HTTP 503.", "Read 1 page, 1 of them new or changed.", "http://e.org/x was not read."]),
        ("reason_docs", None, 1, []),
    ]
