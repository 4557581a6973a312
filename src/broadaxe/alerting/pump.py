"""The pump of a node: messages of alerts that are due go to their channels, and what came of it is written down.

Any node gives any tenant's messages. One is taken by moving it on in its table, so whoever breaks off in the middle has
it given again, with its number of attempts one higher: nothing is lost, and what is sent twice says so.

A channel that does not take a message is tried again after `AGAIN_FIRST_S`, twice as long each time up to
`AGAIN_MAX_S`, `ATTEMPTS_MAX` times in all. A tenant is sent `MAILS_PER_HOUR_MAX` mails in an hour of the clock, whose
last one says so; messages beyond are given up, and stand in the console. Bounds: `AT_ONCE_MAX` messages under way,
`AT_ONCE_OF_TENANT_MAX` of them of one tenant, so that receivers that hang keep nobody else waiting.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec
import structlog

from broadaxe.alerting.sending import Sender
from broadaxe.alerting.targets import EmailTarget, Target
from broadaxe.errors import BroadaxeError
from broadaxe.loops import Loops
from broadaxe.storage.alerts import Alerts, ClaimedDelivery

__all__ = ["AlertPump"]

AT_ONCE_MAX: Final = 32
AT_ONCE_OF_TENANT_MAX: Final = 4
ATTEMPTS_MAX: Final = 12
AGAIN_FIRST_S: Final = 5.0
AGAIN_MAX_S: Final = 900.0
#: Of a tenant.
MAILS_PER_HOUR_MAX: Final = 60
#: Longer than any channel takes.
CLAIM_S: Final = 90.0
GIVE_S: Final = 60.0
#: Looked again then even if nobody told of anything: a node that took a message may be gone.
LOOK_AGAIN_S: Final = 60.0

HELD_BACK: Final = f"not mailed: there were {MAILS_PER_HOUR_MAX} mails in this hour already"

_log = structlog.get_logger(__name__)


class _TooManyMails(Exception):
    """In this hour; it is not tried again."""


class AlertPump:
    def __init__(
        self,
        alerts: Alerts,
        sender: Sender,
        on_settled: Callable[[str], None] = lambda _: None,
        again_first_s: float = AGAIN_FIRST_S,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`on_settled` hears of the tenant whenever something came of a message."""
        self._now = now
        self._alerts = alerts
        self._sender = sender
        self._on_settled = on_settled
        self._again_first_s = again_first_s
        self._loops = Loops("alerts")
        self._wake = asyncio.Event()
        self._under_way: Counter[str] = Counter()

    def start(self) -> None:
        self._loops.keep("give messages", self._run)

    def tell(self) -> None:
        """A message may be due."""
        self._wake.set()

    async def stop(self) -> None:
        """What is under way is broken off, and given again by whoever comes next."""
        await self._loops.close()
        await self._sender.close()

    async def _run(self) -> None:
        while True:
            self._wake.clear()
            wait_s = await self._take()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(LOOK_AGAIN_S, wait_s)):
                    await self._wake.wait()

    async def _take(self) -> float:
        """Begins to give what is due, as far as there is room; answers when to look again."""
        while self._under_way.total() < AT_ONCE_MAX:
            full = [tenant_id for tenant_id, count in self._under_way.items() if count >= AT_ONCE_OF_TENANT_MAX]
            taken = await self._alerts.claim(CLAIM_S, full)
            if taken is None:
                next_in_s = await self._alerts.next_in_s(full)
                return LOOK_AGAIN_S if next_in_s is None else max(0.0, next_in_s)
            self._under_way[taken.tenant_id] += 1
            self._loops.go(f"give {taken.id}", self._give(taken))
        return LOOK_AGAIN_S

    async def _give(self, taken: ClaimedDelivery) -> None:
        try:
            try:
                async with asyncio.timeout(GIVE_S):
                    if taken.target is None:
                        await self._alerts.give_up(taken, "the channel is gone")
                        return
                    text = self._alerts.target_of(taken.tenant_id, taken.channel_id, taken.target)
                    target = msgspec.json.decode(text, type=Target)
                    if isinstance(target, EmailTarget):
                        note = await self._mail(taken, target)
                    else:
                        note = await self._sender.send(taken, target)
            except _TooManyMails:
                await self._alerts.give_up(taken, HELD_BACK)
            except TimeoutError:
                await self._failed(taken, f"it took longer than {GIVE_S:.0f} s")
            except BroadaxeError as error:
                await self._failed(taken, error.message)
            else:
                await self._alerts.delivered(taken, note)
        finally:
            self._under_way[taken.tenant_id] -= 1
            if not self._under_way[taken.tenant_id]:
                del self._under_way[taken.tenant_id]
            self._on_settled(taken.tenant_id)
            self._wake.set()

    async def _mail(self, taken: ClaimedDelivery, target: EmailTarget) -> str | None:
        hour = self._now().replace(minute=0, second=0, microsecond=0)
        number = await self._alerts.count_mail(taken.tenant_id, hour)
        is_sent = False
        try:
            if number > MAILS_PER_HOUR_MAX:
                raise _TooManyMails
            until = hour + timedelta(hours=1) if number == MAILS_PER_HOUR_MAX else None
            note = await self._sender.send(taken, target, last_until=until)
            is_sent = True
        finally:
            if not is_sent:
                await self._alerts.uncount_mail(taken.tenant_id, hour)
        return note

    async def _failed(self, taken: ClaimedDelivery, error: str) -> None:
        if taken.attempts >= ATTEMPTS_MAX:
            _log.warning("a message of an alert was given up", tenant=taken.tenant_id, id=taken.id, error=error)
            await self._alerts.give_up(taken, error)
        else:
            again_s = min(AGAIN_MAX_S, self._again_first_s * 2 ** (taken.attempts - 1))
            await self._alerts.try_again(taken, error, again_s)
