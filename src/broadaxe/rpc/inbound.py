"""What comes off the wire, checked and turned into the core's words. Every refusal names the field.

JSON is checked for shape here and then kept as the text it came as; the core never parses payloads.
"""

from __future__ import annotations

import re
from typing import Any, Final
from uuid import UUID

import msgspec

from broadaxe.core.commands import LabelValue, RunRequest
from broadaxe.core.definition import TaskSpec, WorkflowSpec
from broadaxe.errors import InvalidArgument
from broadaxe.rpc._gen.admin_pb2 import CreateTaskOpts, CreateWorkflowVersionRequest
from broadaxe.rpc._gen.dispatcher_pb2 import WorkerLabels
from broadaxe.rpc._gen.triggers_pb2 import TriggerWorkflowRequest

_ESCAPED_NUL: Final = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")
_json_object: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_json_value: Final = msgspec.json.Decoder(msgspec.Raw)


def uuid_text(text: str, *, field: str) -> str:
    """Canonical lower-case UUID text."""
    try:
        if len(text) != 36:
            raise ValueError
        return str(UUID(text))
    except ValueError:
        raise InvalidArgument(f"{text[:80]!r} is not a UUID", field=field) from None


def json_object(text: str, *, field: str) -> str:
    """The text of a JSON object without NULs; empty stands for ``{}``."""
    if not text:
        return "{}"
    try:
        _json_object.decode(text)
    except msgspec.MsgspecError as error:
        raise InvalidArgument(f"not a JSON object: {error}", field=field) from None
    if has_nul(text):
        raise InvalidArgument("contains a NUL character, which cannot be stored", field=field)
    return text


def metadata_object(text: str, *, field: str = "additional_metadata") -> str | None:
    """Like `json_object`, with None for an empty object."""
    return None if text in ("", "{}") else json_object(text, field=field)


def output_problem(text: str) -> str | None:
    """Why a task's output cannot be kept, or None when it can."""
    try:
        _json_value.decode(text)
    except msgspec.MsgspecError as error:
        return f"the task's output is not valid JSON: {error}"
    if has_nul(text):
        return "the task's output contains a NUL character, which cannot be stored"
    return None


def has_nul(json_text: str) -> bool:
    return "\x00" in json_text or ("\\u0000" in json_text and _ESCAPED_NUL.search(json_text) is not None)


def labels(wire: Any) -> dict[str, LabelValue]:
    """Worker labels; a label without a value is an empty string."""
    found: dict[str, LabelValue] = {}
    key: str
    label: WorkerLabels
    for key, label in wire.items():
        found[key] = label.int_value if label.HasField("int_value") else label.str_value
    return found


def run_request(wire: TriggerWorkflowRequest, *, field: str = "") -> RunRequest:
    """One trigger. `field` prefixes the names of fields in errors, for bulk calls."""
    if wire.desired_worker_labels:
        raise _not_yet("worker labels", f"{field}desired_worker_labels")
    parent = wire.parent_task_run_external_id
    worker = wire.desired_worker_id
    if not wire.name:
        raise InvalidArgument("name the workflow to run", field=f"{field}name")
    return RunRequest(
        workflow_name=wire.name,
        input=json_object(wire.input, field=f"{field}input"),
        additional_metadata=metadata_object(wire.additional_metadata, field=f"{field}additional_metadata"),
        priority=wire.priority if wire.HasField("priority") else None,
        parent_task_id=uuid_text(parent, field=f"{field}parent_task_run_external_id") if parent else None,
        child_index=wire.child_index if wire.HasField("child_index") else None,
        child_key=wire.child_key or None,
        desired_worker_id=uuid_text(worker, field=f"{field}desired_worker_id") if worker else None,
    )


def workflow_spec(wire: CreateWorkflowVersionRequest) -> WorkflowSpec:
    """A v1 definition. What this version does not offer is refused, never dropped (grpc specification 12.1)."""
    for name, is_used in (
        ("cron_triggers", bool(wire.cron_triggers)),
        ("concurrency", wire.HasField("concurrency") or bool(wire.concurrency_arr)),
        ("sticky", wire.HasField("sticky")),
        ("default_filters", bool(wire.default_filters)),
        ("idempotency", wire.HasField("idempotency")),
    ):
        if is_used:
            raise _not_yet(name.replace("_", " "), name)
    schema: str | None = None
    if wire.input_json_schema:
        try:
            schema = json_object(wire.input_json_schema.decode(), field="input_json_schema")
        except UnicodeDecodeError:
            raise InvalidArgument("not UTF-8 text", field="input_json_schema") from None
    return WorkflowSpec(
        name=wire.name,
        description=wire.description,
        label=wire.version,
        tasks=tuple(_task_spec(task, f"tasks[{position}]") for position, task in enumerate(wire.tasks)),
        on_failure=_task_spec(wire.on_failure_task, "on_failure_task") if wire.HasField("on_failure_task") else None,
        event_triggers=tuple(wire.event_triggers),
        default_priority=wire.default_priority if wire.HasField("default_priority") else None,
        input_json_schema=schema,
    )


def _task_spec(wire: CreateTaskOpts, field: str) -> TaskSpec:
    conditions = wire.conditions
    for name, is_used in (
        ("rate_limits", bool(wire.rate_limits)),
        ("worker_labels", bool(wire.worker_labels)),
        ("concurrency", bool(wire.concurrency)),
        ("is_durable", wire.is_durable),
        ("batch", wire.HasField("batch")),
        (
            "conditions",
            bool(
                conditions.parent_override_conditions or conditions.sleep_conditions or conditions.user_event_conditions
            ),
        ),
    ):
        if is_used:
            raise _not_yet({"is_durable": "durable tasks"}.get(name, name.replace("_", " ")), f"{field}.{name}")
    return TaskSpec(
        name=wire.readable_id,
        action_id=wire.action,
        parents=tuple(wire.parents),
        execution_timeout=wire.timeout,
        schedule_timeout=wire.schedule_timeout,
        retries=wire.retries,
        backoff_factor=wire.backoff_factor if wire.HasField("backoff_factor") else None,
        backoff_max_s=wire.backoff_max_seconds if wire.HasField("backoff_max_seconds") else None,
        slots=dict(wire.slot_requests),
    )


def _not_yet(feature: str, field: str) -> InvalidArgument:
    return InvalidArgument(f"this version of Broadaxe does not offer {feature} yet; remove it", field=field)
