"""`broadaxe mcp`, called by the client of the official package, over standard input and output and over HTTP."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from gallery.cue import Cue
from mcp import Client, StdioServerParameters
from mcp_types import ElicitRequestParams, ElicitResult
from wirekit import EngineProcess, Rest, StartWorker

READING = {"find_runs", "read_run", "explain_wait", "list_workflows"}
CHANGING = {"trigger", "cancel", "replay", "send_event"}


@asynccontextmanager
async def model(engine: EngineProcess, place: Path, *flags: str, **ways: Any) -> AsyncIterator[Client]:
    environment = {
        "HATCHET_CLIENT_TOKEN": engine.token,
        "HATCHET_CLIENT_API_URL": engine.url,
        "XDG_CONFIG_HOME": str(place),
        "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
    }
    words = ["-m", "broadaxe", "mcp", *flags]
    server = StdioServerParameters(command=sys.executable, args=words, env=environment, cwd=place)
    async with Client(server, **ways) as client:
        yield client


async def said(client: Client, tool: str, *, is_error: bool = False, **given: Any) -> str:
    answer = await client.call_tool(tool, given)
    text = "\n".join(part.text for part in answer.content if part.type == "text")
    assert bool(answer.is_error) == is_error, text
    return text


async def confirmed(client: Client, tool: str, **given: Any) -> str:
    first = await said(client, tool, **given)
    assert first.startswith("Nothing was done yet")
    code = re.search(r"confirmation_code=(\w+)", first)
    assert code is not None
    return await said(client, tool, confirmation_code=code[1], **given)


async def test_without_leave_it_only_reads(
    engine: EngineProcess, gallery: str, rest: Rest, tmp_path: Path, key: str
) -> None:
    async with model(engine, tmp_path) as client:
        tools = {tool.name for tool in (await client.list_tools()).tools}
        assert tools == READING
        refused = await said(client, "cancel", is_error=True, runs=["0000"])
        assert "--allow-changes" in refused
        assert "echo" in await said(client, "list_workflows", text="echo")
        assert '"key"' in await said(client, "list_workflows", workflow="echo")
        assert "status" in await said(client, "find_runs", is_error=True, status=["lost"])
        assert "No run matches" in await said(client, "find_runs", metadata=[f"mark={key}"])
        assert "no run" in await said(client, "read_run", is_error=True, run="00000000-0000-0000")


async def test_what_changes_something_is_done_once_after_its_code(
    own_engine: EngineProcess, start_worker: StartWorker, tmp_path: Path, key: str
) -> None:
    # Its own, because only the newest workflows have tools, and other tests declare some as well.
    await start_worker(engine=own_engine)
    tenant_id = own_engine.client().tenant_id
    async with (
        Rest(own_engine.url, own_engine.token, tenant_id) as rest,
        model(own_engine, tmp_path, "--allow-changes") as client,
    ):
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert set(tools) >= READING | CHANGING
        assert "key" in tools["trigger_nothing"].input_schema["properties"]
        started = await confirmed(client, "trigger_nothing", key=key)
        run = re.search(r"run (\S{36})", started)
        assert run is not None
        assert await rest.finished(run[1]) == "COMPLETED"
        assert run[1] in await said(client, "find_runs", input=[f"key={key}"])
        told = await said(client, "read_run", run=run[1])
        assert "COMPLETED" in told and "STARTED" in told and key in told
        assert "waits for nothing" in await said(client, "explain_wait", run=run[1])

        first = await said(client, "replay", runs=[run[1]])
        code = first.rsplit("confirmation_code=", 1)[1].rstrip(".")
        other = await said(client, "cancel", is_error=True, runs=[run[1]], confirmation_code=code)
        assert "nothing was done" in other
        assert "1 tasks queued again" in await said(client, "replay", runs=[run[1]], confirmation_code=code)
        again = await said(client, "replay", is_error=True, runs=[run[1]], confirmation_code=code)
        assert "nothing was done" in again

        pushed = await confirmed(client, "send_event", key="wire:exact", data={"key": key})
        assert "Runs it started: none" not in pushed


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_client_that_can_ask_its_person_does_and_no_code_passes_through_the_model(
    engine: EngineProcess, tmp_path: Path, key: str, mode: str
) -> None:
    asked: list[str] = []
    replies = [ElicitResult(action="decline"), ElicitResult(action="accept", content={})]

    async def ask(_: object, question: ElicitRequestParams) -> ElicitResult:
        asked.append(question.message)
        return replies[len(asked) - 1]

    async with model(engine, tmp_path, "--allow-changes", mode=mode, elicitation_callback=ask) as client:
        told = await said(client, "send_event", key=f"mcp:{key}", data={})
        assert told == "Nothing was done: the person was asked, and does not want it."
        assert "Pushed: event" in await said(client, "send_event", key=f"mcp:{key}", data={})
    assert asked == [f"A language model wants to push the event 'mcp:{key}' with the data {{}}."] * 2


async def test_an_answer_has_a_bound_and_says_what_was_cut(
    engine: EngineProcess, gallery: str, rest: Rest, tmp_path: Path, key: str
) -> None:
    reference = (
        await engine.client()
        .stubs.workflow(name="log", input_validator=Cue)
        .aio_run(Cue(key=key, n=9_000, text="y" * 9_000), wait_for_result=False)
    )
    await rest.finished(reference.workflow_run_id)
    async with model(engine, tmp_path) as client:
        told = await said(client, "read_run", run=reference.workflow_run_id)
    assert "[cut: " in told and "more characters" in told
    assert len(told) <= 20_200


async def test_over_http_it_wants_its_token(engine: EngineProcess, tmp_path: Path) -> None:
    environment = {**os.environ, "HATCHET_CLIENT_TOKEN": engine.token, "HATCHET_CLIENT_API_URL": engine.url}
    environment |= {"XDG_CONFIG_HOME": str(tmp_path), "BROADAXE_MCP_TOKEN": "a-token-of-this-test"}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "broadaxe", "mcp", "--http", "--port", "0"),
        env=environment,
        cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        address = (await process.stdout.readline()).decode().split()[0]
        assert address.startswith("http://127.0.0.1:")
        hello = {
            "jsonrpc": "2.0",
            "id": 1,
            "method": "initialize",
            "params": {
                "protocolVersion": "2025-06-18",
                "capabilities": {},
                "clientInfo": {"name": "test", "version": "1"},
            },
        }
        accepted = {"Accept": "application/json, text/event-stream"}
        async with httpx.AsyncClient(headers=accepted, timeout=60) as http:
            assert (await http.post(address, json=hello)).status_code == 401
            wrong = {"Authorization": "Bearer another"}
            assert (await http.post(address, json=hello, headers=wrong)).status_code == 401
            right = {"Authorization": "Bearer a-token-of-this-test"}
            answer = await http.post(address, json=hello, headers=right)
            assert answer.status_code == 200 and "broadaxe" in answer.text
            elsewhere = {**right, "Origin": "http://evil.example"}
            assert (await http.post(address, json=hello, headers=elsewhere)).status_code == 403
    finally:
        process.terminate()
        assert await process.wait() == 0


def test_without_the_package_it_says_what_to_install(
    engine: EngineProcess,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from broadaxe.cli import main as command_line

    monkeypatch.setitem(sys.modules, "mcp", None)
    monkeypatch.setattr(sys, "argv", ["broadaxe", "mcp", "--token", engine.token, "--url", engine.url])
    with pytest.raises(SystemExit) as ended:
        command_line.main()
    assert ended.value.code == 2
    assert "pip install 'broadaxe[mcp]'" in capsys.readouterr().err
