"""A command of which is known who asks for it: it leaves an entry in the audit log (`audit.py`).

What nobody is held to account for (what workers report, what the engine tells itself) comes without.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import TYPE_CHECKING, Final

import msgspec

from broadaxe.core.commands.events import PushEvents
from broadaxe.core.commands.needs import Needs
from broadaxe.core.commands.outbox import TakeOutbox
from broadaxe.core.commands.triggers import TriggerRuns

if TYPE_CHECKING:
    from broadaxe.core.commands import Command


#: How a token is named where only its id is known.
TOKEN_NAME: Final = "an API token"


class InitiatorKind(StrEnum):
    ACCOUNT = "ACCOUNT"
    """A person who is logged in."""
    TOKEN = "TOKEN"
    """A program with an API token."""
    CLI = "CLI"
    """Whoever may run `broadaxe` on the machine, with the database's own credentials."""
    NOBODY = "NOBODY"
    """Somebody who could not prove who they are."""


class Initiator(msgspec.Struct, frozen=True, gc=False):
    """Who asks, and from where."""

    kind: InitiatorKind
    id: str
    """Of the account or the token; empty where there is none."""
    name: str
    """For people to read: an e-mail address, what the token is called, the command line's user."""
    address: str = ""
    """The network address it came from; empty if it came from none."""


class Asked(msgspec.Struct, frozen=True):
    """`command`, asked for by `by`. Reply and errors are the command's."""

    command: Command
    by: Initiator

    @property
    def is_repeatable(self) -> bool:
        return self.command.is_repeatable

    @property
    def chars(self) -> int:
        return self.command.chars

    @property
    def needs(self) -> Needs:
        return self.command.needs


def promised(command: Command, fresh_id: Callable[[], str]) -> Command:
    """The same with ids for what it makes, where it can be asked for again with them."""
    if isinstance(command, Asked):
        inner = promised(command.command, fresh_id)
        return command if inner is command.command else Asked(inner, command.by)
    return command.promised(fresh_id) if isinstance(command, TriggerRuns | PushEvents) else command


def unpromised(command: Command) -> Command | None:
    """The same without such ids, for whoever knows none; None if it has been asked for with them already."""
    if isinstance(command, Asked):
        inner = unpromised(command.command)
        return None if inner is None else Asked(inner, command.by)
    if not isinstance(command, TriggerRuns | PushEvents):
        return command
    if command.is_again:
        return None
    without = msgspec.structs.replace
    if isinstance(command, TriggerRuns):
        return TriggerRuns(tuple(without(request, promise=None) for request in command.requests))
    return PushEvents(tuple(without(event, promise=None) for event in command.events))


def again(command: Command) -> Command | None:
    """What asks for it a second time though it may have been decided, and comes to the same; None if nothing does."""
    if isinstance(command, Asked):
        inner = again(command.command)
        return None if inner is None else Asked(inner, command.by)
    if isinstance(command, TriggerRuns | PushEvents):
        return command.again()
    return command if command.is_repeatable else None


def promised_ids(command: Command) -> Iterator[str]:
    """Of what it makes, where they were there before it: whoever asks again, elsewhere too, asks for the same ids."""
    if isinstance(command, Asked):
        yield from promised_ids(command.command)
    elif isinstance(command, TriggerRuns | TakeOutbox):
        yield from (request.promise.id for request in command.requests if request.promise is not None)
    elif isinstance(command, PushEvents):
        yield from (event.promise.id for event in command.events if event.promise is not None)
