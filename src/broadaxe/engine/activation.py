"""One tenant on this node: brought into memory when somebody asks, kept there, loaded again when it breaks, put away
when nobody needs it.

    asleep --asked--> loading: lease, rows, actor --> active --breaks--> loading --...--> active --idle--> asleep
                      ^  ^     |
                      |  '-----+--pause: the database is away
                      |        '--another node holds it, or should--> remote: a link to that node
                      '--------------link breaks, owner moves--------'
    active --belongs elsewhere--> commits what it took, gives the lease back for the other node --> loading --> remote

Owns the actor, the outbox pump and what is told of the engine's own accord; the streams it only announces. Whoever
asks while the tenant is not in memory waits for it, at most `HOLD_S`: a client that is told Unavailable closes its
connection and forgets the reports under way on it, so an answer that comes late is the better one.

Invariants: at most one actor; nothing is submitted to a new one before the streams that were left open are announced.
A command of which nobody heard whether it was committed is answered what was decided if it was, and submitted again if
not; where that cannot be found out, only if deciding it twice comes to the same as once. One that the tenant broke over
is tried alone once, and refused if it breaks it again.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable
from typing import Final

import structlog

from broadaxe.core.commands import Command, Reply
from broadaxe.core.commands.asked import again, promised, unpromised
from broadaxe.core.decision import Decision
from broadaxe.core.questions import AnswerT, Question
from broadaxe.core.tenant import Tenant
from broadaxe.engine.active import Active
from broadaxe.engine.actor import STOP_GRACE_S, Broken, TenantActor
from broadaxe.engine.ahead import ReadAhead
from broadaxe.engine.backpressure import Backpressure
from broadaxe.engine.changes import Kind
from broadaxe.engine.clock import Clock
from broadaxe.engine.doubt import Answer, Doubts
from broadaxe.engine.guests import Guest
from broadaxe.engine.nodes import Place
from broadaxe.engine.outbox import Suspects
from broadaxe.engine.pulse import Pulse
from broadaxe.engine.remote import Connect, Remote
from broadaxe.engine.store import Store, TenantStore
from broadaxe.engine.streams import TenantStreams
from broadaxe.engine.subscriptions import Hub
from broadaxe.engine.turns import Turns
from broadaxe.errors import BroadaxeError, HeldElsewhere, LeaseLost, NotFound, ShuttingDown, Unavailable
from broadaxe.loops import Loops

__all__ = ["Activation"]

#: How long a call waits for its tenant.
HOLD_S: Final = 20.0
#: How long a node that is to get the tenant may take to read it ahead.
PREPARE_S: Final = 10.0
#: Pauses between loads that fail: the first, doubled each time up to the second.
LOAD_AGAIN_FIRST_S: Final = 0.02
LOAD_AGAIN_MAX_S: Final = 1.0

_log = structlog.get_logger(__name__)


def _answered(answer: Answer) -> Reply:
    if isinstance(answer, BroadaxeError):
        raise answer
    return answer


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
        loads: Turns,
        observe: Callable[[str, Decision], None] | None,
        unused_after_us: int,
        fresh_id: Callable[[], str],
        connect: Connect | None = None,
    ) -> None:
        """`connect` opens the way to a tenant that another node holds; without it such a tenant is waited for. `loads`
        bounds how many tenants are loaded at once. What nobody used for `unused_after_us` is forgotten; 0 keeps
        it."""
        self.tenant_id = tenant_id
        self._store = store
        self._new_tenant = new_tenant
        self._clock = clock
        self._pulse = pulse
        self._loops = loops
        self._loads = loads
        self._observe = observe
        self._unused_after_us = unused_after_us
        self._fresh_id = fresh_id
        self._connect = connect
        self.streams = TenantStreams(tenant_id, store, self._make_hub(), self.tell)
        self._backpressure = Backpressure()
        self._suspects = Suspects()
        self._active: Active | None = None
        self._remote: Remote | None = None
        """The way to the node that holds it, while another one does. At most one of the two is set."""
        self._loading: asyncio.Task[None] | None = None
        self._problem: BroadaxeError | None = None
        """Why the last load failed."""
        self._changed = asyncio.Event()
        self._doubts = Doubts(lambda witness: store.is_there(tenant_id, witness))
        self._waiting = 0
        """Callers who wait for it to be loaded."""
        self._is_needed = False
        """Whether it must be loaded even if nobody asks: it has broken, and there is work."""
        self._is_closed = False
        self._is_visiting = False
        """Whether the load under way asks another node for the tenant."""
        self._is_wanted_here = False
        """Another node has asked for it here: the next load takes it, wherever it belongs."""
        self._ahead = ReadAhead(tenant_id, store, clock, loads)
        self._used_at_s = 0.0
        # A tenant that is put away gives its lease back before it is loaded again.
        self._moving = asyncio.Lock()

    # Presence ------------------------------------------------------------------------------------------------------

    @property
    def is_asleep(self) -> bool:
        """Whether it is neither in memory, here or by way of a link, nor about to be."""
        return self._active is None and self._remote is None and self._loading is None

    @property
    def is_loading(self) -> bool:
        """Whether it is about to be in memory."""
        return self._loading is not None or (self._is_needed and self._active is None and self._remote is None)

    @property
    def present(self) -> Active | None:
        """The tenant, if it is in memory at this moment."""
        return self._active

    async def active(self) -> Active:
        """The tenant in memory here. HeldElsewhere when it is another node's, and as `home`."""
        home = await self.home(is_of_guest=True)
        if not isinstance(home, Active):
            raise HeldElsewhere()
        return home

    async def home(self, until_s: float | None = None, *, is_of_guest: bool = False) -> Active | Remote:
        """The tenant in memory, or the way to it; loads it if need be and waits for that, until `until_s` on the loop's
        clock (None: for `HOLD_S`). NotFound, or the reason why it could not be loaded, as Unavailable.

        `is_of_guest`: another node asks, and hears HeldElsewhere as soon as a third one is asked, or itself: nodes that
        wait for each other's answers would wait for nothing.
        """
        if (home := self._active or self._remote) is not None:
            return home
        if until_s is None:
            until_s = asyncio.get_running_loop().time() + HOLD_S
        self._waiting += 1
        try:
            while (home := self._active or self._remote) is None:
                if self._is_closed:
                    raise ShuttingDown()
                if is_of_guest and self._is_visiting:
                    raise HeldElsewhere()
                self._load_in_background()
                self._loads.hurry(self.tenant_id)
                try:
                    async with asyncio.timeout_at(until_s):
                        await self._changed.wait()
                except TimeoutError:
                    raise self._problem or Unavailable("the tenant is still being loaded; try again") from None
                if isinstance(self._problem, NotFound):
                    raise self._problem
            return home
        finally:
            self._waiting -= 1

    def need(self) -> None:
        """Brings the tenant into memory, however long that takes."""
        self._is_needed = True
        if self._active is None and self._remote is None:
            self._load_in_background()

    def lease_lost(self) -> None:
        if self._active is not None:
            self._active.actor.break_off(LeaseLost())

    def is_idle(self, since_s: float) -> bool:
        """Whether it is in memory for nothing: no live work, no deadline, no open stream, no call since then. Of one
        that another node has, the work is that node's business."""
        active = self._active
        if active is None and (self._remote is None or self.streams.changes.is_followed()):
            return False
        is_used = self._used_at_s >= since_s or not self.streams.are_closed()
        return not is_used and (active is None or active.tenant.is_at_rest())

    def is_quiet(self) -> bool:
        """Whether nothing is being decided at this moment."""
        return self._active is None or self._active.actor.is_quiet

    async def put_away(self) -> None:
        """Commits what was accepted, gives the lease back and forgets the tenant, until it is asked for again."""
        async with self._moving:
            active, self._active = self._active, None
            if active is not None:
                self._is_needed = False
                await active.pump.close()
                await active.actor.stop()
                await self._store.release(self.tenant_id)
                self.streams.guests.show_out(is_at_rest=True)
            if self._remote is not None:
                self._remote.close()
                self._remote_lost(True)

    async def hand_over(self, successor: Place) -> None:
        """Commits what was accepted, gives the lease back for that node, and goes on with the tenant by way of it. Who
        asks meanwhile waits. Unavailable when nobody has it in time; then it is still brought to somebody, or here.

        The other node has read the tenant before this one lets it go. So nothing of that has to be done for the first
        time while callers wait, and nothing at all of it if nothing was committed since.
        """
        seen = self._active
        # While a commit is under way nobody can say what a reader sees of it.
        commits_seen = seen.actor.commits_count if seen is not None and seen.actor.is_quiet else None
        is_ahead = await self._have_prepared(successor)
        async with self._moving:
            active, self._active = self._active, None
            if active is None or self._connect is None:
                return
            self._is_wanted_here = False
            await active.pump.close()
            await active.actor.stop()
            # The last commit may have been lost sight of.
            self._doubts.add(active.actor.in_doubt)
            try:
                await self._store.release(self.tenant_id, successor.node_id)
                self.streams.guests.show_out()
                is_unchanged = is_ahead and active is seen and active.actor.commits_count == commits_seen
                unchanged_epoch = active.epoch if is_unchanged else None
                await self._visit(self._connect, successor.link_address, unchanged_epoch)
                self._tell_change()
                await self._doubts.settle(is_owner=False)
            except Unavailable as error:
                # Whoever holds it or should is found by the load that follows.
                _log.info("a tenant is not where it was handed", tenant=self.tenant_id, reason=str(error))
                self.streams.guests.show_out()
        self._is_needed = True
        await self.home()

    async def _have_prepared(self, successor: Place) -> bool:
        if self._connect is None:
            return False
        try:
            async with asyncio.timeout(PREPARE_S):
                return await self._connect.prepare(successor.link_address, self.tenant_id)
        except (Unavailable, TimeoutError) as error:
            _log.info("a tenant moves to a node that is not prepared", tenant=self.tenant_id, reason=str(error))
            return False

    async def prepare(self) -> bool:
        """Reads the tenant ahead, which another node is about to hand over: whether it has been. Unavailable."""
        return await self._ahead.read()

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
            with contextlib.suppress(Unavailable):
                # At once, so that another node can take it before all tenants have stopped.
                await self._store.release(self.tenant_id)
            self.streams.guests.show_out()
        if self._remote is not None:
            self._remote.close()

    # Commands ------------------------------------------------------------------------------------------------------

    async def submit(
        self, command: Command, client: str, hold_s: float | None = None, *, guest: Guest | None = None
    ) -> Reply:
        """The reply, after the commit that contains the command. `hold_s` as of the port, `guest` as of `_submit`."""
        chars = command.chars
        self._backpressure.enter(client, chars)
        try:
            hold_s = HOLD_S if hold_s is None else hold_s
            return await self._submit(command, client, chars, hold_s, guest)
        finally:
            self._backpressure.leave(client, chars)

    async def submit_own(self, command: Command) -> Reply:
        """The reply to a command of the engine's own, which goes before everybody's and after those told before it."""
        return await self._submit(command, None, command.chars, HOLD_S)

    async def _submit(
        self, command: Command, client: str | None, chars: int, hold_s: float, guest: Guest | None = None
    ) -> Reply:
        """`guest`: it came from that node, and is decided by the memory that welcomed it or not at all (HeldElsewhere):
        what is open there is told to the next one first, and then it is asked for again."""
        loop = asyncio.get_running_loop()
        give_up_at_s = loop.time() + hold_s
        is_alone = False
        while True:
            home = self._active or self._remote or await self.home(give_up_at_s)
            self._used_at_s = loop.time()
            # A suspect that is to be alone does not wait for its node.
            if guest is not None and not (is_alone or self.streams.guests.has(guest)):
                raise HeldElsewhere()
            if not isinstance(home, Active):
                # A link may break over it, and then it is asked for again.
                command = self._promised(command, home)
            try:
                return await home.submit(command, client=client, chars=chars, is_alone=is_alone)
            except Broken as broken:
                # Also what was not decided here: whoever asked here may have asked elsewhere meanwhile.
                repeated = again(command) or (command if broken.is_undecided else None)
                is_repeatable = repeated is not None
                command = repeated or command
                if not is_repeatable and broken.doubt is not None:
                    was_made = await self._doubts.was_made(broken.doubt.round)
                    if was_made:
                        return _answered(broken.doubt.answer)
                    is_repeatable = was_made is False
                if not is_repeatable or (broken.is_suspect and is_alone):
                    raise broken.reason from None
                is_alone = is_alone or broken.is_suspect
                if self._is_closed or loop.time() >= give_up_at_s:
                    raise broken.reason from None

    def _promised(self, command: Command, remote: Remote) -> Command:
        if remote.knows_promises:
            return promised(command, self._fresh_id)
        known = unpromised(command)
        if known is None:
            raise Unavailable("the owner of the tenant is of an older version and cannot be asked again; try again")
        return known

    def tell(self, command: Command) -> None:
        """Submits a command of the engine's own that nobody waits for. While the tenant is not in memory, and when it
        breaks, the command is dropped: loading comes to the same end."""
        if (home := self._active or self._remote) is not None:
            self._submit_own(home, command, lambda _: None)

    def _submit_own(self, home: Active | Remote, command: Command, on_refused: Callable[[Command], None]) -> None:
        try:
            reply = home.submit(command, client=None)
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
                    async with self._moving:
                        # Who asked during a hand-over has started this, and the way to the new owner is there by now.
                        if self._active is None and self._remote is None:
                            await self._load()
                    self._is_wanted_here = False
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
        here = self._connect is None or self._is_wanted_here
        try:
            await self._take(here=here)
        except HeldElsewhere as held:
            if self._connect is None or held.link_address is None:
                raise
            if not held.is_free:
                await self._doubts.settle(is_owner=False)
            try:
                await self._visit(self._connect, held.link_address)
            except HeldElsewhere:
                # It says that it has it not: somebody will, in a moment.
                raise
            except Unavailable as error:
                if here or not held.is_free:
                    raise
                _log.info("a tenant is taken here, since its node cannot be reached", tenant=self.tenant_id)
                with contextlib.suppress(HeldElsewhere):
                    await self._take(here=True)
                    return
                raise error from None
            # Only now it is sure that an epoch later than ours was taken.
            await self._doubts.settle(is_owner=False)

    async def _take(self, *, here: bool) -> None:
        async with self._loads.turn(self.tenant_id, is_hurried=self._waiting > 0):
            await self._bring(await self._store.open(self.tenant_id, here=here))

    async def _bring(self, kept: TenantStore) -> None:
        await self._doubts.settle(is_owner=True)
        loaded = self._ahead.take(kept.epoch) or await kept.load_live(self._clock.now_us())
        tenant = self._new_tenant()
        tenant.adopt(loaded, self._clock.now_us())
        if self._is_closed:
            raise ShuttingDown()
        active = Active(
            self.tenant_id,
            tenant,
            kept,
            store=self._store,
            streams=self.streams,
            clock=self._clock,
            pulse=self._pulse,
            suspects=self._suspects,
            observe=self._observe,
            tell=self.tell,
            on_broken=self._broken,
        )
        self._active = active
        self._used_at_s = asyncio.get_running_loop().time()
        active.actor.start()
        for command in self.streams.announcements():
            self._submit_own(active, command, self.streams.refused)
        active.pump.read_everything()
        self._loops.go(f"look again for {self.tenant_id}", self._look_again(active))
        self._loops.go(f"forget what {self.tenant_id} does not use", self.forget_unused())
        _log.debug("a tenant is active", tenant=self.tenant_id, epoch=kept.epoch, **tenant.counts())

    async def _visit(self, connect: Connect, link_address: str, unchanged_epoch: int | None = None) -> None:
        """Another node holds it: its streams are announced there, and it is told what is followed here."""
        self._is_visiting = True
        # Guests that wait here are told to look elsewhere.
        self._tell_change()
        try:
            remote = await connect(link_address, self.tenant_id, self.streams, self._remote_lost, unchanged_epoch)
        finally:
            self._is_visiting = False
        if remote.is_lost:
            # It was there and has moved on before we came to it.
            raise Unavailable("the tenant moves to another node")
        if self._is_closed:
            remote.close()
            raise ShuttingDown()
        self._remote = remote
        self._used_at_s = asyncio.get_running_loop().time()
        for command in self.streams.announcements():
            self._submit_own(remote, command, self.streams.refused)
        self.streams.hub.tell_elsewhere(remote)
        if remote.knows_topics:
            self.streams.topics.tell_elsewhere(remote)
        else:
            self.streams.topics.close()
        self.streams.changes.on_followed = remote.follow_changes
        if self.streams.changes.is_followed():
            remote.follow_changes(True)
        self._loops.go(f"look again for {self.tenant_id}", self._look_again(remote))
        _log.debug("a tenant is another node's", tenant=self.tenant_id, link=link_address)

    def _remote_lost(self, is_at_rest: bool) -> None:
        """The link has broken, or the tenant has moved."""
        self._remote = None
        self.streams.hub.elsewhere = self.streams.topics.elsewhere = None
        self.streams.changes.on_followed = lambda _: None
        if is_at_rest:
            self._is_needed = False
        if not self._is_closed and (not is_at_rest or self._waiting or not self.streams.are_closed()):
            self.need()

    async def _look_again(self, home: Active | Remote) -> None:
        while home is (self._active or self._remote):
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
            self._doubts.add(actor.in_doubt)
            self.streams.guests.show_out()
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
            lambda key, value, since_us, limit: store.runs_with_metadata(tenant_id, key, value, since_us, limit),
            is_live,
            lambda: self._active is not None or self._remote is not None,
            self._clock.now_us,
            self._loops,
        )

    # What is asked -------------------------------------------------------------------------------------------------

    async def next_number(self) -> int:
        """A number for a stream that is about to be opened: higher than any before, whichever node gave that."""
        return await (await self.home()).next_number()

    async def is_live(self, run_or_task_id: str) -> bool:
        return await (await self.home()).is_live(run_or_task_id)

    async def ask(self, question: Question[AnswerT]) -> AnswerT:
        return await (await self.home()).ask(question)

    async def put_chunk(self, task_id: str, text: str, index: int | None) -> None:
        await (await self.home()).put_chunk(task_id, text, index)

    async def check_task(self, task_id: str) -> None:
        await (await self.home()).check_task(task_id)

    def note_change(self, kind: Kind, ids: Iterable[str] | None) -> None:
        if self._remote is not None:
            self._remote.note_change(kind, ids)
        else:
            self.streams.changes.note(kind, ids)

    # Guests --------------------------------------------------------------------------------------------------------

    async def welcome(self, guest: Guest, unchanged_epoch: int | None = None) -> None:
        """Another node has streams of the tenant. HeldElsewhere when it is not here. `unchanged_epoch` as of
        `remote.Connect`."""
        if unchanged_epoch is not None:
            self._ahead.unchanged_in(unchanged_epoch)
        if self._active is None and self._remote is None and not guest.is_edge:
            self._is_wanted_here = True
        await self.active()
        self.streams.guests.welcome(guest)

    async def submit_of_guest(self, guest: Guest, command: Command) -> Reply:
        """A command that the guest's engine tells of its own accord. HeldElsewhere when the tenant is not here."""
        await self.active()
        for before in self.streams.heard_of_guest(guest, command):
            self.tell(before)
        return await self._submit(command, None, command.chars, HOLD_S, guest)

    def not_live(self, run_ids: Iterable[str]) -> list[str]:
        """Those of the runs that are not live here, so that nobody will be told of their end: it has been, or they are
        not known yet."""
        active = self._active
        return [run_id for run_id in run_ids if active is None or not active.tenant.is_live(run_id)]

    def part_with(self, guest: Guest) -> None:
        """The way to it is gone."""
        for command in self.streams.guests.leave(guest):
            self.tell(command)

    # Upkeep --------------------------------------------------------------------------------------------------------

    async def forget_unused(self) -> None:
        """Forgets what the tenant has not used for as long as history is kept."""
        if self._active is not None and self._unused_after_us:
            await self._active.forget_unused(self._unused_after_us)

    async def read_quotas(self) -> None:
        """Tells the tenant its limits as they are now. Unavailable when they cannot be read."""
        if self._active is not None:
            await self._active.read_quotas()
