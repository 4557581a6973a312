"""What comes off the wire, checked and turned into the core's words. Every refusal names the field.

JSON is checked for shape here and then kept as the text it came as; the core never parses payloads.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from broadaxe.core.commands.attempts import Outcome, ReportAttempt
from broadaxe.core.commands.schedules import ScheduleRuns
from broadaxe.core.commands.triggers import RunRequest
from broadaxe.core.commands.workers import LabelValue
from broadaxe.core.definition import (
    BatchRule,
    ClaimMethod,
    Comparator,
    ConcurrencyRule,
    ConditionAction,
    ConditionRule,
    FilterSpec,
    IdempotencyRule,
    LabelRequirement,
    LimitStrategy,
    RateLimitUse,
    Sticky,
    TaskSpec,
    WorkflowSpec,
)
from broadaxe.core.durations import US_PER_MS, US_PER_S, parse_duration
from broadaxe.core.metadata import has_nul, problem_of
from broadaxe.core.waits import Condition
from broadaxe.errors import InvalidArgument
from broadaxe.rpc._gen.admin_pb2 import (
    Concurrency,
    ConcurrencyLimitStrategy,
    CreateTaskOpts,
    CreateTaskRateLimit,
    CreateWorkflowVersionRequest,
    DefaultFilter,
    IdempotencyConfig,
    IdempotencyMethod,
    RateLimitDuration,
    StickyStrategy,
    TaskBatchConfig,
    TriggerWorkflowRunRequest,
)
from broadaxe.rpc._gen.conditions_pb2 import (
    Action,
    BaseMatchCondition,
    DurableEventListenerConditions,
    TaskConditions,
)
from broadaxe.rpc._gen.dispatcher_pb2 import WorkerLabels
from broadaxe.rpc._gen.triggers_pb2 import DesiredWorkerLabels, TriggerWorkflowRequest, WorkerLabelComparator
from broadaxe.rpc._gen.workflows_pb2 import ScheduleWorkflowRequest

STICKY: Final = {StickyStrategy.SOFT: Sticky.SOFT, StickyStrategy.HARD: Sticky.HARD}
_STRATEGY: Final = {ConcurrencyLimitStrategy.Value(strategy.value): strategy for strategy in LimitStrategy}
_COMPARATOR: Final = {WorkerLabelComparator.Value(comparator.value): comparator for comparator in Comparator}

#: A condition of a DAG's task that names no action is one to wait for.
_ACTION: Final = {
    Action.CREATE: ConditionAction.QUEUE,
    Action.QUEUE: ConditionAction.QUEUE,
    Action.SKIP: ConditionAction.SKIP,
    Action.CANCEL: ConditionAction.CANCEL,
}

#: Windows of the named durations; a month has 30 days and a year 365.
WINDOW_US: Final = {
    RateLimitDuration.SECOND: US_PER_S,
    RateLimitDuration.MINUTE: 60 * US_PER_S,
    RateLimitDuration.HOUR: 3_600 * US_PER_S,
    RateLimitDuration.DAY: 86_400 * US_PER_S,
    RateLimitDuration.WEEK: 7 * 86_400 * US_PER_S,
    RateLimitDuration.MONTH: 30 * 86_400 * US_PER_S,
    RateLimitDuration.YEAR: 365 * 86_400 * US_PER_S,
}

#: Keys and scopes: what fits into an entry of an index.
TEXT_BYTES_MAX: Final = 2_000

METADATA_PAIRS_MAX: Final = 50
#: The last second of the year 9999.
_SECONDS_MAX: Final = 253_402_300_799
#: The first of the year 1.
_SECONDS_MIN: Final = -62_135_596_800

_json_object: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_json_value: Final = msgspec.json.Decoder(msgspec.Raw)


#: Looked for first, since nearly every id comes as the engine gave it out and a `UUID` costs five times as much.
_is_canonical: Final = re.compile("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}").fullmatch


def uuid_text(text: str, *, field: str) -> str:
    """Canonical lower-case UUID text."""
    if _is_canonical(text):
        return text
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
    except (msgspec.MsgspecError, RecursionError) as error:
        raise InvalidArgument(f"not a JSON object: {error}", field=field) from None
    if has_nul(text):
        raise InvalidArgument("contains a NUL character, which cannot be stored", field=field)
    return text


def metadata_object(text: str, *, field: str = "additional_metadata") -> str | None:
    """Like `json_object`, with None for an empty object. Metadata is computed with, so its values are checked too."""
    if text in ("", "{}"):
        return None
    problem = problem_of(text)
    if problem is not None:
        raise InvalidArgument(problem, field=field)
    return text


def instant(stamp: Timestamp, *, field: str) -> datetime:
    if not 0 <= stamp.seconds <= _SECONDS_MAX or not 0 <= stamp.nanos < 1_000_000_000:
        raise InvalidArgument("this instant is not between the years 1970 and 9999", field=field)
    return stamp.ToDatetime(tzinfo=UTC)


def instant_us(stamp: Timestamp, *, field: str) -> int:
    """Microseconds. Instants before 1970 are fine here: some clients write one they do not have as the year 1."""
    if not _SECONDS_MIN <= stamp.seconds <= _SECONDS_MAX or not 0 <= stamp.nanos < 1_000_000_000:
        raise InvalidArgument("this instant is not between the years 1 and 9999", field=field)
    return stamp.ToMicroseconds()


def refuse_nul(message: Message, *, field: str = "") -> None:
    """Raises InvalidArgument, naming the field, if any text in the message has a NUL character. `field` goes before it.

    For messages whose texts are stored as they are. JSON in them may have escaped ones, which is not looked at here.
    Cost: a step per field that is set.
    """
    for descriptor, value in message.ListFields():
        name = f"{field}{descriptor.name}"
        if descriptor.type == FieldDescriptor.TYPE_STRING:
            for text in (value,) if isinstance(value, str) else value:
                if "\x00" in text:
                    raise InvalidArgument("contains a NUL character, which cannot be stored", field=name)
        elif descriptor.message_type is None:
            continue
        elif descriptor.message_type.GetOptions().map_entry:
            for key in value:
                inner = value[key]
                if "\x00" in str(key) or (isinstance(inner, str) and "\x00" in inner):
                    raise InvalidArgument("contains a NUL character, which cannot be stored", field=name)
                if isinstance(inner, Message):
                    refuse_nul(inner, field=f"{name}[{key!r}].")
        elif isinstance(value, Message):
            refuse_nul(value, field=f"{name}.")
        else:
            for position, inner in enumerate(value):
                refuse_nul(inner, field=f"{name}[{position}].")


def metadata_pairs(texts: Sequence[str], *, field: str) -> tuple[tuple[str, str], ...]:
    """`key:value` split at the first colon, each pair once."""
    pairs: dict[tuple[str, str], None] = {}
    for text in texts:
        key, colon, value = text.partition(":")
        if not colon:
            raise InvalidArgument(f"{text[:80]!r} is not a pair; write key:value", field=field)
        if "\x00" in text:
            raise InvalidArgument("contains a NUL character, which nothing stored has", field=field)
        pairs[key, value] = None
    if len(pairs) > METADATA_PAIRS_MAX:
        raise InvalidArgument(f"at most {METADATA_PAIRS_MAX} metadata pairs", field=field)
    return tuple(pairs)


def plain_text(text: str, *, field: str) -> str:
    """A short text that is stored and looked up: no NUL, at most `TEXT_BYTES_MAX` bytes."""
    if "\x00" in text:
        raise InvalidArgument("contains a NUL character, which cannot be stored", field=field)
    if len(text) > TEXT_BYTES_MAX or len(text.encode()) > TEXT_BYTES_MAX:
        raise InvalidArgument(f"longer than {TEXT_BYTES_MAX} bytes", field=field)
    return text


def output_problem(text: str) -> str | None:
    """Why a task's output cannot be kept, or None when it can."""
    try:
        _json_value.decode(text)
    except (msgspec.MsgspecError, RecursionError) as error:
        return f"the task's output is not valid JSON: {error}"
    if has_nul(text):
        return "the task's output contains a NUL character, which cannot be stored"
    return None


def error_text(text: str) -> str:
    """What a task says of its failure, as it can be kept."""
    return text.replace("\x00", "\N{REPLACEMENT CHARACTER}") or "the task failed without saying why"


def attempt_report(
    task_id: str,
    retry_count: int | None,
    outcome: Outcome,
    payload: str,
    *,
    is_retryable: bool = True,
    retry_after_us: int | None = None,
    batch_id: str | None = None,
    worker: str,
    at_us: int | None,
) -> ReportAttempt:
    """What a worker says of an attempt, with its payload as it is kept. An output that cannot be is a failure."""
    if outcome is Outcome.COMPLETED:
        payload = payload if payload not in ("", "null") else "{}"
        problem = output_problem(payload)
        if problem is not None:
            return ReportAttempt(
                task_id, retry_count, Outcome.FAILED, problem, batch_id=batch_id, worker=worker, at_us=at_us
            )
    elif outcome is Outcome.FAILED:
        payload = error_text(payload)
    return ReportAttempt(
        task_id,
        retry_count,
        outcome,
        payload,
        is_retryable=is_retryable,
        retry_after_us=retry_after_us,
        batch_id=batch_id,
        worker=worker,
        at_us=at_us,
    )


def json_value(payload: bytes, *, field: str) -> str:
    """The text of any JSON value without NULs; empty stands for ``{}``."""
    if not payload:
        return "{}"
    try:
        text = payload.decode()
        _json_value.decode(text)
    except (UnicodeDecodeError, msgspec.MsgspecError, RecursionError) as error:
        raise InvalidArgument(f"not JSON: {error}", field=field) from None
    if has_nul(text):
        raise InvalidArgument("contains a NUL character, which cannot be stored", field=field)
    return text


def wait_conditions(wire: DurableEventListenerConditions, *, field: str) -> tuple[Condition, ...]:
    """What a durable task waits for (grpc specification 7.1). A condition without an or-group stands alone."""
    groups: dict[str, int] = {}
    conditions: list[Condition] = []
    for position, sleep in enumerate(wire.sleep_conditions):
        at = f"{field}.sleep_conditions[{position}]"
        conditions.append(
            Condition(
                group=_group(groups, sleep.base, len(conditions)),
                data_key=sleep.base.readable_data_key or f"sleep:{sleep.sleep_for}",
                sleep=sleep.sleep_for,
                sleep_us=_sleep_us(sleep.sleep_for, field=f"{at}.sleep_for"),
            )
        )
    for position, event in enumerate(wire.user_event_conditions):
        at = f"{field}.user_event_conditions[{position}]"
        if not event.user_event_key:
            raise InvalidArgument("an event to wait for needs a key", field=f"{at}.user_event_key")
        looks_back = event.HasField("consider_events_since")
        conditions.append(
            Condition(
                group=_group(groups, event.base, len(conditions)),
                data_key=event.base.readable_data_key or event.user_event_key,
                event_key=event.user_event_key,
                scope=event.event_scope if event.HasField("event_scope") else None,
                expression=event.base.expression,
                since_us=instant_us(event.consider_events_since, field=f"{at}.consider_events_since")
                if looks_back
                else None,
            )
        )
    return tuple(conditions)


def _group(groups: dict[str, int], base: BaseMatchCondition, position: int) -> int:
    """The number of a condition's or-group."""
    return groups.setdefault(base.or_group_id or f"#{position}", len(groups))


def _sleep_us(text: str, *, field: str) -> int:
    """A sleep of no length, or of less, is over at once (section 6.3)."""
    if text.startswith("-"):
        parse_duration(text[1:], field=field)
        return 0
    return parse_duration(text, field=field)


def labels(wire: Any) -> dict[str, LabelValue]:
    """Worker labels; a label without a value is an empty string. Refuse NULs in the message they come in first."""
    found: dict[str, LabelValue] = {}
    key: str
    label: WorkerLabels
    for key, label in wire.items():
        found[key] = label.int_value if label.HasField("int_value") else label.str_value
    return found


def run_request(wire: TriggerWorkflowRequest, *, field: str = "") -> RunRequest:
    """One trigger. `field` prefixes the names of fields in errors, for bulk calls."""
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
        child_key=plain_text(wire.child_key, field=f"{field}child_key") or None,
        desired_worker_id=uuid_text(worker, field=f"{field}desired_worker_id") if worker else None,
        desired_labels=_desired_labels(wire, field) if wire.desired_worker_labels else None,
    )


def named_run_request(wire: TriggerWorkflowRunRequest) -> RunRequest:
    """A trigger in the form of `v1.AdminService`, which knows no children."""
    if not wire.workflow_name:
        raise InvalidArgument("name the workflow to run", field="workflow_name")
    return RunRequest(
        workflow_name=wire.workflow_name,
        input=json_object(_utf8(wire.input, field="input"), field="input"),
        additional_metadata=metadata_object(_utf8(wire.additional_metadata, field="additional_metadata")),
        priority=wire.priority if wire.HasField("priority") else None,
        desired_labels=_desired_labels(wire, "") if wire.desired_worker_labels else None,
    )


def _utf8(payload: bytes, *, field: str) -> str:
    try:
        return payload.decode()
    except UnicodeDecodeError:
        raise InvalidArgument("this is not UTF-8 text", field=field) from None


def _desired_labels(
    wire: TriggerWorkflowRequest | TriggerWorkflowRunRequest, field: str
) -> tuple[LabelRequirement, ...]:
    refuse_nul(wire, field=field)
    return label_requirements(wire.desired_worker_labels)


def schedule_runs(wire: ScheduleWorkflowRequest) -> ScheduleRuns:
    """Schedules of one workflow. A parent is named whole: its run, its task and the child's index."""
    if not wire.name:
        raise InvalidArgument("name the workflow to schedule", field="name")
    parent_run = parent_task = None
    if wire.parent_id:
        if not wire.parent_task_run_external_id or not wire.HasField("child_index"):
            raise InvalidArgument(
                "a parent run comes with parent_task_run_external_id and child_index", field="parent_id"
            )
        parent_run = uuid_text(wire.parent_id, field="parent_id")
        parent_task = uuid_text(wire.parent_task_run_external_id, field="parent_task_run_external_id")
    return ScheduleRuns(
        workflow_name=wire.name,
        at_us=tuple(instant_us(at, field=f"schedules[{position}]") for position, at in enumerate(wire.schedules)),
        input=json_object(wire.input, field="input"),
        additional_metadata=metadata_object(wire.additional_metadata),
        priority=wire.priority if wire.HasField("priority") else None,
        parent_run_id=parent_run,
        parent_task_id=parent_task,
        child_index=None if parent_run is None else wire.child_index,
        child_key=None if parent_run is None else plain_text(wire.child_key, field="child_key") or None,
    )


def workflow_spec(wire: CreateWorkflowVersionRequest) -> WorkflowSpec:
    """A v1 definition. What this version does not offer is refused, never dropped (grpc specification 12.1)."""
    refuse_nul(wire)
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
        sticky=STICKY[wire.sticky] if wire.HasField("sticky") else None,
        concurrency=tuple(
            _concurrency_rule(rule, f"concurrency[{position}]")
            for position, rule in enumerate(
                [*wire.concurrency_arr, *([wire.concurrency] if wire.HasField("concurrency") else [])]
            )
        ),
        idempotency=_idempotency_rule(wire.idempotency) if wire.HasField("idempotency") else None,
        default_filters=tuple(
            _filter_spec(declared, f"default_filters[{position}].")
            for position, declared in enumerate(wire.default_filters)
        ),
        cron_triggers=tuple(wire.cron_triggers),
        cron_input=json_object(wire.cron_input, field="cron_input") if wire.HasField("cron_input") else None,
    )


def _task_spec(wire: CreateTaskOpts, field: str) -> TaskSpec:
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
        labels=label_requirements(wire.worker_labels),
        concurrency=tuple(
            _concurrency_rule(rule, f"{field}.concurrency[{position}]")
            for position, rule in enumerate(wire.concurrency)
        ),
        rate_limits=tuple(map(rate_limit_use, wire.rate_limits)),
        batch=_batch_rule(wire.batch) if wire.HasField("batch") else None,
        is_durable=wire.is_durable,
        conditions=_condition_rules(wire.conditions, f"{field}.conditions"),
    )


def _condition_rules(wire: TaskConditions, field: str) -> tuple[ConditionRule, ...]:
    """A task's conditions (grpc specification 12.7). Data keys of parents carry a timestamp and are not kept."""
    groups: dict[str, int] = {}
    rules: list[ConditionRule] = []
    for parent in wire.parent_override_conditions:
        base = parent.base
        rules.append(
            ConditionRule(
                action=_ACTION[base.action],
                group=_group(groups, base, len(rules)),
                parent=parent.parent_readable_id,
                expression=base.expression,
            )
        )
    for position, sleep in enumerate(wire.sleep_conditions):
        base = sleep.base
        rules.append(
            ConditionRule(
                action=_ACTION[base.action],
                group=_group(groups, base, len(rules)),
                sleep=sleep.sleep_for,
                sleep_us=_sleep_us(sleep.sleep_for, field=f"{field}.sleep_conditions[{position}].sleep_for"),
                data_key=base.readable_data_key or f"sleep:{sleep.sleep_for}",
            )
        )
    for position, event in enumerate(wire.user_event_conditions):
        base = event.base
        if not event.user_event_key:
            raise InvalidArgument(
                "an event to wait for needs a key", field=f"{field}.user_event_conditions[{position}].user_event_key"
            )
        rules.append(
            ConditionRule(
                action=_ACTION[base.action],
                group=_group(groups, base, len(rules)),
                event_key=event.user_event_key,
                expression=base.expression,
                data_key=base.readable_data_key or event.user_event_key,
            )
        )
    return tuple(rules)


def _batch_rule(wire: TaskBatchConfig) -> BatchRule:
    interval_ms = wire.batch_max_interval_ms if wire.HasField("batch_max_interval_ms") else 1000
    return BatchRule(
        max_size=wire.batch_max_size,
        interval_us=interval_ms * US_PER_MS,
        group_key_expression=wire.batch_group_key,
        group_max_runs=wire.batch_group_max_runs if wire.HasField("batch_group_max_runs") else 100,
        broadcast_output=wire.broadcast_output,
    )


def _filter_spec(wire: DefaultFilter, field: str) -> FilterSpec:
    payload = "{}"
    if wire.payload:
        try:
            payload = json_object(wire.payload.decode(), field=f"{field}payload")
        except UnicodeDecodeError:
            raise InvalidArgument("not UTF-8 text", field=f"{field}payload") from None
    return FilterSpec(expression=wire.expression, scope=plain_text(wire.scope, field=f"{field}scope"), payload=payload)


def _idempotency_rule(wire: IdempotencyConfig) -> IdempotencyRule:
    method = ClaimMethod(IdempotencyMethod.Name(wire.method))
    return IdempotencyRule(expression=wire.expression, ttl_us=wire.ttl_ms * US_PER_MS, method=method)


def label_requirements(wire: Mapping[str, DesiredWorkerLabels]) -> tuple[LabelRequirement, ...]:
    return tuple(
        LabelRequirement(
            key=key,
            value=label.int_value if label.HasField("int_value") else label.str_value,
            comparator=_COMPARATOR[label.comparator],
            weight=label.weight if label.HasField("weight") else 100,
            required=label.required,
        )
        for key, label in sorted(wire.items())
    )


def limit_strategy(wire: ConcurrencyLimitStrategy, field: str) -> LimitStrategy:
    strategy = _STRATEGY.get(wire)
    if strategy is None:
        raise InvalidArgument("this strategy is obsolete; use GROUP_ROUND_ROBIN or a CANCEL one", field=field)
    return strategy


def _concurrency_rule(wire: Concurrency, field: str) -> ConcurrencyRule:
    return ConcurrencyRule(
        expression=wire.expression,
        max_runs=wire.max_runs if wire.HasField("max_runs") else 1,
        strategy=limit_strategy(wire.limit_strategy, f"{field}.limit_strategy"),
        name=wire.name,
        is_tenant_scoped=wire.is_tenant_scoped,
        max_runs_expression=wire.max_runs_expression,
    )


def rate_limit_use(wire: CreateTaskRateLimit) -> RateLimitUse:
    """Static limits arrive with a limit expression of -1, which means nothing (grpc specification 12.5)."""
    window = wire.duration if wire.HasField("duration") else RateLimitDuration.MINUTE
    return RateLimitUse(
        key="" if wire.key_expr else wire.key,
        key_expression=wire.key_expr,
        units=wire.units if wire.HasField("units") else 1,
        units_expression=wire.units_expr,
        limit_expression=wire.limit_values_expr if wire.key_expr else "",
        window_us=WINDOW_US[window],
    )
