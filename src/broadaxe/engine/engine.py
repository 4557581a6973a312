"""The engine of a node: the tenants it has in memory, behind the port that edges use.

Owns one `Activation` for each tenant somebody asked for, the numbers of streams, and the order in which all of it
starts and stops. Edges call what `port.py` names; whoever listens to the outbox calls `outbox_told`, `outbox_unsure`
and `quotas_told`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable
from typing import Final

import structlog

from broadaxe.core.commands import Command, Reply
from broadaxe.core.commands.asked import Asked, Initiator
from broadaxe.core.decision import Decision
from broadaxe.core.durations import US_PER_S
from broadaxe.core.questions import AnswerT, Question
from broadaxe.core.state import CRON_CATCH_UP_US
from broadaxe.core.tenant import Tenant
from broadaxe.core.topics import Position
from broadaxe.engine.activation import Activation
from broadaxe.engine.actor import TenantActor
from broadaxe.engine.changes import ChangeSubscription, Kind
from broadaxe.engine.clock import Clock, SystemClock
from broadaxe.engine.durable_streams import DurableStream, SignalSubscription
from broadaxe.engine.guests import Guest
from broadaxe.engine.moves import Moves
from broadaxe.engine.nodes import Nodes
from broadaxe.engine.pulse import Pulse
from broadaxe.engine.remote import Connect
from broadaxe.engine.sessions import WorkerSession
from broadaxe.engine.store import Store
from broadaxe.engine.subscriptions import EventSubscription, ResultSubscription
from broadaxe.engine.topics import TopicSubscription
from broadaxe.engine.turns import Turns
from broadaxe.errors import HeldElsewhere, NotFound, Unavailable
from broadaxe.loops import Loops
from broadaxe.storage.ids import new_id

__all__ = ["Engine"]

#: Tenants loaded at the same time.
LOADS_AT_ONCE_MAX: Final = 8
#: A tenant that nobody used and that has nothing to wait for leaves memory after this, looked at so often.
IDLE_S: Final = 600.0
LOOK_FOR_IDLE_EVERY_S: Final = 60.0
#: How long after a failure something is asked for again that nobody waits for.
AGAIN_AFTER_S: Final = 1.0
#: More often than pools close connections that nobody uses (five minutes).
WARM_EVERY_S: Final = 60.0
LOOK_AT_CLOCK_EVERY_S: Final = 1.0
US_PER_DAY: Final = 86_400 * US_PER_S

_log = structlog.get_logger(__name__)


class Engine:
    def __init__(
        self,
        store: Store,
        *,
        clock: Clock | None = None,
        observe: Callable[[str, Decision], None] | None = None,
        prioritise_across_queues: bool = False,
        enforce_quotas: bool = False,
        retention_days: int = 0,
        cron_catch_up_us: int = CRON_CATCH_UP_US,
        wake_again_after_s: float = 16.0,
        fresh_id: Callable[[], str] = new_id,
        connect: Connect | None = None,
        nodes: Nodes | None = None,
        is_reached: Callable[[], bool] = lambda: True,
    ) -> None:
        """`connect` opens the way to tenants of other nodes (`remote.py`), and `nodes` are those. `is_reached`: whether
        whoever decides can be asked, where that is another process. `observe` sees every committed decision.
        `wake_again_after_s`: when a tenant that another node holds, and that has something in its outbox, is asked for
        again; a little longer than a lease lasts."""
        self._store = store
        self._clock = clock or SystemClock()
        self._observe = observe
        self._prioritise_across_queues = prioritise_across_queues
        self._enforce_quotas = enforce_quotas
        self._unused_after_us = retention_days * US_PER_DAY
        self._cron_catch_up_us = cron_catch_up_us
        self._wake_again_after_s = wake_again_after_s
        self._fresh_id = fresh_id
        self._connect = connect
        self._is_reached = is_reached
        self._loops = Loops("engine")
        self._pulse = Pulse()
        self._loads = Turns(LOADS_AT_ONCE_MAX)
        self._activations: dict[str, Activation] = {}
        self._nodes = nodes
        self._moves: Moves | None = None
        if nodes is not None and connect is not None:
            self._moves = Moves(nodes, connect, self._loops, self._activations.values, self._take_up_work)
        self._waking: set[str] = set()
        self._reading_quotas = asyncio.Lock()
        self._jumps_seen = self._clock.jumps
        self._is_leaving = False
        self._is_stopping = False
        self._is_ready = False
        store.watch_leases(self._lease_lost)

    # Life ----------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Activates every tenant that belongs here and has something to go on with, runs, crons or schedules; one that
        is held elsewhere is tried until it is free."""
        self._loops.keep("pulse", self._pulse.beat_for_ever)
        self._loops.every("clock", LOOK_AT_CLOCK_EVERY_S, self._look_at_clock)
        if self._moves is not None:
            await self._moves.start()
            self._loops.every("stay ready to take tenants up", WARM_EVERY_S, self._warm)
        await self._take_up_work()
        self._loops.every("put idle tenants away", LOOK_FOR_IDLE_EVERY_S, self._put_idle_away)
        self._is_ready = True

    async def _warm(self) -> None:
        with contextlib.suppress(Unavailable):
            await self._store.warm()

    async def _take_up_work(self) -> None:
        for tenant_id in await self._store.tenants_with_work():
            if self._nodes is None or self._nodes.place(tenant_id) is None:
                self._activation(tenant_id).need()

    def is_ready(self) -> bool:
        """Whether a call for any tenant would be taken at this moment, here or by way of its owner."""
        if not self._is_ready or self._is_leaving or self._is_stopping:
            return False
        nodes, connect = self._nodes, self._connect
        if nodes is None or connect is None:
            return self._is_reached()
        return nodes.is_alive() and all(connect.is_open(other.link_address) for other in nodes.others())

    async def leave(self) -> None:
        """A planned stop is near: other nodes get the tenants, and calls and streams here go on by way of them."""
        self._is_leaving = True
        if self._moves is not None:
            await self._moves.leave()

    async def stop(self) -> None:
        """Ends worker streams and waits for what was accepted to be committed; gives the leases back."""
        self._is_stopping = True
        await asyncio.gather(*(activation.close() for activation in list(self._activations.values())))
        await self._loops.close()
        await self._store.close()

    # Commands ------------------------------------------------------------------------------------------------------

    async def submit(
        self,
        tenant_id: str,
        command: Command,
        *,
        client: str = "",
        by: Initiator | None = None,
        hold_s: float | None = None,
    ) -> Reply:
        if by is not None:
            command = Asked(command, by)
        return await self._activation(tenant_id).submit(command, client, hold_s)

    # Workers -------------------------------------------------------------------------------------------------------

    async def open_session(self, tenant_id: str, worker_id: str) -> WorkerSession:
        activation = self._activation(tenant_id)
        session = WorkerSession(worker_id, await activation.next_number())
        # Among the engine's own: what is told of the stream later must not overtake it.
        await activation.streams.open_session(session, activation.submit_own)
        return session

    def close_session(self, tenant_id: str, session: WorkerSession) -> None:
        self._activation(tenant_id).streams.close_session(session)

    def end_sessions(self, tenant_id: str, worker_id: str) -> None:
        self._activation(tenant_id).streams.end_session(worker_id)

    # Durable tasks -------------------------------------------------------------------------------------------------

    async def open_durable_stream(self, tenant_id: str) -> DurableStream:
        activation = self._activation(tenant_id)
        stream = DurableStream(await activation.next_number(), self._clock)
        activation.streams.put_durable(stream)
        return stream

    async def register_durable_stream(self, tenant_id: str, stream: DurableStream, worker_id: str) -> None:
        activation = self._activation(tenant_id)
        await activation.streams.register_durable(stream, worker_id, activation.submit_own)

    def close_durable_stream(self, tenant_id: str, stream: DurableStream) -> None:
        self._activation(tenant_id).streams.close_durable(stream)

    async def listen_for_signals(self, tenant_id: str) -> SignalSubscription:
        activation = self._activation(tenant_id)
        await activation.home()
        subscription = SignalSubscription()
        activation.streams.put_signals(subscription)
        return subscription

    async def want_signal(self, tenant_id: str, subscription: SignalSubscription, task_id: str, key: str) -> None:
        subscription.wanted.add((task_id, key))
        await self._activation(tenant_id).streams.look_up_signals((subscription,))

    def stop_listening(self, tenant_id: str, subscription: SignalSubscription) -> None:
        self._activation(tenant_id).streams.close_signals(subscription)

    # Subscriptions -------------------------------------------------------------------------------------------------

    async def results(self, tenant_id: str) -> ResultSubscription:
        activation = self._activation(tenant_id)
        await activation.home()
        return activation.streams.hub.results()

    async def watch_run(self, tenant_id: str, run_id: str) -> EventSubscription:
        activation = self._activation(tenant_id)
        await activation.home()
        return activation.streams.hub.watch_run(run_id)

    async def watch_metadata(self, tenant_id: str, key: str, value: str) -> EventSubscription:
        activation = self._activation(tenant_id)
        await activation.home()
        return await activation.streams.hub.watch_metadata(key, value)

    def unwatch(self, tenant_id: str, subscription: EventSubscription) -> None:
        self._activation(tenant_id).streams.hub.unwatch(subscription)

    async def follow_topic(self, tenant_id: str, topic_id: str, after: Position | None) -> TopicSubscription:
        activation = self._activation(tenant_id)
        home = await activation.home()
        if not home.knows_topics:
            raise Unavailable("the owner of the tenant is of an older version and has no topics; try again")
        return activation.streams.topics.follow(topic_id, after)

    def unfollow_topic(self, tenant_id: str, subscription: TopicSubscription) -> None:
        self._activation(tenant_id).streams.topics.unfollow(subscription)

    def follow_changes(self, tenant_id: str) -> ChangeSubscription:
        activation = self._activation(tenant_id)
        subscription = activation.streams.changes.follow()
        if self._connect is not None:
            # It may be live at another node, which tells nobody who is not connected.
            activation.need()
        return subscription

    def unfollow_changes(self, tenant_id: str, subscription: ChangeSubscription) -> None:
        self._activation(tenant_id).streams.changes.unfollow(subscription)

    def note_change(self, tenant_id: str, kind: Kind, ids: Iterable[str] | None = None) -> None:
        activation = self._activations.get(tenant_id)
        if activation is not None:
            activation.note_change(kind, ids)

    async def is_live(self, tenant_id: str, run_or_task_id: str) -> bool:
        return await self._activation(tenant_id).is_live(run_or_task_id)

    async def ask(self, tenant_id: str, question: Question[AnswerT]) -> AnswerT:
        return await self._activation(tenant_id).ask(question)

    async def put_chunk(self, tenant_id: str, task_id: str, text: str, index: int | None) -> None:
        await self._activation(tenant_id).put_chunk(task_id, text, index)

    async def check_task(self, tenant_id: str, task_id: str) -> None:
        await self._activation(tenant_id).check_task(task_id)

    # Guests --------------------------------------------------------------------------------------------------------

    async def prepare(self, tenant_id: str) -> bool:
        """Another node is about to hand the tenant over to this one: whether it was read ahead. Unavailable."""
        return await self._activation(tenant_id).prepare()

    async def welcome(self, tenant_id: str, guest: Guest, unchanged_epoch: int | None = None) -> None:
        """`unchanged_epoch` as of `remote.Connect`."""
        if self._nodes is not None and not guest.is_edge and not self._nodes.is_alive():
            raise HeldElsewhere("this node cannot reach the database")
        await self._activation(tenant_id).welcome(guest, unchanged_epoch)

    async def submit_for_guest(self, tenant_id: str, guest: Guest, command: Command, client: str) -> Reply:
        """What somebody asks for at that node. HeldElsewhere once the guest was shown out."""
        return await self._activation(tenant_id).submit(command, client, guest=guest)

    async def submit_of_guest(self, tenant_id: str, guest: Guest, command: Command) -> Reply:
        return await self._activation(tenant_id).submit_of_guest(guest, command)

    async def next_number(self, tenant_id: str) -> int:
        return await self._activation(tenant_id).next_number()

    def not_live(self, tenant_id: str, run_ids: Iterable[str]) -> list[str]:
        return self._activation(tenant_id).not_live(run_ids)

    def part_with(self, tenant_id: str, guest: Guest) -> None:
        self._activation(tenant_id).part_with(guest)

    # Outbox --------------------------------------------------------------------------------------------------------

    def outbox_told(self, tenant_id: str, transaction: int) -> None:
        """A transaction has committed that left something in the tenant's outbox. Activates the tenant if need be."""
        activation = self._activations.get(tenant_id)
        if activation is not None and activation.present is not None:
            activation.present.pump.tell(transaction)
        else:
            self._wake(tenant_id)

    def outbox_unsure(self) -> None:
        """Transactions may have committed that nobody told of: every outbox is looked into, and all limits are read."""
        for tenant_id, activation in self._activations.items():
            if activation.present is not None:
                activation.present.pump.read_everything()
                self.quotas_told(tenant_id)
        self._loops.go("look into every outbox", self._wake_all())

    async def _wake_all(self) -> None:
        while True:
            try:
                waiting = await self._store.tenants_with_outbox()
                break
            except Unavailable as error:
                _log.warning("the outbox could not be read; trying again", error=str(error))
            await asyncio.sleep(AGAIN_AFTER_S)
        for tenant_id in waiting:
            activation = self._activations.get(tenant_id)
            if activation is None or activation.present is None:
                self._wake(tenant_id)

    def _wake(self, tenant_id: str) -> None:
        if tenant_id not in self._waking and not self._is_stopping:
            self._waking.add(tenant_id)
            self._loops.go(f"wake {tenant_id}", self._wake_tenant(tenant_id))

    async def _wake_tenant(self, tenant_id: str) -> None:
        """Activates the tenant, which reads its outbox. One that is held elsewhere is tried again when the lease has
        run out, for as long as something is left in the outbox: a holder that lives has been told as well and takes
        it, and one that died with the news has lost the tenant by then.
        """
        try:
            while True:
                try:
                    # A node that holds it has been told as well.
                    await self._activation(tenant_id).home()
                    return
                except NotFound:
                    # Everybody in the database may notify, also of tenants that there are not.
                    _log.debug("an unknown tenant was named for the outbox", tenant=tenant_id)
                    self._activations.pop(tenant_id, None)
                    return
                except Unavailable as error:
                    _log.debug("a tenant with something in its outbox is not active here", reason=str(error))
                await asyncio.sleep(self._wake_again_after_s)
                if not await self._has_outbox(tenant_id):
                    return
        finally:
            self._waking.discard(tenant_id)

    async def _has_outbox(self, tenant_id: str) -> bool:
        try:
            return tenant_id in await self._store.tenants_with_outbox()
        except Unavailable:
            return True

    # Upkeep --------------------------------------------------------------------------------------------------------

    def quotas_told(self, tenant_id: str) -> None:
        """The limits of a tenant were changed. One that is not active reads them when it is."""
        activation = self._activations.get(tenant_id)
        if self._enforce_quotas and activation is not None and not activation.is_asleep:
            self._loops.go(f"read limits of {tenant_id}", self._read_quotas(tenant_id))

    def tenant_deleted(self, tenant_id: str) -> None:
        """Its row is gone: what is in memory is dropped, and nobody who asks for it is let wait."""
        self._lease_lost(tenant_id)

    async def _read_quotas(self, tenant_id: str) -> None:
        # One after another: what was read first must not arrive last.
        async with self._reading_quotas:
            while (activation := self._activations.get(tenant_id)) is not None:
                try:
                    await activation.home()
                    await activation.read_quotas()
                    return
                except NotFound:
                    return
                except Unavailable as error:
                    _log.warning("limits could not be read; trying again", tenant=tenant_id, error=str(error))
                await asyncio.sleep(AGAIN_AFTER_S)

    async def forget_unused(self) -> None:
        """Forgets what active tenants have not used for as long as history is kept; each does so as well when it is
        activated."""
        for activation in list(self._activations.values()):
            await activation.forget_unused()

    async def put_all_away(self) -> None:
        """Every tenant leaves memory, until it is asked for again."""
        for activation in list(self._activations.values()):
            await activation.put_away()

    async def _put_idle_away(self) -> None:
        since_s = asyncio.get_running_loop().time() - IDLE_S
        for activation in list(self._activations.values()):
            if activation.is_idle(since_s):
                _log.debug("an idle tenant is put away", tenant=activation.tenant_id)
                await activation.put_away()
            streams = activation.streams
            if activation.is_asleep and streams.are_closed() and not streams.changes.is_followed():
                self._activations.pop(activation.tenant_id, None)

    # Tenants -------------------------------------------------------------------------------------------------------

    def _activation(self, tenant_id: str) -> Activation:
        activation = self._activations.get(tenant_id)
        if activation is None:
            activation = self._activations[tenant_id] = Activation(
                tenant_id,
                self._store,
                new_tenant=self._new_tenant,
                clock=self._clock,
                pulse=self._pulse,
                loops=self._loops,
                loads=self._loads,
                observe=self._observe,
                unused_after_us=self._unused_after_us,
                fresh_id=self._fresh_id,
                connect=self._connect,
            )
            if self._is_stopping:
                activation.refuse()
        return activation

    def tenants_in_memory(self) -> list[str]:
        return [tenant_id for tenant_id, activation in self._activations.items() if activation.present is not None]

    def is_loading(self) -> bool:
        """Whether a tenant is about to be in memory."""
        return any(activation.is_loading for activation in self._activations.values())

    def actors(self) -> list[TenantActor]:
        """Of the tenants in memory."""
        activations = self._activations.values()
        return [activation.present.actor for activation in activations if activation.present is not None]

    def _new_tenant(self) -> Tenant:
        return Tenant(
            self._fresh_id,
            prioritise_across_queues=self._prioritise_across_queues,
            cron_catch_up_us=self._cron_catch_up_us,
            enforce_quotas=self._enforce_quotas,
        )

    async def _look_at_clock(self) -> None:
        """What came due while the machine was suspended is due now, and timers that sleep do not count that time."""
        self._clock.now_us()
        if self._clock.jumps != self._jumps_seen:
            self._jumps_seen = self._clock.jumps
            for activation in self._activations.values():
                if activation.present is not None:
                    activation.present.actor.wake()

    def _lease_lost(self, tenant_id: str) -> None:
        activation = self._activations.get(tenant_id)
        if activation is not None:
            activation.lease_lost()
