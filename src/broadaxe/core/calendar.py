"""What a tenant has planned: its crons, and the schedules that are due next.

Owns the live objects and which of them are in memory; `firing.py` decides about them. Every cron is in memory. Of the
schedules only the nearest are: the tables may hold millions. `horizon` is the key (instant, id) of the last one that
was read: all up to and including it are here, all behind it are in the tables only. None means that all are here.

Cost: about 1 KB per cron and per schedule in memory beside its input; both are bounded below.
"""

from __future__ import annotations

from typing import Final, TypeAlias

import msgspec

from broadaxe.core.cron import CronExpression
from broadaxe.core.decision import CronRow, ScheduleRow
from broadaxe.core.durations import US_PER_S
from broadaxe.core.model import Workflow

#: Crons of a tenant, and the size of their inputs together.
CRONS_MAX: Final = 10_000
CRON_INPUT_BYTES_MAX: Final = 64 * 1024 * 1024
#: Schedules read at a time. The next are read when a quarter of them is left; more than twice as many are cut down.
PAGE_SCHEDULES_MAX: Final = 1_000
#: The same for the size of their inputs together; one schedule is always read.
PAGE_INPUT_BYTES_MAX: Final = 32 * 1024 * 1024

#: Instants of schedules: from the year 1 up to the last that every part of the system can write.
INSTANT_US_MIN: Final = -62_135_596_800 * US_PER_S
INSTANT_US_MAX: Final = 253_402_300_799 * US_PER_S

ScheduleKey: TypeAlias = tuple[int, str]


class SchedulePage(msgspec.Struct, frozen=True):
    """The schedules that come next after those in memory, in order; `is_last` when there are no more behind them."""

    rows: tuple[ScheduleRow, ...]
    is_last: bool


class Cron:
    __slots__ = (
        "additional_metadata", "created_at_us", "expression", "id", "input", "is_declared", "is_enabled",
        "last_tick_us", "name", "next_tick_us", "priority", "updated_at_us", "workflow",
    )  # fmt: skip

    def __init__(self, row: CronRow, workflow: Workflow, expression: CronExpression) -> None:
        self.id = row.id
        self.workflow = workflow
        self.expression = expression
        self.name = row.name
        self.is_declared = row.is_declared
        self.input = row.input
        self.additional_metadata = row.additional_metadata
        self.priority = row.priority
        self.is_enabled = row.is_enabled
        self.last_tick_us = row.last_tick_us
        self.created_at_us = row.created_at_us
        self.updated_at_us = row.updated_at_us
        self.next_tick_us: int | None = None
        """The tick its alarm is armed for; None while it is disabled."""

    def row(self) -> CronRow:
        return CronRow(
            self.id,
            self.workflow.id,
            self.expression.text,
            self.name,
            self.is_declared,
            self.input,
            self.additional_metadata,
            self.priority,
            self.is_enabled,
            self.last_tick_us,
            self.created_at_us,
            self.updated_at_us,
        )


class Schedule:
    __slots__ = ("due_at_us", "row")

    def __init__(self, row: ScheduleRow) -> None:
        self.row = row
        self.due_at_us: int | None = None
        """When its alarm rings; None while it is only visiting from behind the horizon."""

    @property
    def key(self) -> ScheduleKey:
        return self.row.trigger_at_us, self.row.id


class Calendar:
    __slots__ = (
        "beyond", "cron_input_bytes", "crons", "crons_of", "horizon", "is_changed", "schedule_input_bytes", "schedules",
    )  # fmt: skip

    def __init__(self) -> None:
        self.crons: dict[str, Cron] = {}
        self.crons_of: dict[str, dict[str, Cron]] = {}
        """Workflow id -> its crons by id."""
        self.cron_input_bytes = 0
        self.schedules: dict[str, Schedule] = {}
        self.schedule_input_bytes = 0
        self.beyond: dict[str, Schedule] = {}
        """Those of `schedules` that lie behind the horizon: made, moved or named in this round, forgotten after it."""
        self.horizon: ScheduleKey | None = None
        self.is_changed = False
        """Whether schedules came or went since it was last looked at what shall stay in memory."""

    def add_cron(self, cron: Cron) -> None:
        self.crons[cron.id] = cron
        self.crons_of.setdefault(cron.workflow.id, {})[cron.id] = cron
        self.cron_input_bytes += len(cron.input)

    def drop_cron(self, cron: Cron) -> None:
        del self.crons[cron.id]
        siblings = self.crons_of[cron.workflow.id]
        del siblings[cron.id]
        if not siblings:
            del self.crons_of[cron.workflow.id]
        self.cron_input_bytes -= len(cron.input)

    def add_schedule(self, schedule: Schedule) -> None:
        self.schedules[schedule.row.id] = schedule
        self.schedule_input_bytes += len(schedule.row.input)
        self.is_changed = True

    def drop_schedule(self, schedule: Schedule) -> None:
        del self.schedules[schedule.row.id]
        self.beyond.pop(schedule.row.id, None)
        self.schedule_input_bytes -= len(schedule.row.input)
        self.is_changed = True

    def holds(self, key: ScheduleKey) -> bool:
        """Whether a schedule with this key belongs into memory."""
        return self.horizon is None or key <= self.horizon
