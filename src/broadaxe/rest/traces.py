"""The engine's own spans of a run, put together from its history when somebody asks for them.

Nothing is recorded for them while tasks run, so traces cost the engine nothing until they are read. Ids follow from the
ids of runs and tasks (`core/tracing.py`), hence the same span has the same id each time, and spans of workers, which
were told these ids, hang below them. What is still under way has no span yet.

Source: semantics 8.5, REST specification 7.16.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final, Literal

import msgspec

from broadaxe.core import tracing
from broadaxe.core.lifecycle import TaskEventType
from broadaxe.rest.shapes import traces as trace_shapes
from broadaxe.storage.event_reads import EventRecord
from broadaxe.storage.ids import id_time, is_id
from broadaxe.storage.reads import RunRecord, TaskEventRecord, TaskRecord
from broadaxe.storage.trace_reads import SpanRecord

__all__ = ["SOURCE_RUN_KEY", "engine_spans", "sent_span"]

SERVICE_NAME: Final = "hatchet-engine"
#: Where clients say in an event's metadata which run and which task pushed it.
SOURCE_RUN_KEY: Final = "hatchet__source_workflow_run_id"
SOURCE_TASK_KEY: Final = "hatchet__source_step_run_id"

_KINDS: Final[tuple[Literal["UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"], ...]] = (
    "UNSPECIFIED",
    "INTERNAL",
    "SERVER",
    "CLIENT",
    "PRODUCER",
    "CONSUMER",
)
_CODES: Final[tuple[Literal["UNSET", "OK", "ERROR"], ...]] = ("UNSET", "OK", "ERROR")

_ENDS: Final = {
    TaskEventType.FINISHED,
    TaskEventType.FAILED,
    TaskEventType.TIMED_OUT,
    TaskEventType.CANCELLED,
    TaskEventType.SCHEDULING_TIMED_OUT,
    TaskEventType.COULD_NOT_SEND_TO_WORKER,
}
_BEGINS_ANEW: Final = {TaskEventType.RETRYING, TaskEventType.REASSIGNED, TaskEventType.RETRIED_BY_USER}


class _Attempt(msgspec.Struct):
    queued_at: datetime | None = None
    sent_at: datetime | None = None
    started_at: datetime | None = None
    end: TaskEventRecord | None = None
    worker_id: str | None = None


def engine_spans(
    run: RunRecord, entries: Iterable[TaskEventRecord], emitted: Iterable[EventRecord] = ()
) -> list[trace_shapes.Span]:
    """Spans of the run and of its tasks' attempts; `entries` is the history of its tasks, oldest first, and `emitted`
    are events that its tasks pushed."""
    trace = tracing.trace_of(run.id, run.additional_metadata)
    about_run = {
        "hatchet.span_source": "engine",
        "hatchet.workflow_run_id": run.id,
        "hatchet.workflow_id": run.workflow_id,
        "hatchet.workflow_version_id": run.version_id,
        "hatchet.workflow_name": run.workflow_name,
    }
    if run.parent_task_id is not None:
        about_run["hatchet.parent_step_run_id"] = run.parent_task_id
    spans = _event_span(run, trace)
    spans += (_emitted_span(run, trace, event) for event in emitted)
    root_id = tracing.run_span_id(run.id)
    spans.append(
        _span(trace, root_id, trace.parent_span_id, "hatchet.engine.workflow_run", run.created_at, None, about_run)
    )
    attempts = _attempts(entries)
    for task in run.tasks:
        for retry_count, attempt in sorted(attempts.get(task.id, {}).items()):
            spans += _attempt_spans(trace, root_id, about_run, task, retry_count, attempt)
    return spans


def sent_span(span: SpanRecord, triggered_run_id: str | None) -> trace_shapes.Span:
    """A client's span. Not every SDK says which child run its span triggered; we know, and viewers nest by it."""
    attributes = span.attributes
    if triggered_run_id is not None:
        attributes = {"hatchet.child_workflow_run_id": triggered_run_id} | attributes
    return trace_shapes.Span(
        trace_id=span.trace_id,
        span_id=span.span_id,
        parent_span_id=span.parent_span_id,
        span_name=span.name,
        span_kind=_KINDS[span.kind],
        service_name=span.service_name,
        status_code=_CODES[span.status_code],
        status_message=span.status_message or None,
        duration_ns=span.duration_ns,
        created_at=span.started_at,
        retry_count=span.retry_count,
        resource_attributes=span.resource_attributes,
        span_attributes=attributes,
        scope_name=span.scope_name or None,
        scope_version=span.scope_version or None,
    )


def _event_span(run: RunRecord, trace: tracing.Trace) -> list[trace_shapes.Span]:
    """The moment of the event that started the run; the event's id tells it."""
    metadata = _metadata(run.additional_metadata)
    event_id, key = metadata.get("hatchet__event_id"), metadata.get("hatchet__event_key")
    if not isinstance(event_id, str) or not is_id(event_id):
        return []
    attributes = {
        "hatchet.span_source": "engine",
        "hatchet.workflow_run_id": run.id,
        "hatchet.event_id": event_id,
        "hatchet.event_key": str(key),
    }
    span_id = tracing.event_span_id(event_id)
    name = "hatchet.engine.event"
    return [_span(trace, span_id, trace.parent_span_id, name, id_time(event_id), None, attributes)]


def _emitted_span(run: RunRecord, trace: tracing.Trace, event: EventRecord) -> trace_shapes.Span:
    """The moment a task of the run pushed the event."""
    attributes = {
        "hatchet.span_source": "engine",
        "hatchet.workflow_run_id": run.id,
        "hatchet.event_id": event.id,
        "hatchet.event_key": event.key,
    }
    source = _metadata(event.additional_metadata).get(SOURCE_TASK_KEY)
    if isinstance(source, str):
        attributes["hatchet.step_run_id"] = source
    span_id, parent_id = tracing.emitted_span_id(event.id), tracing.run_span_id(run.id)
    return _span(trace, span_id, parent_id, "hatchet.engine.event_emitted", event.seen_at, None, attributes)


def _metadata(text: str | None) -> dict[str, object]:
    return msgspec.json.decode(text or "{}", type=dict[str, object])


def _attempts(entries: Iterable[TaskEventRecord]) -> dict[str, dict[int, _Attempt]]:
    """What happened in each attempt of each task."""
    found: dict[str, dict[int, _Attempt]] = defaultdict(lambda: defaultdict(_Attempt))
    for entry in entries:
        of_task = found[entry.task_id]
        if entry.type in _BEGINS_ANEW and entry.retry_count - 1 in of_task:
            # What took the attempt away, such as a lost worker, is noted with the attempt that follows.
            before = of_task[entry.retry_count - 1]
            before.end = before.end or entry
        attempt = of_task[entry.retry_count]
        if entry.type is TaskEventType.QUEUED:
            attempt.queued_at = attempt.queued_at or entry.at
        elif entry.type is TaskEventType.SENT_TO_WORKER:
            attempt.sent_at, attempt.worker_id = entry.at, entry.worker_id
        elif entry.type is TaskEventType.STARTED:
            attempt.started_at = entry.at
        elif entry.type in _ENDS:
            attempt.end = entry
    return found


def _attempt_spans(
    trace: tracing.Trace,
    root_id: str,
    about_run: dict[str, str],
    task: TaskRecord,
    retry_count: int,
    attempt: _Attempt,
) -> list[trace_shapes.Span]:
    about = about_run | {
        "hatchet.step_run_id": task.id,
        "hatchet.step_id": task.definition_id,
        "hatchet.step_name": task.name,
        "hatchet.task_name": task.name,
        "hatchet.action_id": task.action_id,
        "hatchet.retry_count": str(retry_count),
    }
    if attempt.worker_id is not None:
        about["hatchet.worker_id"] = attempt.worker_id
    spans = []
    end = attempt.end
    left_at = attempt.sent_at or (None if end is None else end.at)
    if attempt.queued_at is not None and left_at is not None:
        span_id = tracing.queued_span_id(task.id, retry_count)
        failed = end if attempt.sent_at is None else None
        name = "hatchet.engine.queued"
        spans.append(_span(trace, span_id, root_id, name, attempt.queued_at, left_at, about, retry_count, failed))
    began_at = attempt.started_at or attempt.sent_at
    if began_at is not None and end is not None:
        span_id = tracing.attempt_span_id(task.id, retry_count)
        name = "hatchet.engine.start_step_run"
        spans.append(_span(trace, span_id, root_id, name, began_at, end.at, about, retry_count, end))
    return spans


def _span(
    trace: tracing.Trace,
    span_id: str,
    parent_span_id: str | None,
    name: str,
    start: datetime,
    end: datetime | None,
    attributes: dict[str, str],
    retry_count: int = 0,
    outcome: TaskEventRecord | None = None,
) -> trace_shapes.Span:
    ended_badly = outcome is not None and outcome.type is not TaskEventType.FINISHED
    return trace_shapes.Span(
        trace_id=trace.trace_id,
        span_id=span_id,
        parent_span_id=parent_span_id,
        span_name=name,
        span_kind="INTERNAL",
        service_name=SERVICE_NAME,
        status_code="ERROR" if ended_badly else "OK",
        status_message=(outcome.error or outcome.message or None) if outcome is not None and ended_badly else None,
        duration_ns=0 if end is None else max((end - start) // timedelta(microseconds=1), 0) * 1_000,
        created_at=start,
        retry_count=retry_count,
        span_attributes=attributes,
    )
