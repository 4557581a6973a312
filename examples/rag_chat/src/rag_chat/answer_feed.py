"""Following one run and keeping what its watchers need.

An answer has one feed per process, however many pages watch it. The feed listens to the run's stream and keeps the
state: the steps so far, the text so far, the end. Watchers read the state at their own pace (`events`), so a slow page
delays nobody and nothing queues; one that arrives late, or comes back after a reload, first gets everything up to now.

The engine's stream has no history and breaks with the engine, so it is never trusted to be complete: - a token says how
many characters came before it, and one that does not fit is dropped until the next whole draft; - steps that ended
unseen are read from the run's details; - the end is decided by the run's details alone, polled while the stream is open
and asked for at once when the run seems over.

A feed outlives a crash of worker, engine and edge: progress is kept in Postgres, and a new feed begins where the old
one was.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal
from uuid import UUID

import asyncpg
from pydantic import BaseModel, TypeAdapter, ValidationError

from rag_chat.conversation_store import ConversationStore, StoredMessage
from rag_chat.engine import RunGateway, RunUnknown, RunView, TaskView
from rag_chat.errors import EngineError
from rag_chat.messages import (
    ANSWER_CHARS_MAX,
    STATUS_AFTER,
    STATUS_WHILE,
    Chunk,
    Citation,
    DraftChunk,
    Outcome,
    ProgressChunk,
    Result,
    Step,
    StepChunk,
    TokenChunk,
)
from rag_chat.run_results import failure, passages_found, result_of, searched_for, shown_passages, step_records

POLL_EVERY_S = 2.0
LOOK_AGAIN_S = 0.25
SAVE_EVERY_S = 1.0
RUN_UNKNOWN_LOOKS_MAX = 10
# A model may take a quarter of an hour to load, in each of its attempts.
ANSWER_TIME_S_MAX = 7_200.0
STEPS_MAX = 100
# Their end says nothing beyond itself; that of reason_docs brings the passages, and is waited for.
STEPS_WITHOUT_NEWS = (Step.START, Step.LOAD_DOCS)
# They come between steps that otherwise follow each other, and change what these announce.
ONLY_THOROUGH = (Step.PLAN, Step.READ_MORE)
ENGINE_GONE_NOTICE = "The engine does not answer just now. The question is safe; the answer continues when it is back."

CHUNKS: TypeAdapter[Chunk] = TypeAdapter(Chunk)
logger = logging.getLogger(__name__)


class FeedEvent(BaseModel):
    """One event for the browser. The last one has the type `result`."""

    type: Literal["step", "progress", "token", "notice", "error", "result"]
    payload: dict[str, object]


@dataclass(slots=True)
class AnswerState:
    """What is known of an answer. `draft_number` changes when the text so far was replaced instead of continued."""

    steps: list[StepChunk] = field(default_factory=list)
    text: str = ""
    attempt: int = 0
    draft_number: int = 0
    progress: str = ""
    progress_step: Step = Step.START
    notice: str = ""
    result: Result | None = None
    version: int = 0

    def apply(self, chunk: Chunk) -> None:
        match chunk:
            case StepChunk():
                self.add_step(chunk)
            case ProgressChunk():
                self.progress, self.progress_step = chunk.detail[:500], chunk.step
            case TokenChunk():
                self._apply_token(chunk)
            case DraftChunk():
                self._apply_draft(chunk)
        self.version += 1

    def add_step(self, chunk: StepChunk) -> None:
        """Keep a step, in its place, once: it may be told by the stream and by the run's details; it ends only once."""
        for earlier in STEPS_WITHOUT_NEWS:
            if list(Step).index(earlier) >= list(Step).index(chunk.step):
                break
            # The steps run one after the other, so whoever hears of a later one knows that this one has ended.
            status = STATUS_WHILE[chunk.step] if chunk.step in ONLY_THOROUGH else STATUS_AFTER[earlier]
            self._keep(StepChunk(step=earlier, phase="finished", attempt=1, status=status))
        self._keep(chunk)

    def _keep(self, chunk: StepChunk) -> None:
        def same(known: StepChunk) -> bool:
            same_attempt = chunk.phase == "finished" or known.attempt == chunk.attempt
            return same_attempt and (known.step, known.phase) == (chunk.step, chunk.phase)

        if len(self.steps) < STEPS_MAX and not any(same(known) for known in self.steps):
            self.steps.append(chunk)
            self.version += 1

    def _apply_token(self, chunk: TokenChunk) -> None:
        if chunk.attempt > self.attempt:
            self._begin_attempt(chunk.attempt)
        # An older attempt is still talking, or pieces are missing: the next draft brings the whole text.
        if chunk.attempt < self.attempt or chunk.offset != len(self.text):
            return
        self.text = (self.text + chunk.text)[:ANSWER_CHARS_MAX]

    def _apply_draft(self, chunk: DraftChunk) -> None:
        if chunk.attempt < self.attempt:
            return
        if chunk.attempt > self.attempt:
            self._begin_attempt(chunk.attempt)
        if len(chunk.text) <= len(self.text) and self.text.startswith(chunk.text):
            return
        if not chunk.text.startswith(self.text):
            self.draft_number += 1
        self.text = chunk.text[:ANSWER_CHARS_MAX]

    def _begin_attempt(self, attempt: int) -> None:
        if self.text:
            self.draft_number += 1
        self.attempt = attempt
        self.text = ""


class AnswerFeed:
    """Follows a run until its end. Owned by AnswerFeeds."""

    def __init__(self, message: StoredMessage, run_id: str, gateway: RunGateway, store: ConversationStore) -> None:
        self._message_id = message.message_id
        self._run_id = run_id
        self._gateway = gateway
        self._store = store
        self._changed = asyncio.Condition()
        self._saved_version = 0
        self._unknown_looks = 0
        self.state = AnswerState(steps=list(message.steps), text=message.content)
        # The first attempt that speaks replaces what an earlier process kept, unless it is a draft that continues it.
        self.state.attempt = max(
            (step.attempt for step in message.steps if step.step is Step.GENERATE_RESPONSE), default=0
        )

    async def follow(self) -> None:
        """Run until the answer is finished and written."""
        try:
            async with asyncio.timeout(ANSWER_TIME_S_MAX):
                await self._follow_to_the_end()
        except TimeoutError:
            await self._finish(failure(f"No answer arrived within {ANSWER_TIME_S_MAX / 60:g} minutes."))

    async def events(self) -> AsyncIterator[FeedEvent]:
        """Everything up to now, then what happens, up to and including the result."""
        shown = _Shown()
        while True:
            version = self.state.version
            for event in shown.news(self.state):
                yield event
                if event.type == "result":
                    return
            async with self._changed:
                while self.state.version == version:
                    await self._changed.wait()

    async def _follow_to_the_end(self) -> None:
        """Listen and look side by side; a lost connection is opened again once the engine answers."""
        saving = asyncio.create_task(self._save_regularly())
        # Listen first: what the steps say before anybody listens is lost, or comes a moment later when they repeat it.
        listening: asyncio.Task[None] | None = asyncio.create_task(self._listen())
        ending: asyncio.Task[None] | None = None
        try:
            while True:
                view = await self._look()
                if view is None:
                    # The SDK's subscription tries again without a pause while nothing listens there, so it is ended
                    # here.
                    await _stop(listening, ending)
                    listening = ending = None
                    await asyncio.sleep(POLL_EVERY_S)
                    continue
                if view.outcome is not None:
                    steps = step_records(view, self.state.steps)
                    result = result_of(view, self.state.text).model_copy(update={"steps": steps})
                    await self._finish(result, passages_found(view))
                    return
                if listening is None or listening.done():
                    listening = asyncio.create_task(self._listen())
                if ending is not None and ending.done():
                    # It said the run was over, or its connection broke; looking again in a tight circle helps nobody.
                    await asyncio.sleep(LOOK_AGAIN_S)
                    ending = None
                if ending is None:
                    ending = asyncio.create_task(self._gateway.wait(self._run_id))
                await asyncio.wait({ending}, timeout=POLL_EVERY_S)
        finally:
            await _stop(listening, ending, saving)

    async def _look(self) -> RunView | None:
        """The run as it stands; None when the engine cannot be asked just now."""
        try:
            view = await self._gateway.view(self._run_id)
        except RunUnknown as error:
            self._unknown_looks += 1
            if self._unknown_looks < RUN_UNKNOWN_LOOKS_MAX:
                return None
            return RunView(Outcome.FAILED, {Step.START: TaskView(None, str(error))})
        except EngineError:
            await self._set_notice(ENGINE_GONE_NOTICE)
            return None
        self._unknown_looks = 0
        await self._set_notice("")
        await self._take_over(view)
        return view

    async def _listen(self) -> None:
        """Apply the stream's chunks until it ends. What is not a chunk of ours is ignored."""
        try:
            async for text in self._gateway.stream(self._run_id):
                try:
                    chunk = CHUNKS.validate_json(text)
                except ValidationError:
                    logger.warning("run %s streamed something that is not a chunk", self._run_id)
                    continue
                async with self._changed:
                    self.state.apply(chunk)
                    self._changed.notify_all()
        except asyncio.CancelledError:
            raise
        except Exception as error:
            # Whatever broke the subscription, the poll goes on and opens it again.
            logger.info("the stream of run %s broke off: %s", self._run_id, error)

    async def _take_over(self, view: RunView) -> None:
        """Steps the stream did not tell about, from the outputs the engine keeps."""
        async with self._changed:
            for step in Step:
                task = view.tasks.get(step)
                if task is None or task.output is None or step is Step.GENERATE_RESPONSE:
                    continue
                self.state.add_step(
                    StepChunk(
                        step=step,
                        phase="finished",
                        attempt=1,
                        status=str(task.output.get("status") or STATUS_AFTER[step]),
                        citations=shown_passages(task.output) if step is Step.REASON_DOCS else None,
                        searched_for=searched_for(step, task.output),
                    )
                )
            self._changed.notify_all()

    async def _set_notice(self, notice: str) -> None:
        if self.state.notice != notice:
            async with self._changed:
                self.state.notice = notice
                self.state.version += 1
                self._changed.notify_all()

    async def save(self) -> None:
        """Keep the progress, if there is any, for the next process to go on with."""
        version = self.state.version
        if version != self._saved_version:
            await self._store.save_progress(self._message_id, self.state.steps, self.state.text)
            self._saved_version = version

    async def _save_regularly(self) -> None:
        while True:
            await asyncio.sleep(SAVE_EVERY_S)
            try:
                await self.save()
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                # The end is written with care; progress is a convenience, and is tried again in a moment.
                logger.warning("the progress of %s could not be kept: %s", self._message_id, error)

    async def _finish(self, result: Result, passages: Sequence[Citation] = ()) -> None:
        """Write the end, then tell it. Watchers must never see the last step without the answer it carries."""
        ended = AnswerState(steps=list(self.state.steps))
        if result.status is Outcome.COMPLETE:
            last = StepChunk(step=Step.GENERATE_RESPONSE, phase="finished", attempt=1, status=Outcome.COMPLETE)
            ended.add_step(last)
        await self._store.finish(self._message_id, ended.steps, result, passages)
        async with self._changed:
            self.state.steps = ended.steps
            self.state.result = result
            self.state.version += 1
            self._changed.notify_all()


class AnswerFeeds:
    """All feeds of this process. A feed starts when an answer is asked for or attached to, and leaves when it ends."""

    def __init__(self, gateway: RunGateway, store: ConversationStore) -> None:
        self._gateway = gateway
        self._store = store
        self._feeds: dict[UUID, AnswerFeed] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def resume(self) -> None:
        """Go on with the answers that were running when the last process ended."""
        for message_id in await self._store.running():
            message = await self._store.get_running(message_id)
            if message is not None:
                await self.attach(message)

    async def attach(self, message: StoredMessage) -> AnswerFeed | None:
        """The feed of a running answer; None when its run never started, which is written down as a failure."""
        feed = self._feeds.get(message.message_id)
        if feed is not None:
            return feed
        if message.run_id is None:
            ended = failure("The chat was interrupted before the question reached the engine. Please ask again.")
            await self._store.finish(message.message_id, [], ended)
            return None
        feed = AnswerFeed(message, message.run_id, self._gateway, self._store)
        self._feeds[message.message_id] = feed
        self._spawn(self._follow(message.message_id, feed))
        return feed

    async def close(self) -> None:
        feeds = list(self._feeds.values())
        await _stop(*self._tasks)
        for feed in feeds:
            await feed.save()

    async def _follow(self, message_id: UUID, feed: AnswerFeed) -> None:
        try:
            await feed.follow()
        except Exception:
            logger.exception("following the answer %s failed", message_id)
            raise
        finally:
            self._feeds.pop(message_id, None)

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def finished_events(message: StoredMessage) -> list[FeedEvent]:
    """What a page gets that asks for an answer that is already there."""
    state = AnswerState(steps=list(message.steps), result=message.result)
    return list(_Shown().news(state))


class _Shown:
    """What one watcher has seen, and so what is new to it."""

    def __init__(self) -> None:
        self._steps = 0
        self._text_chars = 0
        self._draft_number = 0
        self._progress = ""
        self._notice = ""

    def news(self, state: AnswerState) -> list[FeedEvent]:
        events: list[FeedEvent] = []
        for step in state.steps[self._steps :]:
            events.append(_step_event(step, state.result))
        self._steps = len(state.steps)
        if state.progress != self._progress:
            self._progress = state.progress
            events.append(FeedEvent(type="progress", payload={"step": state.progress_step, "detail": state.progress}))
        if state.notice != self._notice:
            self._notice = state.notice
            events.append(FeedEvent(type="notice", payload={"message": state.notice}))
        if state.draft_number != self._draft_number:
            self._draft_number = state.draft_number
            self._text_chars = 0
            events.append(FeedEvent(type="token", payload={"offset": 0, "text": state.text}))
        elif len(state.text) > self._text_chars:
            piece = state.text[self._text_chars :]
            events.append(FeedEvent(type="token", payload={"offset": self._text_chars, "text": piece}))
        self._text_chars = len(state.text)
        if state.result is not None:
            if state.result.status is Outcome.FAILED:
                events.append(FeedEvent(type="error", payload={"message": state.result.message}))
            events.append(FeedEvent(type="result", payload=state.result.model_dump(mode="json")))
        return events


def _step_event(step: StepChunk, result: Result | None) -> FeedEvent:
    payload = step.model_dump(mode="json", exclude={"type"}, exclude_none=True)
    if step.step is Step.GENERATE_RESPONSE and step.phase == "finished" and result is not None:
        payload |= result.model_dump(mode="json", include={"message", "citations"})
    return FeedEvent(type="step", payload=payload)


async def _stop(*tasks: asyncio.Task[None] | None) -> None:
    for task in tasks:
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await task
