"""What the tenants cannot see by themselves: tokens that end and nodes that are gone, looked for in the database.

Looks once in `LOOK_EVERY_S`, with one statement for all tenants, and tells a tenant's owner (`NoteAlertFacts`) when
that is other than what was told last; so a tenant in which nothing changes is not woken. Every node looks, which does
no harm: what a tenant is told twice is told to people once. Decides nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from broadaxe.core.alert_levels import FACTS_MAX
from broadaxe.core.commands.alerts import AlertFact, NoteAlertFacts
from broadaxe.errors import BroadaxeError
from broadaxe.loops import Loops
from broadaxe.storage.alerts import Alerts

__all__ = ["AlertLookout"]

LOOK_EVERY_S: Final = 60.0

_log = structlog.get_logger(__name__)


class AlertLookout:
    def __init__(self, alerts: Alerts, submit: Callable[[str, NoteAlertFacts], Awaitable[object]]) -> None:
        """`submit` gives a command to the tenant, wherever it is."""
        self._alerts = alerts
        self._submit = submit
        self._loops = Loops("alerts lookout")
        self._told: dict[str, tuple[AlertFact, ...]] = {}
        """By rule; those of which nothing is wrong are not here."""

    def start(self) -> None:
        self._loops.keep("look at tokens and nodes", self._run)

    async def stop(self) -> None:
        await self._loops.close()

    async def _run(self) -> None:
        while True:
            await self.look()
            await asyncio.sleep(LOOK_EVERY_S)

    async def look(self) -> None:
        """Once."""
        told: dict[str, tuple[AlertFact, ...]] = {}
        for tenant_id, rule_id, facts in await self._alerts.facts(FACTS_MAX):
            if self._told.get(rule_id) != facts:
                try:
                    await self._submit(tenant_id, NoteAlertFacts(rule_id, facts))
                except BroadaxeError as error:
                    # It is told next time.
                    _log.warning(
                        "a tenant could not be told what its alert rule watches", tenant=tenant_id, error=error
                    )
                    continue
            told[rule_id] = facts
        self._told = told
