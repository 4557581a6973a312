"""The chat's view of the engine, and the one place of the edge that talks to it through the SDK.

Owns translation: SDK errors become `EngineError` with a sentence, run details become `RunView`. `RunGateway` is a
protocol, so that the edge can also be driven by a run that exists without an engine.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Protocol

import grpc
from hatchet_sdk import Hatchet
from hatchet_sdk.clients.admin import RunStatus
from hatchet_sdk.clients.rest.exceptions import OpenApiException
from hatchet_sdk.clients.rest.models.v1_task_status import V1TaskStatus
from hatchet_sdk.exceptions import TaskRunError
from pydantic import BaseModel
from urllib3.exceptions import HTTPError as RestTransportFailure

from rag_chat.errors import EngineError
from rag_chat.messages import WORKFLOW_NAMES, Mode, Outcome, Question

CALL_TIMEOUT_S = 10.0
TRIGGER_PATIENCE_S = 8.0
TRIGGER_PAUSE_S = 0.5
ERROR_CHARS_MAX = 1_000


@dataclass(frozen=True, slots=True)
class TaskView:
    """A task of a run: its output once it has one; why it ended otherwise, and whether by a failure of its own."""

    output: Mapping[str, object] | None
    error: str | None
    failed: bool = False


@dataclass(frozen=True, slots=True)
class RunView:
    """A run as it stands now. `outcome` is None while it goes on."""

    outcome: Outcome | None
    tasks: Mapping[str, TaskView]


class RunUnknown(EngineError):
    """The engine does not know this run."""

    code = "run_unknown"


class RunGateway(Protocol):
    async def trigger(self, question: Question, mode: Mode, metadata: Mapping[str, str]) -> str: ...
    async def start(self, workflow: str, job: BaseModel, metadata: Mapping[str, str]) -> str: ...
    def stream(self, run_id: str) -> AsyncIterator[str]: ...
    async def wait(self, run_id: str) -> None: ...
    async def view(self, run_id: str) -> RunView: ...
    async def cancel(self, run_id: str) -> None: ...


class HatchetGateway:
    """Runs on a real engine."""

    def __init__(self, hatchet: Hatchet) -> None:
        self._hatchet = hatchet

    async def trigger(self, question: Question, mode: Mode, metadata: Mapping[str, str]) -> str:
        """Start the run that answers a question."""
        return await self.start(WORKFLOW_NAMES[mode], question, metadata)

    async def start(self, workflow: str, job: BaseModel, metadata: Mapping[str, str]) -> str:
        """Start a run of a workflow of the chat's worker, by its name; returns its id once the engine has it. Waits a
        little for a worker that is just starting."""
        named = self._hatchet.workflow(name=workflow, input_validator=type(job))
        deadline = asyncio.get_running_loop().time() + TRIGGER_PATIENCE_S
        while True:
            try:
                async with asyncio.timeout(CALL_TIMEOUT_S):
                    ref = await named.aio_run(job, wait_for_result=False, additional_metadata=dict(metadata))
                return ref.workflow_run_id
            except (grpc.RpcError, TimeoutError) as error:
                code = _code(error)
                if code is not grpc.StatusCode.NOT_FOUND:
                    raise _engine_error(error) from None
                if asyncio.get_running_loop().time() >= deadline:
                    raise EngineError(
                        "The engine does not know the chat's workflow yet. "
                        "Is the worker (python -m rag_chat.worker) running?"
                    ) from None
            await asyncio.sleep(TRIGGER_PAUSE_S)

    async def stream(self, run_id: str) -> AsyncIterator[str]:
        """What the steps send from now on; ends with the run, or when the connection is lost."""
        async for chunk in self._hatchet.runs.subscribe_to_stream(run_id):
            yield chunk

    async def wait(self, run_id: str) -> None:
        """Return about when the run ends, whatever the end, or when the connection breaks: the caller looks."""
        try:
            await self._hatchet.runs.get_run_ref(run_id).aio_result()
        except asyncio.CancelledError:
            raise
        except Exception:
            # The SDK reports a failed run and a lost connection through the same exceptions; `view` tells them apart.
            return

    async def view(self, run_id: str) -> RunView:
        try:
            async with asyncio.timeout(CALL_TIMEOUT_S):
                details = await self._hatchet.runs.aio_get_details(run_id)
        except (grpc.RpcError, TimeoutError) as error:
            if _code(error) is grpc.StatusCode.NOT_FOUND:
                raise RunUnknown(f"The engine does not know the run {run_id} any more.") from None
            raise _engine_error(error) from None
        tasks = {
            name: TaskView(
                output=task.output,
                error=_error_sentence(task.error) if task.error else None,
                failed=task.status is V1TaskStatus.FAILED,
            )
            for name, task in details.task_runs.items()
        }
        return RunView(_outcome(details.status), tasks)

    async def cancel(self, run_id: str) -> None:
        try:
            async with asyncio.timeout(CALL_TIMEOUT_S):
                await self._hatchet.runs.aio_cancel(run_id)
        except (OpenApiException, RestTransportFailure, OSError, TimeoutError) as error:
            raise _engine_error(error) from None


def _outcome(status: RunStatus) -> Outcome | None:
    return {
        RunStatus.COMPLETED: Outcome.COMPLETE,
        RunStatus.FAILED: Outcome.FAILED,
        RunStatus.CANCELLED: Outcome.CANCELLED,
    }.get(status)


def _error_sentence(serialised: str) -> str:
    """The message of the exception a task ended with, without its traceback."""
    return TaskRunError.deserialize(serialised).exc.strip()[:ERROR_CHARS_MAX]


def _code(error: BaseException) -> grpc.StatusCode | None:
    return error.code() if isinstance(error, grpc.RpcError) else None


def _engine_error(error: BaseException) -> EngineError:
    code = _code(error)
    if code is grpc.StatusCode.UNAUTHENTICATED:
        return EngineError("The engine refuses the chat's token: check HATCHET_CLIENT_TOKEN.")
    if code is grpc.StatusCode.INVALID_ARGUMENT and isinstance(error, grpc.aio.AioRpcError):
        return EngineError(f"The engine refused the question: {error.details()}")
    return EngineError("The engine does not answer. If it is restarting, try again in a moment.")
