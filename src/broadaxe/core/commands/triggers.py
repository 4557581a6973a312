"""Commands that make runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import msgspec

from broadaxe.core.commands.needs import NOTHING, Needs
from broadaxe.core.definition import LabelRequirement


class Promise(msgspec.Struct, frozen=True, gc=False):
    """What is known of a run or an event before the tenant has heard of it: the id, and when somebody was told of it.
    None: nobody was, and it is born when it is made."""

    id: str
    at_us: int | None = None


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
    is_again: bool = False
    """It may have been decided before: the runs that were promised are looked for, since one that is there is not made
    again."""

    is_repeatable: ClassVar = False

    @property
    def chars(self) -> int:
        return sum(request.chars for request in self.requests)

    @property
    def needs(self) -> Needs:
        named = frozenset(request.parent_task_id for request in self.requests if request.parent_task_id)
        if self.is_again:
            named |= {request.promise.id for request in self.requests if request.promise is not None}
        return Needs(tasks=named) if named else NOTHING

    def promised(self, fresh_id: Callable[[], str]) -> TriggerRuns:
        """The same with the ids of its runs, so that it can be asked for again."""
        requests = (
            request if request.promise is not None else msgspec.structs.replace(request, promise=Promise(fresh_id()))
            for request in self.requests
        )
        return TriggerRuns(tuple(requests), self.is_again)

    def again(self) -> TriggerRuns | None:
        """What asks for it a second time; None where that might make runs twice."""
        is_known = all(request.promise is not None for request in self.requests)
        return TriggerRuns(self.requests, is_again=True) if is_known else None
