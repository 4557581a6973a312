"""One tenant on this node: brought into memory when somebody asks, kept there, loaded again when it breaks, put away
when nobody needs it.

    asleep --asked--> loading: lease, rows, actor --> active --breaks--> loading --...--> active --idle--> asleep
                        ^          |
                        '--pause---'  the database is away, or another node holds the tenant

Owns the actor, the outbox pump and what is told of the engine's own accord; the streams it only announces. Whoever
asks while the tenant is not in memory waits for it, at most `HOLD_S`: a client that is told Unavailable closes its
connection and forgets the reports under way on it, so an answer that comes late is the better one.

Invariants: at most one actor; nothing is submitted to a new one before the streams that were left open are announced.
A command that may have been committed is submitted again only if deciding it twice comes to the same as once; one that
the tenant broke over is tried alone once, and refused if it breaks it again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Final

import structlog

from broadaxe.core.commands import Command, ForgetRateLimits, Reply, SetQuotas, TakeOutbox
from broadaxe.core.decision import Decision
from broadaxe.core.ratelimits import FORGOTTEN_AT_ONCE_MAX
from broadaxe.core.tenant import Tenant
from broadaxe.engine.actor import STOP_GRACE_S, Broken, TenantActor
from broadaxe.engine.backpressure import Backpressure
from broadaxe.engine.clock import Clock
from broadaxe.engine.outbox import OutboxPump, Suspects
from broadaxe.engine.pulse import Pulse
from broadaxe.engine.release import Release
from broadaxe.engine.store import Store, TenantStore
from broadaxe.engine.streams import TenantStreams
from broadaxe.engine.subscriptions import Hub
from broadaxe.errors import BroadaxeError, LeaseLost, NotFound, Unavailable
from broadaxe.loops import Loops

__all__ = ["Activation", "Active"]

#: How long a call waits for its tenant.
HOLD_S: Final = 20.0
#: Pauses between loads that fail: the first, doubled each time up to the second.
LOAD_AGAIN_FIRST_S: Final = 0.1
LOAD_AGAIN_MAX_S: Final = 1.0
RECENT_TASKS_MAX: Final = 20_000

_log = structlog.get_logger(__name__)


class Active:
    """A tenant in memory."""

    __slots__ = ("actor", "kept", "pump", "recent", "tenant")

    def __init__(self, tenant: Tenant, kept: TenantStore) -> None:
        self.tenant = tenant
        self.kept = kept
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


class Activation:
    def __init__(
        self,
        tenant_id: str,
        store: Store,
        *,
        new_tenant: Callable[[], Tenant],
        clock: Clock,
        pulse: Pulse,
        loops: Loops,
        loads: asyncio.Semaphore,
        observe: Callable[[str, Decision], None] | None,
        unused_after_us: int,
    ) -> None:
        """`loads` bounds how many tenants are loaded at once. What nobody used for `unused_after_us` is forgotten; 0
        keeps it."""
        self.tenant_id = tenant_id
        self._store = store
        self._new_tenant = new_tenant
        self._clock = clock
        self._pulse = pulse
        self._loops = loops
        self._loads = loads
        self._observe = observe
        self._unused_after_us = unused_after_us
        self.streams = TenantStreams(tenant_id, store, self._make_hub(), self.tell)
        self._backpressure = Backpressure()
        self._suspects = Suspects()
        self._active: Active | None = None
        self._loading: asyncio.Task[None] | None = None
        self._problem: BroadaxeError | None = None
        """Why the last load failed."""
        self._changed = asyncio.Event()
        self._waiting = 0
        """Callers who wait for it to be loaded."""
        self._is_needed = False
        """Whether it must be loaded even if nobody asks: it has broken, and there is work."""
        self._is_closed = False
        self._used_at_s = 0.0
        # A tenant that is put away gives its lease back before it is loaded again.
        self._moving = asyncio.Lock()

    # Presence ------------------------------------------------------------------------------------------------------

    @property
    def is_asleep(self) -> bool:
        """Whether it is neither in memory nor about to be."""
        return self._active is None and self._loading is None

    @property
    def present(self) -> Active | None:
        """The tenant, if it is in memory at this moment."""
        return self._active

    async def active(self, until_s: float | None = None) -> Active:
        """The tenant in memory; loads it if need be and waits for that, until `until_s` on the loop's clock (None: for
        `HOLD_S`). NotFound, or the reason why it could not be loaded, as Unavailable."""
        if self._active is not None:
            return self._active
        if until_s is None:
            until_s = asyncio.get_running_loop().time() + HOLD_S
        self._waiting += 1
        try:
            while self._active is None:
                if self._is_closed:
                    raise Unavailable("the engine is shutting down")
                self._load_in_background()
                try:
                    async with asyncio.timeout_at(until_s):
                        await self._changed.wait()
                except TimeoutError:
                    raise self._problem or Unavailable("the tenant is still being loaded; try again") from None
                if isinstance(self._problem, NotFound):
                    raise self._problem
            return self._active
        finally:
            self._waiting -= 1

    def need(self) -> None:
        """Brings the tenant into memory, however long that takes."""
        self._is_needed = True
        if self._active is None:
            self._load_in_background()

    def lease_lost(self) -> None:
        if self._active is not None:
            self._active.actor.break_off(LeaseLost())

    def is_idle(self, since_s: float) -> bool:
        """Whether it is in memory for nothing: no live work, no deadline, no open stream, no call since then."""
        active = self._active
        return (
            active is not None
            and self._used_at_s < since_s
            and self.streams.are_closed()
            and active.tenant.is_at_rest()
        )

    async def put_away(self) -> None:
        """Commits what was accepted, gives the lease back and forgets the tenant, until it is asked for again."""
        async with self._moving:
            active, self._active = self._active, None
            if active is not None:
                self._is_needed = False
                await active.pump.close()
                await active.actor.stop()
                await self._store.release(self.tenant_id)

    def refuse(self) -> None:
        """From here on nothing is taken, and who waits is told so."""
        self._is_closed = True
        self._tell_change()

    async def close(self) -> None:
        """A planned stop: streams end, what was accepted is committed and told. What was held is refused."""
        self.streams.close()
        self.refuse()
        if self._loading is not None:
            # One under way ends first: it may have just taken its lease, and would start after the stop.
            await asyncio.wait((self._loading,), timeout=STOP_GRACE_S)
        if self._active is not None:
            await self._active.pump.close()
            await self._active.actor.stop()

    # Commands ------------------------------------------------------------------------------------------------------

    async def submit(self, command: Command, client: str, hold_s: float | None = None) -> Reply:
        """The reply, after the commit that contains the command. `hold_s` as of the port."""
        chars = command.chars
        self._backpressure.enter(client, chars)
        try:
            return await self._submit(command, client, chars, HOLD_S if hold_s is None else hold_s)
        finally:
            self._backpressure.leave(client, chars)

    async def submit_own(self, command: Command) -> Reply:
        """The reply to a command of the engine's own, which goes before everybody's and after those told before it."""
        return await self._submit(command, None, command.chars, HOLD_S)

    async def _submit(self, command: Command, client: str | None, chars: int, hold_s: float) -> Reply:
        loop = asyncio.get_running_loop()
        give_up_at_s = loop.time() + hold_s
        is_alone = False
        while True:
            active = self._active or await self.active(give_up_at_s)
            self._used_at_s = loop.time()
            try:
                return await active.actor.submit(command, client=client, chars=chars, is_alone=is_alone)
            except Broken as broken:
                if not (broken.is_undecided or command.is_repeatable) or (broken.is_suspect and is_alone):
                    raise broken.reason from None
                is_alone = is_alone or broken.is_suspect
                if self._is_closed or loop.time() >= give_up_at_s:
                    raise broken.reason from None

    def tell(self, command: Command) -> None:
        """Submits a command of the engine's own that nobody waits for. While the tenant is not in memory, and when it
        breaks, the command is dropped: loading comes to the same end."""
        active = self._active
        if active is not None:
            self._submit_own(active, command, lambda _: None)

    def _submit_own(self, active: Active, command: Command, on_refused: Callable[[Command], None]) -> None:
        try:
            reply = active.actor.submit(command, client=None)
        except (BroadaxeError, Broken):
            return

        def look(reply: asyncio.Future[Reply]) -> None:
            if not reply.cancelled() and isinstance(reply.exception(), BroadaxeError):
                on_refused(command)

        reply.add_done_callback(look)

    # Loading -------------------------------------------------------------------------------------------------------

    def _load_in_background(self) -> None:
        if self._loading is None and not self._is_closed:
            self._problem = None
            self._loading = self._loops.go(f"load {self.tenant_id}", self._load_in_time())

    async def _load_in_time(self) -> None:
        pause_s = LOAD_AGAIN_FIRST_S
        try:
            while not self._is_closed:
                try:
                    async with self._moving, self._loads:
                        await self._load()
                    return
                except NotFound as error:
                    self._problem = error
                    return
                except Unavailable as error:
                    _log.info("a tenant is not active yet", tenant=self.tenant_id, reason=str(error))
                    self._problem = error
                except Exception as error:
                    # Whatever it is, a tenant with work to do must not be given up.
                    _log.exception("a tenant could not be loaded; it is tried again", tenant=self.tenant_id)
                    self._problem = Unavailable(f"the tenant cannot be loaded: {error}")
                if not (self._waiting or self._is_needed):
                    return
                await asyncio.sleep(pause_s)
                pause_s = min(LOAD_AGAIN_MAX_S, 2 * pause_s)
        finally:
            self._loading = None
            self._tell_change()

    async def _load(self) -> None:
        kept = await self._store.open(self.tenant_id)
        loaded = await kept.load_live(self._clock.now_us())
        tenant = self._new_tenant()
        tenant.adopt(loaded, self._clock.now_us())
        if self._is_closed:
            raise Unavailable("the engine is shutting down")
        active = Active(tenant, kept)
        release = Release(
            self.tenant_id,
            kept,
            self.streams,
            observe=self._observe,
            tell=self.tell,
            on_room=lambda: active.pump.read_everything(),
            on_finished=active.remember,
        )
        active.actor = TenantActor(self.tenant_id, tenant, kept, release, self._clock, self._pulse, self._broken)

        async def take(command: TakeOutbox, *, is_alone: bool) -> Reply:
            return await active.actor.submit(command, client=None, is_alone=is_alone)

        active.pump = OutboxPump(self.tenant_id, self._store, self._suspects, take)
        self._active = active
        self._used_at_s = asyncio.get_running_loop().time()
        active.actor.start()
        for command in self.streams.announcements():
            self._submit_own(active, command, self.streams.refused)
        active.pump.read_everything()
        self._loops.go(f"look again for {self.tenant_id}", self._look_again(active))
        self._loops.go(f"forget what {self.tenant_id} does not use", self.forget_unused())
        _log.debug("a tenant is active", tenant=self.tenant_id, epoch=kept.epoch, **tenant.counts())

    async def _look_again(self, active: Active) -> None:
        while self._active is active:
            try:
                await self.streams.look_again()
                return
            except Unavailable as error:
                _log.warning("open streams could not be looked after", tenant=self.tenant_id, error=str(error))
            await asyncio.sleep(LOAD_AGAIN_MAX_S)

    def _broken(self, actor: TenantActor) -> None:
        active = self._active
        if active is not None and active.actor is actor:
            self._active = None
            active.pump.abandon()
            self._suspects.blame(actor.stumbled_over)
            if not self._is_closed:
                self.need()

    def _tell_change(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    def _make_hub(self) -> Hub:
        tenant_id, store = self.tenant_id, self._store

        def is_live(run_id: str) -> bool:
            return self._active is not None and self._active.tenant.is_live(run_id)

        return Hub(
            lambda run_ids: store.results(tenant_id, run_ids),
            lambda key, value, limit: store.unfinished_runs(tenant_id, key, value, limit),
            is_live,
            self._clock.now_us,
            self._loops,
        )

    # Upkeep --------------------------------------------------------------------------------------------------------

    async def forget_unused(self) -> None:
        """Forgets what the tenant has not used for as long as history is kept."""
        active = self._active
        if active is None or self._unused_after_us == 0:
            return
        since_us = self._clock.now_us() - self._unused_after_us
        count: Reply = FORGOTTEN_AT_ONCE_MAX
        try:
            while count == FORGOTTEN_AT_ONCE_MAX:
                count = await active.actor.submit(ForgetRateLimits(since_us), client=None)
                if count:
                    _log.info("rate limits that nobody used for long are gone", tenant=self.tenant_id, count=count)
        except (BroadaxeError, Broken):
            # The tenant is loaded anew, and does it then.
            return

    async def read_quotas(self) -> None:
        """Tells the tenant its limits as they are now. Unavailable when they cannot be read."""
        active = self._active
        if active is not None:
            own = await self._store.quotas(self.tenant_id)
            try:
                await active.actor.submit(SetQuotas(own), client=None)
            except (BroadaxeError, Broken):
                # The tenant is loaded anew, with its limits.
                return
