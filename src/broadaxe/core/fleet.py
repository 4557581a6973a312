"""Workers: registration, streams, heartbeats, labels, pause and loss.

A worker may be given tasks while it has an open stream, is not paused and was heard of lately. A stream that ends does
not take its tasks away; 30 s of silence does (section 1.11). Worker rows outlive restarts, because clients come back
with the id they were given (grpc specification 4.3). A worker that has had a stream for its durable tasks is given such
tasks only while it has one: clients open it seconds after the other one, and whatever a task asks meanwhile fails
(section 13.10). One that does without it for `SPEECH_US` is given them all the same, since some open it when they need
it. Memory keeps a worker while it has a stream or was heard of
within those 30 s.

Heartbeats live in memory: who loads the tenant gives every worker 30 s anyway. Its row gets one so often that people
who read it can tell a live worker from a silent one, and the last one when it falls silent.
"""

from __future__ import annotations

from typing import Final

from broadaxe.core import attempts, dag, quotas
from broadaxe.core.affinity import is_schedulable
from broadaxe.core.commands.quotas import Resource
from broadaxe.core.commands.workers import Arrivals, LabelValue, RegisterWorker
from broadaxe.core.crews import wake
from broadaxe.core.decision import WorkerHeard, WorkerRow
from broadaxe.core.definition import check_name, normalise_action_id
from broadaxe.core.durations import US_PER_S
from broadaxe.core.model import Worker
from broadaxe.core.state import State
from broadaxe.core.timers import AlarmKind
from broadaxe.errors import FailedPrecondition, InvalidArgument, NotFound

#: Silence after which a worker's running tasks are given to others.
SILENCE_US: Final = 30 * US_PER_S
#: How long a worker with an assignment stream may be without the durable stream it has had.
SPEECH_US: Final = 15 * US_PER_S
#: The row of a worker that is heard of tells of a heartbeat this old at most. A worker that beats every 4 s is never
#: older than 30 s in its row, at which it would count as inactive.
HEARTBEAT_KEPT_US: Final = 20 * US_PER_S
SLOTS_MAX: Final = 1_000_000
ACTIONS_MAX: Final = 10_000
LABELS_MAX: Final = 1_000


def register(state: State, command: RegisterWorker, now_us: int) -> str:
    check_name(command.name, field="worker_name")
    if len(command.actions) > ACTIONS_MAX:
        raise InvalidArgument(f"a worker may have at most {ACTIONS_MAX} actions", field="actions")
    for slot_type, units in command.slots.items():
        if not 0 <= units <= SLOTS_MAX:
            raise InvalidArgument(f"{slot_type} must be between 0 and {SLOTS_MAX}, not {units}", field="slot_config")
    actions = tuple(
        dict.fromkeys(
            normalise_action_id(action, field=f"actions[{position}]") for position, action in enumerate(command.actions)
        )
    )
    _check_labels(command.labels)
    if state.quotas is not None:
        quotas.check(state, Resource.WORKER, 1, now_us)
        quotas.check(state, Resource.WORKER_SLOT, sum(command.slots.values()), now_us)
    row = WorkerRow(
        state.new_id(),
        command.name,
        actions,
        dict(command.slots),
        dict(command.labels),
        dict(command.runtime),
        False,
        False,
        now_us,
        now_us,
        None,
        None,
    )
    worker = Worker(row)
    adopt(state, worker)
    _watch(state, worker, now_us + SILENCE_US)
    state.ledger.touch_worker(worker)
    return worker.id


def adopt(state: State, worker: Worker) -> None:
    """Puts a worker into memory, new or loaded."""
    state.workers[worker.id] = worker
    for action_id in worker.actions:
        queue = state.queues.get(action_id)
        if queue is not None:
            queue.crew.add(worker)


def find(state: State, worker_id: str) -> Worker:
    worker = state.workers.get(worker_id)
    if worker is None:
        raise NotFound(f"there is no worker {worker_id}", field="worker_id")
    return worker


def open_stream(state: State, worker: Worker, session: int, now_us: int, arrived: Arrivals | None = None) -> None:
    """A stream counts as a sign of life. Attempts sent on an older stream and never confirmed get their moment; of one
    that went on over a load it may be known whether they came.

    Streams may be announced late or twice; only a newer one replaces the present one.
    """
    if worker.session is not None and session < worker.session:
        return
    if session != worker.session:
        _doubt_deliveries(state, worker, now_us)
        state.alerts.has_fleet_changed = True
    worker.session = session
    if arrived is not None:
        _settle_deliveries(state, worker, arrived, now_us)
    worker.listening_since_us = now_us
    _await_speech(state, worker, now_us)
    _hear(state, worker, now_us)
    _keep_heartbeat(state, worker)
    state.heat_worker(worker)


def close_stream(state: State, worker: Worker, session: int, now_us: int) -> None:
    if worker.session != session:
        return
    worker.session = None
    state.alerts.has_fleet_changed = True
    worker.updated_at_us = now_us
    _doubt_deliveries(state, worker, now_us)
    state.ledger.touch_worker(worker)
    _watch(state, worker, now_us + SILENCE_US)


def open_durable_stream(state: State, worker: Worker, stream: int, now_us: int) -> None:
    """Only a newer stream replaces the present one."""
    if worker.durable_stream is not None and stream < worker.durable_stream:
        return
    worker.durable_stream = stream
    if not worker.speaks_durably:
        worker.speaks_durably = True
        worker.updated_at_us = now_us
        state.ledger.touch_worker(worker)
    if worker.speech_due_at_us is not None:
        worker.speech_due_at_us = None
        state.timers.disarm()
    state.heat_worker(worker)


def close_durable_stream(state: State, worker: Worker, stream: int, now_us: int) -> None:
    if worker.durable_stream == stream:
        worker.durable_stream = None
        _await_speech(state, worker, now_us)


def miss_durable_stream(state: State, worker: Worker, now_us: int) -> None:
    """The alarm of `_await_speech` rang. While there is no assignment stream either, nothing is lost by waiting."""
    worker.speech_due_at_us = None
    if worker.session is not None and state.workers.get(worker.id) is worker:
        worker.speaks_durably = False
        worker.updated_at_us = now_us
        state.ledger.touch_worker(worker)
        state.heat_worker(worker)


def heartbeat(state: State, worker: Worker, now_us: int) -> None:
    """FailedPrecondition when the stream was there and is gone: it makes the client open a new one."""
    if worker.session is None and worker.listening_since_us is not None:
        raise FailedPrecondition("the worker's assignment stream is closed; open it again", field="worker_id")
    was_schedulable = is_schedulable(worker, now_us)
    _hear(state, worker, now_us)
    if now_us - (worker.heartbeat_kept_at_us or 0) >= HEARTBEAT_KEPT_US:
        _keep_heartbeat(state, worker)
    else:
        state.ledger.emit(WorkerHeard(worker.id, now_us))
    if not was_schedulable:
        state.heat_worker(worker)


def unregister(state: State, worker: Worker, now_us: int) -> None:
    worker.session = None
    state.alerts.has_fleet_changed = True
    worker.updated_at_us = now_us
    state.ledger.touch_worker(worker)
    _watch(state, worker, now_us + SILENCE_US)


def put_labels(state: State, worker: Worker, labels: dict[str, LabelValue], now_us: int) -> None:
    _check_labels(labels)
    worker.labels.update(labels)
    worker.updated_at_us = now_us
    state.ledger.touch_worker(worker)
    state.heat_worker(worker)


def pause(state: State, worker: Worker, is_paused: bool, now_us: int) -> None:
    worker.is_paused = is_paused
    worker.paused_by = state.asked_by_name if is_paused else ""
    worker.updated_at_us = now_us
    state.ledger.touch_worker(worker)
    if not is_paused:
        state.heat_worker(worker)


def check_silence(state: State, worker: Worker, now_us: int) -> None:
    """The alarm of `_hear` rang: either it was heard of since, or its tasks go elsewhere."""
    worker.silent_at_us = None
    heard_at_us = max(worker.last_heartbeat_at_us or worker.created_at_us, worker.waited_for_since_us)
    if now_us - heard_at_us < SILENCE_US:
        _watch(state, worker, heard_at_us + SILENCE_US)
        return
    if worker.heartbeat_kept_at_us != worker.last_heartbeat_at_us:
        _keep_heartbeat(state, worker)
    for task in list(worker.running.values()):
        attempts.stop_on_worker(state, task)
        attempts.reassign(state, task, "the worker has sent no heartbeat for 30 seconds", now_us)
        dag.settle_task(state, task, now_us)
    if worker.session is None:
        _forget(state, worker)


def resume(state: State, worker: Worker, now_us: int) -> None:
    """The silence clock starts anew, since the worker could not reach us while we were away."""
    worker.waited_for_since_us = now_us
    _watch(state, worker, now_us + SILENCE_US)


def adopted(state: State, worker: Worker, now_us: int) -> None:
    """After a load: we were away, and its stream is gone."""
    resume(state, worker, now_us)
    _doubt_deliveries(state, worker, now_us)


def _hear(state: State, worker: Worker, now_us: int) -> None:
    worker.last_heartbeat_at_us = now_us
    worker.updated_at_us = now_us
    wake(worker)
    _watch(state, worker, now_us + SILENCE_US)


def _keep_heartbeat(state: State, worker: Worker) -> None:
    worker.heartbeat_kept_at_us = worker.last_heartbeat_at_us
    state.ledger.touch_worker(worker)


def _watch(state: State, worker: Worker, at_us: int) -> None:
    """Looks at the worker's silence at `at_us`, unless that will happen earlier anyway."""
    if worker.silent_at_us is None:
        worker.silent_at_us = at_us
        state.timers.arm(at_us, AlarmKind.WORKER_SILENT, worker)


def _await_speech(state: State, worker: Worker, now_us: int) -> None:
    is_missed = worker.speaks_durably and worker.durable_stream is None
    if is_missed and worker.session is not None and worker.speech_due_at_us is None:
        worker.speech_due_at_us = now_us + SPEECH_US
        state.timers.arm(worker.speech_due_at_us, AlarmKind.DURABLE_STREAM_MISSED, worker)


def _forget(state: State, worker: Worker) -> None:
    """Out of memory with a worker that is gone; if it comes back it is read from its row (`Tenant.missing`)."""
    state.workers.pop(worker.id, None)
    for action_id in worker.actions:
        queue = state.queues.get(action_id)
        if queue is not None:
            queue.crew.remove(worker)


def _doubt_deliveries(state: State, worker: Worker, now_us: int) -> None:
    for task in worker.running.values():
        attempts.expect_confirmation(state, task, now_us)


def _settle_deliveries(state: State, worker: Worker, arrived: Arrivals, now_us: int) -> None:
    """The process that decided may have ended between a commit and its telling: what did not come goes out anew, and
    what came is with the worker as before the load."""
    came = frozenset(arrived.attempts)
    for task in list(worker.running.values()):
        assigned_at_us = task.assigned_at_us
        if task.confirm_by_us is None or assigned_at_us is None:
            continue
        if (task.id, assigned_at_us) in came:
            attempts.trust_delivery(state, task)
        elif assigned_at_us > arrived.since_us:
            attempts.fail_delivery(state, task, "it was not told before the tenant was loaded anew", now_us)
            dag.settle_task(state, task, now_us)


def _check_labels(labels: dict[str, LabelValue]) -> None:
    if len(labels) > LABELS_MAX:
        raise InvalidArgument(f"a worker may have at most {LABELS_MAX} labels", field="labels")
