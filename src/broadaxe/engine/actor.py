"""The actor of one tenant: lets the core decide what waits, commits it, and only then lets anything out.

    inbox -> [adopt what is missing] -> decide -> COMMIT -> replies, effects -> next round

A round that writes nothing is confirmed against the lease instead, before anything of it is told.

While one commit is in flight the next round gathers, so under load many commands share one fsync and when idle a
command waits for nobody. Between rounds the actor sleeps until a command comes or the earliest deadline is due.

Invariants: one round at a time; no reply and no effect before the commit that contains it, and none from the memory of
one whose lease is gone. When a commit fails, or the core breaks, memory is thrown away with the actor, and everyone
waiting is told `Broken`, which says what may be done about it. When the process or the database stood still, the core
hears of it before anything is decided: workers spoke meanwhile and nobody listened.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

import structlog

from broadaxe.core.commands import Command, Reply
from broadaxe.core.decision import Decision, Writes
from broadaxe.core.loaded import Loaded, Missing
from broadaxe.core.tenant import Tenant
from broadaxe.engine.clock import Clock
from broadaxe.engine.doubt import Doubt, DoubtfulRound, witness_of
from broadaxe.engine.inbox import Inbox, Waiting
from broadaxe.engine.pulse import STALL_S, Pulse
from broadaxe.errors import BroadaxeError, Internal, LeaseLost, ShuttingDown, Unavailable

#: Longest sleep; a deadline further away is looked at again then.
SLEEP_MAX_S: Final = 3_600.0
#: How long a stop waits for what was accepted to be committed and told.
STOP_GRACE_S: Final = 10.0

_log = structlog.get_logger(__name__)


class Kept(Protocol):
    """Where the tenant is kept, as far as the actor needs it."""

    async def commit(self, writes: Writes) -> None: ...

    async def confirm(self) -> None: ...

    async def load_missing(self, missing: Missing) -> Loaded: ...


class Broken(Exception):
    """The actor broke before the command was answered. Never leaves the engine; `reason` is what its caller is told in
    the end."""

    def __init__(
        self, reason: BroadaxeError, *, is_undecided: bool, is_suspect: bool = False, doubt: Doubt | None = None
    ) -> None:
        super().__init__(str(reason))
        self.reason = reason
        self.is_undecided = is_undecided
        """Surely nothing of it was committed: whatever it is, it can be submitted again."""
        self.is_suspect = is_suspect
        """The tenant may have broken over it, and may again: it must be alone the next time."""
        self.doubt = doubt
        """Nobody heard whether it was committed, but that can be found out."""


class TenantActor:
    def __init__(
        self,
        tenant_id: str,
        tenant: Tenant,
        kept: Kept,
        release: Callable[[Decision], Awaitable[None]],
        clock: Clock,
        pulse: Pulse,
        on_broken: Callable[[TenantActor], None],
    ) -> None:
        self.tenant_id = tenant_id
        self.tenant = tenant
        self._kept = kept
        self._release = release
        self._clock = clock
        self._pulse = pulse
        self._on_broken = on_broken
        self.stumbled_over: tuple[Command, ...] = ()
        """The round it broke over, unless the database was merely away."""
        self.in_doubt: DoubtfulRound | None = None
        """The round it broke over, when nobody heard whether that was committed."""
        self.rounds_count = 0
        self.commits_count = 0
        """Of those that were begun."""
        self._inbox = Inbox()
        self._round: list[Waiting] = []
        self._decision: Decision | None = None
        """Of the round, while it is being committed."""
        self._wake = asyncio.Event()
        self._wake.set()
        self._is_stopping = False
        self._has_ended = False
        self._broken: BroadaxeError | None = None
        self._task: asyncio.Task[None] | None = None
        self._marks = (0, 0)
        self._decided_at_s = 0.0
        """On the loop's clock; with the time slept since then added."""

    def start(self) -> None:
        self._marks = self._stillness()
        self._decided_at_s = asyncio.get_running_loop().time()
        self._task = asyncio.create_task(self._run(), name=f"tenant {self.tenant_id}")

    def submit(
        self, command: Command, *, client: str | None, chars: int = 0, is_alone: bool = False
    ) -> asyncio.Future[Reply]:
        """A future of the reply, resolved after the commit. Raises Broken, or Unavailable at a stop.

        `client` is None for what the engine tells of its own accord, which is taken until a stop has come to its end. A
        suspect is decided in a round of its own (`is_alone`).
        """
        if self._broken is not None:
            raise Broken(self._broken, is_undecided=True)
        if self._is_stopping and (client is not None or self._has_ended):
            raise ShuttingDown()
        reply: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._inbox.put(Waiting(command, reply, chars, is_alone), client)
        self._wake.set()
        return reply

    @property
    def is_quiet(self) -> bool:
        """Whether nothing waits to be decided or is being decided."""
        return not (self._round or self._inbox)

    def is_settled(self, now_us: int) -> bool:
        """Whether nothing is being decided or due, and no task runs but for those that wait for something."""
        due_us = self.tenant.next_due_us()
        return self.is_quiet and (due_us is None or due_us > now_us) and self.tenant.is_settled()

    def skip(self, now_us: int) -> None:
        """Time was moved on to `now_us` on purpose."""
        self.tenant.skip(now_us)
        self._wake.set()

    def wake(self) -> None:
        """It may be later than its sleep knows."""
        self._wake.set()

    def break_off(self, error: BroadaxeError) -> None:
        """The lease is gone: stop deciding at once."""
        self._break(error)
        if self._task is not None:
            self._task.cancel()

    async def stop(self) -> None:
        """Decides, commits and tells what is in the inbox, then ends; at most `STOP_GRACE_S`. A second call waits for
        the first."""
        self._is_stopping = True
        self._wake.set()
        if self._task is not None:
            _, late = await asyncio.wait((self._task,), timeout=STOP_GRACE_S)
            for task in late:
                task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        try:
            while True:
                if not self._inbox:
                    if self._is_stopping:
                        self._has_ended = True
                        return
                    await self._sleep()
                self._round = self._inbox.take()
                await self._decide()
        except asyncio.CancelledError:
            self._break(self._broken or Unavailable("the tenant moved to another node"))
        except BroadaxeError as error:
            if isinstance(error, LeaseLost) or not error.retryable:
                # The store's word that nothing was written.
                self._decision = None
            if error.retryable:
                _log.warning("a round was not committed; loading anew", tenant=self.tenant_id, error=str(error))
                self._break(error)
            else:
                _log.error("the tenant broke; it is loaded anew", tenant=self.tenant_id, error=str(error))
                self._stumble(error)
        except Exception:
            _log.exception("the tenant broke; it is loaded anew", tenant=self.tenant_id)
            # The database refused the round, or it was never sent.
            self._decision = None
            self._stumble(Internal("the engine broke over this; its log has the details"))

    async def _sleep(self) -> None:
        loop = asyncio.get_running_loop()
        began_at_s = loop.time()
        due_us = self.tenant.next_due_us()
        timer: asyncio.TimerHandle | None = None
        if due_us is not None:
            delay_s = min(SLEEP_MAX_S, max(0.0, (due_us - self._clock.now_us()) / 1e6))
            timer = loop.call_later(delay_s, self._wake.set)
        await self._wake.wait()
        self._wake.clear()
        if timer is not None:
            timer.cancel()
        self._decided_at_s += loop.time() - began_at_s

    async def _decide(self) -> None:
        tenant = self.tenant
        await self._adopt_missing()
        now_us = self._clock.now_us()
        self._notice_absence(now_us)
        decision = tenant.decide([waiting.command for waiting in self._round], now_us)
        if decision.writes:
            self._decision = decision
            self.commits_count += 1
            await self._kept.commit(decision.writes)
            self._decision = None
        elif self._round or decision.effects:
            # What there is to tell is of this memory, and another node may have taken the tenant meanwhile: a commit
            # would have told.
            await self._kept.confirm()
        self.rounds_count += 1
        decided, self._round = self._round, []
        for waiting, answer in zip(decided, decision.replies, strict=True):
            if waiting.reply.done():
                continue
            if isinstance(answer, BroadaxeError):
                waiting.reply.set_exception(answer)
            else:
                waiting.reply.set_result(answer)
        if decision.effects or decision.writes:
            await self._release(decision)
        wanted = tenant.wanted()
        if wanted:
            tenant.thaw(await self._kept.load_missing(wanted), self._clock.now_us())
            self._wake.set()

    async def _adopt_missing(self) -> None:
        missing = Missing()
        for waiting in self._round:
            if found := self.tenant.missing(waiting.command):
                missing |= found
        if missing:
            self.tenant.adopt(await self._kept.load_missing(missing), self._clock.now_us())

    def _notice_absence(self, now_us: int) -> None:
        """Nobody listened to workers while the process, or this actor over its database, stood still."""
        at_s = asyncio.get_running_loop().time()
        stood_s, self._decided_at_s = at_s - self._decided_at_s, at_s
        marks = self._stillness()
        if stood_s > STALL_S or marks != self._marks:
            self._marks = marks
            self.tenant.resume(now_us)

    def _stillness(self) -> tuple[int, int]:
        return self._pulse.stalls(), self._clock.jumps

    def _stumble(self, error: BroadaxeError) -> None:
        """Broke over what it was deciding: whatever is in the round is suspect."""
        self.stumbled_over = tuple(waiting.command for waiting in self._round)
        self._break(Unavailable("the engine had to load this tenant anew"), suspected=error)

    def _break(self, error: BroadaxeError, suspected: BroadaxeError | None = None) -> None:
        """Tells everyone who waits; `suspected` is for a suspect that was alone."""
        decision, self._decision = self._decision, None
        if decision is not None:
            commands = [waiting.command for waiting in self._round]
            if (witness := witness_of(decision.writes, decision.replies, commands)) is not None:
                self.in_doubt = DoubtfulRound(witness)
        if self._broken is None:
            self._broken = error
            self._on_broken(self)
        is_undecided, is_suspect = decision is None, suspected is not None
        for position, waiting in enumerate(self._round):
            if waiting.reply.done():
                continue
            reason = suspected if suspected is not None and len(self._round) == 1 else error
            doubt = None
            if decision is not None and self.in_doubt is not None:
                doubt = Doubt(self.in_doubt, decision.replies[position])
            waiting.reply.set_exception(Broken(reason, is_undecided=is_undecided, is_suspect=is_suspect, doubt=doubt))
        self._round = []
        for waiting in self._inbox.drain():
            if not waiting.reply.done():
                waiting.reply.set_exception(Broken(error, is_undecided=True))
