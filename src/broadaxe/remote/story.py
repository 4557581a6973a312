"""A run told line by line, from what the REST API says of it: for terminals, for tests that fail, and for models.

Owns the wording. Pure: reads nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

__all__ = ["error_line", "error_text", "event_line", "reason", "short", "story", "task_name"]

TEXT_SHOWN_MAX: Final = 200


def story(details: Mapping[str, Any]) -> Iterator[str]:
    """What happened to the run, oldest first, and then how each task stands."""
    for event in details["taskEvents"]:
        yield event_line(event)
    for task in details["tasks"]:
        ended = reason(task.get("errorMessage")) or short(task.get("output"))
        yield f"{task_name(task)}: {task['status']}  {ended}"


def event_line(event: Mapping[str, Any]) -> str:
    """Instant, task, attempt if it is not the first, what happened and why."""
    where = event.get("taskDisplayName") or ""
    retry = event.get("retryCount") or 0
    where += f" (retry {retry})" if retry else ""
    told = " ".join(filter(None, (reason(event.get("message")), reason(event.get("errorMessage")))))
    return f"{event['timestamp']}  {where}  {event['eventType']}  {told}".rstrip()


def task_name(task: Mapping[str, Any]) -> str:
    """As its workflow names it."""
    action = str(task.get("actionId") or "")
    return action.rpartition(":")[2] or str(task.get("displayName"))


def reason(error: str | None) -> str:
    """What was raised, and the last place it came by; without the traceback in between and what the SDK adds."""
    if not error:
        return ""
    lines = [line for line in error_text(error).splitlines() if line.strip()]
    places = [line.strip() for line in lines if line.lstrip().startswith('File "')]
    return lines[0] + (f"  ({places[-1]})" if places else "") if lines else ""


def error_text(error: str | None) -> str:
    """The whole of it as its author wrote it: without the line of ids that the SDK puts behind it, and with the line
    breaks that it wrote with a backslash."""
    lines = [line for line in (error or "").splitlines() if not line.startswith('{"__hatchet_error_metadata__"')]
    return "\n".join(lines).rstrip().replace("\\\n", "\n")


def error_line(error: str | None) -> str:
    """Its first line, for lists."""
    return error_text(error).partition("\n")[0]


def short(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= TEXT_SHOWN_MAX else f"{text[: TEXT_SHOWN_MAX - 3]}..."
