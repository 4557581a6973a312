"""The Kafka consumer of the page: every record one run, whatever dies in between.

The broker is librdkafka's own mock cluster: it listens on loopback and speaks Kafka's protocol, groups and committed
offsets included, to a client that is the real one.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from types import ModuleType
from typing import Any

import psycopg
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from broadaxe.testing.engine_under_test import EngineUnderTest
from broadaxe.testing.worker_under_test import WorkerUnderTest
from tests.integrations.examples import ROOT, example, shown, source

TOPIC, GROUP, PARTITIONS = "payments", "payments", 4
#: The mock cluster waits for the session of a member that has left to end.
QUICK = {"session.timeout.ms": 3000, "heartbeat.interval.ms": 500, "log_level": 2}


class Kafka:
    """A broker that lives as long as its first client."""

    def __init__(self) -> None:
        self._producer = Producer({"test.mock.num.brokers": 1, "log_level": 2})
        (broker,) = self._producer.list_topics(timeout=60).brokers.values()
        self.servers = f"{broker.host}:{broker.port}"

    def write(self, values: Sequence[bytes | None], key: bytes | None = None) -> None:
        """In turn to the partitions."""
        for position, value in enumerate(values):
            self._producer.produce(TOPIC, value, key, partition=position % PARTITIONS)
        assert self._producer.flush(60) == 0

    def unread(self) -> int:
        """Records behind the committed offsets."""
        consumer = Consumer({"bootstrap.servers": self.servers, "group.id": GROUP})
        partitions = [TopicPartition(TOPIC, number) for number in range(PARTITIONS)]
        found = 0
        for each in consumer.committed(partitions, timeout=60):
            low, high = consumer.get_watermark_offsets(each, timeout=60)
            found += high - max(each.offset, low)
        consumer.close()
        return found


@pytest.fixture
def kafka() -> Kafka:
    return Kafka()


@pytest.fixture
def program(engine: EngineUnderTest) -> Iterator[ModuleType]:
    """The consumer's module, with a worker for what it starts."""
    payments = sys.modules["payments"] = example("kafka/payments.py")
    module = example("kafka/consumer.py")
    worker = WorkerUnderTest(payments.hatchet, [payments.payment], name="payments", slots=100)
    worker.wait_until_ready()
    yield module
    worker.kill()
    del sys.modules["payments"]


@contextlib.contextmanager
def consuming(program: ModuleType, consumer: Any) -> Iterator[threading.Thread]:
    stopped, problems = threading.Event(), []

    def run() -> None:
        try:
            program.consume(consumer, [TOPIC], stopped)
        except BaseException as problem:
            problems.append(problem)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    yield thread
    stopped.set()
    thread.join(120)
    assert not thread.is_alive()
    if problems:
        raise problems[0]


class Watched:
    """A consumer that says when it has committed `wanted` records in all, or dies instead of its first commit."""

    def __init__(self, program: ModuleType, kafka: Kafka, wanted: int, dies: bool = False) -> None:
        self._consumer = program.make_consumer(kafka.servers, GROUP, **QUICK)
        self._kafka, self._wanted, self._dies = kafka, wanted, dies
        self.done = threading.Event()
        self._ends: dict[int, int] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._consumer, name)

    def commit(self, offsets: Sequence[TopicPartition], asynchronous: bool) -> Any:
        if self._dies:
            raise KeyboardInterrupt("the process dies here")
        answer = self._consumer.commit(offsets=offsets, asynchronous=asynchronous)
        self._ends.update({each.partition: each.offset for each in offsets})
        if sum(self._ends.values()) >= self._wanted:
            self.done.set()
        return answer


def payments(count: int) -> list[bytes]:
    return [json.dumps({"account": f"a{n % 7}", "cents": n}).encode() for n in range(count)]


def places(engine: EngineUnderTest) -> Counter[str]:
    """How many runs there are of each record, by its place."""
    with psycopg.connect(engine.database_url) as connection:
        rows = connection.execute("select input::jsonb ->> 'place' from broadaxe.run").fetchall()
    return Counter(place for (place,) in rows)


def test_every_record_is_one_run_and_read_once(engine: EngineUnderTest, kafka: Kafka, program: ModuleType) -> None:
    kafka.write(payments(100))
    watched = Watched(program, kafka, 100)
    with consuming(program, watched):
        assert watched.done.wait(120)
    assert kafka.unread() == 0
    found = places(engine)
    assert set(found.values()) == {1} and len(found) == 100
    engine.clock.settle().result()
    ended = Counter(engine.rest.run(run.run_id)["run"]["status"] for run in engine.runs("payment")[:5])
    assert ended == {"COMPLETED": 5}
    # Nothing is read again by the next one.
    kafka.write(payments(4))
    watched = Watched(program, kafka, 4)
    with consuming(program, watched):
        assert watched.done.wait(120)
    assert len(places(engine)) == 104


def test_a_death_before_the_commit_doubles_nothing(engine: EngineUnderTest, kafka: Kafka, program: ModuleType) -> None:
    kafka.write(payments(40))
    with pytest.raises(KeyboardInterrupt), consuming(program, Watched(program, kafka, 40, dies=True)) as thread:
        thread.join(120)
    assert kafka.unread() == 40 and len(places(engine)) > 0
    watched = Watched(program, kafka, 40)
    with consuming(program, watched):
        assert watched.done.wait(120)
    assert kafka.unread() == 0
    assert places(engine) == Counter({f"{TOPIC}:{n % PARTITIONS}:{n // PARTITIONS}": 1 for n in range(40)})


def test_an_engine_that_dies_loses_and_doubles_nothing(
    engine: EngineUnderTest, kafka: Kafka, program: ModuleType
) -> None:
    kafka.write(payments(40))
    watched = Watched(program, kafka, 80)
    with consuming(program, watched):
        engine.crash()
        kafka.write(payments(40))
        assert watched.done.wait(120)
    found = places(engine)
    assert set(found.values()) == {1} and len(found) == 80


def test_what_cannot_be_read_fails_its_run_and_holds_nobody_up(
    engine: EngineUnderTest, kafka: Kafka, program: ModuleType
) -> None:
    kafka.write([b"no json", None, b"\xff\x00", b'{"account": "a"}', payments(2)[1]], key=b"\x00a")
    watched = Watched(program, kafka, 5)
    with consuming(program, watched):
        assert watched.done.wait(120)
    engine.clock.settle().result()
    ended = Counter(engine.rest.run(run.run_id)["run"]["status"] for run in engine.runs("payment"))
    assert ended == {"FAILED": 4, "COMPLETED": 1}


def test_batches_keep_to_what_a_message_may_have(engine: EngineUnderTest, kafka: Kafka, program: ModuleType) -> None:
    kafka.write([b"\x01" * 400_000 for _ in range(8)])
    watched = Watched(program, kafka, 8)
    with consuming(program, watched):
        assert watched.done.wait(120)
    assert len(places(engine)) == 8


def test_a_start_without_topics_says_what_is_missing(engine: EngineUnderTest) -> None:
    command = [sys.executable, str(ROOT / "examples" / "kafka" / "consumer.py")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 2 and "KAFKA_SERVERS=host:9092" in done.stderr and "Traceback" not in done.stderr


def test_the_page_shows_the_programs() -> None:
    assert shown("kafka") == [source("kafka/payments.py"), source("kafka/consumer.py")]
