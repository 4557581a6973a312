"""Every command states its own facts: whether it may be repeated, what it weighs, what has to be in memory."""

from __future__ import annotations

from types import UnionType
from typing import get_args

import pytest

from broadaxe.core.commands import Command
from broadaxe.core.commands.attempts import Outcome, ReportAttempt
from broadaxe.core.commands.crons import CreateCron
from broadaxe.core.commands.durable import BeginWait, CompleteMemo, RegisterSignal, SpawnChildren
from broadaxe.core.commands.events import EventRequest, PushEvents
from broadaxe.core.commands.needs import NOTHING, EventQuery, Needs
from broadaxe.core.commands.outbox import TakeOutbox
from broadaxe.core.commands.schedules import MoveSchedules, RunSchedule, ScheduleRuns
from broadaxe.core.commands.tasks import CancelTasks, ReplayTasks
from broadaxe.core.commands.triggers import RunRequest, TriggerRuns
from broadaxe.core.commands.workers import Heartbeat
from broadaxe.core.waits import PAST_EVENTS_MAX, Condition

assert isinstance(Command, UnionType)
COMMANDS = get_args(Command)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.__name__)
@pytest.mark.parametrize("fact", ["is_repeatable", "chars", "needs"])
def test_a_command_states_its_facts_itself(command: type, fact: str) -> None:
    assert fact in vars(command), f"{command.__name__} does not say `{fact}`; nothing is taken for granted"
    stated = vars(command)[fact]
    assert isinstance(stated, property) or type(stated) in (bool, int, Needs)


def test_a_report_may_be_repeated_when_it_names_its_attempt() -> None:
    assert ReportAttempt("t", 0, Outcome.COMPLETED).is_repeatable
    assert ReportAttempt("t", None, Outcome.COMPLETED, batch_id="b").is_repeatable
    assert not ReportAttempt("t", None, Outcome.COMPLETED).is_repeatable


@pytest.mark.parametrize(
    ("command", "chars"),
    [
        (ReportAttempt("t", 0, Outcome.COMPLETED, "12345"), 5),
        (TriggerRuns((RunRequest(workflow_name="w", input="{}", additional_metadata="123"),) * 2), 10),
        (PushEvents((EventRequest(key="k", payload="1234"),)), 4),
        (
            TakeOutbox((EventRequest(key="k", payload="1"), RunRequest(workflow_name="w", input="12"))),
            3,
        ),
        (
            SpawnChildren(
                stream=1, task_id="t", invocation_count=1, requests=(RunRequest(workflow_name="w", input="12"),)
            ),
            2,
        ),
        (ScheduleRuns(workflow_name="w", at_us=(1, 2, 3), input="12", additional_metadata="1"), 9),
        (CompleteMemo(stream=1, task_id="t", invocation_count=1, branch_id=1, node_id=1, payload="123"), 3),
        (CreateCron(workflow_name="w", name="n", expression="* * * * *", input="12"), 2),
        (Heartbeat("worker"), 0),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, int) else "",
)
def test_a_command_weighs_what_its_payloads_do(command: Command, chars: int) -> None:
    assert command.chars == chars


def _needs_of_conditions(expression: str, count_max: int) -> tuple[Condition, Needs]:
    condition = Condition(
        group=0, data_key="go", event_key="go", scope="S", since_us=5, expression=expression, sleep="", sleep_us=0
    )
    return condition, Needs(events=frozenset((EventQuery("go", "S", 5, count_max),)))


def test_a_command_names_what_has_to_be_in_memory() -> None:
    child = RunRequest(workflow_name="w", input="{}", parent_task_id="parent", child_key="k")
    spawn = SpawnChildren(stream=1, task_id="t", invocation_count=1, requests=(child,))
    assert TriggerRuns((child,)).needs == Needs(tasks=frozenset(("parent",)))
    assert TriggerRuns((RunRequest(workflow_name="w", input="{}"),)).needs is NOTHING
    assert spawn.needs == Needs(children=frozenset((("t", "k"),)))
    assert CancelTasks(("a", "b")).needs == Needs(live_tasks=frozenset(("a", "b")))
    assert ReplayTasks(("a",)).needs == Needs(tasks=frozenset(("a",)))
    assert Heartbeat("w").needs == Needs(workers=frozenset(("w",)))
    assert MoveSchedules((("s", 1),)).needs == Needs(schedules=frozenset(("s",)))
    assert RunSchedule("s").needs == Needs(schedules=frozenset(("s",)))
    assert ReportAttempt("t", 0, Outcome.COMPLETED).needs is NOTHING


@pytest.mark.parametrize(("expression", "count_max"), [("", 1), ("input.n > 1", PAST_EVENTS_MAX)])
def test_a_wait_that_looks_back_names_the_events_it_may_take(expression: str, count_max: int) -> None:
    condition, needs = _needs_of_conditions(expression, count_max)
    assert BeginWait(stream=1, task_id="t", invocation_count=1, conditions=(condition,)).needs == needs
    signal = RegisterSignal("t", "key", (condition,))
    assert signal.needs == Needs(live_tasks=frozenset(("t",)), events=needs.events)
