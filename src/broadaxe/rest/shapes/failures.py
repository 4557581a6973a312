"""The shapes of failed tasks, grouped by their mistake."""

from __future__ import annotations

from pydantic import Field

from broadaxe.rest.wire import Instant, Wire


class ErrorGroupWorkflow(Wire):
    workflow_id: str
    name: str
    count: int


class ErrorGroup(Wire):
    """Failed tasks with one mistake at one place of their own code."""

    fingerprint: str
    exception_type: str | None = None
    message: str = Field(description="Of the newest of them.")
    file: str | None = None
    line: int | None = None
    function: str | None = None
    code: str | None = Field(default=None, description="The line itself, if the error shows it.")
    count: int
    first_seen_at: Instant
    last_seen_at: Instant
    example_run_external_id: str
    example_task_external_id: str
    workflows: list[ErrorGroupWorkflow]
    task_names: list[str]


class ErrorGroupList(Wire):
    rows: list[ErrorGroup]
    tasks_looked_at: int
    oldest_looked_at: Instant | None = Field(
        default=None, description="When the oldest of them failed, if there may be more that were not looked at."
    )


class ErrorGroupTask(Wire):
    task_external_id: str
    workflow_run_external_id: str
    workflow_name: str
    task_name: str
    failed_at: Instant


class ErrorGroupTasks(Wire):
    rows: list[ErrorGroupTask]
