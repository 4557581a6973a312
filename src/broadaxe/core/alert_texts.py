"""What alerts say: the sentences of ours, and templates of people's own.

A template is a text with names in braces, such as `{workflow} broke: {error}`. It is checked when its rule is made, so
that no alert fails over it later. `{{` and `}}` are braces. Values are put in as they are and never read as a template.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Final

import msgspec

from broadaxe.core.commands.alerts import AlertKind
from broadaxe.core.durations import declared_duration
from broadaxe.errors import InvalidArgument

__all__ = ["PLACEHOLDERS", "AlertMessage", "AlertOccasion", "check_template", "render", "text_of", "title_of"]

TEMPLATE_CHARS_MAX: Final = 2_000
TEXT_CHARS_MAX: Final = 4_000
#: Of an error.
ERROR_CHARS_MAX: Final = 500

_BRACES: Final = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")


class AlertOccasion(StrEnum):
    """Why something is told."""

    FIRED = "FIRED"
    AGAIN = "AGAIN"
    """It goes on, and the quiet period is over."""
    RESOLVED = "RESOLVED"
    TEST = "TEST"
    """Somebody wants to see whether a channel works."""


class AlertMessage(msgspec.Struct, frozen=True, kw_only=True):
    """What a channel is given to tell; it is kept as JSON until it was told."""

    occasion: AlertOccasion
    title: str
    text: str
    rule: str
    rule_id: str
    alert_id: str
    kind: AlertKind
    subject: str
    """What it is about, such as the name of a workflow."""
    count: int
    """How many there were since the alert began."""
    opened_at_us: int
    at_us: int
    run_id: str | None = None
    """The last run that failed."""
    error: str | None = None
    """Of that run, or a sentence about what is wrong."""


PLACEHOLDERS: Final = ("rule", "workflow", "subject", "count", "threshold", "window", "run", "error")


def check_template(template: str) -> None:
    """InvalidArgument when it could not be filled in."""
    if len(template) > TEMPLATE_CHARS_MAX:
        raise InvalidArgument(
            f"the template has {len(template)} characters; at most {TEMPLATE_CHARS_MAX}", field="template"
        )
    for found in _BRACES.finditer(template):
        if found[0] in ("{{", "}}") or found[1] in PLACEHOLDERS:
            continue
        names = ", ".join(f"{{{name}}}" for name in PLACEHOLDERS)
        what = (
            f"the template names {found[0]!r}, which there is not" if found[1] is not None else "a brace stands alone"
        )
        raise InvalidArgument(f"{what}; use {names}, or {{{{ and }}}} for braces", field="template")


def render(template: str, values: Mapping[str, str]) -> str:
    """The template with its values, cut to `TEXT_CHARS_MAX`."""

    def value(found: re.Match[str]) -> str:
        return found[0][0] if found[1] is None else values.get(found[1], "")

    return _BRACES.sub(value, template)[:TEXT_CHARS_MAX]


def title_of(occasion: AlertOccasion, kind: AlertKind, subject: str, count: int, threshold: int, window_us: int) -> str:
    """A line that says it all."""
    within = declared_duration(window_us)
    if occasion is AlertOccasion.RESOLVED:
        return f"Resolved: {subject}"
    match kind:
        case AlertKind.RUN_FAILED:
            runs = "a run" if count == 1 else f"{count} runs"
            said = f"{subject}: {runs} failed"
            return said if count == 1 or occasion is AlertOccasion.AGAIN else f"{said} within {within}"
        case AlertKind.FAILURE_RATE:
            return f"{subject}: {threshold} % or more of its runs within {within} failed"
        case AlertKind.CRON_MISSED:
            return f"{subject}: a cron missed its time"
        case AlertKind.QUEUE_AGE:
            return f"{subject}: a task has waited for a worker for {within}"
        case AlertKind.NO_WORKER:
            return f"{subject}: no worker has listened for {within}"
        case AlertKind.LIMIT_NEARLY_USED:
            return f"{subject}: {threshold} % or more of the limit are used"
        case AlertKind.TOKEN_EXPIRING:
            return f"The API token {subject} expires soon"
        case AlertKind.NODE_LOST:
            return f"The node {subject} is lost"


def text_of(
    occasion: AlertOccasion, kind: AlertKind, subject: str, count: int, window_us: int, error: str | None
) -> str:
    """What follows the title."""
    within = declared_duration(window_us)
    if occasion is AlertOccasion.RESOLVED:
        match kind:
            case AlertKind.RUN_FAILED:
                return f"{count} runs had failed; fewer than the rule's bound have in the last {within}."
            case AlertKind.FAILURE_RATE:
                return f"{count} runs had failed; the share of failed runs in the last {within} is below the bound."
            case AlertKind.CRON_MISSED:
                return f"No cron missed its time in the last {within}, or fewer than the rule's bound did."
            case AlertKind.QUEUE_AGE:
                return f"No task has waited for {within} any more."
            case AlertKind.NO_WORKER:
                return "Workers listen for all of its tasks, or it is gone."
            case AlertKind.LIMIT_NEARLY_USED:
                return "Less of it is used, or the limit was raised."
            case AlertKind.TOKEN_EXPIRING:
                return "It was rotated or revoked, or has expired a while ago."
            case AlertKind.NODE_LOST:
                return "It is back, or was lost an hour ago."
    is_of_runs = kind in (AlertKind.RUN_FAILED, AlertKind.FAILURE_RATE)
    said = "It goes on since the last message. " if occasion is AlertOccasion.AGAIN else ""
    if not error:
        return said.rstrip()
    return f"{said}The last error: {error}" if is_of_runs else f"{said}{error}"
