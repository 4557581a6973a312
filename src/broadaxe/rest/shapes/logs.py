"""The shapes of log lines and their counts, made from stored records."""

from __future__ import annotations

from typing import Literal

from broadaxe.rest.wire import Instant, JsonObject, Pagination, SnakeWire, Wire, json_object
from broadaxe.storage.log_reads import LogRecord


class LogLine(Wire):
    created_at: Instant
    message: str
    metadata: JsonObject
    task_external_id: str
    task_display_name: str
    retry_count: int
    attempt: int
    level: Literal["DEBUG", "INFO", "WARN", "ERROR"]


class LogLineList(Wire):
    pagination: Pagination
    rows: list[LogLine]


class LogPoint(SnakeWire):
    time: Instant
    DEBUG: int
    INFO: int
    WARN: int
    ERROR: int


class LogPoints(Wire):
    counted_since: Instant | None = None
    """Set when there are more lines than were counted: earlier ones are not."""
    results: list[LogPoint]


def log_line(line: LogRecord) -> LogLine:
    return LogLine.model_validate(
        {
            "created_at": line.created_at,
            "message": line.message,
            "metadata": json_object(line.metadata),
            "task_external_id": line.task_id,
            "task_display_name": line.task_display_name,
            "retry_count": line.retry_count,
            "attempt": line.retry_count + 1,
            "level": line.level,
        }
    )
