"""Workflow definitions: what a client declares (`WorkflowSpec`) and what runs (`WorkflowDefinition`).

Owns every rule about a definition's fields, their defaults, the order of tasks and the checksum that decides whether a
registration makes a new version. Refuses anything it cannot honour, naming the field; it never drops a declared
feature silently.

Invariants of a `WorkflowDefinition`: `tasks` is in topological order with alphabetical tie-break, parents come before
children, `on_failure` (if any) is not among `tasks`, action ids are lower-case, durations are microseconds.

Source: semantics 1.2 and 1.3, grpc specification 12.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Final

import msgspec

from broadaxe.core.cron import CronExpression
from broadaxe.core.durations import US_PER_MS, US_PER_S, parse_duration
from broadaxe.core.expressions import Environment, check
from broadaxe.errors import InvalidArgument

NAME_LENGTH_MAX: Final = 255
TASKS_MAX: Final = 10_000
RETRIES_MAX: Final = 1_000_000
BACKOFF_FACTOR_MAX: Final = 1_000.0
BACKOFF_S_MAX: Final = 86_400
DEFAULT_EXECUTION_TIMEOUT_US: Final = 300 * US_PER_S
DEFAULT_SCHEDULE_TIMEOUT_US: Final = 300 * US_PER_S
DEFAULT_SLOTS: Final = {"default": 1}
#: What the key task of a workflow is called. No declared task can have this name.
KEY_TASK_NAME: Final = "(group key)"
DEFAULT_DURABLE_SLOTS: Final = {"durable": 1}
BATCH_SIZE_MAX: Final = 100_000
LABELS_MAX: Final = 100
RULES_MAX: Final = 32
#: Longest time a run may hold its idempotency key: ten years.
CLAIM_TTL_US_MAX: Final = 3_650 * 86_400 * US_PER_S
CRONS_MAX: Final = 1_000
CONDITIONS_MAX: Final = 1_000

_NAME: Final = re.compile(r"[a-zA-Z0-9._-]+")


class Comparator(StrEnum):
    EQUAL = "EQUAL"
    NOT_EQUAL = "NOT_EQUAL"
    GREATER_THAN = "GREATER_THAN"
    GREATER_THAN_OR_EQUAL = "GREATER_THAN_OR_EQUAL"
    LESS_THAN = "LESS_THAN"
    LESS_THAN_OR_EQUAL = "LESS_THAN_OR_EQUAL"


class LabelRequirement(msgspec.Struct, frozen=True):
    """A desired worker label: worker value ⟨comparator⟩ `value` (section 2.6)."""

    key: str
    value: str | int
    comparator: Comparator = Comparator.EQUAL
    weight: int = 100
    required: bool = False


class LimitStrategy(StrEnum):
    """What happens when a concurrency group is full (section 3.3)."""

    CANCEL_IN_PROGRESS = "CANCEL_IN_PROGRESS"
    GROUP_ROUND_ROBIN = "GROUP_ROUND_ROBIN"
    CANCEL_NEWEST = "CANCEL_NEWEST"
    CANCEL_QUEUED_EXCEPT_NEWEST = "CANCEL_QUEUED_EXCEPT_NEWEST"
    CANCEL_QUEUED_EXCEPT_OLDEST = "CANCEL_QUEUED_EXCEPT_OLDEST"


class ConcurrencyRule(msgspec.Struct, frozen=True, kw_only=True):
    """At most `max_runs` at a time per key; `max_runs_expression` says it per key instead when given. A tenant-scoped
    rule is shared by `name` across workflows and versions."""

    expression: str
    max_runs: int = 1
    strategy: LimitStrategy = LimitStrategy.CANCEL_IN_PROGRESS
    name: str = ""
    is_tenant_scoped: bool = False
    max_runs_expression: str = ""


class RateLimitUse(msgspec.Struct, frozen=True, kw_only=True):
    """Units a task takes of a limit. A static one has `key`; a dynamic one `key_expression` and `limit_expression`."""

    key: str = ""
    key_expression: str = ""
    units: int = 1
    units_expression: str = ""
    limit_expression: str = ""
    window_us: int = 60 * US_PER_S


class BatchRule(msgspec.Struct, frozen=True, kw_only=True):
    """Items of a batch task gather per key until there are `max_size` of them or the interval is over."""

    max_size: int
    interval_us: int = US_PER_S
    group_key_expression: str = ""
    group_max_runs: int = 100
    broadcast_output: bool = False


class ClaimMethod(StrEnum):
    """How long a run holds its idempotency key (section 5.9)."""

    TTL = "TTL"
    """For a fixed time from its trigger."""
    STATUS = "STATUS"
    """Until the run has ended, and for a fixed time at most."""


class IdempotencyRule(msgspec.Struct, frozen=True, kw_only=True):
    """Triggers that give the same key make one run for as long as it holds the key."""

    expression: str
    ttl_us: int
    method: ClaimMethod = ClaimMethod.TTL


class FilterSpec(msgspec.Struct, frozen=True, kw_only=True):
    """An event filter declared with its workflow (section 5.5). `payload` is a JSON object text."""

    expression: str
    scope: str
    payload: str = "{}"


class Sticky(StrEnum):
    SOFT = "SOFT"
    HARD = "HARD"


class ConditionAction(StrEnum):
    """What becomes of a task when the list of conditions is fulfilled (section 6.8)."""

    QUEUE = "QUEUE"
    SKIP = "SKIP"
    CANCEL = "CANCEL"


class ConditionRule(msgspec.Struct, frozen=True, kw_only=True):
    """An element of a task's wait-for, skip-if or cancel-if list: a parent, a sleep or a user event. Elements of one
    action that share a `group` are alternatives."""

    action: ConditionAction
    group: int
    parent: str = ""
    sleep: str = ""
    sleep_us: int = 0
    event_key: str = ""
    expression: str = ""
    data_key: str = ""


class TaskSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A task as declared on the wire. Empty timeouts mean the default. `spellings` are further names under which other
    tasks look for its output."""

    name: str
    action_id: str
    parents: tuple[str, ...] = ()
    spellings: tuple[str, ...] = ()
    execution_timeout: str = ""
    schedule_timeout: str = ""
    retries: int = 0
    backoff_factor: float | None = None
    backoff_max_s: int | None = None
    slots: dict[str, int] = {}
    labels: tuple[LabelRequirement, ...] = ()
    concurrency: tuple[ConcurrencyRule, ...] = ()
    rate_limits: tuple[RateLimitUse, ...] = ()
    batch: BatchRule | None = None
    is_durable: bool = False
    conditions: tuple[ConditionRule, ...] = ()


class WorkflowSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A workflow as declared on the wire."""

    name: str
    description: str = ""
    label: str = ""
    tasks: tuple[TaskSpec, ...] = ()
    on_failure: TaskSpec | None = None
    event_triggers: tuple[str, ...] = ()
    default_priority: int | None = None
    input_json_schema: str | None = None
    sticky: Sticky | None = None
    concurrency: tuple[ConcurrencyRule, ...] = ()
    key_task: TaskSpec | None = None
    """Asks a worker for the run's key under the only concurrency rule, which then has no expression. Whatever it is
    called, it becomes `KEY_TASK_NAME`."""
    takes_any_output: bool = False
    """Its tasks take any JSON as a parent's output, not objects only, as the SDKs of 2025 do."""
    idempotency: IdempotencyRule | None = None
    default_filters: tuple[FilterSpec, ...] = ()
    """They belong to the workflow, not to the version."""
    cron_triggers: tuple[str, ...] = ()
    cron_input: str | None = None
    """JSON object text that its crons give their runs; None for ``{}``."""


class TaskDefinition(msgspec.Struct, frozen=True, kw_only=True):
    """A task as it runs. `id` is the definition's own UUID (the wire's step id), the same for all runs of a version."""

    id: str
    name: str
    action_id: str
    parents: tuple[str, ...]
    execution_timeout_us: int
    schedule_timeout_us: int
    retries: int
    backoff_factor: float | None
    backoff_max_s: int
    slots: dict[str, int]
    labels: tuple[LabelRequirement, ...] = ()
    concurrency: tuple[ConcurrencyRule, ...] = ()
    rate_limits: tuple[RateLimitUse, ...] = ()
    batch: BatchRule | None = None
    spellings: tuple[str, ...] = ()
    is_durable: bool = False
    conditions: tuple[ConditionRule, ...] = ()

    @property
    def skips_by_parent(self) -> bool:
        """Whether it says itself when a parent lets it be skipped: then skipped parents alone do not (section 1.6)."""
        return any(rule.parent and rule.action is ConditionAction.SKIP for rule in self.conditions)

    def backoff_us(self, app_retry_count: int) -> int:
        """Delay before application retry number `app_retry_count` (1, 2, …); 0 without a factor."""
        if self.backoff_factor is None:
            return 0
        try:
            delay_s = min(float(self.backoff_max_s), self.backoff_factor**app_retry_count)
        except OverflowError:
            delay_s = float(self.backoff_max_s)
        return int(delay_s * US_PER_S)


class WorkflowDefinition(msgspec.Struct, frozen=True, kw_only=True):
    """A normalised workflow: the immutable content of a workflow version."""

    name: str
    description: str
    label: str
    tasks: tuple[TaskDefinition, ...]
    on_failure: TaskDefinition | None
    event_triggers: tuple[str, ...]
    default_priority: int
    input_json_schema: str | None = None
    sticky: Sticky | None = None
    concurrency: tuple[ConcurrencyRule, ...] = ()
    key_task: TaskDefinition | None = None
    takes_any_output: bool = False
    idempotency: IdempotencyRule | None = None
    cron_triggers: tuple[str, ...] = ()
    cron_input: str | None = None

    @property
    def is_dag(self) -> bool:
        """Whether runs have an id of their own (section 1.1: two tasks or more, on_failure and key task included)."""
        return len(self.tasks) > 1 or self.on_failure is not None or self.key_task is not None


def normalise(spec: WorkflowSpec, new_id: Callable[[], str]) -> WorkflowDefinition:
    """Validates `spec`; raises InvalidArgument naming the field, in which case nothing was made."""
    check_name(spec.name, field="name")
    if not spec.tasks:
        raise InvalidArgument("a workflow needs at least one task", field="tasks")
    if len(spec.tasks) > TASKS_MAX:
        raise InvalidArgument(f"a workflow may have at most {TASKS_MAX} tasks", field="tasks")
    if spec.default_priority is not None:
        check_priority(spec.default_priority, field="default_priority")
    for position, key in enumerate(spec.event_triggers):
        if not key:
            raise InvalidArgument("an event key must not be empty", field=f"event_triggers[{position}]")
    if len(spec.cron_triggers) > CRONS_MAX:
        raise InvalidArgument(f"a workflow may have at most {CRONS_MAX} crons", field="cron_triggers")
    for position, expression in enumerate(spec.cron_triggers):
        CronExpression(expression, field=f"cron_triggers[{position}]")
    ordered = _in_topological_order(spec.tasks)
    if spec.on_failure is not None:
        if spec.on_failure.parents:
            raise InvalidArgument("the on-failure task has no parents", field="on_failure_task.parents")
        if spec.on_failure.conditions:
            raise InvalidArgument("the on-failure task has no conditions", field="on_failure_task.conditions")
        if any(task.name == spec.on_failure.name for task in spec.tasks):
            raise InvalidArgument("two tasks have this name", field="on_failure_task.readable_id")
    position_of = {task.name: position for position, task in enumerate(spec.tasks)}
    return WorkflowDefinition(
        name=spec.name,
        description=spec.description,
        label=spec.label,
        tasks=tuple(_normalise_task(task, f"tasks[{position_of[task.name]}]", new_id) for task in ordered),
        on_failure=None if spec.on_failure is None else _normalise_task(spec.on_failure, "on_failure_task", new_id),
        event_triggers=tuple(dict.fromkeys(spec.event_triggers)),
        default_priority=spec.default_priority or 1,
        input_json_schema=spec.input_json_schema,
        sticky=spec.sticky,
        concurrency=_check_concurrency(spec.concurrency, "concurrency", is_key_asked_for=spec.key_task is not None),
        key_task=None if spec.key_task is None else _normalise_key_task(spec.key_task, new_id),
        takes_any_output=spec.takes_any_output,
        idempotency=_check_idempotency(spec.idempotency, "idempotency"),
        cron_triggers=tuple(dict.fromkeys(spec.cron_triggers)),
        cron_input=spec.cron_input if spec.cron_triggers else None,
    )


def checksum(definition: WorkflowDefinition) -> str:
    """Hex SHA-256 of what makes two definitions the same: everything but ids, description and label."""
    plain = msgspec.to_builtins(definition)
    for key in ("description", "label"):
        del plain[key]
    for task in [*plain["tasks"], *(extra for extra in (plain["on_failure"], plain["key_task"]) if extra)]:
        del task["id"]
        task["parents"] = sorted(task["parents"])
        if task["slots"] == DEFAULT_SLOTS:
            del task["slots"]
        _drop_empty(task, "labels", "concurrency", "rate_limits", "batch", "spellings", "is_durable", "conditions")
    plain["event_triggers"] = sorted(plain["event_triggers"])
    plain["cron_triggers"] = sorted(plain["cron_triggers"])
    _drop_empty(
        plain, "sticky", "concurrency", "key_task", "takes_any_output", "idempotency", "cron_triggers", "cron_input"
    )
    return hashlib.sha256(msgspec.json.encode(plain, order="sorted")).hexdigest()


def _drop_empty(plain: dict[str, object], *keys: str) -> None:
    """A feature that is not used leaves no trace, so that a version from before it existed keeps its checksum."""
    for key in keys:
        if not plain[key]:
            del plain[key]


def check_name(name: str, *, field: str) -> None:
    """Raises InvalidArgument unless `name` has only letters, digits, ``.``, ``_`` and ``-``."""
    if not name or len(name) > NAME_LENGTH_MAX or not _NAME.fullmatch(name):
        raise InvalidArgument(
            f"{name[:NAME_LENGTH_MAX]!r} is not a name; use 1 to {NAME_LENGTH_MAX} letters, digits, '.', '_' or '-'",
            field=field,
        )


def check_priority(priority: int, *, field: str) -> None:
    if not 1 <= priority <= 3:
        raise InvalidArgument(f"priority must be 1 (low), 2 (medium) or 3 (high), not {priority}", field=field)


def normalise_action_id(action_id: str, *, field: str) -> str:
    """Lower-cased action id of the form ``service:verb`` (an optional third part is allowed)."""
    parts = action_id.split(":")
    if len(parts) not in (2, 3) or not all(parts) or len(action_id) > 2 * NAME_LENGTH_MAX:
        raise InvalidArgument(f"{action_id[:80]!r} is not an action id; it must look like service:task", field=field)
    return action_id.lower()


def _normalise_task(task: TaskSpec, field: str, new_id: Callable[[], str]) -> TaskDefinition:
    check_name(task.name, field=f"{field}.readable_id")
    if not 0 <= task.retries <= RETRIES_MAX:
        raise InvalidArgument(
            f"retries must be between 0 and {RETRIES_MAX}, not {task.retries}", field=f"{field}.retries"
        )
    factor, backoff_max_s = task.backoff_factor, task.backoff_max_s
    if factor is not None and not 1.0 <= factor <= BACKOFF_FACTOR_MAX:
        raise InvalidArgument(
            f"must be between 1 and {BACKOFF_FACTOR_MAX:g}, not {factor:g}", field=f"{field}.backoff_factor"
        )
    if backoff_max_s is not None and not 1 <= backoff_max_s <= BACKOFF_S_MAX:
        raise InvalidArgument(
            f"must be between 1 and {BACKOFF_S_MAX}, not {backoff_max_s}", field=f"{field}.backoff_max_seconds"
        )
    if task.is_durable and task.batch is not None:
        raise InvalidArgument("a durable task cannot be a batch task", field=f"{field}.batch")
    for slot_type, units in task.slots.items():
        check_name(slot_type, field=f"{field}.slot_requests")
        if units <= 0:
            raise InvalidArgument(
                f"{slot_type} asks for {units} units; ask for at least 1", field=f"{field}.slot_requests"
            )
    execution_us, schedule_us = DEFAULT_EXECUTION_TIMEOUT_US, DEFAULT_SCHEDULE_TIMEOUT_US
    if task.execution_timeout:
        execution_us = parse_duration(task.execution_timeout, field=f"{field}.timeout")
    if task.schedule_timeout:
        schedule_us = parse_duration(task.schedule_timeout, field=f"{field}.schedule_timeout")
    return TaskDefinition(
        id=new_id(),
        name=task.name,
        action_id=normalise_action_id(task.action_id, field=f"{field}.action"),
        parents=task.parents,
        execution_timeout_us=execution_us,
        schedule_timeout_us=schedule_us,
        retries=task.retries,
        backoff_factor=factor,
        backoff_max_s=backoff_max_s or BACKOFF_S_MAX,
        slots=dict(task.slots) or dict(DEFAULT_DURABLE_SLOTS if task.is_durable else DEFAULT_SLOTS),
        labels=_check_labels(task.labels, f"{field}.worker_labels"),
        concurrency=_check_concurrency(task.concurrency, f"{field}.concurrency"),
        rate_limits=_check_rate_limits(task.rate_limits, f"{field}.rate_limits"),
        batch=_check_batch(task.batch, f"{field}.batch"),
        spellings=task.spellings,
        is_durable=task.is_durable,
        conditions=_check_conditions(task, f"{field}.conditions"),
    )


def _normalise_key_task(task: TaskSpec, new_id: Callable[[], str]) -> TaskDefinition:
    return msgspec.structs.replace(_normalise_task(task, "concurrency", new_id), name=KEY_TASK_NAME)


def _check_batch(rule: BatchRule | None, field: str) -> BatchRule | None:
    if rule is None:
        return None
    for name, value, least, most in (
        ("batch_max_size", rule.max_size, 1, BATCH_SIZE_MAX),
        ("batch_max_interval_ms", rule.interval_us // US_PER_MS, 1, 86_400_000),
        ("batch_group_max_runs", rule.group_max_runs, 1, 10_000),
    ):
        if not least <= value <= most:
            raise InvalidArgument(f"must be between {least} and {most}, not {value}", field=f"{field}.{name}")
    if rule.group_key_expression:
        check(rule.group_key_expression, Environment.TASK, field=f"{field}.batch_group_key")
    return rule


def _check_conditions(task: TaskSpec, field: str) -> tuple[ConditionRule, ...]:
    """In an order that does not depend on how the client listed them, groups renumbered accordingly."""
    if len(task.conditions) > CONDITIONS_MAX:
        raise InvalidArgument(f"at most {CONDITIONS_MAX} conditions", field=field)
    for rule in task.conditions:
        if rule.parent and rule.parent not in task.parents:
            raise InvalidArgument(f"{rule.parent!r} is not a parent of the task {task.name!r}", field=field)
        if rule.expression.strip():
            check(rule.expression, Environment.CONDITION, field=field)
    groups: dict[tuple[ConditionAction, int], list[ConditionRule]] = {}
    for rule in task.conditions:
        groups.setdefault((rule.action, rule.group), []).append(msgspec.structs.replace(rule, group=0))
    ordered = sorted(
        (sorted(rules, key=_condition_order) for rules in groups.values()),
        key=lambda rules: [_condition_order(rule) for rule in rules],
    )
    return tuple(msgspec.structs.replace(rule, group=number) for number, rules in enumerate(ordered) for rule in rules)


def _condition_order(rule: ConditionRule) -> tuple[str, str, str, int, str, str]:
    return rule.action, rule.parent, rule.event_key, rule.sleep_us, rule.expression, rule.data_key


def _check_labels(labels: tuple[LabelRequirement, ...], field: str) -> tuple[LabelRequirement, ...]:
    if len(labels) > LABELS_MAX:
        raise InvalidArgument(f"at most {LABELS_MAX} labels", field=field)
    return tuple(sorted(labels, key=lambda label: label.key))


def _check_concurrency(
    rules: tuple[ConcurrencyRule, ...], field: str, *, is_key_asked_for: bool = False
) -> tuple[ConcurrencyRule, ...]:
    if is_key_asked_for:
        if len(rules) != 1 or rules[0].expression:
            raise InvalidArgument("a key that a worker is asked for is that of the only rule", field=field)
        return rules
    if len(rules) > RULES_MAX:
        raise InvalidArgument(f"at most {RULES_MAX} concurrency rules", field=field)
    for position, rule in enumerate(rules):
        at = f"{field}[{position}]"
        if not rule.expression:
            raise InvalidArgument("a concurrency rule needs an expression for its key", field=f"{at}.expression")
        check(rule.expression, Environment.TASK, field=f"{at}.expression")
        if rule.max_runs_expression:
            check(rule.max_runs_expression, Environment.TASK, field=f"{at}.max_runs_expression")
        if rule.is_tenant_scoped and not rule.name:
            raise InvalidArgument("a rule shared across the tenant needs a name", field=f"{at}.name")
    return rules


def _check_idempotency(rule: IdempotencyRule | None, field: str) -> IdempotencyRule | None:
    if rule is None:
        return None
    check(rule.expression, Environment.IDEMPOTENCY, field=f"{field}.expression")
    if not US_PER_MS <= rule.ttl_us <= CLAIM_TTL_US_MAX:
        raise InvalidArgument(
            f"must be between 1 and {CLAIM_TTL_US_MAX // US_PER_MS}, not {rule.ttl_us // US_PER_MS}",
            field=f"{field}.ttl_ms",
        )
    return rule


def _check_rate_limits(uses: tuple[RateLimitUse, ...], field: str) -> tuple[RateLimitUse, ...]:
    if len(uses) > RULES_MAX:
        raise InvalidArgument(f"at most {RULES_MAX} rate limits", field=field)
    for position, use in enumerate(uses):
        at = f"{field}[{position}]"
        if not use.key and not use.key_expression:
            raise InvalidArgument("a rate limit needs a key, or an expression for one", field=f"{at}.key")
        if use.key_expression:
            check(use.key_expression, Environment.TASK, field=f"{at}.key_expr")
            if not use.limit_expression:
                raise InvalidArgument("a dynamic rate limit needs its limit", field=f"{at}.limit_values_expr")
            check(use.limit_expression, Environment.TASK, field=f"{at}.limit_values_expr")
        if use.units_expression:
            check(use.units_expression, Environment.TASK, field=f"{at}.units_expr")
        elif use.units < 0:
            raise InvalidArgument(f"units must not be negative, as {use.units} is", field=f"{at}.units")
    return uses


def _in_topological_order(tasks: Sequence[TaskSpec]) -> list[TaskSpec]:
    """Parents before children, alphabetical among equals. O(n log n + edges)."""
    by_name: dict[str, TaskSpec] = {}
    for position, task in enumerate(tasks):
        if task.name in by_name:
            raise InvalidArgument(f"two tasks are named {task.name!r}", field=f"tasks[{position}].readable_id")
        by_name[task.name] = task
    for position, task in enumerate(tasks):
        for parent in task.parents:
            if parent not in by_name:
                raise InvalidArgument(f"{parent!r} is not a task of this workflow", field=f"tasks[{position}].parents")
    children: dict[str, list[str]] = {task.name: [] for task in tasks}
    parents_left = {task.name: len(set(task.parents)) for task in tasks}
    for task in tasks:
        for parent in set(task.parents):
            children[parent].append(task.name)
    ordered: list[TaskSpec] = []
    ready = sorted(name for name, count in parents_left.items() if not count)
    while ready:
        ordered += (by_name[name] for name in ready)
        freed: list[str] = []
        for name in ready:
            del parents_left[name]
            for child in children[name]:
                parents_left[child] -= 1
                if not parents_left[child]:
                    freed.append(child)
        ready = sorted(freed)
    if parents_left:
        names = sorted(parents_left)
        listed = ", ".join(names[:10]) + (" and others" if len(names) > 10 else "")
        raise InvalidArgument(f"these tasks wait for each other in a circle: {listed}", field="tasks")
    return ordered
