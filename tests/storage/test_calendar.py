"""Crons and schedules in their tables: what is written comes back, page by page, and wakes its tenant."""

from __future__ import annotations

import asyncpg
import msgspec
import pytest

from broadaxe.core import calendar
from broadaxe.core.calendar import INSTANT_US_MAX, INSTANT_US_MIN
from broadaxe.core.decision import CronRow, CronTick, ScheduleRow, WorkflowRow, Writes
from broadaxe.core.loaded import Missing
from broadaxe.storage import loader
from broadaxe.storage.ids import new_id
from broadaxe.storage.journal import Journal
from broadaxe.storage.loader import load_live, load_missing
from broadaxe.storage.statements import statement
from tests.storage.ground import make_journal, make_tenant

NOW_US = 1_767_268_800_000_000
_replace = msgspec.structs.replace


async def workflow(journal: Journal, name: str = "flow") -> str:
    row = WorkflowRow(new_id(), name, "", NOW_US, NOW_US, None)
    writes = Writes()
    writes.workflows.append(row)
    await journal.commit(writes)
    return row.id


def cron(workflow_id: str, name: str | None = "nightly", **changes: object) -> CronRow:
    row = CronRow(new_id(), workflow_id, "0 * * * *", name, name is None, '{"n":1}', None, None, True, None, 1, 2)
    return _replace(row, **changes)


def schedule(workflow_id: str, at_us: int = NOW_US, **changes: object) -> ScheduleRow:
    row = ScheduleRow(new_id(), workflow_id, at_us, '{"n":1}', None, None, None, None, None, None, 1, 2)
    return _replace(row, **changes)


async def write(journal: Journal, **lists: list[object]) -> None:
    await journal.commit(_replace(Writes(), **lists))


async def awake(pool: asyncpg.Pool) -> set[str]:
    return {str(row["tenant_id"]) for row in await pool.fetch(statement("loader/tenants_with_work"))}


async def test_crons_come_back_as_they_were_written(pool: asyncpg.Pool) -> None:
    tenant_id = await make_tenant(pool)
    journal = await make_journal(pool, tenant_id)
    workflow_id = await workflow(journal)
    rows = [
        cron(workflow_id, additional_metadata='{"a": "b"}', priority=3, last_tick_us=NOW_US),
        cron(workflow_id, None),
        cron(workflow_id, expression="1 * * * *", is_enabled=False),
    ]
    await write(journal, crons=list(rows))
    assert list((await load_live(pool, tenant_id, NOW_US)).crons) == sorted(rows, key=lambda row: row.id)
    changed = _replace(rows[1], input='{"n":2}', is_enabled=False, updated_at_us=NOW_US)
    await write(journal, crons=[changed], cron_ticks=[CronTick(rows[2].id, NOW_US + 5)], deleted_crons=[rows[0].id])
    found = {row.id: row for row in (await load_live(pool, tenant_id, NOW_US)).crons}
    assert found == {rows[1].id: changed, rows[2].id: _replace(rows[2], last_tick_us=NOW_US + 5)}


async def test_a_cron_may_take_the_place_of_one_deleted_in_the_same_batch(pool: asyncpg.Pool) -> None:
    tenant_id = await make_tenant(pool)
    journal = await make_journal(pool, tenant_id)
    workflow_id = await workflow(journal)
    old, new = cron(workflow_id), cron(workflow_id)
    await write(journal, crons=[old])
    with pytest.raises(asyncpg.UniqueViolationError):
        await write(journal, crons=[new])
    await write(journal, crons=[new], deleted_crons=[old.id])
    assert [row.id for row in (await load_live(pool, tenant_id, NOW_US)).crons] == [new.id]


async def test_schedules_come_back_by_page_and_by_id(pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    tenant_id = await make_tenant(pool)
    journal = await make_journal(pool, tenant_id)
    workflow_id = await workflow(journal)
    rows = [
        schedule(workflow_id, INSTANT_US_MIN, priority=1),
        schedule(workflow_id, NOW_US, additional_metadata='{"a": "b"}'),
        schedule(workflow_id, NOW_US, parent_run_id=new_id(), parent_task_id=new_id(), child_index=1, child_key="k"),
        schedule(workflow_id, NOW_US + 1),
        schedule(workflow_id, INSTANT_US_MAX),
    ]
    await write(journal, schedules=rows[::-1])
    page = (await load_live(pool, tenant_id, NOW_US)).schedule_page
    assert page == calendar.SchedulePage(tuple(rows), is_last=True)
    monkeypatch.setattr(loader, "PAGE_SCHEDULES_MAX", 2)
    pages = [(await load_live(pool, tenant_id, NOW_US)).schedule_page]
    while (page := pages[-1]) is not None and not page.is_last:
        key = page.rows[-1].trigger_at_us, page.rows[-1].id
        pages.append((await load_missing(pool, tenant_id, Missing(schedules_after=key))).schedule_page)
    assert [[row.id for row in page.rows] for page in pages if page] == [
        [row.id for row in rows[start : start + 2]] for start in (0, 2, 4)
    ]
    named = await load_missing(pool, tenant_id, Missing(schedules=frozenset((rows[3].id, new_id()))))
    assert named.schedules == (rows[3],) and named.schedule_page is None


async def test_a_page_of_large_inputs_is_shorter(pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    tenant_id = await make_tenant(pool)
    journal = await make_journal(pool, tenant_id)
    workflow_id = await workflow(journal)
    await write(journal, schedules=[schedule(workflow_id, NOW_US + n, input="x" * 60) for n in range(5)])
    for bytes_max, count in ((10, 1), (119, 1), (120, 2), (299, 4), (300, 5)):
        monkeypatch.setattr(loader, "PAGE_INPUT_BYTES_MAX", bytes_max)
        page = (await load_live(pool, tenant_id, NOW_US)).schedule_page
        assert page is not None and (len(page.rows), page.is_last) == (count, count == 5)


async def test_schedules_are_moved_used_up_and_cleared(pool: asyncpg.Pool) -> None:
    tenant_id = await make_tenant(pool)
    journal = await make_journal(pool, tenant_id)
    mine, other = await workflow(journal), await workflow(journal, "other")
    rows = [schedule(mine, NOW_US + n) for n in range(3)] + [schedule(other)]
    await write(journal, schedules=list(rows))
    moved = _replace(rows[0], trigger_at_us=NOW_US + 50, updated_at_us=9)
    await write(journal, schedules=[moved], deleted_schedules=[rows[1].id])
    page = (await load_live(pool, tenant_id, NOW_US)).schedule_page
    assert page is not None and page.rows == (rows[3], rows[2], moved)
    await write(journal, cleared_workflows=[mine])
    page = (await load_live(pool, tenant_id, NOW_US)).schedule_page
    assert page is not None and page.rows == (rows[3],)


async def test_what_is_planned_wakes_its_tenant_at_the_start(pool: asyncpg.Pool) -> None:
    sleeping, ticking, planned = [await make_tenant(pool) for _ in range(3)]
    journals = {tenant_id: await make_journal(pool, tenant_id) for tenant_id in (sleeping, ticking, planned)}
    flows = {tenant_id: await workflow(journal) for tenant_id, journal in journals.items()}
    await write(journals[sleeping], crons=[cron(flows[sleeping], is_enabled=False)])
    assert await awake(pool) == set()
    await write(journals[ticking], crons=[cron(flows[ticking])])
    await write(journals[planned], schedules=[schedule(flows[planned])])
    assert await awake(pool) == {ticking, planned}
