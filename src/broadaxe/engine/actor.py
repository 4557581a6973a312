"""The actor of one tenant: gathers commands, lets the core decide, commits, and only then lets anything out.

    inbox -> [adopt what is missing] -> apply each -> settle -> COMMIT -> replies, effects -> next batch

While one commit is in flight the next batch gathers, so under load many commands share one fsync and when idle a
command waits for nobody. Between batches the actor sleeps until a command comes or the earliest deadline is due.

Invariants: one batch at a time; no reply and no effect before the commit that contains it. When a commit fails, or the
core breaks, memory is thrown away with the actor: everyone waiting is told Unavailable and the engine loads anew. What
it broke over, unless the database was merely away, is kept in `stumbled_over`: the same again may break the next one.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

import structlog

from broadaxe.core.commands import (
    Command,
    Reply,
)
from broadaxe.core.decision import Decision, Writes
from broadaxe.core.tenant import Loaded, Missing, Tenant
from broadaxe.engine.clock import Clock
from broadaxe.errors import BroadaxeError, InvalidArgument, ResourceExhausted, Unavailable
from broadaxe.storage.outage import OUTAGE

#: Commands decided in one batch.
BATCH_MAX: Final = 512
#: Commands that may wait, and characters of the heavy ones among them. Beyond it callers are told to come back later.
INBOX_MAX: Final = 50_000
INBOX_CHARS_MAX: Final = 512 * 1024 * 1024
#: A command with more characters in its payloads is heavy. A batch ends before its heavy ones have more than the second
#: together: what it writes is one statement, and PostgreSQL takes a gigabyte and closes the connection on more.
HEAVY_CHARS: Final = 64 * 1024
BATCH_CHARS_MAX: Final = 64 * 1024 * 1024
#: Longest sleep; a deadline further away is looked at again then.
SLEEP_MAX_S: Final = 3_600.0

_log = structlog.get_logger(__name__)


class Commits(Protocol):
    async def commit(self, writes: Writes) -> None: ...


class Undecided(Exception):
    """The actor broke before it came to the command: whatever the command is, it can be submitted again.

    Never leaves the engine; `reason` is what its caller is told in the end.
    """

    def __init__(self, reason: BroadaxeError) -> None:
        super().__init__(str(reason))
        self.reason = reason


class TenantActor:
    def __init__(
        self,
        tenant_id: str,
        tenant: Tenant,
        journal: Commits,
        load_missing: Callable[[Missing], Awaitable[Loaded]],
        release: Callable[[Decision], Awaitable[None]],
        clock: Clock,
        on_broken: Callable[[TenantActor], None],
    ) -> None:
        self.tenant_id = tenant_id
        self.tenant = tenant
        self._journal = journal
        self._load_missing = load_missing
        self._release = release
        self._clock = clock
        self._on_broken = on_broken
        self.stumbled_over: tuple[Command, ...] = ()
        """The batch it broke over. Nothing of it was committed."""
        self._inbox: deque[tuple[Command, asyncio.Future[Reply]]] = deque()
        self._alone: set[asyncio.Future[Reply]] = set()
        self._heavy: dict[asyncio.Future[Reply], int] = {}
        """Characters in the payloads of heavy commands in the inbox, by their futures."""
        self._heavy_chars = 0
        self._wake = asyncio.Event()
        self._wake.set()
        self._is_stopping = False
        self._broken: BroadaxeError | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name=f"tenant {self.tenant_id}")

    def submit(self, command: Command, *, is_own: bool = False, is_alone: bool = False) -> asyncio.Future[Reply]:
        """A future of the reply, resolved after the commit. Raises Unavailable or ResourceExhausted at once.

        When the actor breaks, the future of a command that was being decided raises the error, since nobody can tell
        whether its commit arrived; that of one that still waited raises Undecided, and so does a call from then on.

        What the engine tells of its own accord (`is_own`) is bounded by its streams and attempts and always taken: a
        closed stream that is not heard of would be sent attempts for ever. A suspect is decided in a batch of its own
        (`is_alone`).
        """
        if self._broken is not None:
            raise Undecided(self._broken)
        if self._is_stopping:
            raise Unavailable("the engine is shutting down")
        chars = command.chars
        if not is_own and (
            len(self._inbox) >= INBOX_MAX or (chars > HEAVY_CHARS and self._heavy_chars + chars > INBOX_CHARS_MAX)
        ):
            raise ResourceExhausted("too many requests are waiting; slow down")
        future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._inbox.append((command, future))
        if is_alone:
            self._alone.add(future)
        if chars > HEAVY_CHARS:
            self._heavy[future] = chars
            self._heavy_chars += chars
        self._wake.set()
        return future

    def break_off(self, error: BroadaxeError) -> None:
        """The lease is gone: stop deciding at once."""
        self._break(error)
        if self._task is not None:
            self._task.cancel()

    async def stop(self) -> None:
        """Decides and commits what is in the inbox, then ends. A second call waits for the first."""
        self._is_stopping = True
        self._wake.set()
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        batch: list[tuple[Command, asyncio.Future[Reply]]] = []
        try:
            while True:
                if not self._inbox:
                    if self._is_stopping:
                        return
                    await self._sleep()
                batch = [self._inbox.popleft() for _ in range(self._batch_size())]
                await self._decide(batch)
        except asyncio.CancelledError:
            self._break(self._broken or Unavailable("the tenant moved to another node"), batch)
        except BroadaxeError as error:
            _log.warning(
                "a batch was not committed; the tenant is loaded anew", tenant=self.tenant_id, error=str(error)
            )
            if not error.retryable:
                self._stumble(batch)
            # Who was alone in the batch is to blame, and told so; of several nobody knows.
            is_told = isinstance(error, InvalidArgument) and len(batch) == 1
            self._break(error if error.retryable else Unavailable(str(error)), batch, told=error if is_told else None)
        except Exception as error:
            _log.exception("the tenant broke; it is loaded anew", tenant=self.tenant_id)
            if not isinstance(error, OUTAGE):
                self._stumble(batch)
            self._break(Unavailable("the engine had to start this tenant anew"), batch)

    def _stumble(self, batch: list[tuple[Command, asyncio.Future[Reply]]]) -> None:
        self.stumbled_over = tuple(command for command, _ in batch)

    def _batch_size(self) -> int:
        size = min(BATCH_MAX, len(self._inbox))
        if not self._alone and not self._heavy:
            return size
        chars = 0
        for position in range(size):
            future = self._inbox[position][1]
            heavy = self._heavy.get(future, 0)
            # What came before it goes first.
            if position and (future in self._alone or (heavy and chars + heavy > BATCH_CHARS_MAX)):
                return position
            chars += heavy
            self._heavy_chars -= self._heavy.pop(future, 0)
            if future in self._alone:
                self._alone.remove(future)
                return 1
        return size

    async def _sleep(self) -> None:
        due_us = self.tenant.next_due_us()
        timer: asyncio.TimerHandle | None = None
        if due_us is not None:
            delay_s = min(SLEEP_MAX_S, max(0.0, (due_us - self._clock.now_us()) / 1e6))
            timer = asyncio.get_running_loop().call_later(delay_s, self._wake.set)
        await self._wake.wait()
        self._wake.clear()
        if timer is not None:
            timer.cancel()

    async def _decide(self, batch: list[tuple[Command, asyncio.Future[Reply]]]) -> None:
        tenant = self.tenant
        await self._adopt_missing([command for command, _ in batch])
        now_us = self._clock.now_us()
        answers: list[tuple[asyncio.Future[Reply], Reply | BroadaxeError]] = []
        for command, future in batch:
            try:
                answers.append((future, tenant.apply(command, now_us)))
            except BroadaxeError as error:
                answers.append((future, error))
        decision = tenant.settle(now_us)
        if decision.writes:
            await self._journal.commit(decision.writes)
        for future, answer in answers:
            if future.done():
                continue
            if isinstance(answer, BroadaxeError):
                future.set_exception(answer)
            else:
                future.set_result(answer)
        batch.clear()
        if decision.effects or decision.writes:
            await self._release(decision)
        wanted = tenant.wanted()
        if wanted:
            tenant.thaw(await self._load_missing(wanted), self._clock.now_us())
            self._wake.set()

    async def _adopt_missing(self, commands: list[Command]) -> None:
        missing = Missing()
        for command in commands:
            if found := self.tenant.missing(command):
                missing |= found
        if missing:
            self.tenant.adopt(await self._load_missing(missing), self._clock.now_us())

    def _break(
        self,
        error: BroadaxeError,
        batch: list[tuple[Command, asyncio.Future[Reply]]] | None = None,
        told: BroadaxeError | None = None,
    ) -> None:
        """`told` is for those of the batch; without it they are told the `error` as everybody else."""
        if self._broken is None:
            self._broken = error
            self._on_broken(self)
        for _, future in batch or ():
            if not future.done():
                future.set_exception(told or error)
        for _, future in self._inbox:
            if not future.done():
                future.set_exception(Undecided(error))
        self._inbox.clear()
