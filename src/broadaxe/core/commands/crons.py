"""Commands about crons."""

from __future__ import annotations

from typing import ClassVar, Final

import msgspec

from broadaxe.core.commands.needs import NOTHING

#: Ticks that one backfill makes runs for: they are decided and written at once.
BACKFILL_TICKS_MAX: Final = 1_000


class CreateCron(msgspec.Struct, frozen=True, kw_only=True):
    """A cron made by a person or program. Reply: its id. NotFound for an unknown workflow, AlreadyExists for the same
    workflow, name and expression."""

    workflow_name: str
    name: str
    expression: str
    input: str
    additional_metadata: str | None = None
    priority: int | None = None
    is_enabled: bool = True

    is_repeatable: ClassVar = False
    needs: ClassVar = NOTHING

    @property
    def chars(self) -> int:
        return len(self.input) + len(self.additional_metadata or "")


class ChangeCron(msgspec.Struct, frozen=True):
    """Changes what is given; None for `priority` and `additional_metadata` takes them away. Reply: None.

    NotFound if absent, FailedPrecondition when a declared one is to become another, AlreadyExists when the workflow has
    one of that name and expression.
    """

    cron_id: str
    is_enabled: bool | None = None
    name: str | None = None
    expression: str | None = None
    input: str | None = None
    additional_metadata: str | msgspec.UnsetType | None = msgspec.UNSET
    priority: int | msgspec.UnsetType | None = msgspec.UNSET

    is_repeatable: ClassVar = True
    needs: ClassVar = NOTHING

    @property
    def chars(self) -> int:
        return len(self.input or "") + len(self.additional_metadata or "")


class DeleteCron(msgspec.Struct, frozen=True):
    """A declared one comes back when its workflow is registered again. Reply: None. NotFound if absent."""

    cron_id: str

    is_repeatable: ClassVar = False
    chars: ClassVar = 0
    needs: ClassVar = NOTHING


class RunCron(msgspec.Struct, frozen=True):
    """A run of the cron now, beside its ticks. Reply: the run id. NotFound if absent."""

    cron_id: str

    is_repeatable: ClassVar = False
    chars: ClassVar = 0
    needs: ClassVar = NOTHING


class BackfillCron(msgspec.Struct, frozen=True):
    """A run for each tick that the cron's expression names from `since_us` to `until_us`, both included, which have to
    be past; whether or not a tick came then. Reply: Backfilled. NotFound if absent, InvalidArgument for more than
    `BACKFILL_TICKS_MAX` ticks."""

    cron_id: str
    since_us: int
    until_us: int

    is_repeatable: ClassVar = False
    chars: ClassVar = 0
    needs: ClassVar = NOTHING


class Backfilled(msgspec.Struct, frozen=True):
    backfill_id: str
    """In the metadata of all its runs, under `broadaxe__backfill_id`."""
    made: int
    skipped: int
    """Ticks without a run, because another run holds the idempotency key, or an expression fails on the input."""
