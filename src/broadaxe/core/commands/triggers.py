"""Commands that make runs."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from broadaxe.core.commands.needs import NOTHING, Needs
from broadaxe.core.definition import LabelRequirement


class Promise(msgspec.Struct, frozen=True, gc=False):
    """What was told to whoever asked, before the tenant heard of it: the id, and when that was."""

    id: str
    at_us: int


class RunRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One run to be created. `input` is a JSON object text; `additional_metadata` one too, or None for none."""

    workflow_name: str
    input: str
    additional_metadata: str | None = None
    priority: int | None = None
    parent_task_id: str | None = None
    child_index: int | None = None
    child_key: str | None = None
    desired_worker_id: str | None = None
    desired_labels: tuple[LabelRequirement, ...] | None = None
    """When given, they replace the labels of every task of the run."""
    promise: Promise | None = None

    @property
    def chars(self) -> int:
        return len(self.input) + len(self.additional_metadata or "")


class TriggerRuns(msgspec.Struct, frozen=True):
    """Creates runs; all or none. Reply: tuple of run ids in request order.

    Idempotency keys that other runs hold are the exception: the rest are created, and the reply is the error that says
    so, `IdempotencyCollision`.
    """

    requests: tuple[RunRequest, ...]

    is_repeatable: ClassVar = False

    @property
    def chars(self) -> int:
        return sum(request.chars for request in self.requests)

    @property
    def needs(self) -> Needs:
        parents = frozenset(request.parent_task_id for request in self.requests if request.parent_task_id)
        return Needs(tasks=parents) if parents else NOTHING
