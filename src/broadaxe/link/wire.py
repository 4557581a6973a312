"""What travels on a link: frames, and in them the frozen records of commands, replies, effects and questions.

A frame is a length (four bytes, big endian) and a MessagePack array: kind, channel, number, name, body. A *channel* is
one tenant on one link, numbered by the visitor. The body is one record, and the name says of which type; the names of
records are those of their classes. Errors travel by their code. Owns the list of what may travel; what is not on it is
refused.
"""

from __future__ import annotations

import typing
from enum import StrEnum
from typing import Any, Final

import msgspec

from broadaxe.core import questions
from broadaxe.core.commands import Command, Reply
from broadaxe.core.commands.asked import Asked, Initiator
from broadaxe.core.commands.durable import EntryRef
from broadaxe.core.commands.outbox import TakeOutbox
from broadaxe.core.decision import CancelAttempt, DurableAnswer, RunFinished, RunStarted, TaskProgressed, TopicGrew
from broadaxe.engine.changes import Changes
from broadaxe.engine.durable_streams import Answer
from broadaxe.engine.sessions import Assignment, BatchAssignment
from broadaxe.engine.subscriptions import RunOutcome
from broadaxe.errors import BroadaxeError, IdempotencyCollision, Internal, InvalidArgument, all_error_types
from broadaxe.metrics import Tally

__all__ = [
    "EPOCH",
    "FRAME_SIZE_BYTES_MAX",
    "METADATA_MINOR",
    "MINOR",
    "TALLIES",
    "TOPICS_MINOR",
    "VERSION",
    "Chunk",
    "Fired",
    "Frame",
    "Kind",
    "Over",
    "Packed",
    "answer_of",
    "pack",
    "pack_answer",
    "unpack",
]

#: Nodes whose links speak another version do not talk to each other.
VERSION: Final = 1
#: What came since, which is only said to nodes that have come so far. 1: PREPARE, and what ATTACH says after it;
#: who asks (`Asked`), and the ids of runs and events that are asked for. 2: topics. 3: the answer to
#: WANT_METADATA.
MINOR: Final = 3
#: Since when there are topics.
TOPICS_MINOR: Final = 2
#: Since when WANT_METADATA is answered.
METADATA_MINOR: Final = 3
#: A little more than the largest message a client may send.
FRAME_SIZE_BYTES_MAX: Final = 64 * 1024 * 1024


class Kind(StrEnum):
    """Who says it: V the visitor, which has streams and callers of the tenant; O its owner."""

    PING = "ping"
    """Both, when there is nothing to say."""
    ATTACH = "attach"
    """V: begins a channel. The name is the tenant. Answered like a call. The body is nothing, or the epoch in which the
    visitor, who had the tenant, has committed nothing since it was prepared for."""
    PREPARE = "prepare"
    """V, on no channel: the tenant of this name will be handed over. Answered whether it was read ahead."""
    TALLIES = "tallies"
    """V, on no channel: what the process has counted, by tenant."""
    DETACH = "detach"
    """V: ends it."""
    SUBMIT = "submit"
    """V: a caller's command; the name is that of the record, `client` stands in the frame."""
    OWN = "own"
    """V: a command of the visitor's engine."""
    NUMBER = "number"
    IS_LIVE = "is_live"
    ASK = "ask"
    CHUNK = "chunk"
    CHECK = "check"
    NOTE = "note"
    """V: rows of this kind were written past the core."""
    FOLLOW_CHANGES = "follow_changes"
    LEAVE_CHANGES = "leave_changes"
    WANT_OUTCOMES = "want_outcomes"
    """V: outcomes of runs; O: the same name for those that are not live."""
    WANT_NO_OUTCOME = "want_no_outcome"
    WANT_RUN = "want_run"
    WANT_NO_RUN = "want_no_run"
    WANT_METADATA = "want_metadata"
    """V: runs with this metadata. O: the same, from here on they are told of."""
    WANT_NO_METADATA = "want_no_metadata"
    WANT_TOPIC = "want_topic"
    """V: messages of a topic. Answered with a TOPIC_GREW of none."""
    WANT_NO_TOPIC = "want_no_topic"
    REPLY = "reply"
    """O: to the frame of this number."""
    ERROR = "error"
    """O: the same."""
    AGAIN = "again"
    """O: nothing was done with the frame of this number, since the tenant is not here any more."""
    SEND = "send"
    REPLACED = "replaced"
    ANSWER = "answer"
    INVOCATION_OVER = "invocation_over"
    FIRE = "fire"
    BEGINS = "begins"
    NEWS = "news"
    OUTCOME = "outcome"
    TOPIC_GREW = "topic_grew"
    CHANGES = "changes"
    SHOWN_OUT = "shown_out"
    """O: ends the channel. The body says whether nobody needs the tenant."""


class Frame(msgspec.Struct, frozen=True, array_like=True, gc=False):
    kind: Kind
    channel: int = 0
    number: int = 0
    name: str = ""
    body: msgspec.Raw = msgspec.Raw(b"\xc0")
    client: str = ""


class Chunk(msgspec.Struct, frozen=True, array_like=True):
    """A piece of a task's stream; from a visitor only `task_id`, `text` and `index` count."""

    task_id: str
    text: str
    index: int | None
    run_id: str = ""
    at_us: int = 0
    metadata: str | None = None


class Over(msgspec.Struct, frozen=True, array_like=True):
    stream: int
    ref: EntryRef


class Fired(msgspec.Struct, frozen=True, array_like=True):
    task_id: str
    key: str
    payload: str


class _Answer(msgspec.Struct, frozen=True, array_like=True):
    """`Answer` with the name of its effect, which is of one of several types."""

    name: str
    effect: msgspec.Raw
    payload: str | None
    is_failure: bool
    error: str | None


class _Asked(msgspec.Struct, frozen=True, array_like=True):
    """`Asked` with the name of its command, which is of one of many types."""

    name: str
    command: msgspec.Raw
    by: Initiator


class _Error(msgspec.Struct, frozen=True, array_like=True):
    code: str
    message: str
    field: str | None
    more: dict[str, Any]


Packed = tuple[str, bytes]

_encoder: Final = msgspec.msgpack.Encoder()
_encode: Final = _encoder.encode


def _members(union: object) -> list[type]:
    return [member for member in typing.get_args(union) if isinstance(member, type)]


def _decoders() -> dict[str, msgspec.msgpack.Decoder[Any]]:
    types: list[Any] = [member for member in _members(Command) if member not in (TakeOutbox, Asked)]
    types += [
        CancelAttempt,
        Assignment,
        BatchAssignment,
        TaskProgressed,
        RunStarted,
        RunFinished,
        RunOutcome,
        Changes,
        TopicGrew,
    ]
    types += [Chunk, Over, Fired, bool, int, str]
    types += _members(DurableAnswer)
    types += [member for member in _members(Reply) if issubclass(member, msgspec.Struct)]
    types += [q for q in vars(questions).values() if isinstance(q, type) and issubclass(q, questions.Question)]
    found = {kind.__name__: msgspec.msgpack.Decoder(kind) for kind in types if kind is not questions.Question}
    for member in typing.get_args(Reply):
        if typing.get_origin(member) is tuple:
            found[_name_of_many(typing.get_args(member)[0])] = msgspec.msgpack.Decoder(member)
    found["strings"] = msgspec.msgpack.Decoder(tuple[str, ...])
    return found


def _name_of_many(kind: type) -> str:
    return f"{kind.__name__}*"


_DECODERS: Final = _decoders()
_ASKED: Final = msgspec.msgpack.Decoder(_Asked)
_ANSWER: Final = msgspec.msgpack.Decoder(_Answer)
TALLIES: Final = msgspec.msgpack.Decoder(dict[str, Tally])
EPOCH: Final = msgspec.msgpack.Decoder(int | None)
_ERROR: Final = msgspec.msgpack.Decoder(_Error)
_ERRORS: Final = {kind.code: kind for kind in all_error_types()}


def pack(record: object) -> Packed:
    """The name and the bytes of what may travel."""
    if isinstance(record, Answer):
        effect = record.effect
        packed = _Answer(
            type(effect).__name__, msgspec.Raw(_encode(effect)), record.payload, record.is_failure, record.error
        )
        return "Answer", _encode(packed)
    if isinstance(record, Asked):
        command, body = pack(record.command)
        return "Asked", _encode(_Asked(command, msgspec.Raw(body), record.by))
    if isinstance(record, BroadaxeError):
        more = {name: value for name, value in vars(record).items() if name not in ("message", "field")}
        return "error", _encode(_Error(record.code, record.message, record.field, more))
    if record is None:
        return "", b"\xc0"
    if isinstance(record, tuple):
        name = _name_of_many(type(record[0])) if record else "str*"
        return name, _encode(record)
    name = type(record).__name__
    if name not in _DECODERS:
        raise Internal(f"{name} does not travel on a link")
    return name, _encode(record)


def unpack(name: str, body: bytes | msgspec.Raw) -> Any:
    """The record. InvalidArgument when it is none."""
    try:
        if name == "":
            return None
        if name == "Answer":
            packed = _ANSWER.decode(body)
            effect = _DECODERS[packed.name].decode(packed.effect)
            return Answer(effect, packed.payload, packed.is_failure, packed.error)
        if name == "Asked":
            asked = _ASKED.decode(body)
            return Asked(unpack(asked.name, asked.command), asked.by)
        if name == "error":
            return _error(_ERROR.decode(body))
        return _DECODERS[name].decode(body)
    except (KeyError, msgspec.MsgspecError) as error:
        raise InvalidArgument(f"a link carried something that is no {name}: {error}") from None


def _error(packed: _Error) -> BroadaxeError:
    kind = _ERRORS.get(packed.code, Internal)
    error = kind.__new__(kind)
    BroadaxeError.__init__(error, packed.message, field=packed.field)
    for name, value in packed.more.items():
        setattr(error, name, _frozen(value))
    if kind is IdempotencyCollision and not packed.more:
        raise InvalidArgument("a link carried a collision without its runs")
    return error


def _frozen(value: Any) -> Any:
    return tuple(_frozen(item) for item in value) if isinstance(value, list) else value


def pack_answer(answer: object) -> Packed:
    """The answer to a question, of whatever type; `answer_of` reads it."""
    return "answer", _encode(answer)


def answer_of(question: questions.Question[Any]) -> msgspec.msgpack.Decoder[Any]:
    """What decodes the answer to a question, which its class names."""
    kind = type(question)
    decoder = _ANSWERS.get(kind)
    if decoder is None:
        (base,) = kind.__orig_bases__  # type: ignore[attr-defined]
        (answer,) = typing.get_args(base)
        if isinstance(answer, typing.ForwardRef):
            answer = vars(questions)[answer.__forward_arg__]
        decoder = _ANSWERS[kind] = msgspec.msgpack.Decoder(answer)
    return decoder


_ANSWERS: Final[dict[type, msgspec.msgpack.Decoder[Any]]] = {}
