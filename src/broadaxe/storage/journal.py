"""Group commit: everything a batch decided, in one transaction, under the lease.

Owns how rows are written; decides nothing. The usual batch (runs, tasks, history) is one statement and so one round
trip and one fsync; the fence is part of it. Rarer rows (definitions, workers, pushed events, archived outputs) make it
a transaction of a few statements behind the same fence. What came from the outbox leaves it there: exactly once.

Invariants: a commit writes all of a batch or nothing; after `LeaseLost` nothing was written; every updated row was
there. Called by one actor at a time per tenant.

Errors: LeaseLost when the epoch is gone; Unavailable when Postgres cannot be reached or refuses for now;
InvalidArgument when a value is one that Postgres cannot hold, which the edges should have refused; Internal when a row
that must exist does not.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import asyncpg
import msgspec

from broadaxe.core.decision import DurableEntryRow, NewRun, NewTask, RunState, TaskEventRow, TaskState, Writes
from broadaxe.errors import Internal, InvalidArgument, LeaseLost, Unavailable
from broadaxe.storage.outage import OUTAGE
from broadaxe.storage.statements import statement

Column = Sequence[object]
_astuple = msgspec.structs.astuple
_json = msgspec.json.encode

_NEW_RUN_COLUMNS: Final = 25
_RUN_COLUMNS: Final = 5
_NEW_TASK_COLUMNS: Final = 25
_TASK_COLUMNS: Final = 18
_TASK_EVENT_COLUMNS: Final = 8

#: Failed expressions kept per tenant, the newest.
FAILURES_KEPT_MAX: Final = 1_000
#: Enqueued requests of a tenant that could not be done, kept for people to find; the newest.
REFUSED_KEPT_MAX: Final = 10_000

#: Set on every journal connection. The statement is planned once: its arrays are small beside the tables, and the only
#: good plan is nested loops over primary keys, whatever the statistics say on a young database.
CONNECTION_SETTINGS: Final = {
    "plan_cache_mode": "force_generic_plan",
    "enable_hashjoin": "off",
    "enable_material": "off",
    "enable_mergejoin": "off",
    "enable_seqscan": "off",
    "jit": "off",
    "application_name": "broadaxe journal",
}


class Journal:
    """Writes the batches of one tenant under one lease epoch."""

    def __init__(self, pool: asyncpg.Pool, tenant_id: str, node_id: str, epoch: int) -> None:
        self._pool = pool
        self._fence: tuple[str, str, int] = (tenant_id, node_id, epoch)

    async def commit(self, writes: Writes) -> None:
        """Returns once the whole batch is durable."""
        try:
            async with self._pool.acquire() as connection:
                if _is_plain(writes):
                    await self._commit_runs(connection, writes)
                    return
                async with connection.transaction():
                    if await connection.fetchval(statement("journal/fence"), *self._fence) is None:
                        raise LeaseLost()
                    await self._commit_rare(connection, writes)
                    await self._commit_runs(connection, writes)
                    if writes.replaced_outputs:
                        await connection.execute(
                            statement("journal/replace_outputs"),
                            self._fence[0],
                            *_columns(map(_astuple, writes.replaced_outputs), 3),
                        )
                    await self._commit_durable(connection, writes)
        except (asyncpg.DataError, asyncpg.ProgramLimitExceededError) as error:
            raise InvalidArgument(f"the database cannot hold a value: {error}") from error
        except OUTAGE as error:
            if isinstance(error, ValueError):
                # The driver's own: a number or a text that cannot even be sent.
                raise InvalidArgument(f"the database cannot hold a value: {error}") from error
            raise Unavailable(f"the database did not take the batch: {error}") from error

    async def _commit_runs(self, connection: Any, writes: Writes) -> None:
        row = await connection.fetchrow(
            statement("journal/commit_runs"),
            *self._fence,
            *_columns(_new_run_rows(writes.new_runs), _NEW_RUN_COLUMNS),
            *_columns(map(_astuple, writes.runs), _RUN_COLUMNS),
            *_columns(_new_task_rows(writes.new_tasks), _NEW_TASK_COLUMNS),
            *_columns(map(_astuple, writes.tasks), _TASK_COLUMNS),
            *_columns(map(_astuple, writes.task_events), _TASK_EVENT_COLUMNS),
        )
        if row["fences"] != 1:
            raise LeaseLost()
        if row["runs"] != len(writes.runs) or row["tasks"] != len(writes.tasks):
            raise Internal(
                f"the batch changed {row['runs']} of {len(writes.runs)} runs "
                f"and {row['tasks']} of {len(writes.tasks)} tasks"
            )

    async def _commit_rare(self, connection: Any, writes: Writes) -> None:
        tenant_id = self._fence[0]
        if writes.workflows:
            await connection.execute(
                statement("journal/put_workflows"), tenant_id, *_columns(map(_astuple, writes.workflows), 11)
            )
        if writes.versions:
            rows = [
                (v.id, v.workflow_id, v.ordinal, v.label, v.checksum, _json(v.definition).decode(), v.created_at_us)
                for v in writes.versions
            ]
            await connection.execute(statement("journal/insert_versions"), tenant_id, *_columns(rows, 7))
        if writes.workers:
            workers = [
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
                )
                for w in writes.workers
            ]
            await connection.execute(statement("journal/put_workers"), tenant_id, *_columns(workers, 12))
        if writes.events:
            await connection.execute(
                statement("journal/insert_events"), tenant_id, *_columns(map(_astuple, writes.events), 8)
            )
        if writes.rate_limits:
            columns = _columns(map(_astuple, writes.rate_limits), 7)
            await connection.execute(statement("journal/put_rate_limits"), tenant_id, *columns)
        if writes.deleted_rate_limits:
            await connection.execute(statement("journal/delete_rate_limits"), tenant_id, writes.deleted_rate_limits)
        if writes.quota_usage:
            columns = _columns(map(_astuple, writes.quota_usage), 3)
            await connection.execute(statement("journal/put_quota_usage"), tenant_id, *columns)
        if writes.filters:
            await connection.execute(
                statement("journal/put_filters"), tenant_id, *_columns(map(_astuple, writes.filters), 8)
            )
        if writes.deleted_filters:
            await connection.execute(statement("journal/delete_filters"), tenant_id, writes.deleted_filters)
        if writes.claims:
            await connection.execute(
                statement("journal/put_claims"), tenant_id, *_columns(map(_astuple, writes.claims), 3)
            )
        if writes.released_claims:
            await connection.execute(statement("journal/release_claims"), tenant_id, writes.released_claims)
        if writes.expression_failures:
            columns = _columns(map(_astuple, writes.expression_failures), 6)
            await connection.execute(statement("journal/insert_expression_failures"), tenant_id, *columns)
            await connection.execute(statement("journal/trim_expression_failures"), tenant_id, FAILURES_KEPT_MAX)
        if writes.taken:
            gone = await connection.fetchval(
                statement("journal/take_outbox"), tenant_id, writes.taken, *_columns(map(_astuple, writes.refused), 2)
            )
            if gone != len(writes.taken):
                raise Internal(f"of {len(writes.taken)} outbox rows {gone} were there")
            if writes.refused:
                await connection.execute(statement("journal/trim_refused"), tenant_id, REFUSED_KEPT_MAX)
        if writes.run_keys:
            columns = _columns(map(_astuple, writes.run_keys), 2)
            await connection.execute(statement("journal/put_run_keys"), tenant_id, *columns)
        if writes.archived_outputs:
            await connection.execute(statement("journal/archive_outputs"), tenant_id, writes.archived_outputs)
        await self._commit_calendar(connection, writes)

    async def _commit_calendar(self, connection: Any, writes: Writes) -> None:
        tenant_id = self._fence[0]
        if writes.deleted_crons:
            # Before the others: one with the same name and expression may take its place.
            await connection.execute(statement("journal/delete_crons"), tenant_id, writes.deleted_crons)
        if writes.crons:
            columns = _columns(map(_astuple, writes.crons), 12)
            await connection.execute(statement("journal/put_crons"), tenant_id, *columns)
        if writes.cron_ticks:
            columns = _columns(map(_astuple, writes.cron_ticks), 2)
            await connection.execute(statement("journal/tick_crons"), tenant_id, *columns)
        if writes.schedules:
            columns = _columns(map(_astuple, writes.schedules), 12)
            await connection.execute(statement("journal/put_schedules"), tenant_id, *columns)
        if writes.deleted_schedules:
            await connection.execute(statement("journal/delete_schedules"), tenant_id, writes.deleted_schedules)
        if writes.cleared_workflows:
            await connection.execute(statement("journal/clear_schedules"), tenant_id, writes.cleared_workflows)

    async def _commit_durable(self, connection: Any, writes: Writes) -> None:
        """After the runs: what a child came to is copied from its rows."""
        tenant_id = self._fence[0]
        for name, rows, count in (
            ("put_durable_tasks", map(_astuple, writes.durable_tasks), 5),
            ("insert_durable_branches", map(_astuple, writes.durable_branches), 4),
            ("put_durable_entries", map(_entry_columns, writes.durable_entries), 18),
            ("put_gates", map(_astuple, writes.gates), 4),
            ("finish_children", writes.finished_children, 2),
            ("reopen_children", writes.reopened_children, 2),
            ("note_news", writes.news, 2),
        ):
            columns = _columns(rows, count)
            if columns[0]:
                await connection.execute(statement(f"journal/{name}"), tenant_id, *columns)


def _entry_columns(row: DurableEntryRow) -> tuple[object, ...]:
    return _astuple(msgspec.structs.replace(row, event_keys=_json(row.event_keys).decode()))


def _is_plain(writes: Writes) -> bool:
    return not (
        writes.workflows
        or writes.versions
        or writes.workers
        or writes.events
        or writes.archived_outputs
        or writes.replaced_outputs
        or writes.rate_limits
        or writes.deleted_rate_limits
        or writes.quota_usage
        or writes.filters
        or writes.deleted_filters
        or writes.claims
        or writes.released_claims
        or writes.expression_failures
        or writes.crons
        or writes.cron_ticks
        or writes.deleted_crons
        or writes.schedules
        or writes.deleted_schedules
        or writes.cleared_workflows
        or writes.taken
        or writes.run_keys
        or writes.durable_tasks
        or writes.durable_branches
        or writes.durable_entries
        or writes.finished_children
        or writes.reopened_children
        or writes.gates
        or writes.news
    )


def _new_run_rows(runs: Iterable[NewRun]) -> Iterable[tuple[object, ...]]:
    for run in runs:
        state: RunState = run.state
        yield (*_astuple(run.row), *_astuple(state)[1:], run.input)


def _new_task_rows(tasks: Iterable[NewTask]) -> Iterable[tuple[object, ...]]:
    for task in tasks:
        yield (*_astuple(task.row), *_astuple(task.state)[1:])


def _columns(rows: Iterable[tuple[object, ...]], count: int) -> list[Column]:
    """Rows turned into columns; empty ones when there are no rows."""
    columns: list[Column] = list(zip(*rows, strict=True))
    return columns or [()] * count


#: The statement names its columns by position; these are what the positions mean.
assert len(TaskState.__struct_fields__) == _TASK_COLUMNS
assert len(TaskEventRow.__struct_fields__) == _TASK_EVENT_COLUMNS
