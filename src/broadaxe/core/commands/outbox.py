"""What applications left in the outbox in transactions of their own."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from broadaxe.core.commands.events import EventRequest
from broadaxe.core.commands.needs import NOTHING
from broadaxe.core.commands.triggers import RunRequest


class TakeOutbox(msgspec.Struct, frozen=True):
    """Does what committed transactions of applications left in the outbox; every request has its promise.

    Each is decided for itself, and its row goes in the commit that does it. Reply: a tuple of `RefusedRequest`, one for
    each request that cannot be done; those are put aside with the reason. `hopeless` are put aside without a try.
    """

    requests: tuple[RunRequest | EventRequest, ...]
    hopeless: tuple[RefusedRequest, ...] = ()

    is_repeatable: ClassVar = False
    needs: ClassVar = NOTHING

    @property
    def chars(self) -> int:
        return sum(request.chars for request in self.requests)


class RefusedRequest(msgspec.Struct, frozen=True, gc=False):
    """A row of the outbox that nothing can be made of, and why."""

    id: str
    reason: str
