"""The screen of `broadaxe top`, against a real engine and a real worker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import DataTable, Static
from wirekit import EngineProcess, eventually

from broadaxe.cli.top_screen import Question, Story, TopScreen
from broadaxe.remote import runs
from broadaxe.remote.run_query import RunQuery
from broadaxe.remote.server import Server


def server_of(engine: EngineProcess) -> Server:
    return Server("the server", engine.url, engine.token, timeout_s=30, url_flag="--url", token_flag="--token")


@pytest.fixture
def server(shared_engine: EngineProcess, gallery: str) -> Server:
    return server_of(shared_engine)


@asynccontextmanager
async def screen(server: Server, query: RunQuery) -> AsyncIterator[Pilot[None]]:
    async with TopScreen(server, query).run_test(size=(200, 40)) as pilot:
        yield pilot


def table(pilot: Pilot[None], name: str) -> list[list[str]]:
    found: DataTable[Any] = pilot.app.screen_stack[0].query_one(f"#{name}", DataTable)
    return [[str(cell) for cell in found.get_row_at(row)] for row in range(found.row_count)]


async def seen(what: str, look: Callable[[], bool]) -> None:
    async def now() -> bool:
        return look()

    await eventually(now, what=what)


def first_line(pilot: Pilot[None]) -> str:
    return str(pilot.app.screen_stack[0].query_one("#said", Static).content)


async def trigger(server: Server, workflow: str, given: dict[str, Any], key: str) -> str:
    made = await asyncio.to_thread(runs.trigger, server, workflow, given, {"mark": key}, None)
    return str(made["run"]["metadata"]["id"])


async def test_runs_appear_by_themselves_and_are_opened(server: Server, key: str) -> None:
    async with screen(server, RunQuery(metadata=[f"mark={key}"])) as pilot:
        await seen("the first reading", lambda: "Completed 0" in first_line(pilot))
        assert table(pilot, "runs") == []
        assert [row[1] for row in table(pilot, "workers")] and "/" in table(pilot, "workers")[0][2]
        run_id = await trigger(server, "echo", {"key": key, "n": 1}, key)
        await seen("the run", lambda: [row[0] for row in table(pilot, "runs")] == ["Completed"])
        assert table(pilot, "runs")[0][4] == run_id
        assert "Completed 1" in first_line(pilot)
        await pilot.press("enter")
        await seen("its story", lambda: isinstance(pilot.app.screen, Story))
        told = str(pilot.app.screen.query_one(Static).content)
        assert "FINISHED" in told and "echo: COMPLETED" in told
        await pilot.press("escape")
        await seen("the runs again", lambda: not isinstance(pilot.app.screen, Story))
        await pilot.press("q")


async def test_a_run_is_cancelled_after_a_question_and_replayed(server: Server, key: str) -> None:
    run_id = await trigger(server, "hold", {"key": key}, key)
    async with screen(server, RunQuery(metadata=[f"mark={key}"])) as pilot:
        await seen("the run at work", lambda: [row[0] for row in table(pilot, "runs")] == ["Running"])
        await pilot.press("c")
        await seen("a question", lambda: isinstance(pilot.app.screen, Question))
        await pilot.press("n")
        assert runs.details(server, run_id)["run"]["status"] == "RUNNING"
        await pilot.press("c")
        await seen("a question", lambda: isinstance(pilot.app.screen, Question))
        await pilot.press("y")
        await seen("the end", lambda: [row[0] for row in table(pilot, "runs")] == ["Cancelled"])


async def test_an_engine_that_is_away_is_said_and_what_was_read_stays(own_engine: EngineProcess) -> None:
    async with screen(server_of(own_engine), RunQuery()) as pilot:
        await seen("the first reading", lambda: "Queued 0" in first_line(pilot))
        await own_engine.kill()
        await seen("the trouble", lambda: "! " in first_line(pilot))
        assert "Queued 0" in first_line(pilot)
        await own_engine.start()
        await seen("the end of the trouble", lambda: "! " not in first_line(pilot))
