"""Commands about topics: what is published to them, and where their readers begin."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

import msgspec

from broadaxe.core.commands.needs import Needs
from broadaxe.core.commands.triggers import Promise


class MessageRequest(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A message for a topic: its bytes, or a reference to bytes that are stored already."""

    namespace: str = ""
    topic: str
    payload: bytes = b""
    payload_ref: str = ""
    producer_id: str = ""
    """Who numbers its messages, so that one that is sent again is not stored again; empty for nobody."""
    producer_seq: int = 0
    promise: Promise | None = None
    """Where it stands in the outbox, if it comes from there."""

    @property
    def chars(self) -> int:
        return len(self.payload)


def topics_of(messages: Iterable[MessageRequest]) -> Needs:
    """The topics and producers that the messages name."""
    asked = tuple(messages)
    return Needs(
        topics=frozenset((message.namespace, message.topic) for message in asked),
        producers=frozenset(
            (message.namespace, message.topic, message.producer_id) for message in asked if message.producer_id
        ),
    )


class PublishMessages(msgspec.Struct, frozen=True):
    """Stores messages in their order, all or none. Reply: tuple of `PublishedMessage` in request order."""

    messages: tuple[MessageRequest, ...]

    @property
    def is_repeatable(self) -> bool:
        """Those of a producer are known again by their numbers."""
        return all(message.producer_id for message in self.messages)

    @property
    def chars(self) -> int:
        return sum(message.chars for message in self.messages)

    @property
    def needs(self) -> Needs:
        return topics_of(self.messages)


class PublishedMessage(msgspec.Struct, frozen=True, gc=False):
    number: int
    """Its place in the topic; 0 of a message that its producer had published before."""
    cursor: str
    """Reading goes on behind it; empty as the number is 0."""


class ResetTopic(msgspec.Struct, frozen=True):
    """Readers that come without a cursor begin behind this one from now on; without one, behind the latest message.
    Reply: None. NotFound if nobody has published to the topic."""

    namespace: str
    topic: str
    cursor: str | None = None

    is_repeatable: ClassVar = False
    chars: ClassVar = 0

    @property
    def needs(self) -> Needs:
        return Needs(topics=frozenset(((self.namespace, self.topic),)))
