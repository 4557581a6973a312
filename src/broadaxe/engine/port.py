"""What edges may ask of an engine.

The local engine is one implementation; another one may forward over a wire, so everything here is frozen records in,
and records or streams of records out. Refuses sockets, JSON and SQL.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from broadaxe.core.commands import Command, Reply
from broadaxe.core.commands.asked import Initiator
from broadaxe.core.questions import AnswerT, Question
from broadaxe.core.topics import Position
from broadaxe.engine.changes import ChangeSubscription, Kind
from broadaxe.engine.durable_streams import DurableStream, SignalSubscription
from broadaxe.engine.sessions import WorkerSession
from broadaxe.engine.subscriptions import EventSubscription, ResultSubscription
from broadaxe.engine.topics import TopicSubscription

__all__ = ["EnginePort"]


class EnginePort(Protocol):
    """An answer means that what it says is committed, but for that to `ask`. Every method may raise Unavailable: the
    tenant is neither in memory nor to be had within `activation.HOLD_S`.

    Streams are closed by whoever opened them. They outlive the tenant's memory (`streams.py`).
    """

    def is_ready(self) -> bool:
        """Whether calls are taken."""
        ...

    async def submit(
        self,
        tenant_id: str,
        command: Command,
        *,
        client: str = "",
        by: Initiator | None = None,
        hold_s: float | None = None,
    ) -> Reply:
        """The reply to a command. `client` names the connection it came over: clients of a tenant take turns, and each
        one's own commands are decided in their order. `by` is who asks, where that is to be kept (`core/audit.py`):
        configuration, and what people do; not what workers and callers do all the time. `hold_s`: how long it
        waits for a tenant that is not to be had, instead of `activation.HOLD_S`. Raises the command's error;
        ResourceExhausted when too much is under way."""
        ...

    async def open_session(self, tenant_id: str, worker_id: str) -> WorkerSession:
        """An assignment stream of a worker; a newer one replaces it. NotFound for an unknown worker."""
        ...

    def close_session(self, tenant_id: str, session: WorkerSession) -> None:
        """What it had not sent goes back to the queue."""
        ...

    def end_sessions(self, tenant_id: str, worker_id: str) -> None:
        """The worker said goodbye: its stream ends."""
        ...

    async def open_durable_stream(self, tenant_id: str) -> DurableStream:
        """A stream for what durable tasks of one worker are answered. Its number goes with their requests."""
        ...

    async def register_durable_stream(self, tenant_id: str, stream: DurableStream, worker_id: str) -> None:
        """The stream is for the durable tasks of this worker. NotFound for an unknown worker."""
        ...

    def close_durable_stream(self, tenant_id: str, stream: DurableStream) -> None: ...

    async def listen_for_signals(self, tenant_id: str) -> SignalSubscription:
        """Ask with `want_signal`, give back with `stop_listening`."""
        ...

    async def want_signal(self, tenant_id: str, subscription: SignalSubscription, task_id: str, key: str) -> None:
        """Told once when it fires, at once if it has."""
        ...

    def stop_listening(self, tenant_id: str, subscription: SignalSubscription) -> None: ...

    async def results(self, tenant_id: str) -> ResultSubscription:
        """Outcomes of runs as they finish."""
        ...

    async def watch_run(self, tenant_id: str, run_id: str) -> EventSubscription:
        """Live events of a run, whether or not it exists yet."""
        ...

    async def watch_metadata(self, tenant_id: str, key: str, value: str) -> EventSubscription:
        """Live events of every run whose metadata has `key` = `value`."""
        ...

    def unwatch(self, tenant_id: str, subscription: EventSubscription) -> None: ...

    async def follow_topic(self, tenant_id: str, topic_id: str, after: Position | None) -> TopicSubscription:
        """Messages of a topic that follow `after`, whether or not it exists yet; None is where its readers begin.
        ResourceExhausted when too many read topics of the tenant."""
        ...

    def unfollow_topic(self, tenant_id: str, subscription: TopicSubscription) -> None: ...

    def follow_changes(self, tenant_id: str) -> ChangeSubscription:
        """What changes from here on. ResourceExhausted when too many follow the tenant."""
        ...

    def unfollow_changes(self, tenant_id: str, subscription: ChangeSubscription) -> None: ...

    def note_change(self, tenant_id: str, kind: Kind, ids: Iterable[str] | None = None) -> None:
        """Tells followers of rows that were written past the core; None: of too many runs and tasks to name."""
        ...

    async def is_live(self, tenant_id: str, run_or_task_id: str) -> bool:
        """Whether the run or task is known and not finished."""
        ...

    async def ask(self, tenant_id: str, question: Question[AnswerT]) -> AnswerT:
        """What the tenant's live memory says as of the last round, which may still be on its way to the tables."""
        ...

    async def put_chunk(self, tenant_id: str, task_id: str, text: str, index: int | None) -> None:
        """A piece of a running task's stream. NotFound for an unknown task; dropped if it has finished."""
        ...

    async def check_task(self, tenant_id: str, task_id: str) -> None:
        """NotFound unless the task exists, live or finished."""
        ...
