"""What a run's expressions say: concurrency keys, rate limits and units, evaluated once when the run is created.

Input and metadata never change, so one evaluation serves every attempt and every replay, and tasks of a DAG that are
created later need no payload. An expression that fails is not an error of the trigger: it marks the task, which is then
created FAILED with the reason (section 3.1, 4.1).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeVar

import msgspec

from broadaxe.core.definition import BatchRule, ConcurrencyRule, LimitStrategy, RateLimitUse
from broadaxe.core.expressions import Environment, Failure, evaluate_int, evaluate_string, value_of, variables_of
from broadaxe.core.model import Version

ResultT = TypeVar("ResultT", str, int)

#: Size of a rate limit's key: it fits into an entry of an index.
LIMIT_KEY_BYTES_MAX: Final = 2_000
#: The group of batch items without a key of their own.
DEFAULT_BATCH: Final = "default"


class GroupKey(msgspec.Struct, frozen=True, array_like=True):
    """The group a run or task belongs to under one concurrency rule."""

    key: str
    max_runs: int


class LimitKey(msgspec.Struct, frozen=True, array_like=True):
    """Units a task takes of a limit; `limit` is None for a static one, whose size is not the task's to say."""

    key: str
    units: int
    limit: int | None
    window_us: int


class TaskKeys(msgspec.Struct, frozen=True, array_like=True):
    """`groups` follow the order in which they are acquired."""

    groups: tuple[GroupKey, ...] = ()
    limits: tuple[LimitKey, ...] = ()
    error: str | None = None
    batch: str = DEFAULT_BATCH


class RunKeys(msgspec.Struct, frozen=True, array_like=True):
    """`groups` are those a DAG run holds as a whole; `tasks` are by position."""

    groups: tuple[GroupKey, ...]
    tasks: tuple[TaskKeys, ...]


class _Failed(Exception):
    """Carries a failure out of the evaluation of one task."""


def evaluate(version: Version, run_id: str, run_input: str, metadata: str | None) -> RunKeys | None:
    """None when the version has no expressions. A group that a worker is asked for is not known yet (`with_answer`)."""
    if not version.has_expressions:
        return None
    variables = variables_of(run_input, metadata)
    if isinstance(variables, Failure):
        unread = TaskKeys(error=variables.message)
        return RunKeys((), tuple(unread for _ in version.definitions))
    variables["workflow_run_id"] = run_id
    shared: tuple[GroupKey, ...] = ()
    shared_error: str | None = None
    if version.key_position is None:
        try:
            shared = tuple(_group(rule, variables) for rule in version.definition.concurrency)
        except _Failed as failure:
            shared_error = str(failure)
    tasks: list[TaskKeys] = []
    for position, definition in enumerate(version.definitions):
        is_counted = position != version.on_failure_position
        if is_counted and shared_error is not None:
            tasks.append(TaskKeys(error=shared_error))
            continue
        try:
            groups = tuple(_group(rule, variables) for rule in definition.concurrency)
            limits = _limits(definition.rate_limits, variables)
            batch = _batch_key(definition.batch, variables)
        except _Failed as failure:
            tasks.append(TaskKeys(error=str(failure)))
            continue
        tasks.append(TaskKeys(groups if version.is_dag else shared + groups, limits, None, batch))
    return RunKeys(shared if version.is_dag else (), tuple(tasks))


def with_answer(version: Version, keys: RunKeys, answer: str | None) -> RunKeys:
    """The keys once a worker was asked for the run's group and answered this JSON text; None takes the answer back.

    The key is the text of a JSON string, and the JSON itself of anything else: any answer makes a key."""
    if answer is None:
        return RunKeys((), keys.tasks)
    said = value_of(answer)
    (rule,) = version.definition.concurrency
    return RunKeys((GroupKey(said if isinstance(said, str) else answer, rule.max_runs),), keys.tasks)


def _group(rule: ConcurrencyRule, variables: Mapping[str, object]) -> GroupKey:
    max_runs = rule.max_runs
    if rule.max_runs_expression:
        max_runs = _value(evaluate_int, rule.max_runs_expression, variables)
    return GroupKey(_value(evaluate_string, rule.expression, variables), max_runs)


def _limits(uses: tuple[RateLimitUse, ...], variables: Mapping[str, object]) -> tuple[LimitKey, ...]:
    """One entry per key, in key order; a key used twice wants the sum."""
    found: dict[str, LimitKey] = {}
    for use in uses:
        key = _value(evaluate_string, use.key_expression, variables) if use.key_expression else use.key
        units = _value(evaluate_int, use.units_expression, variables) if use.units_expression else use.units
        if len(key.encode()) > LIMIT_KEY_BYTES_MAX:
            raise _Failed(f"the key of a rate limit may have {LIMIT_KEY_BYTES_MAX} bytes; shorten it with checksum()")
        if units < 0:
            raise _Failed(f"the rate limit {key!r} is asked for {units} units; ask for 0 or more")
        limit = _value(evaluate_int, use.limit_expression, variables) if use.key_expression else None
        earlier = found.get(key)
        if earlier is not None:
            units += earlier.units
        found[key] = LimitKey(key, units, limit, use.window_us)
    return tuple(found[key] for key in sorted(found))


def _batch_key(rule: BatchRule | None, variables: Mapping[str, object]) -> str:
    if rule is None or not rule.group_key_expression:
        return DEFAULT_BATCH
    value = evaluate_string(rule.group_key_expression, Environment.TASK, variables)
    if isinstance(value, Failure):
        # Clients look for these words (section 13.1).
        raise _Failed(f"failed to parse batch group key expression: {value.message}")
    return value.strip() or DEFAULT_BATCH


def _value(
    evaluate_: Callable[[str, Environment, Mapping[str, object]], ResultT | Failure],
    expression: str,
    variables: Mapping[str, object],
) -> ResultT:
    value = evaluate_(expression, Environment.TASK, variables)
    if isinstance(value, Failure):
        raise _Failed(value.message)
    return value


def fairness_key(version: Version, position: int, keys: RunKeys) -> str | None:
    """The key by which waiting tasks take turns: that of the innermost `GROUP_ROUND_ROBIN` rule."""
    rules = version.rules_of(position)
    own = keys.tasks[position].groups
    pairs = list(zip(rules, own, strict=False))
    if version.is_dag and position != version.on_failure_position:
        pairs = [*zip(version.definition.concurrency, keys.groups, strict=False), *pairs]
    for rule, group in reversed(pairs):
        if rule.strategy is LimitStrategy.GROUP_ROUND_ROBIN:
            return group.key
    return None
