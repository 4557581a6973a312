"""A tenant in memory here: its actor, its outbox pump, and what can be asked of it without a decision.

Lives from one load to the next (`activation.py`). Whoever asks need not know whether the tenant is decided here or by
another node: what is asked of this is asked of `remote.Remote` in the same words.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Final

import structlog

from broadaxe.core.commands import Command, Reply
from broadaxe.core.commands.outbox import TakeOutbox
from broadaxe.core.commands.quotas import SetQuotas
from broadaxe.core.commands.ratelimits import ForgetRateLimits
from broadaxe.core.decision import Decision
from broadaxe.core.questions import AnswerT, Question
from broadaxe.core.ratelimits import FORGOTTEN_AT_ONCE_MAX
from broadaxe.core.tenant import Tenant
from broadaxe.engine.actor import Broken, TenantActor
from broadaxe.engine.clock import Clock
from broadaxe.engine.outbox import OutboxPump, Suspects
from broadaxe.engine.pulse import Pulse
from broadaxe.engine.release import Release
from broadaxe.engine.store import Store, TenantStore
from broadaxe.engine.streams import TenantStreams
from broadaxe.errors import BroadaxeError, NotFound

__all__ = ["Active"]

RECENT_TASKS_MAX: Final = 20_000
#: A stream's number is the epoch it was given in, and so many bits that count.
NUMBER_BITS: Final = 24

_log = structlog.get_logger(__name__)


class Active:
    knows_topics: Final = True
    """As of `remote.Remote`."""

    def __init__(
        self,
        tenant_id: str,
        tenant: Tenant,
        kept: TenantStore,
        *,
        store: Store,
        streams: TenantStreams,
        clock: Clock,
        pulse: Pulse,
        suspects: Suspects,
        observe: Callable[[str, Decision], None] | None,
        tell: Callable[[Command], None],
        on_broken: Callable[[TenantActor], None],
    ) -> None:
        self.tenant = tenant
        self._tenant_id = tenant_id
        self.kept = kept
        self._store = store
        self._streams = streams
        self._clock = clock
        self._recent: dict[str, None] = {}
        """Tasks that finished lately: their last log lines tend to arrive after them."""
        self._numbers = 0
        """Of streams."""
        release = Release(
            tenant_id,
            kept,
            streams,
            observe=observe,
            tell=tell,
            on_room=lambda: self.pump.read_everything(),
            on_finished=self._remember,
        )
        self.actor = TenantActor(tenant_id, tenant, kept, release, clock, pulse, on_broken)
        self.pump = OutboxPump(tenant_id, store, suspects, self._take)

    @property
    def epoch(self) -> int:
        return self.kept.epoch

    def submit(
        self, command: Command, *, client: str | None, chars: int = 0, is_alone: bool = False
    ) -> asyncio.Future[Reply]:
        """As of the actor."""
        return self.actor.submit(command, client=client, chars=chars, is_alone=is_alone)

    async def _take(self, command: TakeOutbox, *, is_alone: bool) -> Reply:
        return await self.actor.submit(command, client=None, is_alone=is_alone)

    def _remember(self, task_ids: Iterable[str]) -> None:
        recent = self._recent
        for task_id in task_ids:
            recent[task_id] = None
        while len(recent) > RECENT_TASKS_MAX:
            del recent[next(iter(recent))]

    # What is asked -------------------------------------------------------------------------------------------------

    async def next_number(self) -> int:
        """A number for a stream that is about to be opened: higher than any before, whichever node gave that."""
        self._numbers += 1
        return (self.epoch << NUMBER_BITS) + self._numbers

    async def is_live(self, run_or_task_id: str) -> bool:
        return self.tenant.is_live(run_or_task_id)

    async def ask(self, question: Question[AnswerT]) -> AnswerT:
        return self.tenant.answer(question, self._clock.now_us())

    async def put_chunk(self, task_id: str, text: str, index: int | None) -> None:
        run_id = self.tenant.run_of_task(task_id)
        if run_id is None:
            await self.check_task(task_id)
            return
        metadata = self.tenant.metadata_of_run(run_id)
        self._streams.chunk(run_id, task_id, text, index, self._clock.now_us(), metadata)

    async def check_task(self, task_id: str) -> None:
        is_known = self.tenant.is_live(task_id) or task_id in self._recent
        if not is_known and not await self._store.task_exists(self._tenant_id, task_id):
            raise NotFound(f"there is no task run {task_id}", field="task_run_external_id")

    # Upkeep --------------------------------------------------------------------------------------------------------

    async def forget_unused(self, unused_after_us: int) -> None:
        """Forgets what the tenant has not used for so long."""
        since_us = self._clock.now_us() - unused_after_us
        count: Reply = FORGOTTEN_AT_ONCE_MAX
        try:
            while count == FORGOTTEN_AT_ONCE_MAX:
                count = await self.actor.submit(ForgetRateLimits(since_us), client=None)
                if count:
                    _log.info("rate limits that nobody used for long are gone", tenant=self._tenant_id, count=count)
        except (BroadaxeError, Broken):
            # The tenant is loaded anew, and does it then.
            return

    async def read_quotas(self) -> None:
        """Tells the tenant its limits as they are now. Unavailable when they cannot be read."""
        own = await self._store.quotas(self._tenant_id)
        try:
            await self.actor.submit(SetQuotas(own), client=None)
        except (BroadaxeError, Broken):
            # The tenant is loaded anew, with its limits.
            return
