"""Every list and count over 200,000 rows: no table is read as a whole, and few pages are touched.

The bounds are pages of 8 KiB, in memory or not, two or three times what a good plan takes; a plan that went wrong takes
a hundred times as much. A count may stop at its limit, so the table it began with may be any.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from broadaxe.core.lifecycle import RunCause, RunStatus
from broadaxe.storage import calendar, event_reads, failure_reads, load_reads, log_reads, run_filter, trace_reads
from broadaxe.storage.calendar import ScheduleFilter
from broadaxe.storage.event_reads import EventFilter
from broadaxe.storage.ids import CLOCK_SLACK, id_floor, id_floor_of, id_range
from broadaxe.storage.log_reads import LogFilter
from broadaxe.storage.pages import ById, ByTime
from broadaxe.storage.payload_search import LOOKED_AT_BYTES_MAX, LOOKED_AT_MAX, payload_terms
from broadaxe.storage.reads import POOL_SETTINGS
from broadaxe.storage.run_filter import RunFilter
from broadaxe.storage.statements import statement
from broadaxe.storage.trace_reads import TraceFilter
from tests.conftest import TEMPLATE, with_database
from tests.rest.crowd import ROWS, STEP, Crowd, fill

CROWDED = "broadaxe_crowded"
PAGE = 50
COUNTED = 20_000

LIVE = frozenset({RunStatus.QUEUED, RunStatus.RUNNING})
FAILED = frozenset({RunStatus.FAILED})
BIG = ("run_", "task_", "task_event_", "event_", "log_line_", "span_", "schedule", "durable_entry_", "event_filter")


def _within_a_day(now: datetime) -> datetime:
    """The newest row's instant: all rows lie in one day's partition, whatever the hour; plans depend on that."""
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    return now if now - midnight > ROWS * STEP else midnight - STEP


@pytest.fixture(scope="session")
def crowded(postgres: str, _fixture_loop: Any, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The DSN of the one crowded database of a test run, whichever process comes first fills it."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base
    dsn = with_database(postgres, CROWDED)

    async def make() -> None:
        server = await asyncpg.connect(postgres)
        await server.execute(f"drop database if exists {CROWDED} with (force)")
        await server.execute(f"create database {CROWDED} template {TEMPLATE}")
        await server.close()
        connection = await asyncpg.connect(dsn)
        await fill(connection, _within_a_day(datetime.now(UTC)))
        await connection.close()

    with (shared / "crowded.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        ready = shared / "crowded.ready"
        if not ready.exists():
            _fixture_loop.run(make())
            ready.touch()
    return dsn


@dataclass(frozen=True, slots=True)
class Plan:
    blocks: int
    rows: int
    """What the statement gives."""
    whole: tuple[str, ...]
    """Tables of which every row was looked at."""
    indexes: frozenset[str]
    major: int
    """The version of PostgreSQL."""


def _scans(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if node["Node Type"].endswith("Scan") and node.get("Actual Loops", 0) > 0:
        yield node
    for child in node.get("Plans", []):
        yield from _scans(child)


async def explain(dsn: str, name: str, arguments: Sequence[object]) -> Plan:
    connection = await asyncpg.connect(dsn, server_settings=POOL_SETTINGS)
    try:
        text = await connection.fetchval(
            f"explain (analyze, buffers, timing off, format json) {statement(name)}", *arguments
        )
        major = connection.get_server_version().major
    finally:
        await connection.close()
    top = json.loads(text)[0]["Plan"]
    whole, indexes = [], set()
    for scan in _scans(top):
        if "Index Name" in scan:
            indexes.add(scan["Index Name"])
        looked_at = scan["Actual Rows"] + sum(count for key, count in scan.items() if key.startswith("Rows Removed"))
        if scan["Node Type"] == "Seq Scan" and scan["Relation Name"].startswith(BIG) and looked_at * 2 > ROWS:
            whole.append(scan["Relation Name"])
    blocks = top["Shared Hit Blocks"] + top["Shared Read Blocks"]
    return Plan(blocks, int(top["Actual Rows"]), tuple(whole), frozenset(indexes), major)


@pytest.fixture(scope="session")
def crowd(crowded: str, _fixture_loop: Any) -> Crowd:
    async def look() -> Crowd:
        connection = await asyncpg.connect(crowded)
        tenant_id = await connection.fetchval("select id from broadaxe.tenant where slug = 'first'")
        ends_at = await connection.fetchval("select max(created_at) from broadaxe.run") + STEP
        await connection.close()
        return Crowd(str(tenant_id), ends_at)

    found: Crowd = _fixture_loop.run(look())
    return found


Arguments = Callable[[Crowd], Sequence[object]]


#: Where a page begins: behind the row with this number, or at the front.
After = int | None


def _by_id(crowd: Crowd, after: After) -> ById | None:
    return None if after is None else ById(crowd.row_id(after))


def _id(crowd: Crowd, after: After) -> str | None:
    return None if after is None else crowd.row_id(after)


def runs(*more: object, after: After = None, oldest_first: bool = False, **wanted: Any) -> Arguments:
    def arguments(crowd: Crowd) -> Sequence[object]:
        place = _by_id(crowd, after)
        return *run_filter.run_arguments(_run_filter(crowd, **wanted), place, oldest_first=oldest_first), *more

    return arguments


def payloads(inputs: Sequence[str] = (), outputs: Sequence[str] = ()) -> tuple[object, ...]:
    asked = [payload_terms(texts, field="input") for texts in (inputs, outputs)]
    columns = (column for terms in asked for column in ([term.place for term in terms], [term.value for term in terms]))
    return LOOKED_AT_MAX, *columns, LOOKED_AT_BYTES_MAX


def failures(workflows: Sequence[str] | None = None) -> Arguments:
    return lambda c: (
        c.tenant_id,
        *id_range(c.at(ROWS), c.ends_at),
        c.at(ROWS),
        c.ends_at,
        workflows,
        failure_reads.HEAD_MAX,
        failure_reads.TAIL_MAX,
        failure_reads.FAILURES_LOOKED_AT_MAX,
    )


def statuses(**wanted: Any) -> Arguments:
    return lambda crowd: run_filter.status_question(_run_filter(crowd, **wanted))[1]


def tasks(*more: object, after: After = None, **wanted: Any) -> Arguments:
    def arguments(crowd: Crowd) -> Sequence[object]:
        _, of_filter, runs_end = run_filter.task_question(_run_filter(crowd, **wanted), "", _by_id(crowd, after))
        # A count has one more argument, a list three.
        return *of_filter, *more, *(runs_end if len(more) > 1 else ())

    return arguments


def events(*more: object, after: After = None, question: Any = None, **wanted: Any) -> Arguments:
    def arguments(crowd: Crowd) -> Sequence[object]:
        chosen = EventFilter(
            tenant_id=crowd.tenant_id, since=crowd.at(ROWS), until=crowd.ends_at, **_resolved(crowd, wanted)
        )
        _, of_filter = (
            event_reads._list_question(chosen, _by_id(crowd, after)) if question is None else question(chosen)
        )
        return *of_filter, *more

    return arguments


def counted_events(**wanted: Any) -> Arguments:
    return events(COUNTED, question=event_reads._count_question, **wanted)


def schedules(*more: object, **wanted: Any) -> Arguments:
    def arguments(crowd: Crowd) -> Sequence[object]:
        chosen = ScheduleFilter(tenant_id=crowd.tenant_id, **_resolved(crowd, wanted))
        return *calendar._schedule_arguments(chosen), *more

    return arguments


def schedule_page(order: str, *, after: After = None, offset: int = 0, **wanted: Any) -> Arguments:
    def arguments(crowd: Crowd) -> Sequence[object]:
        at = None if after is None else crowd.at(after) + timedelta(days=30)
        return *schedules(order, PAGE, offset, **wanted)(crowd), _id(crowd, after), at

    return arguments


def logs(**wanted: Any) -> Arguments:
    def arguments(crowd: Crowd) -> Sequence[object]:
        first, last = wanted.get("between", (ROWS, 0))
        newest_first = wanted.get("newest_first", True)
        place = (
            None if wanted.get("after") is None else ByTime(crowd.at(wanted["after"]), crowd.row_id(wanted["after"]))
        )
        wanted_lines = LogFilter(
            since=crowd.at(first),
            until=crowd.at(last),
            search=wanted.get("search"),
            levels=wanted.get("levels"),
            workflow_ids=wanted.get("workflows"),
        )
        since, until, bound = log_reads._bounds(wanted_lines, newest_first, place)
        return (
            crowd.tenant_id,
            id_floor(crowd.at(first) - CLOCK_SLACK),
            since,
            until,
            wanted.get("search"),
            wanted.get("levels"),
            None,
            wanted.get("workflows"),
            None,
            newest_first,
            PAGE,
            0,
            *bound,
            wanted.get("looked_at_max", log_reads._lines_looked_at_max(wanted_lines)),
        )

    return arguments


def crons(**wanted: Any) -> Arguments:
    order = wanted.pop("order", "createdAt DESC")
    after = wanted.pop("after", None)
    names = ("cron", "workflow_id", "workflow_name", "name", "keys", "values")
    name = None if after is None else f"cron-{after}"
    return lambda c: (
        c.tenant_id,
        *(wanted.get(name) for name in names),
        order,
        PAGE,
        0,
        _id(c, after),
        name,
    )


def filters(
    *, workflows: Sequence[str] | None = None, scopes: Sequence[str] | None = None, after: After = None
) -> Arguments:
    return lambda c: (c.tenant_id, workflows, scopes, PAGE, 0, _id(c, after))


def rate_limits(order: str, *, after: After = None) -> Arguments:
    key, number = (None, None) if after is None else (f"user-{after}", after)
    return lambda c: (c.tenant_id, "", order, PAGE, 0, COUNTED if after is None else 0, key, number)


def _run_filter(crowd: Crowd, **wanted: Any) -> RunFilter:
    window = {"since": crowd.at(ROWS), "until": crowd.ends_at}
    return RunFilter(tenant_id=crowd.tenant_id, **(window | _resolved(crowd, wanted)))


def _resolved(crowd: Crowd, wanted: dict[str, Any]) -> dict[str, Any]:
    return {key: value(crowd) if callable(value) else value for key, value in wanted.items()}


def _page_ids(crowd: Crowd) -> list[str]:
    return [crowd.row_id(number) for number in range(1, PAGE + 1)]


def _of_page(*more: object) -> Arguments:
    def arguments(crowd: Crowd) -> Sequence[object]:
        ids = _page_ids(crowd)
        return crowd.tenant_id, ids, id_floor_of(ids), *more

    return arguments


NIL = "00000000-0000-0000-0000-000000000000"
ONE_WORKFLOW = (Crowd.workflow_id(3),)
WORKER = Crowd.worker_id(3)
SAME = (("same", "same"),)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
CRON = frozenset({RunCause.CRON})
HOUR = 36_000
"""Rows of the last hour."""

COMPLETED = frozenset({RunStatus.COMPLETED})

# What is asked of the runs of events, and of the events; how many pages the list and the count touch, and how many rows
# come.
EVENTS_BY_RUNS: list[tuple[str, int, int, int, dict[str, Any]]] = [
    ("a workflow", 1_200, 600, PAGE, {"workflow_ids": ONE_WORKFLOW}),
    ("a workflow of few", 100, 160, 2, {"workflow_ids": (Crowd.workflow_id(4),)}),
    ("a workflow of none", 60, 60, 0, {"workflow_ids": (Crowd.workflow_id(7),)}),
    ("three workflows", 1_300, 600, PAGE, {"workflow_ids": tuple(map(Crowd.workflow_id, (3, 4, 7)))}),
    ("the usual status", 1_000, 1_400, PAGE, {"run_statuses": COMPLETED}),
    ("a rare status", 100, 160, 2, {"run_statuses": FAILED}),
    ("a status of none", 40, 40, 0, {"run_statuses": frozenset({RunStatus.CANCELLED})}),
    ("live ones", 900, 600, 41, {"run_statuses": LIVE}),
    ("any status", 1_500, 1_900, PAGE, {"run_statuses": frozenset(RunStatus)}),
    ("a workflow's rare status", 30, 30, 0, {"workflow_ids": ONE_WORKFLOW, "run_statuses": FAILED}),
    ("a workflow of few, and a key", 100, 60, 2, {"workflow_ids": (Crowd.workflow_id(4),), "keys": ("key-4",)}),
    ("a rare status, and a key", 5_000, 60, 2, {"run_statuses": FAILED, "keys": ("key-1",)}),
    ("a workflow, and a scope", 300, 300, 0, {"workflow_ids": ONE_WORKFLOW, "scopes": ("scope-3",)}),
    # As many as the workflow has runs that an event started are looked at.
    ("a workflow, and its key", 2_000, 30_000, PAGE, {"workflow_ids": ONE_WORKFLOW, "keys": ("key-3",)}),
    ("a workflow, and another key", 25_000, 25_000, 0, {"workflow_ids": ONE_WORKFLOW, "keys": ("key-4",)}),
]

# What is looked at, by which statement, how many pages at most, and how many rows must come.
CASES: list[tuple[str, str, Arguments, int, int]] = [
    ("runs", "run_list", runs(True, PAGE, 0, False), 60, PAGE),
    ("runs, a far page", "run_list", runs(True, PAGE, 10_000, False), 1_200, PAGE),
    ("runs of an old window", "run_list", runs(True, PAGE, 0, False, until=lambda c: c.at(150_000)), 100, PAGE),
    ("live runs", "run_list", runs(True, PAGE, 0, False, statuses=LIVE), 300, PAGE),
    ("failed runs", "run_list", runs(True, PAGE, 0, False, statuses=FAILED), 800, PAGE),
    (
        "live runs of a workflow",
        "run_list",
        runs(True, PAGE, 0, False, statuses=LIVE, workflow_ids=ONE_WORKFLOW),
        300,
        8,
    ),
    ("runs of a workflow", "run_list", runs(True, PAGE, 0, False, workflow_ids=ONE_WORKFLOW), 400, PAGE),
    ("child runs", "run_list", runs(True, PAGE, 0, False, parent_task_id=lambda c: c.row_id(5001)), 400, PAGE),
    ("runs of an event", "run_list", runs(True, PAGE, 0, False, event_id=lambda c: c.row_id(5001)), 600, PAGE),
    ("runs by a text", "run_list", runs(True, PAGE, 0, False, metadata=(("text", "501"),)), 60, 1),
    ("runs by a number", "run_list", runs(True, PAGE, 0, False, metadata=(("number", "501"),)), 60, 1),
    ("runs by a flag", "run_list", runs(True, PAGE, 0, False, metadata=(("flag", "true"),)), 120, 20),
    ("runs by what all have", "run_list", runs(True, PAGE, 0, False, metadata=(("same", "same"),)), 60, PAGE),
    (
        "runs by one of two",
        "run_list",
        runs(True, PAGE, 0, False, metadata=(("text", "502"), ("number", "503"))),
        60,
        2,
    ),
    (
        "runs by what all have and a number",
        "run_list",
        runs(True, PAGE, 0, False, metadata=(("same", "same"), ("number", "501")), match_all=True),
        60,
        1,
    ),
    (
        "evicted runs",
        "run_list",
        runs(True, PAGE, 0, False, statuses=frozenset({RunStatus.RUNNING}), evicted=True),
        600,
        25,
    ),
    (
        "runs on workers",
        "run_list",
        runs(True, PAGE, 0, False, statuses=frozenset({RunStatus.RUNNING}), evicted=False),
        600,
        PAGE,
    ),
    ("runs by a key", "run_list", runs(True, PAGE, 0, False, idempotency_keys=("key-501", "none")), 60, 1),
    (
        "evicted tasks",
        "task_list",
        tasks(True, PAGE, 0, statuses=frozenset({RunStatus.RUNNING}), evicted=True),
        400,
        26,
    ),
    ("the oldest runs", "run_list", runs(True, PAGE, 0, True), 60, PAGE),
    ("the oldest live runs", "run_list", runs(True, PAGE, 0, True, statuses=LIVE), 300, PAGE),
    ("runs of all time", "run_list", runs(True, PAGE, 0, False, since=EPOCH), 60, PAGE),
    ("live runs of all time", "run_list", runs(True, PAGE, 0, False, since=EPOCH, statuses=LIVE), 300, PAGE),
    (
        "a run by its id",
        "run_list",
        runs(True, PAGE, 0, False, id_prefix=lambda c: c.row_id(5001).replace("-", "")),
        60,
        1,
    ),
    (
        "runs by the front of an id",
        "run_list",
        runs(True, PAGE, 0, False, since=EPOCH, id_prefix=lambda c: c.row_id(5001)[:8]),
        160,
        PAGE,
    ),
    ("children of a run", "run_list", runs(True, PAGE, 0, False, parent_id=lambda c: c.row_id(5001)), 60, 6),
    ("runs of crons", "run_list", runs(True, PAGE, 0, False, causes=CRON), 400, PAGE),
    # Every run that is looked at is read, and of outputs each one's task by four pages of its index and itself.
    ("runs by their input", "runs_by_payload", runs(*payloads(inputs=["n=1"])), 1_500, 1),
    ("runs by their output", "runs_by_payload", runs(*payloads(outputs=["n=1"])), 50_000, 1),
    (
        "runs of a workflow by their input",
        "runs_by_payload",
        runs(*payloads(inputs=["n=1"]), workflow_ids=ONE_WORKFLOW),
        9_000,
        1,
    ),
    ("runs that a worker took", "run_list", runs(True, PAGE, 0, False, worker_id=WORKER), 8_000, PAGE),
    (
        "runs that a worker took, from far behind",
        "run_list",
        runs(True, PAGE, 0, False, worker_id=WORKER, after=150_000),
        8_000,
        PAGE,
    ),
    (
        "runs that a worker took long ago",
        "run_list",
        runs(True, PAGE, 0, False, worker_id=WORKER, until=lambda c: c.at(150_000)),
        8_000,
        PAGE,
    ),
    (
        "failed runs of a workflow by what all have",
        "run_list",
        runs(True, PAGE, 0, False, statuses=FAILED, workflow_ids=(Crowd.workflow_id(1),), metadata=SAME),
        1_300,
        PAGE,
    ),
    (
        "count of a run by its id",
        "run_count",
        runs(COUNTED, id_prefix=lambda c: c.row_id(1)[:36].replace("-", "")),
        60,
        1,
    ),
    ("ids of the children of a run", "run_ids", runs(COUNTED, parent_id=lambda c: c.row_id(5001)), 60, 6),
    ("tasks of crons' runs", "task_list_of_runs", tasks(True, PAGE, 0, causes=CRON), 3_000, PAGE),
    (
        "tasks of a run's children",
        "task_list_of_runs",
        tasks(True, PAGE, 0, parent_id=lambda c: c.row_id(5001)),
        1_500,
        PAGE,
    ),
    ("runs nobody has", "run_list", runs(True, PAGE, 0, False, metadata=(("text", "none"),)), 60, 0),
    ("count of runs", "run_count", runs(COUNTED), 2_500, 1),
    ("count of runs of a workflow", "run_count", runs(COUNTED, workflow_ids=ONE_WORKFLOW), 8_000, 1),
    ("statuses of an hour's runs", "run_status_counts_of_window", statuses(since=lambda c: c.at(HOUR)), 1_800, 4),
    ("statuses of all runs", "run_status_counts_of_window", statuses(), 4_300, 4),
    ("statuses of a workflow's runs", "run_status_counts_of_window", statuses(workflow_ids=ONE_WORKFLOW), 1_300, 3),
    ("statuses of child runs", "run_status_counts", statuses(parent_task_id=lambda c: c.row_id(5001)), 600, 2),
    ("ids of runs", "run_ids", runs(COUNTED), 2_500, COUNTED),
    ("the newest failures", "failed_tasks", failures(), 1_300, 399),
    ("the newest failures of a workflow", "failed_tasks", failures((Crowd.workflow_id(1),)), 2_600, 399),
    ("ids of failed runs", "run_ids", runs(COUNTED, statuses=FAILED), 1_000, 399),
    ("tasks", "task_list", tasks(True, PAGE, 0), 1_000, PAGE),
    ("live tasks", "task_list", tasks(True, PAGE, 0, statuses=LIVE), 1_000, PAGE),
    ("failed tasks", "task_list", tasks(True, PAGE, 0, statuses=FAILED), 4_000, PAGE),
    ("tasks of a worker", "task_list", tasks(True, PAGE, 0, worker_id=Crowd.worker_id(3)), 1_000, PAGE),
    ("the last runs", "last_runs", lambda c: (c.tenant_id, [Crowd.workflow_id(n) for n in range(1, 51)]), 1_000, 45),
    ("tasks of a workflow", "task_list", tasks(True, PAGE, 0, workflow_ids=ONE_WORKFLOW), 1_000, PAGE),
    ("tasks of an event", "task_list_of_runs", tasks(True, PAGE, 0, event_id=lambda c: c.row_id(5001)), 1_500, PAGE),
    ("tasks by a number", "task_list_of_runs", tasks(True, PAGE, 0, metadata=(("number", "501"),)), 100, 1),
    ("tasks by what all have", "task_list_of_runs", tasks(True, PAGE, 0, metadata=(("same", "same"),)), 2_000, PAGE),
    ("count of failed tasks", "task_count", tasks(COUNTED, statuses=FAILED), 4_000, 1),
    ("count of tasks of a worker", "task_count", tasks(COUNTED, worker_id=Crowd.worker_id(3)), 10_000, 1),
    ("count of tasks by a number", "task_count_of_runs", tasks(COUNTED, metadata=(("number", "501"),)), 100, 1),
    ("tasks of a page of runs", "tasks_of_runs", _of_page(True, 1_000), 500, 46),
    (
        "history of a page of runs",
        "run_events",
        lambda c: (c.tenant_id, _page_ids(c), 5_000, None, None, None),
        600,
        44,
    ),
    ("history of a task", "task_events", lambda c: (c.tenant_id, c.row_id(1), None, 1_000, 0, None), 40, 1),
    (
        "what finished in an hour",
        "finished_buckets",
        lambda c: (
            c.tenant_id,
            c.at(HOUR),
            c.ends_at,
            timedelta(minutes=1),
        ),
        700,
        61,
    ),
    # What ended is counted in an index; of the tasks themselves a sample is read, with a descent for each slice.
    (
        "load of an hour",
        "load_buckets",
        lambda c: load_reads.load_arguments(c.tenant_id, c.at(HOUR), c.ends_at, timedelta(minutes=1)),
        12_000,
        61,
    ),
    (
        "load of five hours",
        "load_buckets",
        lambda c: load_reads.load_arguments(c.tenant_id, c.at(ROWS), c.ends_at, timedelta(minutes=5)),
        15_000,
        67,
    ),
    (
        "load of a worker",
        "worker_load",
        lambda c: load_reads.worker_arguments(c.tenant_id, WORKER, c.at(ROWS), c.ends_at, timedelta(minutes=5)),
        1_500,
        67,
    ),
    # Aggregates over everything: a few hundred entries of an index to a page.
    (
        "what finished in five hours",
        "finished_buckets",
        lambda c: (c.tenant_id, c.at(ROWS), c.ends_at, timedelta(minutes=5)),
        2_500,
        67,
    ),
    ("events", "event_list", events(PAGE, 0), 30, PAGE),
    ("events of a key", "event_list", events(PAGE, 0, keys=("key-3",)), 500, PAGE),
    ("events of a scope", "event_list", events(PAGE, 0, scopes=("scope-3",)), 120, 28),
    ("events by a text", "event_list", events(PAGE, 0, metadata=(("text", "501"),)), 30, 1),
    ("events by a number", "event_list", events(PAGE, 0, metadata=(("number", "501"),)), 30, 1),
    ("events by two", "event_list", events(PAGE, 0, metadata=(("number", "501"), ("text", "501"))), 90, 1),
    ("count of events", "event_count", counted_events(), 1_500, 1),
    ("count of events of a key", "event_count", counted_events(keys=("key-3",)), 5_000, 1),
    *(
        case
        for name, blocks, blocks_of_count, rows, wanted in EVENTS_BY_RUNS
        for case in (
            (f"events by {name}", "event_list_of_runs", events(PAGE, 0, **wanted), blocks, rows),
            (
                f"count of events by {name}",
                "event_count_of_both" if {"keys", "scopes"} & wanted.keys() else "event_count_of_runs",
                counted_events(**wanted),
                blocks_of_count,
                1,
            ),
        )
    ),
    ("keys of events", "event_keys", lambda c: (c.tenant_id, id_floor(c.at(ROWS)), 1_000), 2_500, 90),
    (
        "log lines of a task",
        "task_logs",
        lambda c: (
            c.tenant_id,
            [c.row_id(1)],
            id_floor(c.at(2)),
            None,
            None,
            None,
            None,
            None,
            True,
            PAGE,
            0,
            None,
            None,
        ),
        40,
        1,
    ),
    ("log lines, newest first", "tenant_logs", logs(), 600, PAGE),
    ("log lines, oldest first", "tenant_logs", logs(newest_first=False), 600, PAGE),
    ("log lines of ten seconds", "tenant_logs", logs(search="line", between=(300, 200)), 600, 50),
    ("log lines of a level", "tenant_logs", logs(levels=("ERROR",)), 2_500, PAGE),
    # What is rare is looked for among so many lines; the last row says where that ended.
    ("log lines with a text", "tenant_logs", logs(search="line 1995"), 12_000, PAGE),
    ("log lines with a text of none", "tenant_logs", logs(search="nowhere", looked_at_max=50_000), 4_000, 1),
    ("log lines of a level of none", "tenant_logs", logs(levels=("DEBUG",), looked_at_max=20_000), 2_000, 1),
    # The task of every line is looked up, by four pages of its index and itself.
    ("log lines of a workflow", "tenant_logs", logs(workflows=ONE_WORKFLOW), 20_000, PAGE),
    ("log lines of a workflow of none", "tenant_logs", logs(workflows=(NIL,), looked_at_max=20_000), 110_000, 1),
    (
        "log lines of an hour over time",
        "log_buckets",
        lambda c: (
            c.tenant_id,
            id_floor(c.at(HOUR) - CLOCK_SLACK),
            c.at(HOUR),
            c.ends_at,
            timedelta(minutes=1),
            None,
            None,
            None,
            None,
            None,
            200_000,
        ),
        2_500,
        61,
    ),
    (
        "the latest log lines over time",
        "log_buckets",
        lambda c: (
            *(c.tenant_id, id_floor(c.at(ROWS) - CLOCK_SLACK), c.at(ROWS), c.ends_at, timedelta(minutes=5)),
            *(None, None, None, None, None, 1_000),
        ),
        200,
        67,
    ),
    (
        "log lines of five hours over time, with a text",
        "log_buckets",
        lambda c: (
            c.tenant_id,
            id_floor(c.at(ROWS) - CLOCK_SLACK),
            c.at(ROWS),
            c.ends_at,
            timedelta(minutes=5),
            None,
            "nowhere",
            None,
            None,
            None,
            200_000,
        ),
        6_000,
        67,
    ),
    (
        "traces",
        "trace_list",
        lambda c: trace_reads.trace_arguments(c.tenant_id, TraceFilter(since=c.at(ROWS)), PAGE),
        1_500,
        PAGE,
    ),
    (
        "traces by a name of none",
        "trace_list",
        lambda c: trace_reads.trace_arguments(c.tenant_id, TraceFilter(since=c.at(ROWS), name="nowhere"), PAGE),
        1_500,
        1,
    ),
    (
        "spans of a run",
        "spans",
        lambda c: (c.tenant_id, c.row_id(11), c.row_id(11), id_floor(c.at(ROWS)), 10_000, None, None),
        40,
        1,
    ),
    ("schedules", "schedule_list", schedule_page("triggerAt DESC"), 400, PAGE),
    ("schedules, the next first", "schedule_list", schedule_page("triggerAt ASC"), 400, PAGE),
    ("schedules, the newest first", "schedule_list", schedule_page("createdAt DESC"), 400, PAGE),
    ("schedules, the oldest first", "schedule_list", schedule_page("createdAt ASC"), 400, PAGE),
    ("schedules, a far page", "schedule_list", schedule_page("triggerAt DESC", offset=10_000), 1_500, PAGE),
    (
        "schedules of a workflow",
        "schedule_list",
        schedule_page("triggerAt DESC", workflow_id=Crowd.workflow_id(3)),
        600,
        PAGE,
    ),
    (
        "schedules of a task",
        "schedule_list",
        schedule_page("triggerAt DESC", parent_task_id=lambda c: c.row_id(5001)),
        600,
        PAGE,
    ),
    (
        "schedules of a run",
        "schedule_list",
        schedule_page("triggerAt DESC", parent_run_id=lambda c: c.row_id(5001)),
        600,
        PAGE,
    ),
    ("schedules by a text", "schedule_list", schedule_page("triggerAt DESC", metadata=(("text", "501"),)), 60, 1),
    (
        "schedules by a number",
        "schedule_list",
        schedule_page("createdAt ASC", metadata=(("number", "501"),)),
        60,
        1,
    ),
    (
        "schedules by what all have",
        "schedule_list",
        schedule_page("triggerAt DESC", metadata=(("same", "same"),)),
        600,
        PAGE,
    ),
    ("count of schedules", "schedule_count", schedules(COUNTED), 2_500, 1),
    ("ids of schedules", "schedule_ids", schedules(10_000, workflow_id=Crowd.workflow_id(3)), 8_000, 4_000),
    ("the next schedules", "../loader/schedules_after", lambda c: (c.tenant_id, 0, NIL, 1_000), 1_200, 1_000),
    # A tenant has ten thousand crons at most, all of which are looked at.
    ("crons", "cron_list", crons(), 1_500, PAGE),
    ("crons by name", "cron_list", crons(order="name ASC"), 1_500, PAGE),
    ("crons of a workflow", "cron_list", crons(workflow_id=ONE_WORKFLOW[0]), 1_500, PAGE),
    (
        "a cron",
        "cron_list",
        lambda c: (c.tenant_id, c.row_id(1), None, None, None, None, None, "createdAt DESC", 1, 0, None, None),
        40,
        1,
    ),
    ("filters", "filter_list", filters(), 60, PAGE),
    ("filters of a workflow", "filter_list", filters(workflows=ONE_WORKFLOW), 120, PAGE),
    (
        "filters of a workflow's scope",
        "filter_list",
        filters(workflows=ONE_WORKFLOW, scopes=["scope-53"]),
        60,
        1,
    ),
    ("filters of a scope", "filter_list", filters(scopes=["scope-53"]), 60, 1),
    ("rate limits", "rate_limits", rate_limits("key asc"), 600, PAGE),
    (
        "rate limits, the last first",
        "rate_limits",
        rate_limits("key desc"),
        600,
        PAGE,
    ),
    ("count of filters", "filter_count", lambda c: (c.tenant_id, None, None, COUNTED), 2_500, 1),
    (
        "the log of a durable task",
        "durable_log",
        lambda c: (c.tenant_id, c.row_id(1), 1_000, 0, None, None),
        2_000,
        905,
    ),
    ("queues", "queue_counts", lambda c: (c.tenant_id, 1_000), 100, 1),
    ("queues of workflows", "queue_sizes", lambda c: (c.tenant_id, 1_000), 100, 45),
    ("queues by metadata", "queue_sizes_by_metadata", lambda c: (c.tenant_id, 100_000, 1_000), 3_000, 0),
    ("live tasks by name", "live_task_counts", lambda c: (c.tenant_id, 1_000), 100, 70),
    ("live tasks by key", "live_group_counts", lambda c: (c.tenant_id, list(ONE_WORKFLOW), [0], 1_000), 300, 2),
    (
        "workers",
        "worker_list",
        lambda c: (c.tenant_id, c.at(ROWS), None, c.at(ROWS), None, PAGE, 0, None, None, c.at(ROWS)),
        50,
        PAGE,
    ),
    (
        "tasks on workers",
        "worker_running",
        lambda c: (c.tenant_id, [c.worker_id(n) for n in range(200)], ROWS),
        1_500,
        78,
    ),
    ("workflows", "workflow_list", lambda c: (c.tenant_id, None, None, PAGE, 0, None, None, None, None), 30, PAGE),
    ("workflows of actions", "workflows_of_actions", lambda c: (c.tenant_id, ["workflow-3"], 1_000), 400, 1),
]


#: The cases in which PostgreSQL touches more before a version, and how much: it walks an index where that version looks
#: up each of several values in the midst of it.
OLDER = {
    "runs by a key": (17, 2_100),
    "statuses of all runs": (18, 5_900),
    "log lines of five hours over time, with a text": (18, 6_700),
}


@pytest.mark.parametrize(("case", "name", "arguments", "blocks_max", "rows"), CASES, ids=[case[0] for case in CASES])
def test_a_read_touches_little_more_than_it_shows(
    crowded: str, crowd: Crowd, case: str, name: str, arguments: Arguments, blocks_max: int, rows: int
) -> None:
    plan = asyncio.run(explain(crowded, f"reads/{name}", arguments(crowd)))
    assert plan.rows == rows, "the case does not look at what it says"
    assert not plan.whole
    better_since, older_max = OLDER.get(case, (0, blocks_max))
    assert plan.blocks <= (older_max if plan.major < better_since else blocks_max), plan


#: Behind which row a page deep in a list begins. It is of the first tenant, like nine of ten.
DEEP = 150_001

#: A list by cursor: by which statement, its page from a place on, and how many pages at most, as many as at the front.
WALKS: list[tuple[str, str, Callable[[After], Arguments], int]] = [
    ("runs", "run_list", lambda after: runs(True, PAGE, 0, False, after=after), 60),
    (
        "runs of a workflow",
        "run_list",
        lambda after: runs(True, PAGE, 0, False, workflow_ids=ONE_WORKFLOW, after=after),
        400,
    ),
    ("runs by what all have", "run_list", lambda after: runs(True, PAGE, 0, False, metadata=SAME, after=after), 60),
    (
        "the oldest runs",
        "run_list",
        lambda after: runs(True, PAGE, 0, True, after=after and ROWS - after, oldest_first=True),
        60,
    ),
    ("tasks", "task_list", lambda after: tasks(True, PAGE, 0, after=after), 1_000),
    ("tasks of a worker", "task_list", lambda after: tasks(True, PAGE, 0, worker_id=WORKER, after=after), 1_000),
    (
        "tasks by what all have",
        "task_list_of_runs",
        lambda after: tasks(True, PAGE, 0, metadata=SAME, after=after),
        2_000,
    ),
    ("events", "event_list", lambda after: events(PAGE, 0, after=after), 30),
    ("events of a key", "event_list", lambda after: events(PAGE, 0, keys=("key-3",), after=after), 600),
    (
        "events of a workflow's runs",
        "event_list_of_runs",
        lambda after: events(PAGE, 0, workflow_ids=ONE_WORKFLOW, after=after),
        1_200,
    ),
    (
        "events of completed runs",
        "event_list_of_runs",
        lambda after: events(PAGE, 0, run_statuses=COMPLETED, after=after),
        1_000,
    ),
    ("log lines, newest first", "tenant_logs", lambda after: logs(after=after), 600),
    ("log lines with a text", "tenant_logs", lambda after: logs(search="line 1", after=after), 2_000),
    ("log lines, oldest first", "tenant_logs", lambda after: logs(after=after, newest_first=False), 600),
    ("schedules, the last first", "schedule_list", lambda after: schedule_page("triggerAt DESC", after=after), 400),
    ("schedules, the next first", "schedule_list", lambda after: schedule_page("triggerAt ASC", after=after), 400),
    ("schedules, the newest first", "schedule_list", lambda after: schedule_page("createdAt DESC", after=after), 400),
    ("schedules, the oldest first", "schedule_list", lambda after: schedule_page("createdAt ASC", after=after), 400),
    (
        "schedules of a workflow",
        "schedule_list",
        lambda after: schedule_page("triggerAt DESC", workflow_id=ONE_WORKFLOW[0], after=after),
        600,
    ),
    ("filters", "filter_list", lambda after: filters(after=after), 60),
    ("filters of a workflow", "filter_list", lambda after: filters(workflows=ONE_WORKFLOW, after=after), 120),
    (
        "the log of a durable task",
        "durable_log",
        lambda after: lambda c: (c.tenant_id, c.row_id(1), PAGE, 0, *((None, None) if after is None else (1, 800))),
        300,
    ),
    ("rate limits", "rate_limits", lambda after: rate_limits("key asc", after=after), 600),
    ("rate limits, the last first", "rate_limits", lambda after: rate_limits("key desc", after=after), 600),
]


@pytest.mark.parametrize(
    ("name", "arguments", "blocks_max"), [walk[1:] for walk in WALKS], ids=[walk[0] for walk in WALKS]
)
def test_a_page_deep_in_a_list_costs_what_the_first_one_does(
    crowded: str, crowd: Crowd, name: str, arguments: Callable[[After], Arguments], blocks_max: int
) -> None:
    for after in (None, DEEP):
        plan = asyncio.run(explain(crowded, f"reads/{name}", arguments(after)(crowd)))
        assert plan.rows == PAGE, "the case does not look at what it says"
        assert not plan.whole
        assert plan.blocks <= blocks_max, (after, plan)


def _rate_limits_by(order: str) -> Callable[[After], Arguments]:
    return lambda after: rate_limits(order, after=after)


def _crons_by(order: str) -> Callable[[After], Arguments]:
    return lambda after: crons(order=order, after=after)


def workers(after: After) -> Arguments:
    return lambda c: (
        *(c.tenant_id, c.at(ROWS), None, c.at(ROWS), None, PAGE, 0),
        *((None, None) if after is None else (c.ends_at, c.worker_id(after))),
        c.at(ROWS),
    )


def workflows(after: After) -> Arguments:
    return lambda c: (
        *(c.tenant_id, None, None, PAGE, 0),
        *((None,) * 4 if after is None else (False, False, c.ends_at, c.workflow_id(after))),
    )


#: Lists of which every page looks at all rows: a tenant has few, or no index has the order. A place in the middle, and
#: how many rows are on the page behind it.
UNINDEXED: list[tuple[str, str, Callable[[After], Arguments], int, int]] = [
    *(
        (f"rate limits by {order}", "rate_limits", _rate_limits_by(order), DEEP, PAGE)
        for order in ("value asc", "value desc", "limitValue asc", "limitValue desc")
    ),
    *(
        (f"crons by {order}", "cron_list", _crons_by(order), 5_001, PAGE)
        for order in ("createdAt ASC", "createdAt DESC", "name ASC", "name DESC")
    ),
    ("workers", "worker_list", workers, 101, PAGE),
    ("workflows", "workflow_list", workflows, 26, 26),
]


@pytest.mark.parametrize(
    ("name", "arguments", "after", "rows"), [case[1:] for case in UNINDEXED], ids=[case[0] for case in UNINDEXED]
)
def test_lists_without_an_index_cost_the_same_on_every_page(
    crowded: str, crowd: Crowd, name: str, arguments: Callable[[After], Arguments], after: int, rows: int
) -> None:
    first, behind = (asyncio.run(explain(crowded, f"reads/{name}", arguments(place)(crowd))) for place in (None, after))
    assert (first.rows, behind.rows) == (PAGE, rows)
    # Half of the table may be read by an index, whose own pages count as well.
    assert behind.blocks <= first.blocks * 1.5, (first, behind)


def test_what_a_tenant_uses_is_counted_up_to_a_bound(crowded: str, crowd: Crowd) -> None:
    plan = asyncio.run(
        explain(crowded, "quotas/in_use", (crowd.tenant_id, id_floor(crowd.ends_at - STEP * ROWS), 1_000))
    )
    assert plan.rows == 1
    assert not plan.whole, plan
    assert plan.blocks <= 400, plan


def test_members_of_a_tenant_are_found_by_an_index(crowded: str) -> None:
    async def indexes() -> list[str]:
        connection = await asyncpg.connect(crowded)
        rows = await connection.fetch("select indexdef from pg_indexes where tablename = 'membership'")
        await connection.close()
        return [row["indexdef"] for row in rows]

    assert any("(tenant_id)" in index for index in asyncio.run(indexes()))
