"""Commands about alert rules: when people are told that something is wrong, and by which channels."""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar

import msgspec

from broadaxe.core.commands.needs import NOTHING


class AlertKind(StrEnum):
    """What a rule watches. What `threshold` and `window_us` of a rule mean stands beside each."""

    RUN_FAILED = "RUN_FAILED"
    """`threshold` runs of a workflow failed within the window."""
    FAILURE_RATE = "FAILURE_RATE"
    """`threshold` percent or more of a workflow's runs that ended within the window failed."""


class PutAlertRule(msgspec.Struct, frozen=True, kw_only=True):
    """Makes a rule, or replaces all that is said of the one of this id. Reply: its id.

    InvalidArgument for what is out of bounds and for a template that names what there is not; NotFound for an unknown
    rule or workflow; AlreadyExists for a taken name; FailedPrecondition when the tenant has `alerts.RULES_MAX` rules.
    """

    rule_id: str | None = None
    name: str
    kind: AlertKind
    workflow: str = ""
    """Its name; empty for every workflow, each of which is watched for itself."""
    threshold: int
    window_us: int
    quiet_us: int
    """How long nothing more is told of the same thing after something was."""
    channel_ids: tuple[str, ...]
    """Whoever asks has checked that they are the tenant's."""
    is_enabled: bool = True
    template: str = ""
    """What the message says; empty for a sentence of ours."""

    is_repeatable: ClassVar = False
    needs: ClassVar = NOTHING

    @property
    def chars(self) -> int:
        return len(self.template)


class DeleteAlertRule(msgspec.Struct, frozen=True):
    """Forgets a rule; what it has told stays in the history, and is over. Reply: None. NotFound if absent."""

    rule_id: str

    is_repeatable: ClassVar = False
    chars: ClassVar = 0
    needs: ClassVar = NOTHING
