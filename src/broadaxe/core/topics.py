"""Topics: messages in the order they were stored, which outlive whoever published them and are read from a cursor.

A topic comes to be with its first message. Its messages are numbered from 1 without gaps, and their ids grow with the
numbers, so that a reader sees at once when something between two of them is not kept any more. A producer that numbers
its messages may publish one again: at or below its highest number it is answered and not stored.

Memory holds a topic's row and its producers' numbers, never a message. Topics and producers are read when a command
names them, and those that were not named for longest are let go: `TOPICS_MAX` and `PRODUCERS_MAX` stay. Owns what
topics are called, what is remembered of them, and what a cursor is. Refuses deciding (`publishing.py`).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import Final, NamedTuple

from broadaxe.core.decision import TopicRow
from broadaxe.core.packed_ids import id_text, packed_id
from broadaxe.errors import InvalidArgument, OutOfRange

__all__ = [
    "BEGINNING",
    "NAME_CHARS_MAX",
    "NO_MESSAGE",
    "Position",
    "Topic",
    "Topics",
    "check_name",
    "cursor_of",
    "id_behind",
    "not_kept",
    "position_of",
    "topic_id",
]

NAME_CHARS_MAX: Final = 255
#: In memory.
TOPICS_MAX: Final = 10_000
PRODUCERS_MAX: Final = 50_000

#: Smaller than the id of every message.
NO_MESSAGE: Final = "00000000-0000-0000-0000-000000000000"

_CURSOR_VERSION: Final = b"\x01"


class Position(NamedTuple):
    """A message of a topic, or its beginning (number 0)."""

    number: int
    id: str


BEGINNING: Final = Position(0, NO_MESSAGE)


class Topic:
    """A topic as it is remembered."""

    __slots__ = ("is_touched", "row")

    def __init__(self, row: TopicRow) -> None:
        self.row = row
        self.is_touched = False


class Topics:
    """The topics of a tenant that were named lately, by id, and producers by topic and name; the latest come last."""

    __slots__ = ("count", "known", "producers")

    def __init__(self) -> None:
        self.known: dict[str, Topic] = {}
        self.producers: dict[tuple[str, str], int] = {}
        self.count: int | None = None
        """How many the tenant has; None until somebody needs to know. Those that were dropped since are counted too."""

    def trim(self) -> None:
        """Lets go what was not named for longest. Call between two rounds: everything is written by then."""
        while len(self.known) > TOPICS_MAX:
            del self.known[next(iter(self.known))]
        while len(self.producers) > PRODUCERS_MAX:
            del self.producers[next(iter(self.producers))]


# Names and cursors -------------------------------------------------------------------------------------------------


def topic_id(namespace: str, name: str) -> str:
    """The same for the same names, whatever has become of the topic meanwhile."""
    named = hashlib.blake2b(digest_size=16)
    encoded = namespace.encode()
    named.update(len(encoded).to_bytes(4, "big") + encoded + name.encode())
    return id_text(named.digest())


def check_name(namespace: str, name: str) -> None:
    """InvalidArgument unless a topic may be called so."""
    if not name:
        raise InvalidArgument("a message needs the name of its topic", field="topic")
    for field, text in (("namespace", namespace), ("topic", name)):
        if len(text) > NAME_CHARS_MAX:
            raise InvalidArgument(f"at most {NAME_CHARS_MAX} characters, not {len(text)}", field=field)
        if "\x00" in text:
            raise InvalidArgument("must not contain the character NUL", field=field)


def cursor_of(topic: str, position: Position) -> str:
    """Behind this message of the topic with this id."""
    packed = _CURSOR_VERSION + _hint(topic) + position.number.to_bytes(8, "big") + packed_id(position.id)
    return base64.urlsafe_b64encode(packed).decode().rstrip("=")


def position_of(topic: str, cursor: str) -> Position:
    """InvalidArgument for what is no cursor, or that of another topic."""
    try:
        packed = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        packed = b""
    if len(packed) != 33 or packed[:1] != _CURSOR_VERSION:
        raise InvalidArgument("this is no cursor; give one that came with a message, or none", field="cursor")
    if packed[1:9] != _hint(topic):
        raise InvalidArgument("this cursor is of another topic", field="cursor")
    return Position(int.from_bytes(packed[9:17], "big"), id_text(packed[17:33]))


def not_kept() -> OutOfRange:
    return OutOfRange(
        "messages behind this cursor are not kept any more; read without a cursor, from the oldest that is kept",
        field="cursor",
    )


def _hint(topic: str) -> bytes:
    return packed_id(topic)[:8]


def id_behind(last: str, fresh: str) -> str:
    """The id of the message behind `last`: the fresh one, if it is greater."""
    return fresh if fresh > last else id_text((int.from_bytes(packed_id(last), "big") + 1).to_bytes(16, "big"))
