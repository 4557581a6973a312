"""The shapes of durable streams."""

from __future__ import annotations

from broadaxe.rest.wire import Instant, Pagination, Wire
from broadaxe.storage.topics import TopicRecord


class Topic(Wire):
    namespace: str
    """Empty unless somebody named one."""
    topic: str
    created_at: Instant
    last_published_at: Instant
    message_count: int
    """Of the messages that are kept."""


class TopicList(Wire):
    pagination: Pagination
    retention_hours: int
    """For how long messages are kept."""
    rows: list[Topic]


class StoredPayload(Wire):
    ref: str


class PublishedMessage(Wire):
    cursor: str
    """Reading goes on behind the message from here; empty of one that its producer had published before."""
    number: int
    """Its place in the topic, counted from 1; 0 of one that had been published before."""


class Retention(Wire):
    retention_hours: int


def topic(record: TopicRecord) -> Topic:
    return Topic(
        namespace=record.namespace,
        topic=record.name,
        created_at=record.created_at,
        last_published_at=record.last_published_at,
        message_count=record.message_count,
    )
