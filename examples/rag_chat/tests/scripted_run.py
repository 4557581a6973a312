"""An engine with a script, for testing the edge alone: the test says what the run streams and how it ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping

from pydantic import BaseModel

from rag_chat.engine import RunView, TaskView
from rag_chat.errors import EngineError
from rag_chat.messages import Mode, Outcome, Question, Step


class ScriptedRun:
    """Implements RunGateway for one run, `run-1`. Chunks told while nobody listens are lost, as with the engine."""

    def __init__(self) -> None:
        self.asked: list[tuple[Question, Mapping[str, str]]] = []
        self.modes: list[Mode] = []
        self.started: list[tuple[str, BaseModel]] = []
        self.cancelled: list[str] = []
        self.available = True
        self.outcome: Outcome | None = None
        self.tasks: dict[str, TaskView] = {}
        self.listening = asyncio.Event()
        self._listeners: list[asyncio.Queue[str | None]] = []
        self._ended = asyncio.Event()

    def tell(self, chunk: BaseModel | str) -> None:
        for listener in self._listeners:
            listener.put_nowait(chunk if isinstance(chunk, str) else chunk.model_dump_json())

    def hang_up(self) -> None:
        """Break the stream without ending the run."""
        for listener in self._listeners:
            listener.put_nowait(None)
        self.listening.clear()

    def end(self, outcome: Outcome, **outputs: dict[str, object]) -> None:
        self.outcome = outcome
        self.tasks |= {name: TaskView(output, None) for name, output in outputs.items()}
        self._ended.set()

    def fail(self, step: Step, error: str) -> None:
        self.tasks[step] = TaskView(None, error)
        self.end(Outcome.FAILED)

    async def trigger(self, question: Question, mode: Mode, metadata: Mapping[str, str]) -> str:
        self._require_available()
        self.modes.append(mode)
        self.asked.append((question, metadata))
        return "run-1"

    async def start(self, workflow: str, job: BaseModel, metadata: Mapping[str, str]) -> str:
        self._require_available()
        self.started.append((workflow, job))
        return "run-1"

    async def stream(self, run_id: str) -> AsyncIterator[str]:
        self._require_available()
        inbox: asyncio.Queue[str | None] = asyncio.Queue()
        self._listeners.append(inbox)
        self.listening.set()
        try:
            while (text := await inbox.get()) is not None:
                yield text
        finally:
            self._listeners.remove(inbox)

    async def wait(self, run_id: str) -> None:
        await self._ended.wait()

    async def view(self, run_id: str) -> RunView:
        self._require_available()
        return RunView(self.outcome, dict(self.tasks))

    async def cancel(self, run_id: str) -> None:
        self._require_available()
        self.cancelled.append(run_id)
        self.end(Outcome.CANCELLED)

    def _require_available(self) -> None:
        if not self.available:
            raise EngineError("The engine does not answer. If it is restarting, try again in a moment.")
