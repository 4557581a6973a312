"""Log lines of a tenant: a filter is looked for among a bounded number of lines, and no line is lost by that."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
import pytest

from broadaxe.storage import log_reads
from broadaxe.storage.ids import id_floor
from broadaxe.storage.log_reads import LogFilter, LogReads
from broadaxe.storage.pages import ByTime
from tests.storage.ground import make_tenant

STARTS_AT = datetime(2026, 3, 4, 23, 58, tzinfo=UTC)
WORKFLOWS = [str(UUID(int=number)) for number in range(1, 4)]
LINES = 240
LOOKED_AT_MAX = 30
PAGE = 20
ASKED: list[dict[str, Any]] = [
    {"search": "nEEdle"},
    {"search": "nowhere"},
    {"search": "line"},
    {"levels": ("ERROR", "WARN")},
    {"levels": ("DEBUG",)},
    {"retry_count": 1},
    {"workflow_ids": (WORKFLOWS[0],)},
    {"definition_ids": (WORKFLOWS[0],), "levels": ("INFO",)},
    {"workflow_ids": (str(UUID(int=9)),)},
]

_PUT_TASK = """
insert into broadaxe.task (
    tenant_id, id, run_id, workflow_id, definition_id, name, action_id, display_name, status, queue_priority,
    event_count, created_at
)
values ($1, $2, $2, $3, $3, 'x', 'a:b', 'x', 'QUEUED', 1, 1, $4)
"""
_PUT_LINE = """
insert into broadaxe.log_line (tenant_id, id, task_id, retry_count, level, message, created_at)
values ($1, $2, $3, $4, $5, $6, $7)
"""


class Line(msgspec.Struct):
    created_at: datetime
    workflow_id: str
    retry_count: int
    level: str
    message: str


async def put(pool: asyncpg.Pool, tenant_id: str, chance: random.Random) -> list[Line]:
    """Lines of ten minutes around a midnight, some at the same instant, in the order of time."""
    tasks = {
        f"{id_floor(STARTS_AT)[:14]}7000-9000-{number:012}": WORKFLOWS[0 if number == 7 else 1 + number % 2]
        for number in range(20)
    }
    await pool.executemany(_PUT_TASK, [(tenant_id, *task, STARTS_AT) for task in tasks.items()])
    lines, rows = [], []
    for number in range(LINES):
        at = STARTS_AT + timedelta(seconds=number // 2 * 3)
        task_id, workflow_id = chance.choice(list(tasks.items()))
        message = f"line {number}" + (" with a Needle" if number in (0, 131, 132, LINES - 1) else "")
        line = Line(at, workflow_id, chance.choice((0, 0, 1)), "INFO" if number % 97 else "ERROR", message)
        rows.append(
            (
                tenant_id,
                f"{id_floor(at)[:14]}7000-8000-{number:012}",
                task_id,
                line.retry_count,
                line.level,
                message,
                at,
            )
        )
        lines.append(line)
    await pool.executemany(_PUT_LINE, rows)
    return lines


@pytest.mark.parametrize("newest_first", [False, True], ids=["oldest first", "newest first"])
async def test_pages_lead_to_every_line_once_and_look_at_few(
    pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch, newest_first: bool
) -> None:
    monkeypatch.setattr(log_reads, "LINES_LOOKED_AT_MAX", LOOKED_AT_MAX)
    monkeypatch.setattr(log_reads, "LINES_AND_TASKS_LOOKED_AT_MAX", LOOKED_AT_MAX)
    tenant_id, other = await make_tenant(pool), await make_tenant(pool)
    lines = await put(pool, tenant_id, random.Random(1))
    await put(pool, other, random.Random(2))
    since, until = STARTS_AT + timedelta(seconds=-1), lines[-1].created_at + timedelta(seconds=1)
    for asked in ASKED:
        wanted = LogFilter(since=since, until=until, **asked)
        meant = [line.message for line in lines if passes(line, asked)]
        if newest_first:
            meant.reverse()
        shown, pages = await read_on(LogReads(pool), tenant_id, wanted, newest_first)
        assert shown == meant, asked
        assert pages >= LINES // LOOKED_AT_MAX, "each page looked at no more lines than it may"


async def read_on(reads: LogReads, tenant_id: str, wanted: LogFilter, newest_first: bool) -> tuple[list[str], int]:
    """Page after page: all messages, and how many pages there were."""
    shown: list[str] = []
    after: ByTime | None = None
    for pages in range(1, LINES):
        page = await reads.tenant_logs(tenant_id, STARTS_AT, wanted, newest_first=newest_first, limit=PAGE, after=after)
        assert len(page.rows) <= PAGE
        shown += [line.message for line in page.rows]
        if page.end is None:
            return shown, pages
        after = page.end
    raise AssertionError("pages without an end")


async def test_what_is_not_filtered_is_not_bounded(pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_reads, "LINES_LOOKED_AT_MAX", LOOKED_AT_MAX)
    tenant_id = await make_tenant(pool)
    lines = await put(pool, tenant_id, random.Random(1))
    wanted = LogFilter(since=STARTS_AT + timedelta(seconds=-1))
    page = await LogReads(pool).tenant_logs(tenant_id, STARTS_AT, wanted, newest_first=False, limit=1_000)
    assert [line.message for line in page.rows] == [line.message for line in lines]
    assert page.end is None


def passes(line: Line, asked: dict[str, Any]) -> bool:
    return (
        asked.get("search", "").lower() in line.message.lower()
        and ("levels" not in asked or line.level in asked["levels"])
        and ("retry_count" not in asked or line.retry_count == asked["retry_count"])
        and ("workflow_ids" not in asked or line.workflow_id in asked["workflow_ids"])
        and ("definition_ids" not in asked or line.workflow_id in asked["definition_ids"])
    )
