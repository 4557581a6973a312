"""Workflow definitions in the form the SDKs of 2025 send them, turned into the same `WorkflowSpec` as the 1.x form.

The old form differs in layout (jobs of steps, one schedule timeout for all) and in one habit: its SDK lower-cases the
names of steps but not the names under which other steps call them their parents. Parents are therefore looked up
without regard to case, and the spelling a workflow uses is kept as one more name of that parent, because its steps ask
for the parent's output by it.

Owns nothing but the translation; what a definition may say is decided in `core/definition.py`.

Source: grpc specification 12.2.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Final

import msgspec

from broadaxe.core.definition import ConcurrencyRule, TaskSpec, WorkflowSpec
from broadaxe.errors import InvalidArgument
from broadaxe.rpc import inbound
from broadaxe.rpc._gen.workflows_pb2 import CreateWorkflowStepOpts, CreateWorkflowVersionOpts, WorkflowConcurrencyOpts

#: How long a concurrency function may take; the old form has no word for it.
KEY_TIMEOUT: Final = "60s"
#: How often it is asked again when no answer came in that time; its SDK sends an answer only once. A function that
#: failed is not asked again.
KEY_RETRIES: Final = 2


def workflow_spec(wire: CreateWorkflowVersionOpts) -> WorkflowSpec:
    """A v0 definition; the steps of all its jobs are tasks of one workflow. Scheduled triggers have no meaning."""
    inbound.refuse_nul(wire, field="opts.")
    steps = [
        _task_spec(step, wire.schedule_timeout, f"opts.jobs[{place}].steps[{position}]")
        for place, job in enumerate(wire.jobs)
        for position, step in enumerate(job.steps)
    ]
    on_failure = wire.on_failure_job.steps[:1] if wire.HasField("on_failure_job") else []
    return WorkflowSpec(
        name=wire.name,
        description=wire.description,
        label=wire.version,
        tasks=_with_parents_found(steps),
        on_failure=next(
            (_task_spec(step, wire.schedule_timeout, "opts.on_failure_job.steps[0]") for step in on_failure), None
        ),
        event_triggers=tuple(wire.event_triggers),
        default_priority=wire.default_priority if wire.HasField("default_priority") else None,
        sticky=inbound.STICKY[wire.sticky] if wire.HasField("sticky") else None,
        concurrency=(_concurrency_rule(wire.concurrency),) if wire.HasField("concurrency") else (),
        cron_triggers=tuple(wire.cron_triggers),
        cron_input=inbound.json_object(wire.cron_input, field="opts.cron_input") if wire.cron_input else None,
        key_task=_key_task(wire),
        takes_any_output=True,
    )


def _task_spec(wire: CreateWorkflowStepOpts, schedule_timeout: str, field: str) -> TaskSpec:
    return TaskSpec(
        name=wire.readable_id,
        action_id=wire.action,
        parents=tuple(wire.parents),
        execution_timeout=wire.timeout,
        schedule_timeout=schedule_timeout,
        retries=wire.retries,
        backoff_factor=wire.backoff_factor if wire.HasField("backoff_factor") else None,
        backoff_max_s=wire.backoff_max_seconds if wire.HasField("backoff_max_seconds") else None,
        labels=inbound.label_requirements(wire.worker_labels),
        rate_limits=tuple(map(inbound.rate_limit_use, wire.rate_limits)),
    )


def _with_parents_found(steps: list[TaskSpec]) -> tuple[TaskSpec, ...]:
    """The steps with their parents' real names, and with the other names their children have for them. A parent that
    is not there keeps its name, for the core to refuse."""
    names = {step.name for step in steps}
    name_of = {step.name.lower(): step.name for step in steps} | {name: name for name in names}
    spellings: defaultdict[str, set[str]] = defaultdict(set)
    for step in steps:
        for spelling in step.parents:
            if spelling not in names:
                spellings[_found(spelling, name_of)].add(spelling)
    return tuple(
        msgspec.structs.replace(
            step,
            parents=_once(_found(spelling, name_of) for spelling in step.parents),
            spellings=tuple(sorted(spellings[step.name])),
        )
        for step in steps
    )


def _found(spelling: str, name_of: dict[str, str]) -> str:
    return name_of.get(spelling) or name_of.get(spelling.lower(), spelling)


def _once(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))


def _key_task(wire: CreateWorkflowVersionOpts) -> TaskSpec | None:
    """The limit's key is what a function of a worker says, unless there is an expression for it."""
    if not wire.concurrency.action or wire.concurrency.expression:
        return None
    return TaskSpec(
        name="key",
        action_id=wire.concurrency.action,
        execution_timeout=KEY_TIMEOUT,
        schedule_timeout=wire.schedule_timeout,
        retries=KEY_RETRIES,
    )


def _concurrency_rule(wire: WorkflowConcurrencyOpts) -> ConcurrencyRule:
    if not wire.expression and not wire.action:
        raise InvalidArgument("a limit needs an expression or a function for its key", field="opts.concurrency")
    return ConcurrencyRule(
        expression=wire.expression,
        max_runs=wire.max_runs if wire.HasField("max_runs") else 1,
        strategy=inbound.limit_strategy(wire.limit_strategy, "opts.concurrency.limit_strategy"),
    )
