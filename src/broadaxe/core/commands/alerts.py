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
    CRON_MISSED = "CRON_MISSED"
    """Crons of a workflow missed `threshold` ticks within the window: nobody was there for them, the workflow is
    paused, or a limit of the tenant left no room. Those missed during one absence count as one."""
    QUEUE_AGE = "QUEUE_AGE"
    """A task of a workflow has waited for a worker for as long as the window."""
    NO_WORKER = "NO_WORKER"
    """For as long as the window no worker listened that takes each of a workflow's tasks."""
    LIMIT_NEARLY_USED = "LIMIT_NEARLY_USED"
    """`threshold` percent or more of a limit of the tenant are used."""
    TOKEN_EXPIRING = "TOKEN_EXPIRING"
    """An API token ends within the window."""
    NODE_LOST = "NODE_LOST"
    """Nothing was heard of an engine on this database for as long as the window, and it did not say goodbye."""


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


class AlertFact(msgspec.Struct, frozen=True):
    """Something that a rule watches is as it should not be: what, and a sentence about it."""

    subject: str
    said: str


class NoteAlertFacts(msgspec.Struct, frozen=True):
    """What the database says of the things that a rule of tokens or nodes watches: all that is wrong now. Reply: None.
    A rule that is no more does not mind."""

    rule_id: str
    facts: tuple[AlertFact, ...]

    is_repeatable: ClassVar = True
    chars: ClassVar = 0
    needs: ClassVar = NOTHING


class DeleteAlertRule(msgspec.Struct, frozen=True):
    """Forgets a rule; what it has told stays in the history, and is over. Reply: None. NotFound if absent."""

    rule_id: str

    is_repeatable: ClassVar = False
    chars: ClassVar = 0
    needs: ClassVar = NOTHING
