"""The importer of definitions in the form of 2025 (grpc specification 12.2)."""

from __future__ import annotations

import pytest

from broadaxe.core.definition import ConcurrencyRule, LimitStrategy, Sticky, normalise
from broadaxe.errors import InvalidArgument
from broadaxe.rpc._gen.admin_pb2 import ConcurrencyLimitStrategy, CreateTaskRateLimit, StickyStrategy
from broadaxe.rpc._gen.workflows_pb2 import (
    CreateWorkflowJobOpts,
    CreateWorkflowStepOpts,
    CreateWorkflowVersionOpts,
    WorkflowConcurrencyOpts,
)
from broadaxe.rpc.inbound_v0 import workflow_spec


def step(name: str, *parents: str, **more: object) -> CreateWorkflowStepOpts:
    return CreateWorkflowStepOpts(readable_id=name, action=f"old:{name}", timeout="60s", parents=parents, **more)


def opts(*steps: CreateWorkflowStepOpts, **more: object) -> CreateWorkflowVersionOpts:
    job = CreateWorkflowJobOpts(name="Old", steps=steps)
    return CreateWorkflowVersionOpts(name="Old", jobs=[job], schedule_timeout="7m", **more)


def test_parents_are_found_whatever_their_case_and_keep_the_other_spelling() -> None:
    spec = workflow_spec(opts(step("stepone"), step("two", "StepOne", "stepone"), step("three", "STEPONE", "two")))
    one, two, three = spec.tasks
    assert two.parents == ("stepone",)
    assert three.parents == ("stepone", "two")
    assert one.spellings == ("STEPONE", "StepOne")
    assert two.spellings == three.spellings == ()


def test_an_exact_name_goes_before_a_similar_one() -> None:
    spec = workflow_spec(opts(step("load"), step("Load"), step("end", "Load")))
    assert spec.tasks[2].parents == ("Load",)
    assert all(task.spellings == () for task in spec.tasks)


def test_a_parent_that_is_not_there_is_refused_by_its_name() -> None:
    with pytest.raises(InvalidArgument, match="Nowhere"):
        normalise(workflow_spec(opts(step("only", "Nowhere"))), lambda: "id")


def test_steps_of_all_jobs_are_tasks_under_one_schedule_timeout() -> None:
    wire = opts(step("one", retries=2, backoff_factor=2.0, backoff_max_seconds=9))
    wire.jobs.add(name="second", steps=[step("two", "one")])
    wire.on_failure_job.steps.append(step("mend"))
    spec = workflow_spec(wire)
    assert [(task.name, task.schedule_timeout) for task in spec.tasks] == [("one", "7m"), ("two", "7m")]
    assert (spec.tasks[0].retries, spec.tasks[0].backoff_factor, spec.tasks[0].backoff_max_s) == (2, 2.0, 9)
    assert spec.on_failure is not None and spec.on_failure.name == "mend"
    assert spec.on_failure.schedule_timeout == "7m"


def test_what_has_other_numbers_than_today_is_read_by_the_old_ones() -> None:
    limit = CreateTaskRateLimit(key="api", units=3, limit_values_expr="-1")
    wire = opts(step("one", rate_limits=[limit], worker_labels={"gpu": {"str_value": "yes", "required": True}}))
    wire.sticky = StickyStrategy.HARD
    wire.default_priority = 3
    spec = workflow_spec(wire)
    (task,) = spec.tasks
    assert [(use.key, use.units, use.limit_expression) for use in task.rate_limits] == [("api", 3, "")]
    assert [(label.key, label.value, label.required) for label in task.labels] == [("gpu", "yes", True)]
    assert (spec.sticky, spec.default_priority) == (Sticky.HARD, 3)


def test_a_limit_by_expression() -> None:
    concurrency = WorkflowConcurrencyOpts(
        expression="input.key", max_runs=2, limit_strategy=ConcurrencyLimitStrategy.GROUP_ROUND_ROBIN
    )
    spec = workflow_spec(opts(step("one"), concurrency=concurrency))
    assert spec.concurrency == (
        ConcurrencyRule(expression="input.key", max_runs=2, strategy=LimitStrategy.GROUP_ROUND_ROBIN),
    )


@pytest.mark.parametrize(
    ("concurrency", "field"),
    [
        (WorkflowConcurrencyOpts(max_runs=2), "opts.concurrency"),
        (
            WorkflowConcurrencyOpts(expression="input.key", limit_strategy=ConcurrencyLimitStrategy.QUEUE_NEWEST),
            "opts.concurrency.limit_strategy",
        ),
    ],
    ids=["no-key", "obsolete-strategy"],
)
def test_a_limit_nobody_could_keep_is_refused(concurrency: WorkflowConcurrencyOpts, field: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        workflow_spec(opts(step("one"), concurrency=concurrency))
    assert refused.value.field == field


def test_a_spelling_is_part_of_the_version_and_its_absence_leaves_no_trace() -> None:
    from broadaxe.core.definition import checksum

    ids = iter(str(number) for number in range(100))

    def digest(*steps: CreateWorkflowStepOpts) -> str:
        return checksum(normalise(workflow_spec(opts(*steps)), lambda: next(ids)))

    assert digest(step("a"), step("b", "A")) == digest(step("a"), step("b", "A"))
    assert digest(step("a"), step("b", "A")) != digest(step("a"), step("b", "a"))
