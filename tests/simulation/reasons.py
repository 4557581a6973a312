"""What live memory says when it is asked: every task that does not run has a reason, and every page can be made.

Ask when a round has come to rest. A reason is checked against the tables where they know better.
"""

from __future__ import annotations

from broadaxe.core.lifecycle import TaskStatus
from broadaxe.core.questions import (
    ASKED_MAX,
    Backoff,
    Coming,
    Debounce,
    Evicted,
    InTurn,
    KeysInUse,
    LimitUsers,
    Paused,
    QueuesInUse,
    TimeToCome,
    WhyWaiting,
)
from broadaxe.core.sentences import sentence
from broadaxe.core.tenant import Tenant
from tests.simulation.books import hold
from tests.simulation.tables import Tables


def check_reasons(tenant: Tenant, tables: Tables, now_us: int) -> None:
    """Of every task in memory, in the backlog's segments and asleep."""
    before = tenant.next_due_us()
    live = [task_id for run_id in tables.live for task_id in tables.tasks_of[run_id]]
    waiting = [task_id for task_id in live if tables.tasks[task_id].status not in _NOT_WAITING]
    for start in range(0, len(waiting), ASKED_MAX):
        ids = tuple(waiting[start : start + ASKED_MAX])
        answer = tenant.answer(WhyWaiting(ids), now_us)
        rows = {row.task_id: row for row in answer.tasks}
        for task_id in ids:
            status = tables.tasks[task_id].status
            row = rows.get(task_id)
            if row is None:
                hold(False, "a task that waits has no reason", task_id, status)
                continue
            hold(row.status is status, "a reason is of another status", task_id, status, row)
            hold(bool(sentence(row.reason, now_us)), "a reason has no words", row)
            hold(not isinstance(row.reason, InTurn), "a task waits for nothing", task_id, row)
            is_kind = status is not TaskStatus.BACKOFF or isinstance(row.reason, Backoff | Debounce)
            hold(
                is_kind and (status is not TaskStatus.EVICTED or not isinstance(row.reason, Paused)), "wrong kind", row
            )
    running = tuple(task_id for task_id in live if tables.tasks[task_id].status is TaskStatus.RUNNING)
    for row in tenant.answer(WhyWaiting(running), now_us).tasks:
        hold(
            not isinstance(row.reason, InTurn | Evicted | Paused), "a task that runs waits for nothing of a queue", row
        )
    hold(tenant.next_due_us() == before, "asking changed something")


def check_pages(tenant: Tenant, now_us: int) -> None:
    """A walk by pages is the same as one large page."""
    whole = tenant.answer(TimeToCome(limit=500), now_us)
    rows: list[Coming] = []
    after = None
    while len(rows) < len(whole.rows):
        page = tenant.answer(TimeToCome(after=after, limit=3), now_us)
        rows += page.rows
        if not page.has_more:
            break
        after = page.rows[-1].at_us, page.rows[-1].number
    hold(tuple(rows[:500]) == whole.rows, "time to come is not the same page by page")
    hold(all(row.at_us >= now_us for row in whole.rows), "what is to come is past", now_us, whole.rows[:1])
    tenant.answer(KeysInUse(), now_us)
    tenant.answer(QueuesInUse(), now_us)
    tenant.answer(LimitUsers("any"), now_us)


_NOT_WAITING = (
    TaskStatus.RUNNING,
    TaskStatus.COMPLETED,
    TaskStatus.SKIPPED,
    TaskStatus.FAILED,
    TaskStatus.CANCELLED,
)
