"""Commands that push events, and what was pushed."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import msgspec

from broadaxe.core.commands.needs import NOTHING, Needs
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
    is_again: bool = False
    """It may have been decided before: events that were promised are looked for, since one that is there is not pushed
    again."""

    is_repeatable: ClassVar = False

    @property
    def chars(self) -> int:
        return sum(event.chars for event in self.events)

    @property
    def needs(self) -> Needs:
        if not self.is_again:
            return NOTHING
        return Needs(pushed=frozenset(event.promise.id for event in self.events if event.promise is not None))

    def promised(self, fresh_id: Callable[[], str]) -> PushEvents:
        """The same with the ids of its events, so that it can be asked for again."""
        events = (
            event if event.promise is not None else msgspec.structs.replace(event, promise=Promise(fresh_id()))
            for event in self.events
        )
        return PushEvents(tuple(events), self.is_again)

    def again(self) -> PushEvents | None:
        """What asks for it a second time; None where that might push events twice."""
        is_known = all(event.promise is not None for event in self.events)
        return PushEvents(self.events, is_again=True) if is_known else None


class PushedEvent(msgspec.Struct, frozen=True):
    event_id: str
    seen_at_us: int
    run_ids: tuple[str, ...]
