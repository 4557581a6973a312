"""The JSON a worker gets with what it is assigned, put together from texts without parsing them.

Source: grpc specification 5.2 to 5.5.
"""

from __future__ import annotations

from typing import Final

import msgspec

from broadaxe.core.lifecycle import RunCause
from broadaxe.engine.sessions import Assignment, BatchAssignment

__all__ = ["batch_payload", "payload"]

#: What SDKs compare `triggered_by` with.
_TRIGGERED_BY: Final = {cause: cause.value.lower() for cause in RunCause}


def payload(assignment: Assignment) -> str:
    """The payload of one attempt (5.2); of a question for a group key it is the run's input (5.4)."""
    attempt = assignment.attempt
    if attempt.asks_for_key:
        return assignment.run_input
    outputs = assignment.outputs
    fit = str if attempt.takes_any_output else _object
    parents = ",".join(f"{_quote(name)}:{fit(outputs.get(task_id, '{}'))}" for name, task_id in attempt.parents)
    errors = ""
    if attempt.errors:
        errors = ',"step_run_errors":{' + ",".join(f"{_quote(n)}:{_quote(e)}" for n, e in attempt.errors) + "}"
    # What conditions brought stands beside the filter payload.
    fired = "" if attempt.fired in (None, "{}") else f",{attempt.fired[1:-1]}"
    chosen = attempt.filter_payload or "null"
    return (
        f'{{"input":{assignment.run_input},"parents":{{{parents}}},"triggered_by":"{_TRIGGERED_BY[attempt.cause]}",'
        f'"triggers":{{"filter_payload":{chosen}{fired}}},"user_data":{{}},"overrides":{{}}{errors}}}'
    )


def batch_payload(assignment: BatchAssignment) -> str:
    """The payloads of all items by task id (5.5)."""
    items = (
        f'{_quote(item.attempt.task_id)}:{{"workflow_run_id":{_quote(item.attempt.run_id)},"payload":{payload(item)}}}'
        for item in assignment.items
    )
    return "{" + ",".join(items) + "}"


def _quote(text: str) -> str:
    return msgspec.json.encode(text).decode()


def _object(text: str) -> str:
    """An output as SDKs need a parent's: one that is not an object is put into one."""
    return text if text.startswith("{") else f'{{"value":{text}}}'
