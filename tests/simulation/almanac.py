"""What crons and schedules must come to, kept from committed rows and runs alone.

The expressions used are given twice: as text, and as a question about one second of the wall clock, so that every tick
is known without asking the core. A schedule is known again by a mark in its metadata.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from broadaxe.core.commands import Command
from broadaxe.core.commands.crons import BackfillCron, ChangeCron, CreateCron, DeleteCron, RunCron
from broadaxe.core.commands.schedules import DeleteSchedules, MoveSchedules, RunSchedule, ScheduleRuns
from broadaxe.core.commands.workflows import WhilePaused
from broadaxe.core.decision import CronRow, Decision, RunRow, ScheduleRow
from broadaxe.core.durations import US_PER_S
from broadaxe.core.firing import BACKFILL_ID_KEY
from tests.simulation.books import hold
from tests.simulation.chances import NAMES, Chances
from tests.simulation.quota_books import QuotaBooks
from tests.simulation.tables import Tables

LATE_S = 10
CATCH_UP_S = 3_600
DAY_S = 86_400

#: Text -> (zone, whether it follows the clock as it is, whether a wall time is named).
EXPRESSIONS: Mapping[str, tuple[str, bool, Callable[[datetime], bool]]] = {
    "*/7 * * * * *": ("UTC", True, lambda at: at.second % 7 == 0),
    "*/10 * * * *": ("UTC", True, lambda at: at.minute % 10 == 0 and at.second == 0),
    "@daily": ("UTC", False, lambda at: (at.hour, at.minute, at.second) == (0, 0, 0)),
    "0 12 1,15 * *": ("UTC", False, lambda at: at.day in (1, 15) and (at.hour, at.minute, at.second) == (12, 0, 0)),
    "CRON_TZ=Europe/Berlin 30 2 * * *": (
        "Europe/Berlin", False, lambda at: (at.hour, at.minute, at.second) == (2, 30, 0),
    ),
    "CRON_TZ=Europe/Berlin */20 * * * sun": (
        "Europe/Berlin", True, lambda at: at.isoweekday() == 7 and at.minute % 20 == 0 and at.second == 0,
    ),
    "TZ=America/New_York 5 15,45 1-2 * * *": (
        "America/New_York", False, lambda at: at.hour in (1, 2) and at.minute in (15, 45) and at.second == 5,
    ),
    "TZ=America/New_York 0 */2 * * *": (
        "America/New_York", True, lambda at: at.hour % 2 == 0 and at.minute == 0 and at.second == 0,
    ),
}  # fmt: skip

#: Ten seconds before the clock changes in Berlin and New York, spring and autumn, in five years.
_EVES = [
    int(datetime.fromisoformat(eve).timestamp()) - 10
    for eve in (
        "2026-03-08T07:00Z", "2026-03-29T01:00Z", "2026-10-25T01:00Z", "2026-11-01T06:00Z", "2027-03-14T07:00Z",
        "2027-03-28T01:00Z", "2027-10-31T01:00Z", "2027-11-07T06:00Z", "2028-03-12T07:00Z", "2028-03-26T01:00Z",
        "2028-10-29T01:00Z", "2028-11-05T06:00Z", "2029-03-11T07:00Z", "2029-03-25T01:00Z", "2029-10-28T01:00Z",
        "2029-11-04T06:00Z", "2030-03-10T07:00Z", "2030-03-31T01:00Z", "2030-10-27T01:00Z", "2030-11-03T06:00Z",
    )
]  # fmt: skip


@lru_cache(maxsize=1 << 16)
def is_tick(expression: str, at_s: int) -> bool:
    """Whether the expression names this second, by the two rules about changes of the clock."""
    zone_name, follows_clock, is_named = EXPRESSIONS[expression]
    zone = ZoneInfo(zone_name)
    wall = datetime.fromtimestamp(at_s, zone)
    if is_named(wall):
        return follows_clock or not wall.fold
    if follows_clock:
        return False
    before = datetime.fromtimestamp(at_s - 1, zone).replace(tzinfo=None) + timedelta(seconds=1)
    skipped = int((wall.replace(tzinfo=None) - before).total_seconds())
    return any(is_named(before + timedelta(seconds=n)) for n in range(skipped))


class Almanac:
    def __init__(self, tables: Tables, quotas: QuotaBooks) -> None:
        self.tables = tables
        self.quotas = quotas
        self.since: dict[str, int] = {}
        """Cron -> the instant after which none of its ticks has been accounted for."""
        self.ticks: set[tuple[str, str, str, int]] = set()
        """(workflow, expression, name, tick in seconds) that made a run."""
        self.planned: dict[str, ScheduleRow] = {}
        """The schedules as of the last commit."""
        self.fired: set[str] = set()
        """Marks of the schedules that made their run."""

    def observe(self, decision: Decision, commands: Iterable[Command], now_us: int, *, is_at_rest: bool) -> None:
        commands = tuple(commands)
        deleted: set[str] = set()
        hurried: set[str] = set()
        for command in commands:
            match command:
                case DeleteSchedules(ids):
                    deleted |= set(ids)
                case RunSchedule(schedule_id):
                    hurried.add(schedule_id)
                case MoveSchedules(moves):
                    hurried |= {schedule_id for schedule_id, at_us in moves if at_us <= now_us}
        # A tick and a change of one instant: the run has what the cron was.
        changed = {command.cron_id for command in commands if isinstance(command, ChangeCron)}
        marks: set[str] = set()
        for new_run in decision.writes.new_runs:
            metadata = msgspec.json.decode(new_run.row.additional_metadata or "{}", type=dict[str, Any])
            if "hatchet__cron_scheduled_at" in metadata and BACKFILL_ID_KEY not in metadata:
                self._check_tick(new_run.row, metadata, now_us, changed)
            if "mark" in metadata and new_run.row.triggering_event_id is None and not _is_child(new_run.row):
                marks.add(metadata["mark"])
        self._check_schedules(marks, deleted, hurried, now_us, is_at_rest=is_at_rest)
        for cron in self.tables.crons.values():
            self._check_cron(cron, now_us)
        self.since = {cron.id: now_us for cron in self.tables.crons.values()}

    def _check_tick(self, row: RunRow, metadata: Mapping[str, Any], now_us: int, changed: set[str]) -> None:
        expression, name = metadata["hatchet__cron_expression"], metadata["hatchet__cron_name"]
        tick_s = int(datetime.fromisoformat(metadata["hatchet__cron_scheduled_at"]).timestamp())
        tick = row.workflow_id, expression, name, tick_s
        hold(tick not in self.ticks, "a tick came twice", tick)
        self.ticks.add(tick)
        hold(is_tick(expression, tick_s), "no such tick", tick)
        now_s = now_us // US_PER_S
        is_last = now_s - CATCH_UP_S < tick_s and not any(is_tick(expression, s) for s in range(tick_s + 1, now_s + 1))
        is_on_time = now_us - tick_s * US_PER_S <= LATE_S * US_PER_S or is_last
        hold(tick_s <= now_s and is_on_time, "a tick at the wrong time", tick, now_us)
        found = [
            cron
            for cron in self.tables.crons.values()
            if (cron.workflow_id, cron.expression, cron.name or "") == (row.workflow_id, expression, name)
        ]
        if not found and changed:
            return
        (cron,) = found
        since_us = self.since.get(cron.id, now_us)
        hold(since_us < tick_s * US_PER_S, "a tick that was accounted for", tick, since_us)

    def _check_cron(self, cron: CronRow, now_us: int) -> None:
        """Every tick since the last commit that is not too old has come; if there is none, the last one not older than
        what is caught up with."""
        since_us = self.since.get(cron.id, now_us)
        workflow = self.tables.workflows[cron.workflow_id]
        if not cron.is_enabled or cron.updated_at_us == now_us or workflow.paused_crons is WhilePaused.DROP:
            return
        # What was passed over until the workflow was unpaused may be lost.
        since_us = max(since_us, workflow.unpaused_at_us or 0)
        first_s, now_s = max(since_us // US_PER_S + 1, -(-now_us // US_PER_S) - LATE_S), now_us // US_PER_S
        due = [at_s for at_s in range(first_s, now_s + 1) if is_tick(cron.expression, at_s)]
        if not due:
            earlier = range(first_s - 1, max(since_us // US_PER_S, now_s - CATCH_UP_S), -1)
            due = list(islice((at_s for at_s in earlier if is_tick(cron.expression, at_s)), 1))
        for at_s in due:
            hold((cron.last_tick_us or 0) >= at_s * US_PER_S, "a tick did not come", cron, at_s)
            tick = cron.workflow_id, cron.expression, cron.name or "", at_s
            may_be_missing = self._may_collide(cron.workflow_id) or self.quotas.lacks_room(cron.workflow_id, now_us)
            hold(tick in self.ticks or may_be_missing, "a tick made no run", tick)

    def _check_schedules(
        self, marks: set[str], deleted: set[str], hurried: set[str], now_us: int, *, is_at_rest: bool
    ) -> None:
        """`marks` fired in this round; `deleted` and `hurried` are ids it asked to delete, or to fire by now."""
        before, self.planned = self.planned, dict(self.tables.schedules)
        made_and_gone = marks - {_mark(row) for row in before.values()}
        hold(not made_and_gone & self.fired, "a schedule fired twice", made_and_gone)
        for schedule_id, row in before.items():
            has_fired, is_due = _mark(row) in marks, row.trigger_at_us <= now_us or schedule_id in hurried
            if schedule_id in self.planned:
                hold(not has_fired, "a schedule fired and is still there", row)
                continue
            workflow = self.tables.workflows[row.workflow_id]
            if has_fired:
                hold(_mark(row) not in self.fired, "a schedule fired twice", row)
                hold(is_due, "fired early", row)
                continue
            hold(
                schedule_id in deleted
                or workflow.deleted_at_us is not None
                or workflow.paused_schedules is WhilePaused.DROP
                or (is_due and self._may_collide(row.workflow_id))
                or (is_due and self.quotas.never_fits(row.workflow_id)),
                "a schedule is gone without a run",
                row,
            )
        self.fired |= marks
        if is_at_rest:
            overdue = [row for row in self.planned.values() if row.trigger_at_us <= now_us]
            # Those behind one that waits for room may have to wait with it, outside of memory.
            waits = any(self.quotas.lacks_room(row.workflow_id, now_us) for row in overdue)
            hold(waits or not overdue, "an overdue schedule does not fire", overdue)

    def _may_collide(self, workflow_id: str) -> bool:
        """Whether a run of the workflow may not come to be because of its idempotency key."""
        versions = [version for version in self.tables.versions.values() if version.workflow_id == workflow_id]
        return max(versions, key=lambda version: version.ordinal).definition.idempotency is not None


def _mark(row: ScheduleRow) -> str:
    return str(msgspec.json.decode(row.additional_metadata or "{}", type=dict[str, Any])["mark"])


def _is_child(row: RunRow) -> bool:
    return row.child_index is not None or bool(row.child_key)


# What people plan -----------------------------------------------------------------------------------------------------


def expressions(chances: Chances) -> tuple[str, ...]:
    """Crons for a workflow to declare."""
    return tuple(chances.random.sample(list(EXPRESSIONS), chances.random.choice((0, 1, 1, 2))))


def command(chances: Chances, tables: Tables, now_us: int, mark: str) -> Command | None:
    chance = chances.random
    crons, schedules = list(tables.crons), list(tables.schedules)
    roll = chance.randint(0, 19)
    if roll < 2:
        expression = chance.choice((*EXPRESSIONS, "61 * * * *"))
        name, workflow = chance.choice(("one", "two")), chance.choice(NAMES)
        return CreateCron(workflow_name=workflow, name=name, expression=expression, input=chances.payload())
    if roll < 5 and crons:
        cron_id = chance.choice(crons)
        change = chance.choice((True, True, False))
        becomes = ChangeCron(cron_id, expression=chance.choice(tuple(EXPRESSIONS)), input=chances.payload())
        by_hand = chance.choice((RunCron(cron_id), BackfillCron(cron_id, now_us - 60 * US_PER_S, now_us)))
        return chance.choice((ChangeCron(cron_id, change), ChangeCron(cron_id, change), becomes, by_hand))
    if roll < 6 and crons:
        return DeleteCron(chance.choice(crons))
    if roll < 14:
        return ScheduleRuns(
            workflow_name=chance.choice(NAMES),
            at_us=(instant(chances, now_us),),
            input=chances.payload(),
            additional_metadata=f'{{"m":"p","mark":"{mark}"}}',
            priority=chance.choice((None, 1, 3)),
        )
    if not schedules:
        return None
    some = tuple(chance.choices(schedules, k=chance.choice((1, 1, 2, 3))))
    if roll < 17:
        return MoveSchedules(tuple((schedule_id, instant(chances, now_us)) for schedule_id in some))
    return DeleteSchedules(some) if roll < 19 else RunSchedule(some[0])


def instant(chances: Chances, now_us: int) -> int:
    chance = chances.random
    return now_us + chance.choice((-DAY_S, -1, 0, 1, 3, 60, 60, 3_600, DAY_S, 40 * DAY_S)) * US_PER_S


def leap(chances: Chances, now_us: int) -> int:
    """Some days or months later, or the eve of a change of the clock."""
    chance = chances.random
    eves = [eve * US_PER_S for eve in _EVES if eve * US_PER_S > now_us]
    if eves and chance.random() < 0.6:
        return eves[0] + chance.choice((0, 5, 9, 10, 11, 3_600)) * US_PER_S
    return now_us + chance.choice((1, 1, 7, 30)) * DAY_S * US_PER_S + chance.randint(0, 2) * US_PER_S
