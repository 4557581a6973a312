"""Durable streams that outlive the tenant's memory, through the service that serves them, on a real database: commits
of which nobody heard are told on the stream that was left open, once, and no stream ends for them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest

from broadaxe.core.commands.attempts import Outcome
from broadaxe.core.commands.events import EventRequest, PushEvents
from broadaxe.core.commands.tasks import CancelTasks, ReplayTasks
from broadaxe.core.commands.workers import RegisterWorker
from broadaxe.core.decision import Writes
from broadaxe.engine.sessions import WorkerSession
from broadaxe.errors import NotFound, Unavailable
from broadaxe.rpc._gen import conditions_pb2, triggers_pb2
from broadaxe.rpc._gen import durable_pb2 as pb
from broadaxe.rpc.services.durable import DurableService
from broadaxe.rpc.transport import Call, Principal
from tests.core.world import task
from tests.engine.house import PATIENCE_S, House, LosingAnswers, assigned, house

MOMENT_S = 0.3


class Talk:
    """A worker's durable stream."""

    def __init__(self, home: House) -> None:
        self._asked: asyncio.Queue[pb.DurableTaskRequest | None] = asyncio.Queue()
        self._told: asyncio.Queue[pb.DurableTaskResponse] = asyncio.Queue()
        call = Call(
            path="/v1.V1Dispatcher/DurableTask",
            metadata=(),
            peer="peer",
            connection=object(),
            principal=Principal(home.tenant_id, "t"),
            draining=asyncio.Event(),
        )
        service = DurableService(home.engine)
        self.serving = asyncio.create_task(service.durable_task(self._requests(), call, self._send))

    def ask(self, **variant: object) -> None:
        self._asked.put_nowait(pb.DurableTaskRequest(**variant))  # type: ignore[arg-type]

    async def told(self) -> pb.DurableTaskResponse:
        hearing = asyncio.create_task(self._told.get())
        await asyncio.wait((hearing, self.serving), timeout=PATIENCE_S, return_when=asyncio.FIRST_COMPLETED)
        assert not self.serving.done(), "the stream has ended"
        assert hearing.done(), "nothing is told"
        return hearing.result()

    async def register(self, worker_id: str) -> None:
        self.ask(register_worker=pb.DurableRegisterWorkerRequest(worker_id=worker_id))
        assert (await self.told()).register_worker.worker_id == worker_id

    async def is_silent(self) -> bool:
        await asyncio.sleep(MOMENT_S)
        return self._told.empty() and not self.serving.done()

    async def _requests(self) -> AsyncIterator[pb.DurableTaskRequest]:
        while (request := await self._asked.get()) is not None:
            yield request

    async def _send(self, message: pb.DurableTaskResponse | bytes) -> None:
        assert isinstance(message, pb.DurableTaskResponse)
        self._told.put_nowait(message)


class Deep:
    """A durable task that runs, and the stream it speaks on."""

    def __init__(self, home: House, worker_id: str, session: WorkerSession, run_id: str, talk: Talk) -> None:
        self.home = home
        self.worker_id = worker_id
        self.session = session
        self.run_id = run_id
        self.talk = talk
        self.invocation = 1

    def evict(self) -> None:
        self.talk.ask(
            evict_invocation=pb.DurableEvictInvocationRequest(
                invocation_count=self.invocation, durable_task_external_id=self.run_id
            )
        )

    def wait(self, key: str) -> None:
        wanted = conditions_pb2.DurableEventListenerConditions(
            user_event_conditions=[
                conditions_pb2.UserEventMatchCondition(
                    base=conditions_pb2.BaseMatchCondition(readable_data_key=key, or_group_id=""), user_event_key=key
                )
            ]
        )
        self.talk.ask(
            wait_for=pb.DurableWaitForRequest(
                invocation_count=self.invocation, durable_task_external_id=self.run_id, wait_for_conditions=wanted
            )
        )

    def spawn(self, text: str) -> None:
        self.talk.ask(
            trigger_runs=pb.DurableTriggerRunsRequest(
                invocation_count=self.invocation,
                durable_task_external_id=self.run_id,
                trigger_opts=[triggers_pb2.TriggerWorkflowRequest(name="flow", input=text)],
            )
        )

    async def push(self, key: str) -> None:
        with_answer = PushEvents((EventRequest(key=key, payload="{}"),))
        try:
            await self.home.engine.submit(self.home.tenant_id, with_answer)
        except Unavailable:
            return


@asynccontextmanager
async def deep(database: str, pool: asyncpg.Pool, losing: LosingAnswers | None = None) -> AsyncIterator[Deep]:
    async with house(database, pool, losing=losing) as home:
        await home.put(task("a", is_durable=True))
        command = RegisterWorker("worker", ("flow:a",), {"default": 5, "durable": 5})
        worker_id = await home.engine.submit(home.tenant_id, command)
        assert isinstance(worker_id, str)
        session = await home.engine.open_session(home.tenant_id, worker_id)
        talk = Talk(home)
        await talk.register(worker_id)
        run_id = await home.trigger()
        await assigned(session)
        await home.report(run_id, Outcome.STARTED)
        try:
            yield Deep(home, worker_id, session, run_id, talk)
        finally:
            talk.serving.cancel()
            await asyncio.gather(talk.serving, return_exceptions=True)


def has_entries(writes: Writes) -> bool:
    return bool(writes.durable_entries)


async def test_an_operation_committed_but_not_answered_is_answered_and_recorded_once(
    database: str, pool: asyncpg.Pool
) -> None:
    losing = LosingAnswers(has_entries)
    async with deep(database, pool, losing) as task_:
        task_.wait("never")
        assert (await task_.talk.told()).wait_for_ack.ref.node_id == 1
        assert losing.lost == 1
        assert await task_.talk.is_silent(), "a second answer would be taken for that to the next operation"
        task_.wait("either")
        assert (await task_.talk.told()).wait_for_ack.ref.node_id == 2
        assert await task_.home.count("durable_entry") == 2


async def test_a_child_spawned_in_a_commit_nobody_heard_of_is_spawned_once(database: str, pool: asyncpg.Pool) -> None:
    losing = LosingAnswers(has_entries)
    async with deep(database, pool, losing) as task_:
        task_.spawn("{}")
        (child,) = (await task_.talk.told()).trigger_runs_ack.run_entries
        assert losing.lost == 1
        assert await task_.talk.is_silent()
        assert await pool.fetchval("select count(*) from broadaxe.run") == 2
        kept = await pool.fetchval("select child_run_id::text from broadaxe.durable_entry")
        assert kept == child.workflow_run_external_id


async def test_a_result_that_came_in_a_commit_nobody_heard_of_is_told(database: str, pool: asyncpg.Pool) -> None:
    losing = LosingAnswers(lambda writes: bool(writes.events))
    async with deep(database, pool, losing) as task_:
        task_.wait("go")
        assert (await task_.talk.told()).HasField("wait_for_ack")
        await task_.push("go")
        told = await task_.talk.told()
        assert (told.entry_completed.ref.node_id, told.entry_completed.satisfied_order) == (1, 1)
        assert losing.lost == 1
        assert await task_.talk.is_silent()


async def test_results_that_were_told_before_a_load_are_not_told_again_and_the_next_one_is(
    database: str, pool: asyncpg.Pool
) -> None:
    losing = LosingAnswers(lambda writes: any(event.key == "second" for event in writes.events))
    async with deep(database, pool, losing) as task_:
        for node_id, key in enumerate(("first", "second", "third"), 1):
            task_.wait(key)
            assert (await task_.talk.told()).wait_for_ack.ref.node_id == node_id
        await task_.push("first")
        assert (await task_.talk.told()).entry_completed.ref.node_id == 1
        await task_.push("second")
        await task_.push("third")
        told = [(await task_.talk.told()).entry_completed for _ in range(2)]
        assert [(one.ref.node_id, one.satisfied_order) for one in told] == [(2, 2), (3, 3)]
        assert await task_.talk.is_silent()


async def test_an_invocation_that_does_old_operations_again_goes_on_after_a_load(
    database: str, pool: asyncpg.Pool
) -> None:
    """It has recorded nothing that would tell where it is; the stream it speaks on knows."""
    losing = LosingAnswers(lambda writes: any(event.key == "load" for event in writes.events))
    async with deep(database, pool, losing) as task_:
        for key in ("one", "two"):
            task_.wait(key)
            assert (await task_.talk.told()).HasField("wait_for_ack")
        task_.evict()
        assert (await task_.talk.told()).HasField("eviction_ack")
        await task_.push("one")
        assert (await assigned(task_.session)).attempt.invocation_count == 2
        task_.invocation = 2
        task_.wait("one")
        assert (await task_.talk.told()).wait_for_ack.ref.node_id == 1
        assert (await task_.talk.told()).HasField("entry_completed")
        await task_.push("load")
        assert losing.lost == 1
        task_.wait("two")
        assert (await task_.talk.told()).wait_for_ack.ref.node_id == 2
        assert await task_.home.count("durable_entry") == 2


async def test_a_wish_to_be_evicted_is_answered_though_its_commit_was_not_heard_of(
    database: str, pool: asyncpg.Pool
) -> None:
    losing = LosingAnswers(lambda writes: any(row.order_at_eviction is not None for row in writes.durable_tasks))
    async with deep(database, pool, losing) as task_:
        task_.wait("go")
        assert (await task_.talk.told()).HasField("wait_for_ack")
        task_.evict()
        assert (await task_.talk.told()).HasField("eviction_ack")
        assert losing.lost == 1


async def test_a_stream_of_an_unknown_worker_is_not_acknowledged(database: str, pool: asyncpg.Pool) -> None:
    async with house(database, pool) as home:
        await home.put()
        talk = Talk(home)
        talk.ask(register_worker=pb.DurableRegisterWorkerRequest(worker_id="00000000-0000-7000-8000-000000000001"))
        with pytest.raises(NotFound):
            await asyncio.wait_for(talk.serving, PATIENCE_S)


async def test_durable_tasks_wait_for_the_stream_that_comes_later(database: str, pool: asyncpg.Pool) -> None:
    async with deep(database, pool) as task_:
        task_.talk.serving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task_.talk.serving
        run_id = await task_.home.trigger()
        status = "select status::text from broadaxe.task where id = $1"
        assert await pool.fetchval(status, run_id) == "QUEUED"
        later = Talk(task_.home)
        await later.register(task_.worker_id)
        assert (await assigned(task_.session)).attempt.run_id == run_id
        later.serving.cancel()
        await asyncio.gather(later.serving, return_exceptions=True)


async def test_nothing_is_kept_of_invocations_that_are_over(database: str, pool: asyncpg.Pool) -> None:
    async with deep(database, pool) as task_:
        task_.wait("never")
        assert (await task_.talk.told()).HasField("wait_for_ack")
        (stream,) = task_.home.activation.streams._durable.values()
        assert stream._speakers
        await task_.home.report(task_.run_id, Outcome.COMPLETED, "{}")
        await task_.home.engine.submit(task_.home.tenant_id, PushEvents((EventRequest(key="x", payload="{}"),)))
        assert not stream._speakers


async def test_a_memo_that_comes_after_the_end_of_its_task_is_kept_for_a_replay(
    database: str, pool: asyncpg.Pool
) -> None:
    async with deep(database, pool) as task_:
        task_.talk.ask(memo=pb.DurableMemoRequest(invocation_count=1, durable_task_external_id=task_.run_id))
        ref = (await task_.talk.told()).memo_ack.ref
        await task_.home.report(task_.run_id, Outcome.COMPLETED, "{}")
        task_.talk.ask(complete_memo=pb.DurableCompleteMemoRequest(ref=ref, payload=b'"kept"'))
        async with asyncio.timeout(PATIENCE_S):
            while await pool.fetchval("select satisfied_at from broadaxe.durable_entry") is None:
                pass
        await task_.home.engine.submit(task_.home.tenant_id, ReplayTasks((task_.run_id,)))
        assert (await assigned(task_.session)).attempt.invocation_count == 2
        task_.talk.ask(memo=pb.DurableMemoRequest(invocation_count=2, durable_task_external_id=task_.run_id))
        ack = (await task_.talk.told()).memo_ack
        assert (ack.memo_already_existed, ack.memo_result_payload) == (True, b'"kept"')


async def test_waiting_for_a_cancelled_run_brings_no_error(database: str, pool: asyncpg.Pool) -> None:
    async with deep(database, pool) as task_:
        home = task_.home
        live = await home.engine.results(home.tenant_id)
        live.add(task_.run_id)
        await home.engine.submit(home.tenant_id, CancelTasks((task_.run_id,)))
        later = await home.engine.results(home.tenant_id)
        later.add(task_.run_id)
        for results in (live, later):
            outcome = await asyncio.wait_for(results.next(), PATIENCE_S)
            assert outcome is not None
            assert [(told.output, told.error) for told in outcome.tasks] == [(None, None)]
        assert await pool.fetchval("select error from broadaxe.task") == "cancelled by a user"
