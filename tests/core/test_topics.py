"""Topics: numbers without gaps, repeats that are not stored again, what is refused, and where readers begin."""

from __future__ import annotations

from itertools import pairwise

import pytest

from broadaxe.core import publishing, topics
from broadaxe.core.commands import Reply
from broadaxe.core.commands.topics import MessageRequest, PublishedMessage, PublishMessages, ResetTopic
from broadaxe.core.decision import Decision, MessageRow, ProducerRow, TopicGrew, TopicRow
from broadaxe.core.loaded import Loaded
from broadaxe.core.tenant import Tenant
from broadaxe.core.topics import Position, cursor_of, id_behind, position_of, topic_id
from broadaxe.errors import BroadaxeError, InvalidArgument, NotFound, OutOfRange, ResourceExhausted
from broadaxe.storage.ids import new_id

NOW_US = 1_767_268_800_000_000


class Tables:
    """A tenant whose topics are read back as storage does."""

    def __init__(self) -> None:
        self.topics: dict[str, TopicRow] = {}
        self.producers: dict[tuple[str, str], ProducerRow] = {}
        self.messages: list[MessageRow] = []
        self.topic_count: int | None = None
        self.loads = 0
        self.tenant = Tenant(new_id)

    def decide(self, *commands: PublishMessages | ResetTopic, now_us: int = NOW_US) -> Decision:
        for command in commands:
            if missing := self.tenant.missing(command):
                self.loads += 1
                loaded = Loaded(
                    topics=tuple(self.topics[id_] for id_ in missing.topics if id_ in self.topics),
                    producers=tuple(self.producers[pair] for pair in missing.producers if pair in self.producers),
                    topic_count=(self.topic_count or len(self.topics)) if missing.counts_topics else None,
                )
                self.tenant.adopt(loaded, now_us)
        decision = self.tenant.decide(commands, now_us)
        self.topics.update((row.id, row) for row in decision.writes.topics)
        self.producers.update(((row.topic_id, row.name), row) for row in decision.writes.producers)
        self.messages += decision.writes.messages
        return decision

    def do(self, command: PublishMessages | ResetTopic) -> Reply:
        (reply,) = self.decide(command).replies
        if isinstance(reply, BroadaxeError):
            raise reply
        return reply

    def publish(self, *messages: MessageRequest) -> list[int]:
        reply = self.do(PublishMessages(messages))
        assert isinstance(reply, tuple)
        return [message.number for message in reply if isinstance(message, PublishedMessage)]

    def restart(self) -> None:
        self.tenant = Tenant(new_id)


def say(payload: str, topic: str = "news", namespace: str = "", producer: str = "", seq: int = 0) -> MessageRequest:
    return MessageRequest(
        namespace=namespace, topic=topic, payload=payload.encode(), producer_id=producer, producer_seq=seq
    )


def test_numbers_follow_each_other_across_rounds_and_restarts() -> None:
    tables = Tables()
    assert tables.publish(say("a"), say("b"), say("c", topic="other")) == [1, 2, 1]
    assert tables.publish(say("d")) == [3]
    tables.restart()
    assert tables.publish(say("e"), say("f", topic="other")) == [4, 2]
    of_news = [row for row in tables.messages if row.topic_id == topic_id("", "news")]
    assert [row.payload for row in of_news] == [b"a", b"b", b"d", b"e"]
    assert all(one.id < other.id for one, other in pairwise(of_news))
    # Topics are read once, and when they are new to memory.
    assert tables.loads == 2


def test_readers_are_told_each_topic_once_a_round() -> None:
    decision = Tables().decide(PublishMessages((say("a"), say("x", topic="other"))), PublishMessages((say("b"),)))
    told = [
        (effect.topic_id, [m.payload for m in effect.messages])
        for effect in decision.effects
        if isinstance(effect, TopicGrew)
    ]
    assert told == [(topic_id("", "news"), [b"a", b"b"]), (topic_id("", "other"), [b"x"])]
    assert [row.last_number for row in decision.writes.topics] == [2, 1]


def test_a_message_that_its_producer_sends_again_is_answered_and_not_stored() -> None:
    tables = Tables()
    first = PublishMessages((say("a", producer="p", seq=0), say("b", producer="p", seq=1)))
    assert first.is_repeatable
    assert not PublishMessages((say("a", producer="p"), say("b"))).is_repeatable
    assert tables.publish(*first.messages) == [1, 2]
    assert tables.publish(*first.messages) == [0, 0]
    tables.restart()
    assert tables.publish(*first.messages, say("c", producer="p", seq=2)) == [0, 0, 3]
    # Numbers are a producer's in a topic.
    assert tables.publish(say("d", producer="q"), say("e", topic="other", producer="p")) == [4, 1]
    assert [row.payload for row in tables.messages] == [b"a", b"b", b"c", b"d", b"e"]


def test_a_repeat_in_the_same_request_is_not_stored_either() -> None:
    tables = Tables()
    assert tables.publish(say("a", producer="p", seq=5), say("a", producer="p", seq=5)) == [1, 0]
    assert tables.producers[topic_id("", "news"), "p"].seq == 5


def test_namespaces_keep_topics_apart() -> None:
    assert len({topic_id("", "ab"), topic_id("a", "b"), topic_id("ab", ""), topic_id("b", "a")}) == 4
    assert Tables().publish(say("a"), say("b", namespace="team")) == [1, 1]


@pytest.mark.parametrize(
    ("message", "field"),
    [
        (say("a", topic=""), "topic"),
        (say("a", topic="t" * 256), "topic"),
        (say("a", topic="t\x00"), "topic"),
        (say("a", namespace="n" * 256), "namespace"),
        (say("a", producer="p" * 256), "producer_id"),
        (say("a", producer="p", seq=-1), "producer_seq"),
        (MessageRequest(topic="t", payload=b"a", payload_ref="b"), "payload_ref"),
        (MessageRequest(topic="t", payload=bytes(publishing.PAYLOAD_BYTES_MAX + 1)), "payload"),
    ],
    ids=["no-topic", "long-topic", "nul", "long-namespace", "long-producer", "negative", "both", "too-large"],
)
def test_what_is_refused_changes_nothing(message: MessageRequest, field: str) -> None:
    tables = Tables()
    with pytest.raises(InvalidArgument) as refused:
        tables.publish(say("before"), message)
    assert refused.value.field == field
    assert not tables.messages and not tables.topics


def test_there_is_an_end_to_how_many_topics_a_tenant_has() -> None:
    tables = Tables()
    tables.topic_count = publishing.TOPICS_OF_TENANT_MAX - 1
    assert tables.publish(say("a")) == [1]
    tables.topic_count += 1
    with pytest.raises(ResourceExhausted):
        tables.publish(say("b", topic="another"))
    assert tables.publish(say("c")) == [2]
    # It is counted again, since old ones go.
    tables.topic_count = 10
    assert tables.publish(say("d", topic="another")) == [1]


def test_what_was_not_named_for_long_leaves_memory_and_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(topics, "TOPICS_MAX", 2)
    monkeypatch.setattr(topics, "PRODUCERS_MAX", 2)
    tables = Tables()
    for name in ("a", "b", "a", "c"):
        tables.publish(say("x", topic=name, producer="p", seq=len(tables.messages)))
    assert not tables.tenant.missing(PublishMessages((say("x", topic="a", producer="p"),)))
    gone = tables.tenant.missing(PublishMessages((say("x", topic="b", producer="p"),)))
    assert gone.topics == {topic_id("", "b")} and gone.producers == {(topic_id("", "b"), "p")}
    assert tables.publish(say("y", topic="b", producer="p", seq=1), say("z", topic="b", producer="p", seq=9)) == [0, 2]


def test_a_clock_that_is_set_back_is_not_seen_by_readers() -> None:
    tables = Tables()
    tables.decide(PublishMessages((say("a"),)))
    tables.decide(PublishMessages((say("b"),)), now_us=NOW_US - 5)
    assert [row.created_at_us for row in tables.messages] == [NOW_US, NOW_US]
    last = "ffffffff-0000-7000-8000-00000000000f"
    assert id_behind(last, new_id()) == "ffffffff-0000-7000-8000-000000000010"


def test_cursors_are_of_their_topic_and_nobody_elses() -> None:
    here, position = topic_id("", "news"), Position(7, new_id())
    cursor = cursor_of(here, position)
    assert position_of(here, cursor) == position
    for given, topic in ((cursor, topic_id("", "other")), ("nonsense", here), (cursor[:-2], here), ("é" * 44, here)):
        with pytest.raises(InvalidArgument) as refused:
            position_of(topic, given)
        assert refused.value.field == "cursor"


def test_readers_begin_where_a_reset_says() -> None:
    tables = Tables()
    with pytest.raises(NotFound):
        tables.do(ResetTopic("", "news"))
    reply = tables.do(PublishMessages((say("a"), say("b"), say("c"))))
    assert isinstance(reply, tuple)
    first = reply[0]
    assert isinstance(first, PublishedMessage)
    id_ = topic_id("", "news")
    tables.do(ResetTopic("", "news"))
    assert tables.topics[id_].start_number == 3
    tables.do(ResetTopic("", "news", first.cursor))
    assert (tables.topics[id_].start_number, tables.topics[id_].start_message_id) == position_of(id_, first.cursor)
    with pytest.raises(OutOfRange):
        tables.do(ResetTopic("", "news", cursor_of(id_, Position(9, new_id()))))
    assert tables.publish(say("d")) == [4]
