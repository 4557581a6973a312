"""The server's side of calls and streams, as `rpc/services/` has it, without the wire's messages."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import msgspec

from broadaxe.core.commands import Command
from broadaxe.core.commands.durable import DurableRequest
from broadaxe.core.decision import MessageRow
from broadaxe.core.topics import Position
from broadaxe.engine.durable_streams import Answer, DurableStream
from broadaxe.engine.engine import Engine
from broadaxe.engine.sessions import Outgoing
from broadaxe.engine.subscriptions import EventSubscription, LiveEvent, LiveKind, RunOutcome
from broadaxe.errors import BroadaxeError
from tests.simulation.shell.database import TENANT, outcome_of
from tests.simulation.shell.process import Process, Stream

#: How long who follows a run that there is not waits for it.
RUN_WAIT_S = 30.0

Handler = Callable[[Process, Stream[Any]], Coroutine[Any, Any, None]]


class Opened(msgspec.Struct, frozen=True):
    """The first thing on a stream whose client needs to know that it is open."""


class Refused(msgspec.Struct, frozen=True):
    """A request on a durable stream that cannot be right."""

    task_id: str
    invocation_count: int
    message: str


class _Helpers:
    """Tasks beside a handler, which end with it."""

    def __init__(self, *work: Coroutine[Any, Any, None]) -> None:
        self.tasks = [asyncio.create_task(one) for one in work]

    async def __aenter__(self) -> list[asyncio.Task[None]]:
        return self.tasks

    async def __aexit__(self, *_: object) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)


def listen(worker_id: str) -> Handler:
    async def handle(process: Process, stream: Stream[Outgoing]) -> None:
        process.sessions.begin(worker_id, stream)
        try:
            session = await process.engine.open_session(TENANT, worker_id)
        except BaseException:
            process.sessions.end(worker_id, stream)
            raise
        stream.is_open = True

        async def drain() -> None:
            await process.draining.wait()
            process.engine.close_session(TENANT, session)

        try:
            async with _Helpers(drain()):
                while (item := await session.next()) is not None:
                    await stream.send(item)
        finally:
            process.sessions.end(worker_id, stream)
            process.engine.close_session(TENANT, session)

    return handle


def converse(worker_id: str, client: str) -> Handler:
    """A durable stream. Requests are submitted in their order; one that cannot be decided for long ends the stream."""

    async def handle(process: Process, stream: Stream[Answer | Refused | Opened]) -> None:
        engine = process.engine
        durable = await engine.open_durable_stream(TENANT)
        try:
            # The batch that registers it may already assign.
            process.durable_streams.begin(worker_id, durable)
            await engine.register_durable_stream(TENANT, durable, worker_id)
            await stream.send(Opened())
            failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            async with _Helpers(_read(engine, stream, durable, client, failed), _write(stream, durable)) as tasks:
                drained = asyncio.create_task(process.draining.wait())
                try:
                    await asyncio.wait((*tasks, failed, drained), return_when=asyncio.FIRST_COMPLETED)
                finally:
                    drained.cancel()
                    if not failed.cancel():
                        failed.exception()
                for ended in (failed, *tasks):
                    if ended.done() and not ended.cancelled():
                        ended.result()
        finally:
            process.durable_streams.end(worker_id, durable)
            engine.close_durable_stream(TENANT, durable)

    return handle


async def _read(
    engine: Engine, stream: Stream[Any], durable: DurableStream, client: str, failed: asyncio.Future[None]
) -> None:
    async def submit(command: Any) -> None:
        try:
            await durable.decide(command, lambda wanted: engine.submit(TENANT, wanted, client=client))
        except BroadaxeError as error:
            if not error.retryable:
                if isinstance(command, DurableRequest):
                    await stream.send(Refused(command.task_id, command.invocation_count, str(error)))
            elif not failed.done():
                failed.set_exception(error)

    under_way: set[asyncio.Task[None]] = set()
    while True:
        request = msgspec.structs.replace(await stream.requests.get(), stream=durable.number)
        task = asyncio.create_task(submit(durable.ask(request)))
        under_way.add(task)
        task.add_done_callback(under_way.discard)


async def _write(stream: Stream[Any], durable: DurableStream) -> None:
    while (answer := await durable.next()) is not None:
        await stream.send(answer)


async def signals(process: Process, stream: Stream[tuple[str, str, str]]) -> None:
    engine = process.engine
    subscription = await engine.listen_for_signals(TENANT)

    async def read() -> None:
        while True:
            task_id, key = await stream.requests.get()
            await engine.want_signal(TENANT, subscription, task_id, key)

    async def write() -> None:
        while True:
            await stream.send(await subscription.next())

    try:
        async with _Helpers(read(), write()) as tasks:
            drained = asyncio.create_task(process.draining.wait())
            try:
                await asyncio.wait((*tasks, drained), return_when=asyncio.FIRST_COMPLETED)
            finally:
                drained.cancel()
            for task in tasks:
                if task.done():
                    task.result()
    finally:
        engine.stop_listening(TENANT, subscription)


async def results(process: Process, stream: Stream[RunOutcome]) -> None:
    subscription = await process.engine.results(TENANT)

    async def read() -> None:
        while True:
            subscription.add(await stream.requests.get())

    async def drain() -> None:
        await process.draining.wait()
        subscription.close()

    try:
        async with _Helpers(read(), drain()):
            while (outcome := await subscription.next()) is not None:
                await stream.send(outcome)
    finally:
        subscription.close()


def follow_run(run_id: str) -> Handler:
    async def handle(process: Process, stream: Stream[LiveEvent | Opened]) -> None:
        engine, database = process.engine, process.store.database
        subscription = await engine.watch_run(TENANT, run_id)
        try:
            if not await engine.is_live(TENANT, run_id):
                await process.store.reach()
                outcome = outcome_of(database.tables, run_id)
                if outcome is not None:
                    end = LiveEvent(LiveKind.FINISHED, run_id, run_id, 0, status=outcome.status, is_last=True)
                    await stream.send(end)
                    return
                if run_id not in database.tables.runs:
                    await asyncio.wait_for(subscription.appeared.wait(), RUN_WAIT_S)
            await _relay(process, subscription, stream)
        finally:
            engine.unwatch(TENANT, subscription)

    return handle


def follow_metadata(key: str, value: str) -> Handler:
    async def handle(process: Process, stream: Stream[LiveEvent | Opened]) -> None:
        subscription = await process.engine.watch_metadata(TENANT, key, value)
        try:
            await stream.send(Opened())
            await _relay(process, subscription, stream)
        finally:
            process.engine.unwatch(TENANT, subscription)

    return handle


def follow_topic(topic_id: str, after: Position | None) -> Handler:
    async def handle(process: Process, stream: Stream[MessageRow]) -> None:
        subscription = await process.engine.follow_topic(TENANT, topic_id, after)

        async def drain() -> None:
            await process.draining.wait()
            subscription.close()

        try:
            async with _Helpers(drain()):
                while messages := await subscription.next():
                    for message in messages:
                        await stream.send(message)
        finally:
            process.engine.unfollow_topic(TENANT, subscription)

    return handle


async def _relay(process: Process, subscription: EventSubscription, stream: Stream[Any]) -> None:
    async def drain() -> None:
        await process.draining.wait()
        subscription.close()

    async with _Helpers(drain()):
        while (event := await subscription.next()) is not None:
            await stream.send(event)
            if event.is_last:
                return


def submitting(command: Command, client: str) -> Callable[[Engine], Coroutine[Any, Any, Any]]:
    return lambda engine: engine.submit(TENANT, command, client=client)
