"""Durable agents: what was done is not done again, whenever the worker is killed."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from broadaxe_pydantic_ai import DurableRun, answer, decline, durable_run
from gallery.cue import Cue, tell
from hatchet_sdk import Hatchet
from mcp.server import MCPServer
from pydantic_ai.tools import DeferredToolResults
from wirekit import EngineProcess, Rest, Stage, StartWorker, eventually
from wirekit.openai_server import ToolCallingServer
from wirekit.worker_process import PYTHONPATH

STEPS = ("model 1", "tool", "model 2", "mcp", "model 3")
ASKED = re.compile(r"waiting for an answer \(approval\) to refund\((.*)\), call (\S+): token (\w+)$")
EXAMPLE = Path(__file__).parents[2] / "examples" / "durable_agent"
LONG_S = 120.0
HELD: set[str] = set()


@pytest.fixture(scope="module")
def prices() -> Iterator[str]:
    """The address of an MCP server that never answers the first call of a run in `HELD`."""
    server = MCPServer("prices")

    @server.tool()
    async def price(word: str, key: str) -> str:
        """What a thing costs."""
        is_held = key in HELD
        HELD.discard(key)
        await tell(Cue(key=key), "begun", step="mcp")
        if is_held:
            await asyncio.Event().wait()
        await tell(Cue(key=key), "done", step="mcp")
        return f"a {word} costs 19"

    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        http = uvicorn.Server(uvicorn.Config(server.streamable_http_app(), log_level="error", ws="none"))
        serving = threading.Thread(target=lambda: asyncio.run(http.serve([listening])), daemon=True)
        serving.start()
        yield f"http://127.0.0.1:{port}/mcp"
        http.should_exit = http.force_exit = True
        serving.join(10)


@pytest.fixture(scope="module")
def _agents(worker_for: Callable[..., Any], shared_engine: EngineProcess, stage: Stage, prices: str) -> Iterator[None]:
    environment = shared_engine.worker_environment("agents") | {"PRICES_URL": prices}
    with (
        pytest.MonkeyPatch.context() as patch,
        worker_for("agents", program="programs.agent_worker", namespace="agents", environment=environment),
    ):
        patch.setenv("WIRE_STAGE_PORT", str(stage.port))
        yield


@pytest.fixture
def agents(_agents: None, engine: EngineProcess) -> Hatchet:
    return engine.client("agents")


async def start(hatchet: Hatchet, name: str, cue: Cue) -> Any:
    return await hatchet.stubs.workflow(name=name, input_validator=Cue).aio_run(cue, wait_for_result=False)


async def result(reference: Any, name: str) -> dict[str, Any]:
    return (await asyncio.wait_for(reference.aio_result(), LONG_S))[name]


async def asked(rest: Rest, run_id: str, calls: int) -> tuple[str, list[str]]:
    """The token of a run that waits for answers, and the calls it is about."""

    async def lines() -> list[re.Match[str]]:
        return [found for row in await rest.logs(run_id) if (found := ASKED.search(row["message"])) is not None]

    found = await eventually(lines, until=lambda found: len(found) == calls, what="the agent asks")
    assert len({match[3] for match in found}) == 1
    return found[0][3], sorted(match[2] for match in found)


async def test_whenever_a_worker_is_killed_no_step_that_was_done_is_repeated(
    agents: Hatchet, engine: EngineProcess, start_worker: StartWorker, stage: Stage, key: str
) -> None:
    """Each of the runs is in another step when their worker is killed, and one more speaks the OpenAI protocol: what
    costs time is that the engine waits for lost workers, and it waits for all at once."""
    example = asyncio.create_task(the_example_answers(engine, start_worker, key))
    runs = {f"{key}-{step}": step for step in STEPS}
    for run_key, held in runs.items():
        for step in STEPS:
            if step != held:
                stage.open(run_key, step)
            elif step == "mcp":
                HELD.add(run_key)
    references = {run_key: await start(agents, "think", Cue(key=run_key)) for run_key in runs}
    for run_key, held in runs.items():
        begun = await stage.heard(run_key, "begun", count=STEPS.index(held) + 1, within_s=LONG_S)
        assert [signal.data["step"] for signal in begun] == list(STEPS[: STEPS.index(held) + 1])
        group = begun[0].data["group"]
    os.killpg(group, signal.SIGKILL)
    for run_key, held in runs.items():
        begun = await stage.heard(run_key, "begun", count=STEPS.index(held) + 2, within_s=LONG_S)
        assert begun[STEPS.index(held) + 1].data["step"] == held
        stage.open(run_key, held)
    for run_key, held in runs.items():
        said = await result(references[run_key], "think")
        assert said["text"] == "a lamp gives light and a lamp costs 19"
        assert (said["spent"]["requests"], said["spent"]["tool_calls"]) == (3, 2)
        assert [signal.data["step"] for signal in stage.told(run_key, "done")] == list(STEPS)
        # A replay of the whole run asks nobody anything.
        await agents.runs.aio_replay(references[run_key].workflow_run_id)
        assert await result(references[run_key], "think") == said
        begun = Counter(signal.data["step"] for signal in stage.told(run_key, "begun"))
        assert begun == {step: 1 + (step == held) for step in STEPS}
    await example


async def the_example_answers(engine: EngineProcess, start_worker: StartWorker, key: str) -> None:
    """The programs of the page, with a stream and an approval: `ask.py` prints the answer, and each place of the
    conversation was asked for once, but for the request during which the worker was killed."""
    calls = [(tool, {"order_id": "17"}) for tool in ("find_order", "refund")]
    async with ToolCallingServer(calls, ["You have ", "your money back."]) as model:
        model.gates[1] = asyncio.Event()
        keys = {"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": model.base_url, "PYTHONPATH": PYTHONPATH}
        environment = engine.worker_environment(key) | keys
        worker, _ = await start_worker("support", program="programs.support", namespace=key, environment=environment)
        asking = await asyncio.create_subprocess_exec(
            sys.executable, str(EXAMPLE / "ask.py"), env=environment, stdout=asyncio.subprocess.PIPE
        )
        await asyncio.wait_for(model.until_asked(2), LONG_S)
        worker.kill_reborn()
        await asyncio.wait_for(model.until_asked(3), LONG_S)
        model.gates[1].set()
        printed = (await asyncio.wait_for(asking.communicate(), LONG_S))[0].decode()
        assert asking.returncode == 0
    assert model.asked_for == [0, 1, 1, 2]
    # The answer is printed as it comes, and as the task's output.
    assert printed.count("You have your money back.") == 2
    assert "'requests': 3" in printed and "'input_tokens': 300" in printed and "'cost_usd': 0.0" in printed


async def test_people_are_asked_once_and_the_run_waits_without_a_slot(
    agents: Hatchet, rest: Rest, stage: Stage, key: str
) -> None:
    reference = await start(agents, "pay", Cue(key=key, text="Money back!"))
    pieces: list[str] = []

    async def listen() -> None:
        async for piece in agents.runs.subscribe_to_stream(reference.workflow_run_id):
            pieces.append(piece)

    listening = asyncio.create_task(listen())
    token, calls = await asked(rest, reference.workflow_run_id, calls=2)
    assert calls == ["call-a", "call-b"]

    async def is_evicted() -> bool:
        return (await rest.task(reference.workflow_run_id)).get("isEvicted") is True

    await eventually(is_evicted, what="the agent's task is evicted", within_s=LONG_S)
    assert stage.told(key, "paid") == []
    await answer(agents, token, DeferredToolResults(approvals={"call-a": True, "call-b": False}))
    said = await result(reference, "pay")
    assert said["text"] == "It is done: paid 17; The tool call was denied."
    assert [signal.data["order"] for signal in stage.told(key, "paid")] == [17]
    assert len(stage.told(key, "asked")) == 2, "once before people were asked, once after"
    await asyncio.wait_for(listening, LONG_S)
    assert pieces == ["It is ", "done: paid 17; The tool call was denied."]
    assert len(await asked(rest, reference.workflow_run_id, calls=2)) == 2, "a later attempt does not ask again"


async def test_an_answer_that_is_declined_denies_every_call(
    agents: Hatchet, rest: Rest, stage: Stage, key: str
) -> None:
    reference = await start(agents, "pay", Cue(key=key))
    token, _ = await asked(rest, reference.workflow_run_id, calls=2)
    await decline(agents, token, "The shop is closed.")
    said = await result(reference, "pay")
    assert said["text"].count("The shop is closed.") == 2
    assert stage.told(key, "paid") == []


async def test_when_nobody_answers_in_time_every_call_is_denied(agents: Hatchet, stage: Stage, key: str) -> None:
    said = await result(await start(agents, "pay", Cue(key=key, fail=True)), "pay")
    assert said["text"].count("Nobody answered within 0:00:00.100000.") == 2
    assert stage.told(key, "paid") == []


async def test_a_tool_that_fails_is_tried_again_and_nothing_before_it(
    agents: Hatchet, rest: Rest, stage: Stage, key: str
) -> None:
    reference = await start(agents, "moody", Cue(key=key))
    said = await result(reference, "moody")
    assert "stood up" in said["text"] and "guessed" in said["text"] and "computed" in said["text"]
    told = Counter(signal.what for signal in stage.told(key))
    assert told["fall"] == 2, "the task's own retry"
    assert told["guess"] == 2, "the model was told to think again, and that was kept"
    assert told["compute"] == 2, "what is no step runs in every attempt"

    async def requests() -> int:
        return sum("tokens in" in row["message"] for row in await rest.logs(reference.workflow_run_id))

    wanted = said["spent"]["requests"]
    await eventually(requests, until=lambda count: count == wanted, what="each request to the model is in the log")


async def test_an_agent_that_was_changed_under_way_is_stopped(
    agents: Hatchet, rest: Rest, stage: Stage, key: str
) -> None:
    reference = await start(agents, "changed", Cue(key=key))
    with pytest.raises(Exception, match="has the step 'a' where the agent now does 'b'"):
        await result(reference, "changed")
    assert len(stage.told(key, "attempt")) == 2, "trying that again is no use"


def test_an_sdk_without_a_memo_is_refused() -> None:
    with pytest.raises(RuntimeError, match=r"needs 1\.43"):
        DurableRun(object())  # type: ignore[arg-type]


def test_only_a_durable_task_can_be_given() -> None:
    with pytest.raises(TypeError, match=r"declare the task with @hatchet\.durable_task"), durable_run(object()):  # type: ignore[arg-type]
        pass
