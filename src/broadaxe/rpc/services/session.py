"""`broadaxe.session.Sessions`: everything between a worker, or a caller, and the engine on one stream, in batches.

It stands beside the official calls of `Dispatcher`, `EventsService` and `V1Dispatcher` and decides nothing they do not:
assignments, lines and durable operations take the ways those services have, and reports are the same commands, a frame
of them in one. What is its own is the acknowledgement: a report counts as told when it is committed, and the worker
sends again whatever was not (`Report.sequence`), which the fence of attempts makes harmless.

Bounds: a frame has at most `REPORTS_MAX` reports and is no larger than a message may be; `FRAMES_UNDER_WAY_MAX` frames
are being decided at once, and no more is read from the worker meanwhile. What is on its way to a worker is bounded by
its slots.

Source: docs/worker.md, proto/broadaxe/rpc/_gen/session.proto.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime
from typing import Any, Final

import structlog
from google.protobuf.message import DecodeError, Message

from broadaxe.core.commands.attempts import Outcome, ReportAttempt, ReportAttempts
from broadaxe.core.commands.workers import Heartbeat, PauseWorker, UnregisterWorker
from broadaxe.core.commands.workflows import PutWorkflow
from broadaxe.core.durations import US_PER_MS, US_PER_S
from broadaxe.engine.clock import Clock
from broadaxe.engine.port import EnginePort
from broadaxe.engine.sessions import WorkerSession
from broadaxe.engine.subscriptions import ResultSubscription
from broadaxe.errors import (
    BroadaxeError,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    ResourceExhausted,
    Unimplemented,
)
from broadaxe.rpc import inbound, outbound
from broadaxe.rpc._gen import session_pb2 as pb
from broadaxe.rpc._gen.admin_pb2 import CreateWorkflowVersionRequest
from broadaxe.rpc._gen.dispatcher_pb2 import WorkerRegisterRequest
from broadaxe.rpc._gen.durable_pb2 import DurableTaskRequest, DurableTaskResponse
from broadaxe.rpc._gen.triggers_pb2 import TriggerWorkflowRequest
from broadaxe.rpc._gen.workflows_pb2 import BulkTriggerWorkflowRequest
from broadaxe.rpc.draining import closed_by_stop
from broadaxe.rpc.services.dispatcher import (
    ENGINE_VERSION,
    REPORT_HOLD_S,
    RUNS_AWAITED_MAX,
    refuse_oversize,
    registration,
)
from broadaxe.rpc.services.durable import Conversation
from broadaxe.rpc.services.events import keep_line
from broadaxe.rpc.services.workflows import start_run, start_runs
from broadaxe.rpc.statuses import STATUS_DETAILS_KEY, is_unforeseen, status_of
from broadaxe.rpc.transport import SEND_SIZE_BYTES_MAX, Call, Method, Send, bidi
from broadaxe.storage.logs import LogStore

PROTOCOL: Final = 1
#: Reports in one frame.
REPORTS_MAX: Final = 1_000
#: Frames with reports of one session that are being decided.
FRAMES_UNDER_WAY_MAX: Final = 16
TRIGGERS_UNDER_WAY_MAX: Final = 256
#: A frame of assignments is sent once it has so many bytes.
FRAME_BYTES: Final = 1024 * 1024
#: What the session adds to the message of an assignment.
_WRAPPING_BYTES: Final = 64
WORKFLOWS_MAX: Final = 1_000
#: Durable requests that were read and are not under way yet.
DURABLE_QUEUE_MAX: Final = 256
HEARTBEAT_INTERVAL_MS: Final = 4_000
_INSTANT_MAX_S: Final = 253_402_300_799

_OUTCOMES: Final = {
    pb.OUTCOME_STARTED: Outcome.STARTED,
    pb.OUTCOME_COMPLETED: Outcome.COMPLETED,
    pb.OUTCOME_FAILED: Outcome.FAILED,
    pb.OUTCOME_CANCELLED: Outcome.CANCELLED,
}

_log = structlog.get_logger(__name__)


class SessionService:
    def __init__(self, engine: EnginePort, logs: LogStore, clock: Clock) -> None:
        self._engine = engine
        self._logs = logs
        self._clock = clock

    def methods(self) -> list[Method]:
        return [bidi("/broadaxe.session.Sessions/Session", pb.WorkerFrame, pb.EngineFrame, self.session)]

    async def session(self, frames: AsyncIterator[pb.WorkerFrame], call: Call, send: Send[pb.EngineFrame]) -> None:
        """InvalidArgument for a definition or registration that cannot be right; Unimplemented for another protocol."""
        tenant_id = call.principal.tenant_id
        first = await anext(frames, None)
        if first is None:
            return
        if not first.HasField("hello"):
            raise InvalidArgument("the first frame of a session says hello", field="hello")
        # First, for nothing may come between the worker's stream and whoever closes it.
        results = await self._engine.results(tenant_id)
        session: WorkerSession | None = None

        def close() -> None:
            results.close()
            if session is not None:
                self._engine.close_session(tenant_id, session)

        try:
            session = await self._admit(first.hello, call)
            talk = _Session(self._engine, self._logs, self._clock, call, send, session, results)
            async with closed_by_stop(call, close):
                await talk.hold(frames)
        finally:
            close()
        if talk.said_goodbye and session is not None:
            await self._engine.submit(tenant_id, UnregisterWorker(session.worker_id), client=call.peer)

    async def _admit(self, hello: pb.Hello, call: Call) -> WorkerSession | None:
        tenant_id = call.principal.tenant_id
        if hello.protocol != PROTOCOL:
            raise Unimplemented(f"this engine speaks session protocol {PROTOCOL}, not {hello.protocol}")
        if len(hello.workflows) > WORKFLOWS_MAX:
            raise InvalidArgument(f"a worker brings at most {WORKFLOWS_MAX} workflows", field="workflows")
        for position, wire in enumerate(hello.workflows):
            request = _parsed(CreateWorkflowVersionRequest, wire, field=f"workflows[{position}]")
            command = PutWorkflow(inbound.workflow_spec(request))
            await self._engine.submit(tenant_id, command, client=call.peer, by=call.by)
        if not hello.registration:
            return None
        if hello.worker_id:
            try:
                known = inbound.uuid_text(hello.worker_id, field="worker_id")
                return await self._engine.open_session(tenant_id, known)
            except NotFound:
                _log.info("a worker came back that is not known any more", tenant=tenant_id, worker=hello.worker_id)
        wanted = registration(_parsed(WorkerRegisterRequest, hello.registration, field="registration"))
        worker_id = await self._engine.submit(tenant_id, wanted, client=call.peer)
        assert isinstance(worker_id, str)
        return await self._engine.open_session(tenant_id, worker_id)


class _Session:
    """One open stream, of a worker or of a caller, or of one that is both."""

    def __init__(
        self,
        engine: EnginePort,
        logs: LogStore,
        clock: Clock,
        call: Call,
        send: Send[pb.EngineFrame],
        session: WorkerSession | None,
        results: ResultSubscription,
    ) -> None:
        self._engine = engine
        self._logs = logs
        self._clock = clock
        self._results = results
        self._awaited: dict[str, str] = {}
        """Under which text the caller asked for a run."""
        self._call = call
        self._tenant_id = call.principal.tenant_id
        self._client = call.peer
        self._send_frame = send
        self._session = session
        self._worker_id = session.worker_id if session is not None else ""
        # Sends of one call must not overlap.
        self._sending = asyncio.Lock()
        self._under_way: deque[_Frame] = deque()
        self._acknowledgements = _Acknowledgements()
        self._durable: asyncio.Queue[DurableTaskRequest] = asyncio.Queue(DURABLE_QUEUE_MAX)
        self._asked_durably = asyncio.Event()
        self.said_goodbye = False

    async def hold(self, frames: AsyncIterator[pb.WorkerFrame]) -> None:
        """Returns when either side has ended it. Raises what makes it unusable."""
        welcome = pb.Welcome(
            protocol=PROTOCOL,
            tenant_id=self._tenant_id,
            worker_id=self._worker_id,
            engine_version=ENGINE_VERSION,
            heartbeat_interval_ms=HEARTBEAT_INTERVAL_MS,
            reports_max=REPORTS_MAX,
            frame_bytes_max=SEND_SIZE_BYTES_MAX,
        )
        await self._send(pb.EngineFrame(welcome=welcome))
        tasks: tuple[asyncio.Task[Any], ...] = (
            asyncio.create_task(self._read(frames)),
            asyncio.create_task(self._acknowledge()),
            asyncio.create_task(self._tell_results()),
            *([] if self._session is None else [asyncio.create_task(self._assign(self._session))]),
            *([] if self._session is None else [asyncio.create_task(self._converse())]),
        )
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _send(self, frame: pb.EngineFrame) -> None:
        async with self._sending:
            frame.committed = self._acknowledgements.take_committed()
            await self._send_frame(frame)

    # To the worker -------------------------------------------------------------------------------------------------

    async def _assign(self, session: WorkerSession) -> None:
        while items := await session.some():
            frame, size_bytes = pb.EngineFrame(), 0
            for item in items:
                wire = outbound.assigned_action(self._tenant_id, item).SerializeToString()
                if len(wire) > SEND_SIZE_BYTES_MAX - _WRAPPING_BYTES:
                    await refuse_oversize(self._engine, self._tenant_id, item, len(wire))
                    continue
                if size_bytes and size_bytes + len(wire) > FRAME_BYTES:
                    await self._send(frame)
                    frame, size_bytes = pb.EngineFrame(), 0
                frame.assignments.append(wire)
                size_bytes += len(wire)
            if size_bytes:
                await self._send(frame)

    async def _tell_results(self) -> None:
        while outcomes := await self._results.some():
            frame, size_bytes = pb.EngineFrame(), 0
            for outcome in outcomes:
                asked_as = self._awaited.pop(outcome.run_id, outcome.run_id)
                wire = outbound.run_event(outcome, asked_as, self._clock.now_us()).SerializeToString()
                if size_bytes and size_bytes + len(wire) > FRAME_BYTES:
                    await self._send(frame)
                    frame, size_bytes = pb.EngineFrame(), 0
                frame.finished_runs.append(wire)
                size_bytes += len(wire)
            await self._send(frame)

    async def _acknowledge(self) -> None:
        acknowledgements = self._acknowledgements
        while True:
            await acknowledgements.due.wait()
            refusals = acknowledgements.take_refusals()
            if refusals or acknowledgements.is_due:
                await self._send(pb.EngineFrame(refusals=refusals))

    async def _converse(self) -> None:
        """Durable tasks speak on the session as on a stream of their own, from their first word on."""
        await self._asked_durably.wait()

        async def requests() -> AsyncIterator[DurableTaskRequest]:
            while True:
                yield await self._durable.get()

        async def answer(response: DurableTaskResponse | bytes) -> None:
            wire = response if isinstance(response, bytes) else response.SerializeToString()
            await self._send(pb.EngineFrame(durable_answers=[wire]))

        await Conversation(self._engine, self._call, answer).hold(requests())

    # From the worker -----------------------------------------------------------------------------------------------

    async def _read(self, frames: AsyncIterator[pb.WorkerFrame]) -> None:
        room = asyncio.Semaphore(FRAMES_UNDER_WAY_MAX)
        triggers = asyncio.Semaphore(TRIGGERS_UNDER_WAY_MAX)
        failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        deciding: set[asyncio.Task[None]] = set()

        def go(work: Any) -> None:
            # Tasks begin in the order they are made, so commands reach the tenant in the order of the stream.
            task = asyncio.create_task(work)
            deciding.add(task)
            task.add_done_callback(deciding.discard)

        async def report(frame: _Frame) -> None:
            try:
                await self._report(frame)
                self._acknowledgements.note(frame)
            except Exception as error:
                if not failed.done():
                    failed.set_exception(error)
            finally:
                room.release()

        async def start(trigger: pb.Trigger) -> None:
            try:
                await self._send(pb.EngineFrame(triggered=[await self._start(trigger)]))
            finally:
                triggers.release()

        async def read_all() -> None:
            async for frame in frames:
                for trigger in frame.triggers:
                    await triggers.acquire()
                    go(start(trigger))
                for wire_id in frame.awaited_runs:
                    self._await(wire_id)
                if self._session is None:
                    continue
                for chunk in frame.chunks:
                    await self._chunk(chunk)
                if frame.logs:
                    await self._keep(frame.logs)
                for wire in frame.durable_requests:
                    self._asked_durably.set()
                    await self._durable.put(_parsed(DurableTaskRequest, wire, field="durable_requests"))
                if frame.reports:
                    await room.acquire()
                    taken = _Frame(frame.reports, self._worker_id)
                    self._acknowledgements.expect(taken)
                    go(report(taken))
                if frame.goodbye:
                    self.said_goodbye = True
                    go(self._tell(PauseWorker(self._worker_id, True)))
                if frame.heartbeat:
                    go(self._tell(Heartbeat(self._worker_id)))

        reading = asyncio.create_task(read_all())
        try:
            await asyncio.wait((reading, failed), return_when=asyncio.FIRST_COMPLETED)
            if failed.done():
                failed.result()
            reading.result()
            if deciding:
                await asyncio.wait(deciding)
        finally:
            reading.cancel()
            failed.cancel()
            # Reports that are being decided count, whoever still listens.
            await asyncio.gather(reading, return_exceptions=True)

    async def _report(self, frame: _Frame) -> None:
        """Raises what may be different later: then the worker sends all of it again."""
        for sequence, message in frame.refusals:
            self._acknowledgements.refuse(sequence, message)
        if not frame.reports:
            return
        try:
            await self._submit(ReportAttempts(tuple(frame.reports)))
        except BroadaxeError as error:
            if error.retryable:
                raise
            # One of them is to blame, and the others must not suffer for it.
            for sequence, reports in frame.by_sequence().items():
                try:
                    await self._submit(ReportAttempts(tuple(reports)))
                except BroadaxeError as refused:
                    if refused.retryable:
                        raise
                    self._acknowledgements.refuse(sequence, str(refused))

    async def _submit(self, command: ReportAttempts) -> None:
        await self._engine.submit(self._tenant_id, command, client=self._client, hold_s=REPORT_HOLD_S)

    async def _start(self, trigger: pb.Trigger) -> pb.Triggered:
        try:
            if trigger.WhichOneof("asked") == "one":
                one = _parsed(TriggerWorkflowRequest, trigger.one, field="one")
                return pb.Triggered(number=trigger.number, run_ids=[await start_run(self._engine, one, self._call)])
            many = _parsed(BulkTriggerWorkflowRequest, trigger.many, field="many")
            run_ids = await start_runs(self._engine, many, self._call)
            return pb.Triggered(number=trigger.number, run_ids=run_ids)
        except Exception as error:
            if is_unforeseen(error):
                _log.exception("a trigger failed for a reason nobody foresaw")
            status = status_of(error)
            details = dict(status.trailing).get(STATUS_DETAILS_KEY, b"")
            return pb.Triggered(
                number=trigger.number,
                code=status.code,
                message=status.message,
                status_details=details if isinstance(details, bytes) else details.encode(),
            )

    def _await(self, wire_id: str) -> None:
        """Malformed ids are ignored, unknown ones waited for (as in `Dispatcher.SubscribeToWorkflowRuns`)."""
        try:
            run_id = inbound.uuid_text(wire_id, field="awaited_runs")
        except InvalidArgument:
            return
        if len(self._awaited) >= RUNS_AWAITED_MAX and run_id not in self._awaited:
            raise ResourceExhausted(
                f"one session waits for at most {RUNS_AWAITED_MAX} runs at a time; open another for more",
                field="awaited_runs",
            )
        self._awaited[run_id] = wire_id
        self._results.add(run_id)

    async def _tell(self, command: Heartbeat | PauseWorker) -> None:
        try:
            await self._engine.submit(self._tenant_id, command, client=self._client)
        except FailedPrecondition:
            # A newer stream has replaced this one, which ends.
            pass
        except BroadaxeError as error:
            # The next one may be taken: the stream is open, so the worker lives.
            _log.debug("a worker's sign of life was refused", worker=self._worker_id, error=str(error))

    async def _chunk(self, chunk: pb.Chunk) -> None:
        """Chunks are for whoever listens now, as those of the official protocol."""
        try:
            task_id = inbound.uuid_text(chunk.task_run_external_id, field="task_run_external_id")
            await self._engine.put_chunk(
                self._tenant_id, task_id, chunk.data.decode("utf-8", errors="replace"), chunk.index
            )
        except BroadaxeError as error:
            _log.debug("a chunk went nowhere", worker=self._worker_id, error=str(error))

    async def _keep(self, lines: Iterable[pb.LogLine]) -> None:
        known: dict[str, bool] = {}
        for line in lines:
            wire_id = line.task_run_external_id
            if wire_id not in known:
                known[wire_id] = await self._is_task(wire_id)
            if known[wire_id]:
                seconds = line.at_us / US_PER_S
                at = datetime.fromtimestamp(seconds, UTC) if 0 < seconds <= _INSTANT_MAX_S else datetime.now(UTC)
                keep_line(
                    self._logs, self._tenant_id, wire_id.lower(), line.retry_count, line.level, line.message, None, at
                )

    async def _is_task(self, wire_id: str) -> bool:
        try:
            task_id = inbound.uuid_text(wire_id, field="task_run_external_id")
            await self._engine.check_task(self._tenant_id, task_id)
        except BroadaxeError as error:
            _log.debug("a line of a log went nowhere", worker=self._worker_id, error=str(error))
            return False
        return True


class _Frame:
    """The reports of one frame, as commands, and what cannot be one."""

    __slots__ = ("_sequences", "is_decided", "last", "refusals", "reports")

    def __init__(self, wire: Any, worker_id: str) -> None:
        if len(wire) > REPORTS_MAX:
            raise InvalidArgument(f"at most {REPORTS_MAX} reports in one frame, not {len(wire)}", field="reports")
        self.reports: list[ReportAttempt] = []
        self.refusals: list[tuple[int, str]] = []
        self._sequences: list[int] = []
        self.last = wire[-1].sequence
        self.is_decided = False
        for report in wire:
            try:
                said = _commands(report, worker_id)
            except InvalidArgument as error:
                self.refusals.append((report.sequence, str(error)))
                continue
            self.reports += said
            self._sequences += [report.sequence] * len(said)

    def by_sequence(self) -> dict[int, list[ReportAttempt]]:
        reports: dict[int, list[ReportAttempt]] = {}
        for sequence, report in zip(self._sequences, self.reports, strict=True):
            reports.setdefault(sequence, []).append(report)
        return reports


class _Acknowledgements:
    """Up to which report everything is committed or refused, and what the worker was not told of it yet."""

    def __init__(self) -> None:
        self.due = asyncio.Event()
        self._frames: deque[_Frame] = deque()
        self._committed = 0
        self._told = 0
        self._refusals: list[pb.Refusal] = []

    @property
    def is_due(self) -> bool:
        return self._committed > self._told

    def expect(self, frame: _Frame) -> None:
        self._frames.append(frame)

    def refuse(self, sequence: int, message: str) -> None:
        self._refusals.append(pb.Refusal(sequence=sequence, message=message))
        self.due.set()

    def note(self, frame: _Frame) -> None:
        """Frames are decided in their order, but those whose tenant is away may hear of it in another one."""
        frame.is_decided = True
        while self._frames and self._frames[0].is_decided:
            self._committed = max(self._committed, self._frames.popleft().last)
        if self.is_due:
            self.due.set()

    def take_committed(self) -> int:
        """0 if nothing is new."""
        if not self._refusals:
            self.due.clear()
        if not self.is_due:
            return 0
        self._told = self._committed
        return self._told

    def take_refusals(self) -> list[pb.Refusal]:
        refusals, self._refusals = self._refusals, []
        return refusals


def _commands(report: pb.Report, worker_id: str) -> list[ReportAttempt]:
    task_id = inbound.uuid_text(report.task_run_external_id, field="task_run_external_id")
    outcome = _OUTCOMES.get(report.outcome)
    if outcome is None:
        raise InvalidArgument(f"{report.outcome} is not a report this version knows", field="outcome")
    batch_id = inbound.uuid_text(report.batch_id, field="batch_id") if report.batch_id else None
    retry_count = report.retry_count
    said: list[ReportAttempt] = []
    if outcome is Outcome.STARTED or report.started_at_us:
        said.append(
            ReportAttempt(
                task_id,
                retry_count,
                Outcome.STARTED,
                batch_id=batch_id,
                worker=worker_id,
                at_us=report.started_at_us or None,
            )
        )
    if outcome is not Outcome.STARTED:
        try:
            payload = report.payload.decode()
        except UnicodeDecodeError as error:
            outcome, payload = Outcome.FAILED, f"the task's output is not UTF-8: {error}"
        said.append(
            inbound.attempt_report(
                task_id,
                retry_count,
                outcome,
                payload,
                is_retryable=not report.should_not_retry,
                retry_after_us=max(0, report.retry_after_ms) * US_PER_MS if report.HasField("retry_after_ms") else None,
                batch_id=batch_id,
                worker=worker_id,
                at_us=report.ended_at_us or None,
            )
        )
    return said


def _parsed(message_type: type[Any], wire: bytes, *, field: str) -> Any:
    try:
        message: Message = message_type.FromString(wire)
    except DecodeError:
        raise InvalidArgument(f"not a {message_type.DESCRIPTOR.name} message", field=field) from None
    return message
