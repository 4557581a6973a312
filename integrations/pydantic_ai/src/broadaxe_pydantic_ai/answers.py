"""Asking people, and their answers.

Pydantic AI's `RequestInput` asks and waits; in a durable run the wait is one for an event of the key `agent:answer`
whose scope is the token. Anything that can push an event can answer: these functions, the REST API, SQL.
"""

from __future__ import annotations

from typing import Any

from hatchet_sdk import Hatchet
from pydantic import TypeAdapter
from pydantic_ai import RunContext
from pydantic_ai.tools import DeferredToolRequests, DeferredToolResults

from broadaxe_pydantic_ai.durable_run import ANSWER_EVENT, current_run

_results = TypeAdapter(DeferredToolResults)


async def announce(_: RunContext[Any], requests: DeferredToolRequests, token: str) -> None:
    """`RequestInput(ask=announce)`: writes what waits for an answer, and the token to answer with, into the run's log.

    Also an example of an `ask` of your own that writes a mail or a row: it is a step, so people are asked once.
    """
    run = current_run()
    if run is None:
        return
    for call in (*requests.approvals, *requests.calls):
        kind = requests.kind(call.tool_call_id)
        line = (
            f"waiting for an answer ({kind}) to {call.tool_name}({call.args_as_json_str()}), call {call.tool_call_id}"
        )
        await run.context.aio_log(f"{line}: token {token}")


async def answer(hatchet: Hatchet, token: str, results: DeferredToolResults) -> None:
    """Lets the run that waits with this token go on: `answer(hatchet, token, DeferredToolResults({"call-1": True}))`.

    The first answer counts. Nobody is told if no run waits with this token, as with any event.
    """
    payload = {"answer": _results.dump_python(results, mode="json")}
    await hatchet.event.aio_push(ANSWER_EVENT, payload, scope=token)


async def decline(hatchet: Hatchet, token: str, reason: str) -> None:
    """Lets it go on without an answer: the model is told that all the calls were denied, and why."""
    await hatchet.event.aio_push(ANSWER_EVENT, {"declined": reason}, scope=token)
