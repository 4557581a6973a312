"""Commands about definitions: put, pause, unpause, delete."""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar

import msgspec

from broadaxe.core.commands.needs import NOTHING
from broadaxe.core.definition import WorkflowSpec


class PutWorkflow(msgspec.Struct, frozen=True):
    """Registers a definition; a new version only if its checksum changed. Reply: `PutWorkflowReply`."""

    spec: WorkflowSpec

    is_repeatable: ClassVar = True
    chars: ClassVar = 0
    needs: ClassVar = NOTHING


class PutWorkflowReply(msgspec.Struct, frozen=True):
    workflow_id: str
    version_id: str
    ordinal: int
    created_at_us: int


class WhilePaused(StrEnum):
    """What becomes of a run that comes due by itself (cron, schedule) while its workflow is paused."""

    DROP = "DROP"
    """It is not made, then or later."""
    QUEUE = "QUEUE"
    """It is made and waits like every other."""


class PauseWorkflow(msgspec.Struct, frozen=True):
    """Nothing of the workflow is given to workers until it is unpaused (semantics 5.11). Pausing a paused workflow
    replaces what was said before. A task older than `queue_ttl_us` is cancelled. Reply: None. NotFound if absent."""

    workflow_id: str
    queue_ttl_us: int
    crons: WhilePaused
    schedules: WhilePaused

    is_repeatable: ClassVar = True
    chars: ClassVar = 0
    needs: ClassVar = NOTHING


class UnpauseWorkflow(msgspec.Struct, frozen=True):
    """What waited goes on, with fresh schedule timeouts. One that is not paused stays as it is. Reply: None.
    NotFound if absent."""

    workflow_id: str

    is_repeatable: ClassVar = True
    chars: ClassVar = 0
    needs: ClassVar = NOTHING


class DeleteWorkflow(msgspec.Struct, frozen=True):
    """Forgets the name; history and live runs stay. Reply: None. NotFound if absent."""

    workflow_id: str

    is_repeatable: ClassVar = False
    chars: ClassVar = 0
    needs: ClassVar = NOTHING
