"""Which runs are meant, wherever runs or their tasks are listed, counted or acted on.

Owns how a filter becomes arguments of the statements that include `queries/reads/parts/run_filter.sql`, and which
statement answers it with the least work. Pure.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

import msgspec

from broadaxe.core.lifecycle import SHOWN_AS, RunCause, RunStatus, TaskStatus
from broadaxe.storage.ids import id_after, id_floor_of, id_range, id_time, ids_surely_between, ids_with_prefix
from broadaxe.storage.metadata import metadata_arguments
from broadaxe.storage.pages import ById

__all__ = ["LIVE_RUN", "RunFilter", "run_arguments", "status_question", "task_question"]

LIVE_RUN: Final = frozenset({RunStatus.QUEUED, RunStatus.RUNNING})


class RunFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which runs (or tasks) are meant. None and the empty metadata mean no filter; both times are inclusive."""

    tenant_id: str
    since: datetime
    until: datetime
    statuses: frozenset[RunStatus] | None = None
    workflow_ids: tuple[str, ...] | None = None
    worker_id: str | None = None
    """Tasks on this worker; runs with one among the newest 10,000 that it took."""
    parent_task_id: str | None = None
    event_id: str | None = None
    metadata: tuple[tuple[str, str], ...] = ()
    """Pairs compared as text with the metadata value rendered as text: any of them, or any for each key with
    `match_all`."""
    match_all: bool = False
    idempotency_keys: tuple[str, ...] | None = None
    evicted: bool | None = None
    """Of the RUNNING ones, those whose live tasks are all evicted (true), or the others (false)."""
    id_prefix: str | None = None
    """The first hexadecimal digits of the id, without hyphens."""
    parent_id: str | None = None
    """The run, or the task, that started it."""
    causes: frozenset[RunCause] | None = None
    ids: tuple[str, ...] | None = None
    """Of these only, as a search in payloads found them."""


def run_arguments(wanted: RunFilter, after: ById | None = None, *, oldest_first: bool = False) -> tuple[object, ...]:
    first, end = _ids(wanted)
    if after is not None and oldest_first:
        first = max(first, id_after(after.id))
    elif after is not None:
        end = min(end, after.id)
    if wanted.parent_id is not None:
        # A child is no older than what started it, so older partitions are left alone.
        first = max(first, id_floor_of([wanted.parent_id]))
    return (
        wanted.tenant_id,
        first,
        end,
        wanted.since,
        wanted.until,
        None if wanted.statuses is None else [status.value for status in wanted.statuses],
        wanted.statuses is not None and wanted.statuses <= LIVE_RUN,
        wanted.workflow_ids,
        wanted.parent_task_id,
        wanted.event_id,
        *metadata_arguments(wanted.metadata, match_all=wanted.match_all),
        *_later_traits(wanted),
        wanted.evicted,
        wanted.worker_id,
    )


def status_question(wanted: RunFilter) -> tuple[str, tuple[object, ...]]:
    """The statement that counts runs by status, and its arguments: it only reads runs if something is asked of them."""
    tenant_id, since, until, workflow_ids = wanted.tenant_id, wanted.since, wanted.until, wanted.workflow_ids
    if wanted != RunFilter(tenant_id=tenant_id, since=since, until=until, workflow_ids=workflow_ids):
        return "reads/run_status_counts", run_arguments(wanted)
    ids = *id_range(since, until), since, until, *ids_surely_between(since, until)
    return "reads/run_status_counts_of_window", (tenant_id, *ids, workflow_ids)


def task_question(
    wanted: RunFilter, name: str, after: ById | None = None
) -> tuple[str, tuple[object, ...], tuple[str, ...]]:
    """The statement for what is asked about tasks, and its arguments: it only looks at runs if something is asked of
    them. Then the last of what is given here, the end of their ids, goes behind the arguments of a list."""
    statuses = None
    if wanted.statuses is not None or wanted.evicted is not None:
        shown_as = RunStatus if wanted.statuses is None else wanted.statuses
        statuses = [
            status.value
            for status, shown in SHOWN_AS.items()
            if shown in shown_as
            and (shown is not RunStatus.RUNNING or wanted.evicted in (None, status is TaskStatus.EVICTED))
        ]
    first, end = _ids(wanted)
    of_task = (
        wanted.tenant_id,
        first,
        end if after is None else min(end, after.id),
        wanted.since,
        wanted.until,
        statuses,
        wanted.statuses is not None and wanted.statuses <= LIVE_RUN,
        wanted.workflow_ids,
        wanted.worker_id,
    )
    if (wanted.event_id, *_later_traits(wanted)) == (None,) * 5 and not wanted.metadata:
        return f"reads/{name}", of_task, ()
    metadata = metadata_arguments(wanted.metadata, match_all=wanted.match_all)
    # A run may be a little younger by its id than a task of its own, if their engines' clocks differ.
    runs_until = wanted.until if after is None else min(wanted.until, id_time(after.id))
    _, runs_end = id_range(wanted.since, runs_until)
    return f"reads/{name}_of_runs", (*of_task, wanted.event_id, *metadata, *_later_traits(wanted)), (runs_end,)


def _later_traits(wanted: RunFilter) -> tuple[object, ...]:
    """The last arguments of `run_traits`."""
    causes = None if wanted.causes is None else sorted(wanted.causes)
    return wanted.idempotency_keys, wanted.parent_id, causes, wanted.ids


def _ids(wanted: RunFilter) -> tuple[str, str]:
    """The smallest id that is asked for, and one that is greater than all of them."""
    first, end = id_range(wanted.since, wanted.until)
    if wanted.id_prefix is None:
        return first, end
    from_prefix, to_prefix = ids_with_prefix(wanted.id_prefix)
    return max(first, from_prefix), min(end, to_prefix)
