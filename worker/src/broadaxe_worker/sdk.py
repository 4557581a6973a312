"""Everything this package knows of the insides of `hatchet_sdk`, and nothing else does.

The SDK keeps what users see: workflows, contexts, validators, dependencies, durable waits, eviction, tracing. What
is replaced is the way to and from the engine. `SessionRunner` is the SDK's own `Runner` whose queue of events is a
session; the ordinary task has a shorter way through it (`_plain`), which does what `handle_start_step_run` does for
one, in one coroutine and without what only the other kinds need. Traced programs (`HatchetInstrumentor`) take the long
way, because that is what the instrumentor wraps.

Tried with the releases from `FIRST` to `LAST`; `check_version` says what becomes of others.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import inspect
import json
import logging
import platform
import re
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from importlib import metadata
from typing import Any, Final, Protocol, cast

import grpc
from hatchet_sdk import Hatchet
from hatchet_sdk.clients.dispatcher.action_listener import parse_additional_metadata
from hatchet_sdk.clients.events import EventClient
from hatchet_sdk.clients.listeners.durable_event_listener import DurableEventListener
from hatchet_sdk.config import ClientConfig
from hatchet_sdk.connection import new_conn
from hatchet_sdk.context.context import Context
from hatchet_sdk.contracts import dispatcher_pb2 as wire
from hatchet_sdk.contracts import workflows_pb2 as runs_wire
from hatchet_sdk.contracts.v1.dispatcher_pb2 import DurableTaskResponse
from hatchet_sdk.exceptions import IllegalTaskOutputError, NonRetryableException, TaskRunError
from hatchet_sdk.runnables import contextvars as sdk_vars
from hatchet_sdk.runnables.action import Action, ActionPayload, ActionType
from hatchet_sdk.runnables.task import Task
from hatchet_sdk.runnables.workflow import BaseWorkflow
from hatchet_sdk.serde import HATCHET_PYDANTIC_SENTINEL
from hatchet_sdk.worker.runner.runner import Runner
from hatchet_sdk.worker.runner.utils.capture_logs import LogRecord, capture_logs
from hatchet_sdk.worker.worker import Worker as OfficialWorker

from broadaxe_worker import session_pb2 as pb
from broadaxe_worker.errors import Mistake
from broadaxe_worker.outbox import Outbox

__all__ = [
    "FIRST",
    "LAST",
    "CallFailed",
    "Calls",
    "Program",
    "SessionRunner",
    "check_version",
    "client_of",
    "connection_of",
    "is_client",
    "is_official_worker",
    "is_workflow",
    "redirect",
]

FIRST: Final = (1, 33, 0)
LAST: Final = (1, 43, 1)

_STARTED: Final = wire.STEP_EVENT_TYPE_STARTED
_OUTCOMES: Final[dict[int, pb.Outcome]] = {
    wire.STEP_EVENT_TYPE_STARTED: pb.OUTCOME_STARTED,
    wire.STEP_EVENT_TYPE_COMPLETED: pb.OUTCOME_COMPLETED,
    wire.STEP_EVENT_TYPE_FAILED: pb.OUTCOME_FAILED,
}
if hasattr(wire, "STEP_EVENT_TYPE_CANCELLED"):  # since 1.37
    _OUTCOMES[wire.STEP_EVENT_TYPE_CANCELLED] = pb.OUTCOME_CANCELLED
#: The engine refuses larger ones; a little room for what else is in a frame.
PAYLOAD_BYTES_MAX: Final = 4 * 1024 * 1024 - 4_096
#: How long a question for the details of a run waits for its end, as a server holds it.
HELD_S: Final = 0.9
#: A NUL in JSON: as an escape that is not itself escaped.
_NUL: Final = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")

_log = logging.getLogger("broadaxe_worker")


def check_version() -> None:
    """Mistake for a release that is known not to work; a warning for one that nobody tried."""
    text = metadata.version("hatchet-sdk")
    found = tuple(int(part) for part in re.findall(r"\d+", text)[:3])
    first, last = (".".join(map(str, version)) for version in (FIRST, LAST))
    if found < FIRST:
        raise Mistake(
            f"hatchet-sdk {text} is older than {first}, the first release broadaxe-worker works with; "
            "upgrade it, or start the worker with the SDK's own worker.start()"
        )
    if found > LAST:
        _log.warning(
            "hatchet-sdk %s is newer than %s, the last release broadaxe-worker was tried with; if it misbehaves, "
            "start the worker with the SDK's own worker.start()",
            text,
            last,
        )


# By their types, not `isinstance`: that asks the thing itself, and a lazy one (Django's settings) may raise.


def is_client(thing: object) -> bool:
    return issubclass(type(thing), Hatchet)


def client_of(workflow: Any) -> Any:
    """The client a workflow was declared with."""
    return workflow._client


def is_workflow(thing: object) -> bool:
    return issubclass(type(thing), BaseWorkflow)


def is_official_worker(thing: object) -> bool:
    return issubclass(type(thing), OfficialWorker)


class Program:
    """What a worker offers, and to whom: a client's configuration and workflows."""

    def __init__(
        self,
        hatchet: Hatchet,
        name: str,
        workflows: Sequence[Any],
        *,
        slots: int | None = None,
        durable_slots: int | None = None,
        labels: Mapping[str, str | int] | None = None,
        lifespan: Callable[[], Any] | None = None,
    ) -> None:
        """Mistake for workflows that cannot be offered together."""
        self.workflows = list(workflows)
        _check(self.workflows)
        given = dict(labels or {})
        self._make_official = functools.partial(
            hatchet.worker,
            name,
            slots=slots,
            durable_slots=durable_slots,
            labels=given or None,
            workflows=self.workflows,
            lifespan=lifespan,
        )
        try:
            slot_config = _slot_config(self.workflows, slots, durable_slots)
        except ValueError as error:
            raise Mistake(str(error)) from None
        self._begin(hatchet.config, name, slot_config, given, lifespan)

    @classmethod
    def of(cls, official: OfficialWorker) -> Program:
        """What an official worker that was not started would have offered."""
        program = cls.__new__(cls)
        program.workflows = list(official._workflows)
        _check(program.workflows)
        program._make_official = functools.partial(lambda: official)
        labels: dict[str, str | int] = {label.key: label.value for label in official._labels if label.key}
        name = official._name.removeprefix(official._config.namespace)
        program._begin(official._config, name, dict(official._slot_config), labels, official._lifespan)
        return program

    def _begin(
        self,
        config: ClientConfig,
        name: str,
        slot_config: dict[str, int],
        labels: dict[str, str | int],
        lifespan: Callable[[], Any] | None,
    ) -> None:
        self.config = config
        self.name = config.apply_namespace(name)
        self.slot_config = slot_config
        self.labels = labels
        self.lifespan = lifespan
        self.tasks: dict[str, Task[Any, Any]] = {
            workflow._create_action_name(task): task for workflow in self.workflows for task in workflow.tasks
        }

    @property
    def shuts_down_at_once(self) -> bool:
        return bool(getattr(self.config, "force_shutdown_on_shutdown_signal", False))

    @property
    def tasks_max(self) -> int | None:
        """After how many tasks the worker is to end; None: never."""
        return getattr(self.config, "terminate_worker_after_num_tasks", None)

    def tasks_begun(self) -> int:
        return sdk_vars.task_count.value

    def connection(self) -> tuple[Callable[[], grpc.Channel], str, Sequence[tuple[str, str]]]:
        return _connection(self.config)

    def hello(self, protocol: int) -> pb.Hello:
        """Mistake for a workflow that cannot be declared."""
        definitions: list[bytes] = []
        for workflow in self.workflows:
            try:
                definitions.append(workflow.to_proto().SerializeToString())
            except Exception as error:
                raise Mistake(f"workflow {workflow.name} cannot be declared: {error}") from error
        labels = {
            key: wire.WorkerLabels(int_value=value) if isinstance(value, int) else wire.WorkerLabels(str_value=value)
            for key, value in self.labels.items()
        }
        for key, value in getattr(self.config, "worker_preset_labels", {}).items():
            labels[key] = wire.WorkerLabels(str_value=str(value))
        version = sys.version_info
        registration = wire.WorkerRegisterRequest(
            worker_name=self.name,
            actions=list(self.tasks),
            services=["default"],
            labels=labels,
            slot_config=self.slot_config,
            runtime_info=wire.RuntimeInfo(
                sdk_version=metadata.version("hatchet-sdk"),
                language=wire.SDKS.PYTHON,
                language_version=f"{version.major}.{version.minor}.{version.micro}",
                os=platform.system().lower(),
                extra="broadaxe-worker",
            ),
        )
        return pb.Hello(protocol=protocol, registration=registration.SerializeToString(), workflows=definitions)

    def official(self) -> OfficialWorker:
        """The SDK's own worker for the same program."""
        return self._make_official()

    async def with_captured_logs(self, outbox: Outbox, main: Callable[[], Any]) -> None:
        """Runs `main`; what its tasks log goes to the engine, unless the configuration says otherwise."""
        if self.config.disable_log_capture:
            await main()
        else:
            await capture_logs(self.config.logger, cast(Any, _Logs(outbox)), main)()


class CallFailed(grpc.RpcError):
    """A trigger that was not taken, as the SDK expects to be told."""

    def __init__(self, code: grpc.StatusCode, details: str, status_details: bytes = b"") -> None:
        super().__init__(f"{code.name}: {details}")
        self._code = code
        self._details = details
        self._trailing = (("grpc-status-details-bin", status_details),) if status_details else ()

    def code(self) -> grpc.StatusCode:
        return self._code

    def details(self) -> str:
        return self._details

    def trailing_metadata(self) -> Any:
        return self._trailing


class Calls(Protocol):
    """Whoever answers a client's calls instead of the official ones."""

    def start_one(self, request: bytes) -> str: ...

    def start_many(self, request: bytes) -> Sequence[str]: ...

    async def finished(self, run_id: str) -> bytes: ...

    def await_own(self, run_id: str, at_most_s: float) -> None: ...


class _Stub:
    """The SDK's stub of `WorkflowService`, of which two calls go another way."""

    def __init__(self, stub: Any, calls: Calls) -> None:
        self._stub = stub
        self._calls = calls

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stub, name)

    def TriggerWorkflow(self, request: Any, **_: Any) -> Any:
        return runs_wire.TriggerWorkflowResponse(workflow_run_id=self._calls.start_one(request.SerializeToString()))

    def BulkTriggerWorkflow(self, request: Any, **_: Any) -> Any:
        run_ids = self._calls.start_many(request.SerializeToString())
        return runs_wire.BulkTriggerWorkflowResponse(workflow_run_ids=run_ids)


def redirect(hatchet: Hatchet, calls: Calls) -> Callable[[], None]:
    """Lets `calls` answer what is asked through the client; returns what takes it back."""
    admin, listener = cast(Any, hatchet._client.admin), cast(Any, hatchet._client.workflow_listener)
    stub_of, details_of = admin._get_or_create_v0_client, admin.get_details

    async def subscribe(run_id: str) -> Any:
        return wire.WorkflowRunEvent.FromString(await calls.finished(run_id))

    def get_details(external_id: str) -> Any:
        calls.await_own(external_id, HELD_S)
        return details_of(external_id)

    admin._get_or_create_v0_client = lambda: _Stub(stub_of(), calls)
    admin.get_details = get_details
    listener.subscribe = subscribe

    def back() -> None:
        del admin._get_or_create_v0_client, admin.get_details, listener.subscribe

    return back


def connection_of(hatchet: Hatchet) -> tuple[Callable[[], grpc.Channel], str, Sequence[tuple[str, str]]]:
    """How to dial the client's engine, where it is, and who asks."""
    return _connection(hatchet.config)


def _connection(config: ClientConfig) -> tuple[Callable[[], grpc.Channel], str, Sequence[tuple[str, str]]]:
    return lambda: new_conn(config, False), config.host_port, (("authorization", f"bearer {config.token}"),)


def _check(workflows: Sequence[Any]) -> None:
    if not workflows:
        raise Mistake("there is no workflow to offer; pass some, or name a module that declares them")
    by_name: dict[str, Any] = {}
    for workflow in workflows:
        if not isinstance(workflow, BaseWorkflow):
            hint = ""
            if isinstance(workflow, Task):
                hint = f"; {workflow.name} is a task of a workflow, so pass the workflow"
            raise Mistake(f"a worker offers workflows, not {type(workflow).__name__}{hint}")
        if not workflow.tasks:
            raise Mistake(f"workflow {workflow.name} has no tasks; give it one, or do not offer it")
        if by_name.setdefault(workflow.name.lower(), workflow) is not workflow:
            raise Mistake(f"two workflows are called {workflow.name}; rename one of them")
        names: dict[str, Any] = {}
        for task in workflow.tasks:
            if names.setdefault(task.name, task) is not task:
                raise Mistake(f"two tasks of workflow {workflow.name} are called {task.name}; rename one of them")


def _slot_config(workflows: Sequence[Any], slots: int | None, durable_slots: int | None) -> dict[str, int]:
    from hatchet_sdk.utils.slots import normalize_slot_config, resolve_worker_slot_config

    return normalize_slot_config(resolve_worker_slot_config(None, slots, durable_slots, list(workflows)))


class _Logs:
    """Where contexts and captured loggers put their lines; the SDK's sender, but for the way they go."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox

    def publish(self, record: LogRecord) -> None:
        self._outbox.log(
            pb.LogLine(
                task_run_external_id=record.step_run_id,
                retry_count=record.task_retry_count,
                level=record.level.value,
                message=record.message[:10_000],
                at_us=time.time_ns() // 1000,
            )
        )


class _Chunks(EventClient):
    """The client of events that contexts stream with."""

    def __init__(self, config: ClientConfig, outbox: Outbox) -> None:
        super().__init__(config)
        self._outbox = outbox

    def stream(self, data: str | bytes, step_run_id: str, index: int) -> None:
        self._outbox.chunk(_chunk(data, step_run_id, index))

    async def aio_stream(self, data: str | bytes, step_run_id: str, index: int) -> None:
        chunk = _chunk(data, step_run_id, index)
        if self._outbox.has_room_for_chunk():
            self._outbox.chunk(chunk)
        else:
            await asyncio.to_thread(self._outbox.chunk, chunk)


def _chunk(data: str | bytes, task_id: str, index: int) -> pb.Chunk:
    if not isinstance(data, str | bytes):
        raise ValueError(f"a chunk is text or bytes, not {type(data).__name__}")
    return pb.Chunk(
        task_run_external_id=task_id, index=index, data=data.encode() if isinstance(data, str) else bytes(data)
    )


class Reports:
    """Where the SDK puts what becomes of attempts. Gathers what one turn of the loop brings: an attempt that begins and
    ends in it is one report. Used on the loop's thread."""

    def __init__(self, outbox: Outbox, loop: asyncio.AbstractEventLoop) -> None:
        self._outbox = outbox
        self._loop = loop
        self._gathered: list[pb.Report] = []
        self._begun: dict[tuple[str, int], pb.Report] = {}

    def put(self, event: Any) -> None:
        """An `ActionEvent` or `QueuedBatchActionEvent` of the SDK."""
        action = event.action
        if hasattr(event, "items"):
            for item in event.items:
                self.ended(
                    item.task_run_external_id,
                    action.retry_count,
                    _OUTCOMES[event.type],
                    (item.payload or "").encode(),
                    should_not_retry=item.should_not_retry,
                    retry_after_ms=getattr(item, "retry_after_ms", None),
                    batch_id=action.batch_id or "",
                )
        elif event.type == _STARTED:
            self.started(action.step_run_id, action.retry_count)
        else:
            self.ended(
                action.step_run_id,
                action.retry_count,
                _OUTCOMES[event.type],
                (event.payload or "").encode(),
                should_not_retry=event.should_not_retry,
                retry_after_ms=getattr(event, "retry_after_ms", None),
            )

    def started(self, task_id: str, retry_count: int) -> None:
        report = pb.Report(task_run_external_id=task_id, retry_count=retry_count, started_at_us=time.time_ns() // 1000)
        self._begun[task_id, retry_count] = report
        self._gather(report)

    def ended(
        self,
        task_id: str,
        retry_count: int,
        outcome: int,
        payload: bytes,
        *,
        should_not_retry: bool = False,
        retry_after_ms: int | None = None,
        batch_id: str = "",
    ) -> None:
        report = self._begun.pop((task_id, retry_count), None)
        is_new = report is None
        if report is None:
            report = pb.Report(task_run_external_id=task_id, retry_count=retry_count, batch_id=batch_id)
        if outcome == pb.OUTCOME_COMPLETED and len(payload) > PAYLOAD_BYTES_MAX:
            outcome = pb.OUTCOME_FAILED
            text = (
                f"the output has {len(payload)} bytes, and an engine takes at most {PAYLOAD_BYTES_MAX}; "
                "keep large data elsewhere and return where it is"
            )
            _log.error("task run %s: %s", task_id, text)
            payload, should_not_retry = text.encode(), True
        elif len(payload) > PAYLOAD_BYTES_MAX:
            payload = payload[: PAYLOAD_BYTES_MAX // 2].decode(errors="ignore").encode()
        report.outcome = cast(Any, outcome)
        report.payload = payload
        if outcome == pb.OUTCOME_STARTED:
            report.started_at_us = time.time_ns() // 1000
        else:
            report.ended_at_us = time.time_ns() // 1000
        if should_not_retry:
            report.should_not_retry = True
        if retry_after_ms is not None:
            report.retry_after_ms = retry_after_ms
        if is_new:
            self._gather(report)

    def _gather(self, report: pb.Report) -> None:
        if not self._gathered:
            self._loop.call_soon(self._tell)
        self._gathered.append(report)

    def _tell(self) -> None:
        gathered, self._gathered = self._gathered, []
        self._begun.clear()
        self._outbox.report(gathered)


class _DurableListener(DurableEventListener):
    """The SDK's durable tasks, speaking on the session instead of a stream of their own."""

    def __init__(self, *args: Any, outbox: Outbox, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._outbox = outbox
        self._answers: asyncio.Queue[DurableTaskResponse | None] = asyncio.Queue()

    async def put(self, request: Any) -> None:
        self.put_nowait(request)

    def put_nowait(self, request: Any) -> None:
        """The listener is its own queue of requests: none waits here."""
        self._outbox.durable(request.SerializeToString())

    async def _connect(self) -> None:
        self._request_queue = cast(Any, self)
        self._stream = cast(Any, self._listen())
        await self._register_worker()
        if hasattr(self, "_enqueue_worker_status"):  # since 1.42
            self._enqueue_worker_status()
        else:
            await cast(Any, self)._poll_worker_status()

    async def _listen(self) -> AsyncIterator[DurableTaskResponse]:
        while (answer := await self._answers.get()) is not None:
            yield answer

    def answered(self, answers: Sequence[bytes]) -> None:
        for answer in answers:
            self._answers.put_nowait(DurableTaskResponse.FromString(answer))

    def cut(self) -> None:
        if self._running:
            self._answers.put_nowait(None)


class SessionRunner(Runner):
    """Made on the loop it runs tasks on."""

    def __init__(self, program: Program, outbox: Outbox, engine_version: str, lifespan_context: Any) -> None:
        loop = asyncio.get_running_loop()
        self._reports = Reports(outbox, loop)
        given = {
            "event_queue": self._reports,
            "config": program.config,
            "slots": max(1, sum(program.slot_config.values())),
            "durable_slots": program.slot_config.get("durable", 0),
            "handle_kill": True,
            "action_registry": program.tasks,
            "labels": _sdk_labels(program.labels),
            "lifespan_context": lifespan_context,
            "log_sender": _Logs(outbox),
            "engine_version": engine_version,
        }
        known = inspect.signature(Runner.__init__).parameters
        super().__init__(**{name: value for name, value in given.items() if name in known})
        self.event_client = _Chunks(program.config, outbox)
        if isinstance(self.durable_event_listener, DurableEventListener):
            self.durable_event_listener = _DurableListener(
                self.config,
                admin_client=self.admin_client,
                on_server_evict=self._server_evict_callback,
                outbox=outbox,
            )
        self._is_traced = hasattr(Runner.handle_start_step_run, "__wrapped__")
        self._plans: dict[str, _Plan] = {}
        if not self._is_traced:
            for action_id, task in program.tasks.items():
                if not task._is_durable and getattr(task, "batch", None) is None:
                    self._plans[action_id] = _Plan(self, task)

    def begin(self, worker_id: str) -> None:
        """What the SDK does with the first assignment, before there is one: durable tasks get their stream."""
        self.worker_id = worker_id
        if isinstance(self.durable_event_listener, _DurableListener):
            from hatchet_sdk.worker.durable_eviction.manager import DurableEvictionManager

            self._starting = self._loop_of().create_task(self._start_speech(worker_id))
            self.durable_eviction_manager = DurableEvictionManager(
                durable_slots=self.durable_slots,
                cancel_local=self._eviction_cancel_callback,
                request_eviction_with_ack=self._eviction_request,
            )
            self.durable_eviction_manager.start()

    async def _start_speech(self, worker_id: str) -> None:
        try:
            await cast(_DurableListener, self.durable_event_listener).ensure_started(worker_id)
        except Exception:
            _log.exception("durable tasks of this worker cannot speak to the engine, and will fail")

    def take(self, assignments: Sequence[bytes], worker_id: str) -> None:
        """Begins what was assigned, cancels what was cancelled."""
        for message in assignments:
            assigned = wire.AssignedAction.FromString(message)
            try:
                action = _action(assigned, worker_id)
            except ValueError as error:
                # It must not cost the others of its frame anything.
                _log.exception("the assignment of %s cannot be read", assigned.action_id)
                self._reports.ended(
                    assigned.task_run_external_id,
                    assigned.retry_count,
                    pb.OUTCOME_FAILED,
                    f"the worker cannot read what it was assigned: {error}".encode(),
                )
                continue
            plan = self._plans.get(action.action_id)
            if plan is not None and action.action_type is ActionType.START_STEP_RUN:
                self._begin_plain(action, plan)
            else:
                self.run(action)

    @property
    def is_idle(self) -> bool:
        return not self.tasks and not self.running_tasks

    def running(self) -> list[str]:
        """What is running, for people to read."""
        return [
            f"{context._workflow_name}/{context._task_name} ({context._step_run_id})"
            for context in list(self.contexts.values())
        ]

    # The ordinary task ---------------------------------------------------------------------------------------------

    def _begin_plain(self, action: Action, plan: _Plan) -> None:
        key = action.key
        if key in self.tasks:
            # Sent again after a reconnect: it runs already.
            self._reports.started(action.step_run_id, action.retry_count)
            return
        self._reports.started(action.step_run_id, action.retry_count)
        sdk_vars.task_count.increment()
        self.tasks[key] = self._loop_of().create_task(self._plain(key, action, plan))

    def _loop_of(self) -> asyncio.AbstractEventLoop:
        return self._reports._loop

    async def _plain(self, key: str, action: Action, plan: _Plan) -> None:
        task = plan.task
        context = plan.context(action)
        self.contexts[key] = context
        sdk_vars.ctx_hatchet_context.set(context)
        sdk_vars.ctx_step_run_id.set(action.step_run_id)
        sdk_vars.ctx_workflow_run_id.set(action.workflow_run_id)
        sdk_vars.ctx_worker_id.set(action.worker_id)
        sdk_vars.ctx_action_key.set(key)
        sdk_vars.ctx_additional_metadata.set(action.additional_metadata)
        sdk_vars.ctx_task_retry_count.set(action.retry_count)
        failure: Exception | None = None
        output: Any = None
        try:
            if not plan.has_dependencies:
                output = await plan.call(context, {})
            else:
                async with task._unpack_dependencies_with_cleanup(context) as dependencies:
                    output = await plan.call(context, dependencies)
        except asyncio.CancelledError:
            self._forget(key)
            return
        except Exception as error:
            failure = error
        if self._forget(key):
            return
        payload = b""
        if failure is None:
            try:
                payload = plan.encode(output)
            except IllegalTaskOutputError as error:
                failure = error
        if failure is None:
            self._reports.ended(action.step_run_id, action.retry_count, pb.OUTCOME_COMPLETED, payload)
        else:
            self._fail(action, task, failure)

    def _fail(self, action: Action, task: Task[Any, Any], error: Exception) -> None:
        said = TaskRunError.from_exception(error, action.step_run_id)
        should_not_retry = isinstance(error, NonRetryableException)
        retry_after_ms = None
        if hasattr(self, "_retry_after_ms"):
            retry_after_ms = self._retry_after_ms(error, action.action_id, task.retries)
        self._reports.ended(
            action.step_run_id,
            action.retry_count,
            pb.OUTCOME_FAILED,
            said.serialize(include_metadata=True).encode(),
            should_not_retry=should_not_retry,
            retry_after_ms=retry_after_ms,
        )
        # As the SDK does it: only what is not tried again is an error, so that alarms ring once.
        level = logging.INFO if should_not_retry or action.retry_count < task.retries else logging.ERROR
        _log.log(
            level, "task %s (%s) failed: %s", action.action_id, action.step_run_id, said, exc_info=level > 20 and error
        )

    def _forget(self, key: str) -> bool:
        """The attempt is over. Whether it was cancelled: then nobody wants to know how it ended."""
        self.tasks.pop(key, None)
        self.threads.pop(key, None)
        context = self.contexts.pop(key, None)
        sdk_vars.workflow_spawn_indices.pop(key, None)
        was_cancelled = self.cancellations.pop(key, False)
        return bool(was_cancelled or (context is not None and context._exit_flag))

    # Durable tasks -------------------------------------------------------------------------------------------------

    def answered(self, answers: Sequence[bytes]) -> None:
        if isinstance(self.durable_event_listener, _DurableListener):
            self.durable_event_listener.answered(answers)

    def cut(self) -> None:
        if isinstance(self.durable_event_listener, _DurableListener):
            self.durable_event_listener.cut()


class _Plan:
    """How an ordinary task is run, as far as that is the same each time."""

    def __init__(self, runner: SessionRunner, task: Task[Any, Any]) -> None:
        self.task = task
        self._runner = runner
        self._validate = task._workflow._config.input_validator.validate_python
        self._dump = task._validators.step_output.dump_json
        parameters = list(inspect.signature(task._fn).parameters.values())
        self.has_dependencies = len(parameters) > 2
        given: dict[str, Any] = {
            "dispatcher_client": runner.dispatcher_client,
            "admin_client": runner.admin_client,
            "event_client": runner.event_client,
            "durable_event_listener": runner.durable_event_listener,
            "worker": runner.worker_context,
            "runs_client": runner.runs_client,
            "lifespan_context": runner.lifespan_context,
            "log_sender": runner.log_sender,
            "max_attempts": task.retries + 1,
            "task_name": task.name,
            "workflow_name": task._workflow.name,
            "worker_labels": runner.worker_labels,
        }
        known = inspect.signature(Context.__init__).parameters
        self._given = {name: value for name, value in given.items() if name in known}
        self.call = self._call if task._is_async_function else self._call_in_thread

    def context(self, action: Action) -> Context:
        return Context(action=action, **self._given)

    async def _call(self, context: Context, dependencies: dict[str, Any]) -> Any:
        given = self._validate(context._input, context=HATCHET_PYDANTIC_SENTINEL)
        return await cast(Any, self.task._fn)(given, context, **dependencies)

    async def _call_in_thread(self, context: Context, dependencies: dict[str, Any]) -> Any:
        runner = self._runner
        return await runner._loop_of().run_in_executor(
            runner.thread_pool,
            contextvars.copy_context().run,
            runner.thread_action_func,
            context,
            self.task,
            context._action,
            dependencies,
        )

    def encode(self, output: Any) -> bytes:
        """The output as the engine keeps it. IllegalTaskOutputError for what is none."""
        if not output:
            return b""
        if not isinstance(output, dict):
            # The rarer kinds, and every complaint, in the SDK's own words.
            return (self._runner.serialize_output(self.task._validators.step_output, output) or "").encode()
        try:
            encoded: bytes = self._dump(output, context=HATCHET_PYDANTIC_SENTINEL)
        except Exception as error:
            raise IllegalTaskOutputError(f"Failed to serialize task output: {error}") from error
        if b"\\u0000" in encoded and _NUL.search(encoded):
            return (self._runner.serialize_output(self.task._validators.step_output, output) or "").encode()
        return encoded


def _sdk_labels(labels: Mapping[str, str | int]) -> list[Any]:
    from hatchet_sdk.types.labels import WorkerLabel

    return [WorkerLabel(key=key, value=value) for key, value in labels.items()]


_ACTION_TYPES: Final[dict[int, ActionType]] = {
    wire.ActionType.START_STEP_RUN: ActionType.START_STEP_RUN,
    wire.ActionType.CANCEL_STEP_RUN: ActionType.CANCEL_STEP_RUN,
}
if hasattr(ActionType, "START_BATCH"):  # since 1.37
    _ACTION_TYPES[wire.ActionType.Value("START_BATCH")] = ActionType.START_BATCH


def _action(assigned: wire.AssignedAction, worker_id: str) -> Action:
    if assigned.action_type not in _ACTION_TYPES:
        raise ValueError(f"the engine sent an action of the unknown type {assigned.action_type}")
    action_type = _ACTION_TYPES[assigned.action_type]
    batch: dict[str, Any] = {}
    if action_type is getattr(ActionType, "START_BATCH", None):
        payload = ActionPayload()
        start = assigned.batchStartPayload
        batch = {
            "batch_items": json.loads(assigned.action_payload) if assigned.action_payload else None,
            "batch_id": assigned.batchId or None,
            "batch_key": assigned.batchKey or None,
            "batch_start": {
                "expected_size": start.expectedSize,
                "trigger_reason": start.triggerReason,
                "trigger_time": start.triggerTime.ToDatetime(),
            },
        }
    elif assigned.action_payload:
        payload = ActionPayload.model_validate_json(assigned.action_payload)
    else:
        payload = ActionPayload()
    return Action(
        tenant_id=assigned.tenant_id,
        worker_id=worker_id,
        workflow_run_id=assigned.workflow_run_id,
        job_id=assigned.job_id,
        job_name=assigned.job_name,
        job_run_id=assigned.job_run_id,
        step_id=assigned.task_id,
        step_run_id=assigned.task_run_external_id,
        action_id=assigned.action_id,
        step_name=assigned.task_name,
        action_payload=payload,
        action_type=action_type,
        retry_count=assigned.retry_count,
        additional_metadata=parse_additional_metadata(assigned.additional_metadata),
        child_workflow_index=assigned.child_workflow_index,
        child_workflow_key=assigned.child_workflow_key,
        parent_workflow_run_id=assigned.parent_workflow_run_id,
        priority=assigned.priority,
        workflow_version_id=assigned.workflow_version_id,
        workflow_id=assigned.workflow_id,
        durable_task_invocation_count=assigned.durable_task_invocation_count or None,
        triggering_event_external_id=getattr(assigned, "triggering_event_external_id", None),
        triggering_event_key=getattr(assigned, "triggering_event_key", None),
        **batch,
    )
