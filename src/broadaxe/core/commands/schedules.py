"""Commands about schedules: runs at an instant to come."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from broadaxe.core.commands.needs import NOTHING, Needs


class ScheduleRuns(msgspec.Struct, frozen=True, kw_only=True):
    """One run at each instant; past ones at once. Reply: `Scheduled`. NotFound for an unknown workflow."""

    workflow_name: str
    at_us: tuple[int, ...]
    input: str
    additional_metadata: str | None = None
    priority: int | None = None
    parent_run_id: str | None = None
    parent_task_id: str | None = None
    child_index: int | None = None
    child_key: str | None = None

    is_repeatable: ClassVar = False
    needs: ClassVar = NOTHING

    @property
    def chars(self) -> int:
        return len(self.at_us) * (len(self.input) + len(self.additional_metadata or ""))


class Scheduled(msgspec.Struct, frozen=True):
    """Ids of the schedules made, in request order, the version they belong to for now, and the priority they have."""

    version_id: str
    ordinal: int
    label: str
    workflow_id: str
    created_at_us: int
    updated_at_us: int
    made_at_us: int
    priority: int
    schedule_ids: tuple[str, ...]


class MoveSchedules(msgspec.Struct, frozen=True):
    """Other instants for schedules that have not been triggered. Reply: tuple of the ids it moved."""

    moves: tuple[tuple[str, int], ...]
    """(schedule id, instant in microseconds)"""

    is_repeatable: ClassVar = False
    chars: ClassVar = 0

    @property
    def needs(self) -> Needs:
        return Needs(schedules=frozenset(schedule_id for schedule_id, _ in self.moves))


class DeleteSchedules(msgspec.Struct, frozen=True):
    """Reply: tuple of the ids it deleted; unknown and triggered ones are not among them."""

    ids: tuple[str, ...]

    is_repeatable: ClassVar = False
    chars: ClassVar = 0

    @property
    def needs(self) -> Needs:
        return Needs(schedules=frozenset(self.ids))


class RunSchedule(msgspec.Struct, frozen=True):
    """Triggers a schedule now instead of at its instant. Reply: the run id. NotFound if absent or triggered."""

    schedule_id: str

    is_repeatable: ClassVar = False
    chars: ClassVar = 0

    @property
    def needs(self) -> Needs:
        return Needs(schedules=frozenset((self.schedule_id,)))
