"""The engine of a node: activates tenants, routes commands to their actors, and releases what was committed.

A tenant is activated by the first command for it, or at the start if it has runs to go on with: take the lease, load,
start the actor. If an actor breaks (a failed commit, a lost lease) it is dropped with its memory, and the next command
activates the tenant again; open worker streams stay and are announced to the new actor.

Owns worker sessions, subscriptions and the outbox pumps. Edges call `submit`, `open_session`, `results`, `watch_*`,
`put_chunk`; whoever listens to the outbox calls `outbox_told` and `outbox_unsure`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import asyncpg
import msgspec
import structlog

from broadaxe.cluster.leases import LEASE_TTL_S, Leases
from broadaxe.core.commands import (
    CloseStream,
    Command,
    FailDelivery,
    ForgetRateLimits,
    OpenStream,
    Reply,
    SetQuotas,
    TakeOutbox,
)
from broadaxe.core.decision import (
    CancelAttempt,
    ChildrenAck,
    Decision,
    DropInvocation,
    DurableAnswer,
    DurableRefusal,
    EntryCompleted,
    EvictionAck,
    MemoAck,
    NonDeterminism,
    OutboxHasRoom,
    RunFinished,
    RunStarted,
    SignalFired,
    StartAttempt,
    StartBatch,
    TaskProgressed,
    WaitAck,
)
from broadaxe.core.durations import US_PER_S
from broadaxe.core.lifecycle import TaskStatus
from broadaxe.core.ratelimits import FORGOTTEN_AT_ONCE_MAX
from broadaxe.core.state import CRON_CATCH_UP_US
from broadaxe.core.tenant import Missing, Tenant
from broadaxe.engine.actor import TenantActor, Undecided
from broadaxe.engine.clock import Clock, SystemClock
from broadaxe.engine.durable_streams import Answer, DurableStream, SignalSubscription
from broadaxe.engine.outbox import OutboxPump, Suspects
from broadaxe.engine.sessions import Assignment, BatchAssignment, WorkerSession
from broadaxe.engine.subscriptions import (
    EventSubscription,
    Hub,
    ResultSubscription,
    RunOutcome,
    TaskOutcome,
)
from broadaxe.errors import BroadaxeError, LeaseLost, NotFound, Unavailable
from broadaxe.storage.durable_reads import DurableReads
from broadaxe.storage.ids import new_id
from broadaxe.storage.journal import Journal
from broadaxe.storage.loader import load_live, load_missing
from broadaxe.storage.outbox import DATABASE_AWAY, Outbox
from broadaxe.storage.payloads import Payloads
from broadaxe.storage.quotas import quotas_of
from broadaxe.storage.reads import LIVE_RUN, Reads, RunFilter
from broadaxe.storage.statements import statement

ACTIVATION_RETRY_S: Final = 1.0
#: How long a command waits for its tenant to be loaded anew, and how often it looks.
HOLD_S: Final = 20.0
HOLD_STEP_S: Final = 0.1
RECENT_TASKS_MAX: Final = 20_000
EVER: Final = datetime(1970, 1, 1, tzinfo=UTC)
US_PER_DAY: Final = 86_400 * US_PER_S
NEVER: Final = datetime(9999, 12, 31, tzinfo=UTC)

_log = structlog.get_logger(__name__)


class Engine:
    def __init__(
        self,
        *,
        journal_pool: asyncpg.Pool,
        pool: asyncpg.Pool,
        node_id: str,
        address: str,
        clock: Clock | None = None,
        observe: Callable[[str, Decision], None] | None = None,
        lease_ttl_s: float = LEASE_TTL_S,
        prioritise_across_queues: bool = False,
        enforce_quotas: bool = False,
        retention_days: int = 0,
        cron_catch_up_us: int = CRON_CATCH_UP_US,
    ) -> None:
        self._journal_pool = journal_pool
        self._pool = pool
        self._reads = Reads(pool)
        self._durable_reads = DurableReads(pool)
        self._clock = clock or SystemClock()
        self._observe = observe
        self._prioritise_across_queues = prioritise_across_queues
        self._enforce_quotas = enforce_quotas
        self._retention_us = retention_days * US_PER_DAY
        self._cron_catch_up_us = cron_catch_up_us
        self._reading_quotas = asyncio.Lock()
        self._leases = Leases(pool, node_id, address, self._lease_lost, lease_ttl_s)
        self._lease_ttl_s = lease_ttl_s
        self._outbox = Outbox(pool)
        self._suspects: dict[str, Suspects] = {}
        self._waking: set[str] = set()
        self._tenants: dict[str, _ActiveTenant] = {}
        self._activating: dict[str, asyncio.Task[_ActiveTenant]] = {}
        self._sessions: dict[str, dict[str, WorkerSession]] = {}
        self._hubs: dict[str, Hub] = {}
        self._durable_streams: dict[int, DurableStream] = {}
        self._signals: dict[str, set[SignalSubscription]] = {}
        self._session_count = 0
        self._background: set[asyncio.Task[None]] = set()
        self._is_stopping = False
        self._is_ready = False

    # Life ----------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Activates every tenant that has something to go on with, runs, crons or schedules; one that is held elsewhere
        is tried until it is free."""
        rows = await self._pool.fetch(statement("loader/tenants_with_work"))
        for row in rows:
            self._spawn(self._activate_in_time(str(row["tenant_id"])))
        self._is_ready = True

    def is_ready(self) -> bool:
        return self._is_ready and not self._is_stopping

    async def stop(self) -> None:
        """Ends worker streams and waits for what was accepted to be committed; gives the leases back."""
        self._is_stopping = True
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        # An activation under way ends first: it may have just taken its lease, and would start after the stop.
        await asyncio.gather(*self._activating.values(), return_exceptions=True)
        for sessions in self._sessions.values():
            for session in sessions.values():
                session.close()
        for active in list(self._tenants.values()):
            await active.pump.close()
            await active.actor.stop()
        for hub in self._hubs.values():
            await hub.close()
        with contextlib.suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            await self._leases.stop()

    # Commands ------------------------------------------------------------------------------------------------------

    async def submit(self, tenant_id: str, command: Command) -> Reply:
        """The reply, after the commit that contains the command. Raises the command's error, or Unavailable.

        While the tenant is loaded anew the command is held, up to `HOLD_S`, as long as deciding it again cannot do
        anything twice. Clients stand Unavailable badly: the Python SDK closes its connection on the first one, and
        forgets every other report that was under way on it.
        """
        give_up_at_s = asyncio.get_running_loop().time() + HOLD_S
        error: BroadaxeError
        while True:
            try:
                active = await self._activate(tenant_id)
            except Unavailable as unavailable:
                error = unavailable
            else:
                try:
                    return await active.actor.submit(command)
                except Undecided as undecided:
                    error = undecided.reason
                except Unavailable as unavailable:
                    # The tenant broke while it decided the command, which may have been committed.
                    if not command.is_repeatable:
                        raise
                    error = unavailable
            if self._is_stopping or asyncio.get_running_loop().time() >= give_up_at_s:
                raise error
            await asyncio.sleep(HOLD_STEP_S)

    # Outbox --------------------------------------------------------------------------------------------------------

    def outbox_told(self, tenant_id: str, transaction: int) -> None:
        """A transaction has committed that left something in the tenant's outbox. Activates the tenant if need be."""
        active = self._tenants.get(tenant_id)
        if active is not None:
            active.pump.tell(transaction)
        else:
            self._wake(tenant_id)

    def outbox_unsure(self) -> None:
        """Transactions may have committed that nobody told of: every outbox is looked into, and all limits are read."""
        for tenant_id, active in self._tenants.items():
            active.pump.read_everything()
            self.quotas_told(tenant_id)
        if not self._is_stopping:
            self._spawn(self._wake_all())

    # What nobody uses ----------------------------------------------------------------------------------------------

    async def forget_unused(self) -> None:
        """Forgets what active tenants have not used for as long as history is kept; each does so as well when it is
        activated."""
        for tenant_id in list(self._tenants):
            await self._forget_unused(tenant_id)

    async def _forget_unused(self, tenant_id: str) -> None:
        active = self._tenants.get(tenant_id)
        if active is None or self._retention_us == 0:
            return
        since_us = self._clock.now_us() - self._retention_us
        count: Reply = FORGOTTEN_AT_ONCE_MAX
        with contextlib.suppress(BroadaxeError, Undecided):
            while count == FORGOTTEN_AT_ONCE_MAX:
                count = await active.actor.submit(ForgetRateLimits(since_us), is_own=True)
                if count:
                    _log.info("rate limits that nobody used for long are gone", tenant=tenant_id, count=count)

    # Quotas --------------------------------------------------------------------------------------------------------

    def quotas_told(self, tenant_id: str) -> None:
        """The limits of a tenant were changed. One that is not active reads them when it is."""
        is_here = tenant_id in self._tenants or tenant_id in self._activating
        if self._enforce_quotas and is_here and not self._is_stopping:
            self._spawn(self._read_quotas(tenant_id))

    async def _read_quotas(self, tenant_id: str) -> None:
        # One after another: what was read first must not arrive last.
        async with self._reading_quotas:
            while not self._is_stopping:
                try:
                    active = await self._activate(tenant_id)
                    own = await quotas_of(self._pool, tenant_id)
                    await active.actor.submit(SetQuotas(own), is_own=True)
                    return
                except DATABASE_AWAY as error:
                    _log.warning("limits could not be read; trying again", tenant=tenant_id, error=str(error))
                except (BroadaxeError, Undecided):
                    # The tenant is loaded anew, with its limits.
                    return
                await asyncio.sleep(ACTIVATION_RETRY_S)

    async def _wake_all(self) -> None:
        while True:
            try:
                waiting = await self._outbox.tenants()
                break
            except DATABASE_AWAY as error:
                _log.warning("the outbox could not be read; trying again", error=str(error))
            await asyncio.sleep(ACTIVATION_RETRY_S)
        for tenant_id in waiting:
            if tenant_id not in self._tenants:
                self._wake(tenant_id)

    def _wake(self, tenant_id: str) -> None:
        if tenant_id not in self._waking and not self._is_stopping:
            self._waking.add(tenant_id)
            self._spawn(self._wake_tenant(tenant_id))

    async def _wake_tenant(self, tenant_id: str) -> None:
        """Activates the tenant, which reads its outbox. One that is held elsewhere is tried again when the lease has
        run out, for as long as something is left in the outbox: a holder that lives has been told as well and takes
        it, and one that died with the news has lost the tenant by then.
        """
        try:
            while True:
                try:
                    await self._activate(tenant_id)
                    return
                except NotFound:
                    # Everybody in the database may notify, also of tenants that there are not.
                    _log.debug("an unknown tenant was named for the outbox", tenant=tenant_id)
                    return
                except Unavailable as error:
                    _log.debug("a tenant with something in its outbox is not active here", reason=str(error))
                except Exception:
                    _log.exception("a tenant could not be activated; it is tried again", tenant=tenant_id)
                await asyncio.sleep(self._lease_ttl_s + ACTIVATION_RETRY_S)
                with contextlib.suppress(*DATABASE_AWAY):
                    if tenant_id not in await self._outbox.tenants():
                        return
        finally:
            self._waking.discard(tenant_id)

    # Workers -------------------------------------------------------------------------------------------------------

    async def open_session(self, tenant_id: str, worker_id: str) -> WorkerSession:
        """Opens an assignment stream of a worker; a newer one replaces it. NotFound for an unknown worker."""
        self._session_count += 1
        session = WorkerSession(worker_id, self._session_count)
        sessions = self._sessions.setdefault(tenant_id, {})
        older = sessions.get(worker_id)
        # In place before the command: the batch that opens the stream may already assign to it.
        sessions[worker_id] = session
        try:
            await self.submit(tenant_id, OpenStream(worker_id, session.number))
        except BaseException:
            session.close()
            if sessions.get(worker_id) is session:
                del sessions[worker_id]
                if older is not None and not older.is_closed:
                    sessions[worker_id] = older
            raise
        if older is not None:
            self._hand_back(tenant_id, older)
        return session

    def close_session(self, tenant_id: str, session: WorkerSession) -> None:
        """The stream ended. What it had not sent goes back to the queue."""
        self._hand_back(tenant_id, session)
        sessions = self._sessions.get(tenant_id, {})
        if sessions.get(session.worker_id) is session:
            del sessions[session.worker_id]
        if not self._is_stopping:
            self._spawn(self._tell(tenant_id, CloseStream(session.worker_id, session.number)))

    def end_sessions(self, tenant_id: str, worker_id: str) -> None:
        """The worker said goodbye: its stream ends."""
        session = self._sessions.get(tenant_id, {}).get(worker_id)
        if session is not None:
            self._hand_back(tenant_id, session)

    def _hand_back(self, tenant_id: str, session: WorkerSession) -> None:
        for attempt in session.close():
            command = FailDelivery(
                attempt.task_id, attempt.retry_count, "the worker's stream closed before it was sent"
            )
            self._spawn(self._tell(tenant_id, command))

    # Durable tasks -------------------------------------------------------------------------------------------------

    async def open_durable_stream(self, tenant_id: str) -> DurableStream:
        """A stream for what durable tasks of one worker are answered. Its number goes with their requests."""
        await self._activate(tenant_id)
        self._session_count += 1
        stream = DurableStream(self._session_count)
        self._durable_streams[stream.number] = stream
        return stream

    def close_durable_stream(self, stream: DurableStream) -> None:
        stream.close()
        self._durable_streams.pop(stream.number, None)

    async def listen_for_signals(self, tenant_id: str) -> SignalSubscription:
        """Ask with `want_signal`, give back with `stop_listening`."""
        await self._activate(tenant_id)
        subscription = SignalSubscription()
        self._signals.setdefault(tenant_id, set()).add(subscription)
        return subscription

    async def want_signal(self, tenant_id: str, subscription: SignalSubscription, task_id: str, key: str) -> None:
        """Told once when it fires, at once if it has."""
        subscription.wanted.add((task_id, key))
        for fired in await self._durable_reads.signals(tenant_id, [(task_id, key)]):
            subscription.fire(*fired)

    def stop_listening(self, tenant_id: str, subscription: SignalSubscription) -> None:
        self._signals.get(tenant_id, set()).discard(subscription)

    async def _answer(self, active: _ActiveTenant, answers: list[DurableAnswer]) -> None:
        """Writes answers to their streams, in order. What is in no batch any more is read in one query."""
        unread = {
            (a.ref.task_id, a.ref.branch_id, a.ref.node_id)
            for a in answers
            if (type(a) is EntryCompleted and a.payload is None)
            or (type(a) is MemoAck and a.is_kept and a.payload is None)
        }
        read = await active.payloads.durable_results(unread) if unread else {}
        for effect in answers:
            stream = self._durable_streams.get(effect.stream)
            if stream is None:
                continue
            payload = getattr(effect, "payload", None)
            found = read.get((effect.ref.task_id, effect.ref.branch_id, effect.ref.node_id))
            if payload is None and found is not None:
                stream.put(Answer(effect, *found))
            else:
                stream.put(Answer(effect, payload))

    # Subscriptions -------------------------------------------------------------------------------------------------

    async def results(self, tenant_id: str) -> ResultSubscription:
        """Outcomes of runs as they finish."""
        await self._activate(tenant_id)
        return self._hub(tenant_id).results()

    async def watch_run(self, tenant_id: str, run_id: str) -> EventSubscription:
        """Live events of a run, whether or not it exists yet."""
        await self._activate(tenant_id)
        return self._hub(tenant_id).watch_run(run_id)

    async def is_live(self, tenant_id: str, run_or_task_id: str) -> bool:
        """Whether the run or task is known and not finished."""
        return (await self._activate(tenant_id)).tenant.is_live(run_or_task_id)

    async def watch_metadata(self, tenant_id: str, key: str, value: str) -> EventSubscription:
        """Live events of every run whose metadata has `key` = `value`."""
        await self._activate(tenant_id)
        return await self._hub(tenant_id).watch_metadata(key, value)

    def unwatch(self, tenant_id: str, subscription: EventSubscription) -> None:
        self._hub(tenant_id).unwatch(subscription)

    async def put_chunk(self, tenant_id: str, task_id: str, text: str, index: int | None) -> None:
        """A piece of a running task's stream. NotFound for an unknown task; dropped if it has finished."""
        active = await self._activate(tenant_id)
        run_id = active.tenant.run_of_task(task_id)
        if run_id is None:
            await self.check_task(tenant_id, task_id)
            return
        metadata = active.tenant.metadata_of_run(run_id)
        self._hub(tenant_id).chunk(run_id, task_id, text, index, self._clock.now_us(), metadata)

    async def check_task(self, tenant_id: str, task_id: str) -> None:
        """NotFound unless the task exists, live or finished."""
        active = await self._activate(tenant_id)
        if active.tenant.is_live(task_id) or task_id in active.recent:
            return
        if await self._pool.fetchval(statement("loader/task_exists"), tenant_id, task_id) is None:
            raise NotFound(f"there is no task run {task_id}", field="task_run_external_id")

    def _hub(self, tenant_id: str) -> Hub:
        hub = self._hubs.get(tenant_id)
        if hub is None:

            async def look_up(run_ids: list[str]) -> list[RunOutcome]:
                return [
                    RunOutcome(
                        result.id,
                        result.status,
                        tuple(TaskOutcome(task.id, task.name, task.output, task.error) for task in result.tasks),
                    )
                    for result in await self._reads.run_results(tenant_id, run_ids)
                ]

            async def find_active(key: str, value: str, limit: int) -> list[str]:
                wanted = RunFilter(
                    tenant_id=tenant_id, since=EVER, until=NEVER, statuses=LIVE_RUN, metadata=((key, value),)
                )
                return await self._reads.run_ids(wanted, limit=limit)

            def is_live(run_id: str) -> bool:
                active = self._tenants.get(tenant_id)
                return active is not None and active.tenant.is_live(run_id)

            hub = self._hubs[tenant_id] = Hub(look_up, find_active, is_live, self._clock.now_us)
        return hub

    # Activation ----------------------------------------------------------------------------------------------------

    async def _activate(self, tenant_id: str) -> _ActiveTenant:
        active = self._tenants.get(tenant_id)
        if active is not None:
            return active
        if self._is_stopping:
            raise Unavailable("the engine is shutting down")
        task = self._activating.get(tenant_id)
        if task is None:
            task = self._activating[tenant_id] = asyncio.create_task(self._load(tenant_id), name=f"load {tenant_id}")
            task.add_done_callback(lambda _: self._activating.pop(tenant_id, None))
        return await asyncio.shield(task)

    async def _activate_in_time(self, tenant_id: str) -> None:
        while True:
            try:
                await self._activate(tenant_id)
                return
            except BroadaxeError as error:
                _log.info("a tenant is not activated yet", tenant=tenant_id, reason=str(error))
            except Exception:
                # Whatever it is, a tenant with work to do must not be given up.
                _log.exception("a tenant could not be activated; it is tried again", tenant=tenant_id)
            await asyncio.sleep(ACTIVATION_RETRY_S)

    async def _load(self, tenant_id: str) -> _ActiveTenant:
        try:
            epoch = await self._leases.acquire(tenant_id)
            now_us = self._clock.now_us()
            loaded = await load_live(self._pool, tenant_id, now_us, with_quotas=self._enforce_quotas)
        except asyncpg.ForeignKeyViolationError:
            raise NotFound(f"there is no tenant {tenant_id}") from None
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
            # The last of them is how a connection that dies at just the wrong moment shows.
            raise Unavailable(f"the tenant cannot be loaded from the database: {error}") from error
        tenant = Tenant(
            new_id,
            prioritise_across_queues=self._prioritise_across_queues,
            cron_catch_up_us=self._cron_catch_up_us,
            enforce_quotas=self._enforce_quotas,
        )
        tenant.adopt(loaded, now_us)
        journal = Journal(self._journal_pool, tenant_id, self._leases.node_id, epoch)
        payloads = Payloads(self._pool, tenant_id)
        active = _ActiveTenant(tenant, payloads)

        async def missing(ids: Missing) -> Any:
            return await load_missing(self._pool, tenant_id, ids)

        async def release(decision: Decision) -> None:
            await self._release(tenant_id, active, decision)

        active.actor = TenantActor(tenant_id, tenant, journal, missing, release, self._clock, self._broken)

        async def take(command: TakeOutbox, *, is_alone: bool) -> Reply:
            return await active.actor.submit(command, is_own=True, is_alone=is_alone)

        active.pump = OutboxPump(tenant_id, self._outbox, self._suspects.setdefault(tenant_id, Suspects()), take)
        self._tenants[tenant_id] = active
        active.actor.start()
        active.pump.read_everything()
        self._spawn(self._forget_unused(tenant_id))
        for session in self._sessions.get(tenant_id, {}).values():
            self._spawn(self._tell(tenant_id, OpenStream(session.worker_id, session.number)))
        self._hub(tenant_id).look_again()
        _log.debug("a tenant is active", tenant=tenant_id, epoch=epoch, **tenant.counts())
        return active

    def _broken(self, actor: TenantActor) -> None:
        active = self._tenants.get(actor.tenant_id)
        if active is not None and active.actor is actor:
            del self._tenants[actor.tenant_id]
            active.pump.abandon()
            self._suspects.setdefault(actor.tenant_id, Suspects()).blame(actor.stumbled_over)
            if not self._is_stopping:
                self._spawn(self._activate_in_time(actor.tenant_id))

    def _lease_lost(self, tenant_id: str) -> None:
        active = self._tenants.get(tenant_id)
        if active is not None:
            active.actor.break_off(LeaseLost())

    # After the commit ----------------------------------------------------------------------------------------------

    async def _release(self, tenant_id: str, active: _ActiveTenant, decision: Decision) -> None:
        """Lets out what a committed batch decided, in the order it was decided."""
        payloads = active.payloads
        writes = decision.writes
        for run in writes.new_runs:
            payloads.put_input(run.row.id, run.input)
        for task in writes.new_tasks:
            if task.state.output is not None:
                payloads.put_output(task.state.id, task.state.output)
        for state in writes.tasks:
            if state.output is not None:
                payloads.put_output(state.id, state.output)
        for task_id in writes.archived_outputs:
            payloads.drop_output(task_id)
        if self._observe is not None:
            self._observe(tenant_id, decision)
        starts = [effect for effect in decision.effects if type(effect) is StartAttempt]
        for effect in decision.effects:
            if type(effect) is StartBatch:
                starts += effect.items
        inputs = await payloads.inputs([start.run_id for start in starts]) if starts else {}
        parents = {task_id for start in starts for _, task_id in start.parents}
        outputs = await payloads.outputs(parents) if parents else {}
        hub = self._hub(tenant_id)
        answers: list[DurableAnswer] = []
        for effect in decision.effects:
            match effect:
                case StartAttempt():
                    run_input = inputs.get(effect.run_id, "{}")
                    payload = run_input if effect.asks_for_key else _payload(effect, run_input, outputs)
                    self._send(tenant_id, effect.worker_id, Assignment(effect, payload), (effect,))
                case StartBatch():
                    payload = _batch_payload(effect, inputs, outputs)
                    self._send(tenant_id, effect.worker_id, BatchAssignment(effect, payload), effect.items)
                case CancelAttempt(worker_id):
                    session = self._sessions.get(tenant_id, {}).get(worker_id)
                    if session is not None:
                        session.put(effect)
                case TaskProgressed():
                    hub.progressed(effect)
                case RunStarted():
                    hub.run_started(effect)
                case RunFinished():
                    await self._finish(active, hub, effect)
                case SignalFired(task_id, key, payload):
                    for subscription in self._signals.get(tenant_id, ()):
                        subscription.fire(task_id, key, payload)
                case OutboxHasRoom():
                    active.pump.read_everything()
                case (
                    MemoAck()
                    | ChildrenAck()
                    | WaitAck()
                    | EntryCompleted()
                    | NonDeterminism()
                    | DurableRefusal()
                    | EvictionAck()
                    | DropInvocation()
                ):
                    answers.append(effect)
        if answers:
            await self._answer(active, answers)

    def _send(
        self,
        tenant_id: str,
        worker_id: str,
        item: Assignment | BatchAssignment,
        attempts: Sequence[StartAttempt],
    ) -> None:
        session = self._sessions.get(tenant_id, {}).get(worker_id)
        if session is not None and session.put(item):
            return
        for attempt in attempts:
            command = FailDelivery(attempt.task_id, attempt.retry_count, "the worker's stream is closed")
            self._spawn(self._tell(tenant_id, command))

    async def _finish(self, active: _ActiveTenant, hub: Hub, effect: RunFinished) -> None:
        if hub.has_waiter(effect.run_id):
            done = [r.task_id for r in effect.results if r.status in (TaskStatus.COMPLETED, TaskStatus.SKIPPED)]
            outputs = await active.payloads.outputs(done)
            tasks = tuple(TaskOutcome(r.task_id, r.name, outputs.get(r.task_id), r.error) for r in effect.results)
            hub.deliver(RunOutcome(effect.run_id, effect.status, tasks))
        hub.run_finished(effect)
        active.remember(result.task_id for result in effect.results)

    async def _tell(self, tenant_id: str, command: Command) -> None:
        """Submits a command nobody waits for. If it is lost with the process, recovery comes to the same end."""
        with contextlib.suppress(BroadaxeError, Undecided):
            active = await self._activate(tenant_id)
            await active.actor.submit(command, is_own=True)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)


class _ActiveTenant:
    __slots__ = ("actor", "payloads", "pump", "recent", "tenant")

    def __init__(self, tenant: Tenant, payloads: Payloads) -> None:
        self.tenant = tenant
        self.payloads = payloads
        self.actor: TenantActor
        self.pump: OutboxPump
        self.recent: dict[str, None] = {}
        """Tasks that finished lately: their last log lines tend to arrive after them."""

    def remember(self, task_ids: Iterable[str]) -> None:
        recent = self.recent
        for task_id in task_ids:
            recent[task_id] = None
        while len(recent) > RECENT_TASKS_MAX:
            del recent[next(iter(recent))]


def _payload(attempt: StartAttempt, run_input: str, outputs: dict[str, str]) -> str:
    """The JSON a worker gets with an attempt (grpc specification 5.2), put together from texts without parsing them."""
    fit = str if attempt.takes_any_output else _object
    parents = ",".join(f"{_quote(name)}:{fit(outputs.get(task_id, '{}'))}" for name, task_id in attempt.parents)
    errors = ""
    if attempt.errors:
        errors = ',"step_run_errors":{' + ",".join(f"{_quote(n)}:{_quote(e)}" for n, e in attempt.errors) + "}"
    # What conditions brought stands beside the filter payload.
    fired = "" if attempt.fired in (None, "{}") else f",{attempt.fired[1:-1]}"
    cause = _cause(attempt)
    chosen = attempt.filter_payload or "null"
    return (
        f'{{"input":{run_input},"parents":{{{parents}}},"triggered_by":"{cause}",'
        f'"triggers":{{"filter_payload":{chosen}{fired}}},"user_data":{{}},"overrides":{{}}{errors}}}'
    )


def _cause(attempt: StartAttempt) -> str:
    """What SDKs compare `triggered_by` with. A run does not remember the schedule it came from, so it is `manual`."""
    if attempt.triggering_event_id:
        return "event"
    # The key under which every run of a cron has its expression. Within a text the quotes would be escaped.
    return "cron" if '"hatchet__cron_expression":' in (attempt.additional_metadata or "") else "manual"


def _batch_payload(batch: StartBatch, inputs: dict[str, str], outputs: dict[str, str]) -> str:
    """The payloads of all items by task id (grpc specification 5.5)."""
    items = (
        f'{_quote(item.task_id)}:{{"workflow_run_id":{_quote(item.run_id)},'
        f'"payload":{_payload(item, inputs.get(item.run_id, "{}"), outputs)}}}'
        for item in batch.items
    )
    return "{" + ",".join(items) + "}"


def _quote(text: str) -> str:
    return msgspec.json.encode(text).decode()


def _object(text: str) -> str:
    """An output as SDKs need a parent's: one that is not an object is put into one."""
    return text if text.startswith("{") else f'{{"value":{text}}}'
