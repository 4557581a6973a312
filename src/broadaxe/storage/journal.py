"""Group commit: everything a round decided, in one transaction, under the lease.

Owns how rows are written; decides nothing. The usual round (runs, tasks, history) is one statement and so one round
trip and one fsync; the fence is part of it. There are three such statements, for what is new, for what has changed and
for both, since an empty part costs PostgreSQL its preparation all the same. A table comes as one text: in a small round
most of the work is what each argument costs the driver and the server. Rarer rows (definitions, workers, pushed events,
archived outputs) make it a transaction of a few statements behind the same fence, in the order of `BEFORE_RUNS` and
`AFTER_RUNS`: every field of `Writes` has its place there or in the one statement. What came from the outbox leaves it
there: exactly once.

No statement here costs more the longer history is kept: rows are inserted by their id, or looked for from the oldest id
in question on.

Invariants: a commit writes all of a round or nothing; after `LeaseLost` nothing was written; every updated row was
there. Called by one actor at a time per tenant.

Errors: LeaseLost when the epoch is gone; Unavailable when Postgres cannot be reached or refuses for now;
InvalidArgument when a value is one that Postgres cannot hold, which the edges should have refused; Internal when a row
that must exist does not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Final

import asyncpg
import msgspec

from broadaxe.core.decision import (
    AlertRuleRow,
    AuditRow,
    DurableEntryRow,
    MemoRow,
    ReplacedOutput,
    RunKeysRow,
    RunRow,
    RunState,
    TaskEventRow,
    TaskRow,
    TaskState,
    VersionRow,
    WorkerRow,
    Writes,
)
from broadaxe.errors import Internal, InvalidArgument, LeaseLost, Unavailable
from broadaxe.storage.audit import Chain, append_arguments
from broadaxe.storage.connections import KeptConnections
from broadaxe.storage.ids import id_floor_of
from broadaxe.storage.outage import OUTAGE
from broadaxe.storage.statements import statement

_astuple = msgspec.structs.astuple
_json = msgspec.json.encode

#: Where a task's state has its output, which travels beside the rest: it may be large, and is sent as it is.
_OUTPUT: Final = TaskState.__struct_fields__.index("output")

#: Failed expressions kept per tenant, the newest.
FAILURES_KEPT_MAX: Final = 1_000
#: Enqueued requests of a tenant that could not be done, kept for people to find; the newest.
REFUSED_KEPT_MAX: Final = 10_000
#: Alerts of a tenant that are over, and messages that were given or given up; the newest.
ALERTS_KEPT_MAX: Final = 10_000

#: Set on every journal connection. The arrays are small beside the tables, and the only good plan is nested loops over
#: primary keys, whatever the statistics say on a young database. Postgres chooses by itself to plan the statement of
#: every round once, since its plan does not depend on the values, and those which look for rows anew for theirs.
#: A node that freezes or is cut off in the middle of a transaction holds its lease in that: Postgres ends the session
#: before the lease has run out, or nobody could take the tenant.
CONNECTION_SETTINGS: Final = {
    "enable_hashjoin": "off",
    "enable_material": "off",
    "enable_mergejoin": "off",
    "enable_seqscan": "off",
    "jit": "off",
    "application_name": "broadaxe journal",
    "idle_in_transaction_session_timeout": "3s",
}


class Journal:
    """Writes the rounds of one tenant under one lease epoch."""

    def __init__(self, connections: asyncpg.Pool | KeptConnections, tenant_id: str, node_id: str, epoch: int) -> None:
        self._connections = connections
        self._fence: tuple[str, str, int] = (tenant_id, node_id, epoch)

    async def confirm(self) -> None:
        """Returns if the epoch is still the tenant's. LeaseLost, Unavailable."""
        try:
            async with self._connections.acquire() as connection:
                if await connection.fetchval(statement("journal/fence"), *self._fence) is None:
                    raise LeaseLost()
        except OUTAGE as error:
            raise Unavailable(f"the database did not say whether the tenant is still here: {error}") from error

    async def commit(self, writes: Writes) -> None:
        """Returns once the whole round is durable."""
        try:
            async with self._connections.acquire() as connection:
                if not any(_rare(writes)):
                    await self._commit_runs(connection, writes)
                    return
                async with connection.transaction():
                    if await connection.fetchval(statement("journal/fence"), *self._fence) is None:
                        raise LeaseLost()
                    await self._commit_rare(connection, BEFORE_RUNS, writes)
                    if any(_runs(writes)):
                        await self._commit_runs(connection, writes)
                    await self._commit_rare(connection, AFTER_RUNS, writes)
                    if writes.audit:
                        await self._append_audit(connection, writes.audit)
        except asyncpg.NoDataFoundError as error:
            raise Internal(str(error)) from error
        except (asyncpg.DataError, asyncpg.ProgramLimitExceededError) as error:
            raise InvalidArgument(f"the database cannot hold a value: {error}") from error
        except OUTAGE as error:
            if isinstance(error, ValueError):
                # The driver's own: a number or a text that cannot even be sent.
                raise InvalidArgument(f"the database cannot hold a value: {error}") from error
            raise Unavailable(f"the database did not take what was decided: {error}") from error

    async def warm(self) -> None:
        """Has a connection prepare the statements of usual rounds. Without a lease, and so nothing is written."""
        async with self._connections.acquire() as connection:
            for name, count in (("commit_changes", 4), ("commit_new", 7), ("commit_runs", 7)):
                await connection.fetchval(statement(f"journal/{name}"), *self._fence, *[None] * count)

    async def _commit_runs(self, connection: Any, writes: Writes) -> None:
        is_new = bool(writes.new_runs or writes.new_tasks)
        is_changed = bool(writes.runs or writes.tasks)
        name = "commit_changes" if not is_new else "commit_runs" if is_changed else "commit_new"
        arguments = [_table(map(_astuple, writes.task_events)), *_changed(writes)]
        if is_new:
            arguments += _made(writes)
        fences = await connection.fetchval(statement(f"journal/{name}"), *self._fence, *arguments)
        if fences != 1:
            raise LeaseLost()

    async def _append_audit(self, connection: Any, rows: Sequence[AuditRow]) -> None:
        tenant_id = self._fence[0]
        arguments = append_arguments(tenant_id, Chain.TENANT, rows)
        await connection.execute(statement("journal/append_audit"), tenant_id, *arguments)

    async def _commit_rare(self, connection: Any, steps: Iterable[Step], writes: Writes) -> None:
        tenant_id = self._fence[0]
        for step in steps:
            if rows := getattr(writes, step.field):
                await connection.execute(statement(f"journal/{step.statement}"), tenant_id, *step.arguments(rows))
                if step.trim is not None:
                    name, kept_max = step.trim
                    await connection.execute(statement(f"journal/{name}"), tenant_id, kept_max)


@dataclass(frozen=True, slots=True)
class Step:
    """How one kind of rare rows is written: if there are any, by one statement."""

    field: str
    """Of `Writes`."""
    statement: str
    """Under `queries/journal/`; its first argument is the tenant."""
    arguments: Callable[[Any], Sequence[object]]
    """The others, from the field's rows."""
    trim: tuple[str, int] | None = None
    """A statement that keeps the newest rows, and how many."""


def _rows(rows: Sequence[Any]) -> Sequence[object]:
    return list(zip(*map(_astuple, rows), strict=True))


def _ids(ids: Sequence[Any]) -> Sequence[object]:
    return (ids,)


def _archived(task_ids: Sequence[str]) -> Sequence[object]:
    return task_ids, id_floor_of(task_ids)


def _replaced(rows: Sequence[ReplacedOutput]) -> Sequence[object]:
    return *_rows(rows), id_floor_of(row.task_id for row in rows)


def _run_keys(rows: Sequence[RunKeysRow]) -> Sequence[object]:
    return *_rows(rows), id_floor_of(row.run_id for row in rows)


def _memos(rows: Sequence[MemoRow]) -> Sequence[object]:
    return *_rows(rows), id_floor_of(row.task_id for row in rows)


def _pairs_of_ids(pairs: Sequence[tuple[str, str]]) -> Sequence[object]:
    return *zip(*pairs, strict=True), id_floor_of(id_ for pair in pairs for id_ in pair)


def _alert_rules(rows: Sequence[AlertRuleRow]) -> Sequence[object]:
    return _rows([msgspec.structs.replace(row, channel_ids=",".join(row.channel_ids)) for row in rows])


def _versions(rows: Sequence[VersionRow]) -> Sequence[object]:
    return list(
        zip(
            *(
                (v.id, v.workflow_id, v.ordinal, v.label, v.checksum, _json(v.definition).decode(), v.created_at_us)
                for v in rows
            ),
            strict=True,
        )
    )


def _workers(rows: Sequence[WorkerRow]) -> Sequence[object]:
    return list(
        zip(
            *(
                (
                    w.id,
                    w.name,
                    _json(w.actions).decode(),
                    _json(w.slots).decode(),
                    _json(w.labels).decode(),
                    _json(w.runtime).decode(),
                    w.is_paused,
                    w.is_listening,
                    w.created_at_us,
                    w.updated_at_us,
                    w.last_heartbeat_at_us,
                    w.listening_since_us,
                    w.speaks_durably,
                    w.paused_by,
                )
                for w in rows
            ),
            strict=True,
        )
    )


def _entries(rows: Sequence[DurableEntryRow]) -> Sequence[object]:
    return _rows([msgspec.structs.replace(row, event_keys=_json(row.event_keys).decode()) for row in rows])


#: In the order in which they are written.
BEFORE_RUNS: Final = (
    Step("workflows", "put_workflows", _rows),
    Step("versions", "insert_versions", _versions),
    Step("workers", "put_workers", _workers),
    Step("events", "insert_events", _rows),
    Step("rate_limits", "put_rate_limits", _rows),
    Step("deleted_rate_limits", "delete_rate_limits", _ids),
    Step("quota_usage", "put_quota_usage", _rows),
    Step("filters", "put_filters", _rows),
    Step("deleted_filters", "delete_filters", _ids),
    Step("claims", "put_claims", _rows),
    Step("released_claims", "release_claims", _ids),
    Step("expression_failures", "insert_expression_failures", _rows, ("trim_expression_failures", FAILURES_KEPT_MAX)),
    # They are among the taken, and copied from there.
    Step("refused", "refuse_outbox", _rows, ("trim_refused", REFUSED_KEPT_MAX)),
    Step("taken", "take_outbox", _ids),
    Step("run_keys", "put_run_keys", _run_keys),
    Step("archived_outputs", "archive_outputs", _archived),
    # Before the others: one with the same name and expression may take its place.
    Step("deleted_crons", "delete_crons", _ids),
    Step("crons", "put_crons", _rows),
    Step("cron_ticks", "tick_crons", _rows),
    Step("schedules", "put_schedules", _rows),
    Step("deleted_schedules", "delete_schedules", _ids),
    Step("cleared_workflows", "clear_schedules", _ids),
    Step("alert_rules", "put_alert_rules", _alert_rules),
    Step("deleted_alert_rules", "delete_alert_rules", _ids),
    Step("alerts", "put_alerts", _rows),
    Step("deleted_alerts", "delete_alerts", _ids),
    Step("topics", "put_topics", _rows),
    Step("producers", "put_producers", _rows),
    Step("messages", "insert_messages", _rows),
    Step("alert_deliveries", "insert_alert_deliveries", _rows, ("trim_alert_deliveries", ALERTS_KEPT_MAX)),
)
#: Written by the one statement.
RUNS: Final = ("new_runs", "runs", "new_tasks", "tasks", "task_events")
#: What a child came to is copied from its rows.
AFTER_RUNS: Final = (
    Step("replaced_outputs", "replace_outputs", _replaced),
    Step("durable_tasks", "put_durable_tasks", _rows),
    Step("durable_branches", "insert_durable_branches", _rows),
    Step("durable_entries", "put_durable_entries", _entries),
    Step("gates", "put_gates", _rows),
    Step("finished_children", "finish_children", _pairs_of_ids),
    Step("reopened_children", "reopen_children", _pairs_of_ids),
    Step("memos", "keep_memos", _memos),
    Step("news", "note_news", _pairs_of_ids),
)
#: Last, under the name of whoever asked.
AUDIT: Final = "audit"
_runs: Final = attrgetter(*RUNS)
_rare: Final = attrgetter(AUDIT, *(step.field for step in (*BEFORE_RUNS, *AFTER_RUNS)))


def _changed(writes: Writes) -> tuple[object, ...]:
    """Runs, tasks, and the outputs of these."""
    tasks = list(map(_astuple, writes.tasks))
    return (
        _table(map(_astuple, writes.runs)),
        _table((*task[:_OUTPUT], *task[_OUTPUT + 1 :]) for task in tasks),
        [task[_OUTPUT] for task in tasks],
    )


def _made(writes: Writes) -> tuple[object, ...]:
    """New runs, the inputs of these, and new tasks."""
    return (
        _table((*_astuple(run.row), *_astuple(run.state)[1:]) for run in writes.new_runs),
        [run.input for run in writes.new_runs],
        _table((*_astuple(task.row), *_astuple(task.state)[1:]) for task in writes.new_tasks),
    )


def _table(rows: Iterable[tuple[object, ...]]) -> str | None:
    """Rows as one text, a JSON array of an array for each; None when there are none."""
    found = list(rows)
    return _json(found).decode() if found else None


#: A kind of rows without its place would be lost in silence.
assert sorted((AUDIT, *RUNS, *(step.field for step in (*BEFORE_RUNS, *AFTER_RUNS)))) == sorted(Writes.__struct_fields__)
#: The statements know columns by their position in the row.
assert len(RunRow.__struct_fields__) == 21
assert len(RunState.__struct_fields__) == 5
assert len(TaskRow.__struct_fields__) == 8
assert len(TaskState.__struct_fields__) == 18
assert len(TaskEventRow.__struct_fields__) == 8
