"""What applications left in the outbox in transactions of their own."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from broadaxe.core.commands.events import EventRequest
from broadaxe.core.commands.needs import NOTHING, Needs
from broadaxe.core.commands.topics import MessageRequest, topics_of
from broadaxe.core.commands.triggers import RunRequest

OutboxRequest = RunRequest | EventRequest | MessageRequest


class TakeOutbox(msgspec.Struct, frozen=True):
    """Does what committed transactions of applications left in the outbox; every request has its promise.

    Each is decided for itself, and its row goes in the commit that does it. Reply: a tuple of `RefusedRequest`, one for
    each request that cannot be done; those are put aside with the reason. `hopeless` are put aside without a try.
    """

    requests: tuple[OutboxRequest, ...]
    hopeless: tuple[RefusedRequest, ...] = ()

    is_repeatable: ClassVar = False

    @property
    def chars(self) -> int:
        return sum(request.chars for request in self.requests)

    @property
    def needs(self) -> Needs:
        messages = [request for request in self.requests if isinstance(request, MessageRequest)]
        return topics_of(messages) if messages else NOTHING


class RefusedRequest(msgspec.Struct, frozen=True, gc=False):
    """A row of the outbox that nothing can be made of, and why."""

    id: str
    reason: str
