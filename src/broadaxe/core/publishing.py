"""Publishing: which number each message gets, which repeat is not stored again, and where readers of a topic begin.

Refuses, before anything is changed, what is too large, named badly, or one topic too many. What is remembered of a
topic is in `topics.py`.
"""

from __future__ import annotations

from typing import Final

import msgspec

from broadaxe.core.commands.topics import MessageRequest, PublishedMessage, PublishMessages, ResetTopic
from broadaxe.core.decision import MessageRow, ProducerRow, TopicRow
from broadaxe.core.loaded import Loaded, Missing
from broadaxe.core.state import State
from broadaxe.core.topics import (
    NAME_CHARS_MAX,
    NO_MESSAGE,
    Position,
    Topic,
    check_name,
    cursor_of,
    id_behind,
    not_kept,
    position_of,
    topic_id,
)
from broadaxe.errors import InvalidArgument, NotFound, ResourceExhausted

__all__ = ["BATCH_MAX", "PAYLOAD_BYTES_MAX", "adopt", "check", "missing", "publish", "put", "reset"]

#: Of one message: with what is around it clients can read it, which take 4 MiB. More goes by reference.
PAYLOAD_BYTES_MAX: Final = 4 * 1024 * 1024 - 4096
#: Messages in one command.
BATCH_MAX: Final = 1_000
#: Topics that a tenant may have.
TOPICS_OF_TENANT_MAX: Final = 100_000

_SEQ_MAX: Final = (1 << 63) - 1


def missing(state: State, named: frozenset[tuple[str, str]], producers: frozenset[tuple[str, str, str]]) -> Missing:
    """What has to be read first."""
    topics = state.topics
    absent = frozenset(id_ for id_ in (topic_id(*names) for names in named) if id_ not in topics.known)
    unknown = frozenset(
        pair
        for pair in ((topic_id(namespace, name), producer) for namespace, name, producer in producers)
        if pair not in topics.producers
    )
    is_counted = topics.count is not None and topics.count < TOPICS_OF_TENANT_MAX
    return Missing(topics=absent, producers=unknown, counts_topics=bool(absent) and not is_counted)


def adopt(state: State, loaded: Loaded) -> None:
    topics = state.topics
    for row in loaded.topics:
        topics.known.setdefault(row.id, Topic(row))
    for producer in loaded.producers:
        topics.producers.setdefault((producer.topic_id, producer.name), producer.seq)
    if loaded.topic_count is not None:
        topics.count = loaded.topic_count


def publish(state: State, command: PublishMessages, now_us: int) -> tuple[PublishedMessage, ...]:
    check(state, command.messages)
    return tuple(put(state, message, now_us) for message in command.messages)


def check(state: State, messages: tuple[MessageRequest, ...]) -> None:
    """Refuses what cannot be published, before any of it is."""
    if not 1 <= len(messages) <= BATCH_MAX:
        raise InvalidArgument(f"between 1 and {BATCH_MAX} messages at a time, not {len(messages)}", field="messages")
    fresh: set[str] = set()
    for message in messages:
        check_name(message.namespace, message.topic)
        if message.payload and message.payload_ref:
            raise InvalidArgument("give either payload or payload_ref, not both", field="payload_ref")
        if len(message.payload) > PAYLOAD_BYTES_MAX:
            raise InvalidArgument(
                f"at most {PAYLOAD_BYTES_MAX} bytes, not {len(message.payload)}; upload what is larger and publish "
                "its reference",
                field="payload",
            )
        if len(message.producer_id) > NAME_CHARS_MAX or "\x00" in message.producer_id:
            raise InvalidArgument(f"at most {NAME_CHARS_MAX} characters, none of them NUL", field="producer_id")
        if not 0 <= message.producer_seq <= _SEQ_MAX:
            raise InvalidArgument("must not be negative, nor greater than a 64-bit number", field="producer_seq")
        if (id_ := topic_id(message.namespace, message.topic)) not in state.topics.known:
            fresh.add(id_)
    if fresh and (state.topics.count or 0) + len(fresh) > TOPICS_OF_TENANT_MAX:
        raise ResourceExhausted(
            f"a tenant has at most {TOPICS_OF_TENANT_MAX} topics; those that nobody publishes to end with the "
            "retention of messages",
            field="topic",
        )


def put(state: State, message: MessageRequest, now_us: int) -> PublishedMessage:
    topics = state.topics
    id_ = topic_id(message.namespace, message.topic)
    topic = topics.known.pop(id_, None)
    if topic is not None:
        topics.known[id_] = topic
    if message.producer_id:
        producer = id_, message.producer_id
        highest = topics.producers.pop(producer, -1)
        topics.producers[producer] = max(highest, message.producer_seq)
        if message.producer_seq <= highest:
            return PublishedMessage(0, "")
        state.ledger.put_producer(ProducerRow(id_, message.producer_id, message.producer_seq))
    if topic is None:
        row = TopicRow(id_, message.namespace, message.topic, 0, NO_MESSAGE, now_us, now_us, 0, NO_MESSAGE)
        topic = topics.known[id_] = Topic(row)
        if topics.count is not None:
            topics.count += 1
    last = topic.row
    position = Position(last.last_number + 1, id_behind(last.last_message_id, state.new_id()))
    # Of a clock that is set back readers see nothing.
    at_us = max(now_us, last.last_published_at_us)
    topic.row = msgspec.structs.replace(
        last, last_number=position.number, last_message_id=position.id, last_published_at_us=at_us
    )
    state.ledger.touch_topic(topic)
    state.ledger.add_message(MessageRow(position.id, id_, position.number, at_us, message.payload, message.payload_ref))
    return PublishedMessage(position.number, cursor_of(id_, position))


def reset(state: State, command: ResetTopic) -> None:
    check_name(command.namespace, command.topic)
    topic = state.topics.known.get(topic_id(command.namespace, command.topic))
    if topic is None:
        raise NotFound(f"nobody has published to the topic {command.topic!r}", field="topic")
    row = topic.row
    start = Position(row.last_number, row.last_message_id)
    if command.cursor is not None:
        start = position_of(row.id, command.cursor)
        if start.number > row.last_number:
            raise not_kept()
    topic.row = msgspec.structs.replace(row, start_number=start.number, start_message_id=start.id)
    state.ledger.touch_topic(topic)
