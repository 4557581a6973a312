"""Starts a run for every record of Kafka topics: `python consumer.py payments`.

Offsets are committed once the engine has acknowledged the runs. Whatever happens in between, the records are read
again, and their runs are known by the place of each record, which is their idempotency key.
"""

import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition
from hatchet_sdk import BulkTriggerIdempotencyCollisionError
from payments import Record, payment

#: A message to the engine may have 4 MiB, and a character of a record up to six bytes as JSON.
BATCH_RECORDS_MAX = 500
BATCH_BYTES_MAX = 512 * 1024
TRY_AGAIN_S = 1.0
log = logging.getLogger("consumer")


def make_consumer(servers: str, group: str, **settings: Any) -> Consumer:
    return Consumer(
        {
            "bootstrap.servers": servers,
            "group.id": group,
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            **settings,
        }
    )


def consume(consumer: Consumer, topics: Sequence[str], stopped: threading.Event) -> None:
    """Goes on until it is told to stop. KafkaException when Kafka wants no more of this consumer."""
    consumer.subscribe(list(topics))
    try:
        while not stopped.is_set():
            for batch in batches(consumer.consume(BATCH_RECORDS_MAX, timeout=0.5)):
                if start(batch, stopped):
                    commit(consumer, batch)
    finally:
        consumer.close()


def batches(messages: Sequence[Message]) -> Iterator[list[Message]]:
    batch: list[Message] = []
    size = 0
    for message in messages:
        if (error := message.error()) is not None:
            if error.fatal():
                raise KafkaException(error)
            log.warning("Kafka says: %s", error.str())
            continue
        length = len(message.value() or b"") + len(message.key() or b"")
        if batch and size + length > BATCH_BYTES_MAX:
            yield batch
            batch, size = [], 0
        batch.append(message)
        size += length
    if batch:
        yield batch


def start(batch: Sequence[Message], stopped: threading.Event) -> bool:
    """Returns once the engine has a run for each; False when told to stop before."""
    items = [payment.create_bulk_run_item(record(message)) for message in batch]
    while not stopped.is_set():
        try:
            payment.run_many(items, wait_for_result=False)
        except BulkTriggerIdempotencyCollisionError as known:
            log.info("%d of %d records had their runs already", len(known.collisions), len(batch))
            # The SDK sends large batches in parts, and none after one in which it learnt that.
            items = items[len(known.successful_workflow_run_external_ids) + len(known.collisions) :]
            if items:
                continue
        except Exception as error:
            # Of an engine that is away. Runs that were made nevertheless are known by their keys.
            log.warning("%d records wait, the engine does not take them: %s", len(batch), error)
            stopped.wait(TRY_AGAIN_S)
            continue
        return True
    return False


def commit(consumer: Consumer, batch: Sequence[Message]) -> None:
    ends: dict[tuple[str, int], int] = {}
    for message in batch:
        ends[message.topic(), message.partition()] = message.offset() + 1
    try:
        offsets = [TopicPartition(topic, partition, end) for (topic, partition), end in ends.items()]
        consumer.commit(offsets=offsets, asynchronous=False)
    except KafkaException as refused:
        error: KafkaError = refused.args[0]
        if error.fatal():
            raise
        # Others have the partitions now, and read the records again.
        log.warning("offsets were not committed: %s", error.str())


def record(message: Message) -> Record:
    """Of any bytes: what is no text, or a NUL, which PostgreSQL cannot keep, is written as an escape."""
    value, key = (
        None if raw is None else raw.decode("utf-8", "backslashreplace").replace("\0", "\\x00")
        for raw in (message.value(), message.key())
    )
    place = f"{message.topic()}:{message.partition()}:{message.offset()}"
    return Record(place=place, key=key or place, value=value)


def main(topics: Sequence[str]) -> int:
    servers = os.environ.get("KAFKA_SERVERS", "")
    if not topics or not servers:
        print("usage: KAFKA_SERVERS=host:9092 python consumer.py TOPIC...", file=sys.stderr)
        return 2
    logging.basicConfig(level=logging.INFO)
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    consume(make_consumer(servers, os.environ.get("KAFKA_GROUP", "payments")), topics, stopped)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
