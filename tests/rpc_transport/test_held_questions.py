"""Questions for a run's details: which of them are held until the run ends, and what lets them go."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Coroutine
from typing import Any

import asyncpg
import pytest

from broadaxe.core.commands.attempts import Outcome
from broadaxe.engine.sessions import WorkerSession
from broadaxe.errors import NotFound
from broadaxe.rpc import askers
from broadaxe.rpc._gen import admin_pb2 as pb
from broadaxe.rpc._gen.triggers_pb2 import TriggerWorkflowRequest
from broadaxe.rpc._gen.workflows_pb2 import BulkTriggerWorkflowRequest
from broadaxe.rpc.askers import Askers
from broadaxe.rpc.services.admin import AdminService
from broadaxe.rpc.services.workflows import WorkflowService
from broadaxe.rpc.transport import Call, Principal
from broadaxe.storage.ids import new_id
from broadaxe.storage.reads import Reads
from tests.engine.house import PATIENCE_S, House, assigned, house


class Connection:
    """One client."""

    def __init__(self, office: Office) -> None:
        self._office = office

    def call(self, within_s: float | None = None) -> Call:
        deadline_at = None if within_s is None else asyncio.get_running_loop().time() + within_s
        return Call("/", {}, "here", self._office.principal, self._office.draining, self, deadline_at)

    async def ask(self, run_id: str, within_s: float | None = None) -> pb.GetRunDetailsResponse:
        return await self._office.admin.get_run_details(
            pb.GetRunDetailsRequest(external_id=run_id), self.call(within_s)
        )

    async def trigger(self) -> str:
        request = TriggerWorkflowRequest(name="flow", input="{}")
        return (await self._office.workflows.trigger(request, self.call())).workflow_run_id

    async def trigger_many(self, count: int) -> list[str]:
        request = BulkTriggerWorkflowRequest(workflows=[TriggerWorkflowRequest(name="flow", input="{}")] * count)
        return list((await self._office.workflows.bulk_trigger(request, self.call())).workflow_run_ids)


class Office:
    """The two services on a real engine. Nothing is held for less than the patience of a test."""

    def __init__(self, home: House, session: WorkerSession) -> None:
        self.home = home
        self.session = session
        self.principal = Principal(home.tenant_id, new_id())
        self.draining = asyncio.Event()
        self.askers = Askers(home.engine)
        self.admin = AdminService(home.engine, Reads(home.pool), self.askers)
        self.workflows = WorkflowService(home.engine, self.askers)
        self._questions: list[asyncio.Task[pb.GetRunDetailsResponse]] = []

    async def end(self, run_id: str) -> None:
        """Lets the worker complete the run."""
        while (item := await assigned(self.session)).attempt.run_id != run_id:
            pass
        await self.home.report(item.attempt.task_id, Outcome.COMPLETED, '{"x":1}')

    async def held(
        self, question: Coroutine[Any, Any, pb.GetRunDetailsResponse], count: int = 1
    ) -> asyncio.Task[pb.GetRunDetailsResponse]:
        """The question, once `count` of them are held."""
        asked = asyncio.create_task(question)
        self._questions.append(asked)
        async with asyncio.timeout(PATIENCE_S):
            while self.askers._held[self.home.tenant_id] < count:
                assert not asked.done(), "it was answered at once"
                await asyncio.sleep(0)
        return asked

    async def close(self) -> None:
        for question in self._questions:
            question.cancel()
        await asyncio.gather(*self._questions, return_exceptions=True)


@pytest.fixture
async def office(database: str, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Office]:
    monkeypatch.setattr(askers, "HOLD_S", 2 * PATIENCE_S)
    monkeypatch.setattr(askers, "ASKS_WITHIN_S", 2 * PATIENCE_S)
    monkeypatch.setattr(askers, "SLEEPS_MAX_S", 2 * PATIENCE_S)
    async with house(database, pool) as home:
        await home.put()
        office = Office(home, await home.session())
        yield office
        await office.close()


async def answered(question: Coroutine[Any, Any, pb.GetRunDetailsResponse]) -> pb.GetRunDetailsResponse:
    return await asyncio.wait_for(question, PATIENCE_S)


async def test_who_triggered_a_run_is_answered_when_it_ends(office: Office) -> None:
    caller = Connection(office)
    run_id = await caller.trigger()
    question = await office.held(caller.ask(run_id))
    await office.end(run_id)
    answer = await asyncio.wait_for(question, PATIENCE_S)
    assert answer.done and answer.status == pb.COMPLETED
    assert answer.task_runs["a"].output == b'{"x":1}'


async def test_each_run_of_a_bulk_is_waited_for(office: Office) -> None:
    caller = Connection(office)
    first, second = await caller.trigger_many(2)
    question = await office.held(caller.ask(second))
    await office.end(first)
    await office.end(second)
    assert (await asyncio.wait_for(question, PATIENCE_S)).done


async def test_who_looks_first_is_answered_at_once_and_held_when_it_asks_again_later(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(askers, "SLEEPS_S", 0)
    run_id = await Connection(office).trigger()
    other = Connection(office)
    assert not (await answered(other.ask(run_id))).done
    question = await office.held(other.ask(run_id))
    await office.end(run_id)
    assert (await asyncio.wait_for(question, PATIENCE_S)).done


async def test_who_asks_in_quick_turns_is_answered_at_once_each_time(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(askers, "SLEEPS_S", 2 * PATIENCE_S)
    run_id = await Connection(office).trigger()
    looker = Connection(office)
    for _ in range(3):
        assert not (await answered(looker.ask(run_id))).done


async def test_who_asks_long_after_its_trigger_is_answered_at_once(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may have replayed the run since, and look for it to begin."""
    caller = Connection(office)
    run_id = await caller.trigger()
    monkeypatch.setattr(askers, "ASKS_WITHIN_S", -1)
    assert not (await answered(caller.ask(run_id))).done


async def test_who_asks_long_after_the_last_answer_is_answered_at_once(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It learned of the end by other means, and the run was replayed since."""
    run_id = await Connection(office).trigger()
    looker = Connection(office)
    await answered(looker.ask(run_id))
    monkeypatch.setattr(askers, "SLEEPS_S", 0)
    monkeypatch.setattr(askers, "SLEEPS_MAX_S", -1)
    assert not (await answered(looker.ask(run_id))).done


async def test_a_run_that_has_ended_is_told_at_once(office: Office) -> None:
    caller = Connection(office)
    run_id = await caller.trigger()
    await office.end(run_id)
    assert (await answered(caller.ask(run_id))).done
    assert (await answered(caller.ask(run_id))).done


async def test_an_unknown_run_is_told_at_once_however_often(office: Office) -> None:
    caller = Connection(office)
    for _ in range(2):
        with pytest.raises(NotFound):
            await answered(caller.ask(new_id()))


async def test_a_draining_server_lets_held_questions_go_and_holds_no_more(office: Office) -> None:
    caller = Connection(office)
    run_id = await caller.trigger()
    question = await office.held(caller.ask(run_id))
    office.draining.set()
    assert not (await asyncio.wait_for(question, PATIENCE_S)).done
    assert not (await answered(caller.ask(run_id))).done


async def test_a_deadline_is_answered_before_it_passes(office: Office) -> None:
    caller = Connection(office)
    run_id = await caller.trigger()
    assert not (await answered(caller.ask(run_id, within_s=0.2))).done


@pytest.mark.parametrize("bound", ["HELD_PER_CONNECTION_MAX", "HELD_PER_TENANT_MAX"])
async def test_beyond_the_bounds_answers_are_at_once(
    office: Office, monkeypatch: pytest.MonkeyPatch, bound: str
) -> None:
    monkeypatch.setattr(askers, bound, 1)
    monkeypatch.setattr(askers, "SLEEPS_S", 0)
    caller = Connection(office)
    first, second = await caller.trigger_many(2)
    question = await office.held(caller.ask(first))
    assert not (await answered(caller.ask(second))).done
    await office.end(first)
    assert (await asyncio.wait_for(question, PATIENCE_S)).done
    # What was held makes room.
    question = await office.held(caller.ask(second))
    await office.end(second)
    assert (await asyncio.wait_for(question, PATIENCE_S)).done


async def test_other_connections_have_their_own_share(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(askers, "HELD_PER_CONNECTION_MAX", 1)
    callers = Connection(office), Connection(office)
    run_ids = [await caller.trigger() for caller in callers]
    for count, (caller, run_id) in enumerate(zip(callers, run_ids, strict=True), 1):
        await office.held(caller.ask(run_id), count)


async def test_only_the_latest_runs_of_a_connection_are_known(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(askers, "RUNS_PER_CONNECTION_MAX", 2)
    caller = Connection(office)
    oldest, *_, latest = await caller.trigger_many(3)
    assert not (await answered(caller.ask(oldest))).done
    await office.held(caller.ask(latest))


async def test_a_caller_that_leaves_leaves_nothing_behind(office: Office) -> None:
    caller = Connection(office)
    run_id = await caller.trigger()
    question = await office.held(caller.ask(run_id))
    question.cancel()
    await asyncio.gather(question, return_exceptions=True)
    assert not office.askers._held
    assert not office.home.engine._activation(office.home.tenant_id).streams.hub.has_waiter(run_id)


async def test_of_a_connection_that_is_gone_nothing_is_known(office: Office) -> None:
    caller = Connection(office)
    await caller.trigger()
    assert len(office.askers._by_connection) == 1
    del caller
    gc.collect()
    assert not office.askers._by_connection
