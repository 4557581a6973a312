"""Commands of people about runs and tasks that are there: cancel, replay, restore, branch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar, Final

import msgspec

from broadaxe.core.commands.needs import Needs


class CancelTasks(msgspec.Struct, frozen=True):
    """Run ids (all their tasks) or task ids; unknown ones are skipped. Reply: tuple of ids of tasks it ended."""

    ids: tuple[str, ...]

    is_repeatable: ClassVar = True
    chars: ClassVar = 0

    @property
    def needs(self) -> Needs:
        return Needs(live_tasks=frozenset(self.ids))


class ReplayTasks(msgspec.Struct, frozen=True):
    """Run ids or task ids; those still active are skipped. Reply: tuple of ids of tasks queued again."""

    ids: tuple[str, ...]

    is_repeatable: ClassVar = False
    chars: ClassVar = 0

    @property
    def needs(self) -> Needs:
        return Needs(tasks=frozenset(self.ids))


#: How many runs a filter may choose to be cancelled, or to be replayed (section 7.5).
CANCELLED_BY_FILTER_MAX: Final = 20_000
REPLAYED_BY_FILTER_MAX: Final = 1_000
#: Whoever cancels or replays more submits them in parts, so that other commands get their turn in between.
IDS_AT_ONCE_MAX: Final = 500


def in_parts(ids: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """The ids without repetitions, in parts for one command each."""
    distinct = tuple(dict.fromkeys(ids))
    return (distinct[start : start + IDS_AT_ONCE_MAX] for start in range(0, len(distinct), IDS_AT_ONCE_MAX))


class RestoreTask(msgspec.Struct, frozen=True):
    """Queues an evicted task again. Reply: whether it was evicted."""

    task_id: str

    is_repeatable: ClassVar = False
    chars: ClassVar = 0

    @property
    def needs(self) -> Needs:
        return Needs(tasks=frozenset((self.task_id,)))


class BranchTask(msgspec.Struct, frozen=True):
    """Takes a new branch off `branch_id` (0 for the present one) at `node_id` and replays the task on it. Reply:
    `EntryRef` of the fork, with the new branch. NotFound for an unknown task, branch or node."""

    task_id: str
    node_id: int
    branch_id: int

    is_repeatable: ClassVar = False
    chars: ClassVar = 0

    @property
    def needs(self) -> Needs:
        return Needs(tasks=frozenset((self.task_id,)))
