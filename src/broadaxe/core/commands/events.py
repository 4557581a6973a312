"""Commands that push events, and what was pushed."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from broadaxe.core.commands.needs import NOTHING
from broadaxe.core.commands.triggers import Promise


class EventRequest(msgspec.Struct, frozen=True, kw_only=True):
    key: str
    payload: str
    additional_metadata: str | None = None
    priority: int | None = None
    scope: str | None = None
    triggering_webhook_name: str | None = None
    """The webhook it came in by."""
    promise: Promise | None = None

    @property
    def chars(self) -> int:
        return len(self.payload) + len(self.additional_metadata or "")


class PushEvents(msgspec.Struct, frozen=True):
    """Stores events and starts the runs they trigger. Reply: tuple of `PushedEvent` in request order."""

    events: tuple[EventRequest, ...]

    is_repeatable: ClassVar = False
    needs: ClassVar = NOTHING

    @property
    def chars(self) -> int:
        return sum(event.chars for event in self.events)


class PushedEvent(msgspec.Struct, frozen=True):
    event_id: str
    seen_at_us: int
    run_ids: tuple[str, ...]
