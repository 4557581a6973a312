"""One attempt of a durable task in which agents run: its steps, and the answers from outside it waits for.

A step is an entry of the task's log, kept by the SDK's memo: the first attempt runs it and the engine keeps what came
of it; later ones are told. Steps are taken one after the other, so that a replay meets them in the order of the log.
What is kept names the step, and a replay whose next step has another name is stopped (`StepChanged`) before it is
handed a result that is not its own.

A step that raises is not kept: the attempt fails, and the task's own retries take the step again and nothing before it.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import timedelta
from typing import Any, Final, cast

from hatchet_sdk import DurableContext, NonRetryableException, SleepCondition, UserEventCondition, or_
from pydantic import JsonValue
from pydantic_ai.durable_exec import (
    ExternalEventError,
    ExternalEventWaiter,
    external_event_scope,
    record_durable_unit,
    replay_scope,
)

#: The key of the events that bring answers from outside; an answer's scope is the token it is for.
ANSWER_EVENT: Final = "agent:answer"

_STEP: Final = "step"
_VALUE: Final = "value"
_ANSWERED: Final = "answered"

_current: ContextVar[DurableRun | None] = ContextVar("broadaxe_durable_run", default=None)
_in_step: ContextVar[bool] = ContextVar("broadaxe_in_step", default=False)


class StepChanged(NonRetryableException):
    """The agent's next step is another one than the log of its task has there."""


class DurableRun:
    """The steps of one attempt. `context` is the task's own."""

    def __init__(self, context: DurableContext) -> None:
        self.context = context
        self._memo = _memo_of(context)
        self._one_at_a_time = asyncio.Lock()
        self._agent_runs = 0
        self._waits = 0

    async def step(self, name: str, body: Callable[[], Awaitable[object]]) -> object:
        """What `body` returned the first time that this step was done. It has to be of JSON's types. Inside another
        step it is part of that one.

        Raises: `StepChanged` when the log has another step in this place; whatever `body` raises.
        """
        if _in_step.get():
            return await body()
        is_done_now = False

        async def do(_name: str) -> dict[str, Any]:
            nonlocal is_done_now
            is_done_now = True
            token = _in_step.set(True)
            try:
                return {_STEP: name, _VALUE: await body()}
            finally:
                _in_step.reset(token)

        async with self._one_at_a_time:
            kept = await self._memo(do, dict, name)
        record_durable_unit(executed=is_done_now)
        if kept.get(_STEP) != name:
            raise StepChanged(
                f"the log of this task has the step {kept.get(_STEP)!r} where the agent now does {name!r}. The agent "
                "was changed while the task was under way: run the old code to its end, or start the task anew"
            )
        return cast(object, kept[_VALUE])

    def next_run_id(self) -> str:
        """The same for the same agent run in every attempt."""
        self._agent_runs += 1
        return f"{self.context.task_run_id}:{self._agent_runs}"

    def next_token(self) -> str:
        """The same for the same wait in every attempt, and not to be guessed from the run's id.

        The id of the task alone is known to everybody who may look at the run; that is who may answer.
        """
        self._waits += 1
        return hashlib.sha256(f"{self.context.task_run_id}:answer:{self._waits}".encode()).hexdigest()[:32]


class DurableWaiter(ExternalEventWaiter):
    """Waits for an answer as a durable task waits for an event: through crashes, and without a slot once evicted."""

    def __init__(self, run: DurableRun) -> None:
        self._run = run

    async def wait(
        self,
        name: str,
        *,
        ask: Callable[[str], Awaitable[JsonValue]],
        timeout: timedelta | None,  # noqa: ASYNC109 as its base class has it
    ) -> JsonValue:
        token = self._run.next_token()
        context = self._run.context
        # Noted before anybody can know the token: an answer that is there before the wait begins is not missed.
        since = await context.aio_now()
        answer = await self._run.step(f"ask:{name}", lambda: ask(token))
        if answer is not None:
            return cast(JsonValue, answer)
        answered = UserEventCondition(
            event_key=ANSWER_EVENT, scope=token, consider_events_since=since, readable_data_key=_ANSWERED
        )
        condition = answered if timeout is None else or_(SleepCondition(timeout, readable_data_key="late"), answered)
        came = await context.aio_wait_for(f"answer:{token}", condition, label=f"answer to {name}")
        answers = came.get("CREATE", {}).get(_ANSWERED)
        if not answers:
            raise ExternalEventError(f"Nobody answered within {timeout}.")
        answer = answers[0]
        if isinstance(answer.get("declined"), str):
            raise ExternalEventError(answer["declined"])
        return cast(JsonValue, answer.get("answer"))


@contextmanager
def durable_run(context: DurableContext) -> Generator[DurableRun]:
    """Makes the agent runs inside durable: `with durable_run(ctx): result = await agent.run(...)`.

    Agents without `BroadaxeDurability` run as always. One after the other: for agents side by side, spawn a child task
    for each.
    """
    if not isinstance(context, DurableContext):
        raise TypeError(
            "durable_run takes the context of a durable task: declare the task with @hatchet.durable_task() "
            f"(this is a {type(context).__name__})"
        )
    run = DurableRun(context)
    token = _current.set(run)
    try:
        with replay_scope(), external_event_scope(DurableWaiter(run)):
            yield run
    finally:
        _current.reset(token)


def current_run() -> DurableRun | None:
    """The durable run that this code is part of, for tools and event handlers; None outside of one."""
    return _current.get()


def takes_steps() -> bool:
    """Whether this code is part of a durable run, and not of one of its steps."""
    return _current.get() is not None and not _in_step.get()


def _memo_of(context: DurableContext) -> Callable[..., Awaitable[dict[str, Any]]]:
    """The SDK's memo. It keeps it for its own `aio_now` as yet, so it may be found under either name."""
    memo = getattr(context, "aio_memo", None) or getattr(context, "_aio_memo", None)
    if memo is None:
        raise RuntimeError("this version of hatchet-sdk has no memo for durable tasks; broadaxe-pydantic-ai needs 1.43")
    return cast(Callable[..., Awaitable[dict[str, Any]]], memo)
