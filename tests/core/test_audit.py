"""What somebody asked for leaves an entry in the round that does it; what came to nothing leaves none."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from broadaxe.core.audit import IDS_SHOWN_MAX, TEXT_CHARS_MAX
from broadaxe.core.commands import Command
from broadaxe.core.commands.asked import Asked, Initiator, InitiatorKind
from broadaxe.core.commands.crons import BackfillCron, ChangeCron, CreateCron, DeleteCron, RunCron
from broadaxe.core.commands.events import EventRequest, PushEvents
from broadaxe.core.commands.filters import ChangeFilter, CreateFilter, DeleteFilter
from broadaxe.core.commands.ratelimits import DeleteRateLimit, PauseRateLimit, PutRateLimit
from broadaxe.core.commands.schedules import DeleteSchedules, MoveSchedules, RunSchedule, ScheduleRuns
from broadaxe.core.commands.tasks import CancelTasks, ReplayTasks
from broadaxe.core.commands.triggers import RunRequest, TriggerRuns
from broadaxe.core.commands.workers import PauseWorker
from broadaxe.core.commands.workflows import DeleteWorkflow, PauseWorkflow, PutWorkflow, UnpauseWorkflow, WhilePaused
from broadaxe.core.decision import AuditRow
from broadaxe.core.definition import WorkflowSpec
from broadaxe.core.durations import US_PER_S
from broadaxe.errors import NotFound
from tests.core.world import START_US, World, task

ANN = Initiator(InitiatorKind.ACCOUNT, "ann-id", "ann@example.com", "192.0.2.7")
PROGRAM = Initiator(InitiatorKind.TOKEN, "token-id", "an API token", "192.0.2.8")
HOUR_US = 3_600 * US_PER_S


def asked(world: World, command: Command, by: Initiator = ANN) -> list[AuditRow]:
    world.round(Asked(command, by))
    return world.decisions[-1].writes.audit


def value(text: str | None) -> dict[str, object] | None:
    return None if text is None else msgspec.json.decode(text)


def test_an_entry_says_who_did_what_to_what_and_when() -> None:
    world = World()
    world.put(task("a"), name="flow")
    workflow_id = next(iter(world.workflows))
    (row,) = asked(world, PauseWorkflow(workflow_id, HOUR_US, WhilePaused.DROP, WhilePaused.QUEUE))
    assert (row.by_kind, row.by_id, row.by_name, row.by_address) == ("ACCOUNT", "ann-id", ANN.name, "192.0.2.7")
    assert (row.action, row.object_id, row.object_name, row.at_us) == (
        "workflow.pause",
        workflow_id,
        "flow",
        START_US,
    )
    assert value(row.before) == {"version": 1}
    assert value(row.after) == {
        "version": 1,
        "paused_since_us": START_US,
        "queue_ttl_us": HOUR_US,
        "crons": "DROP",
        "schedules": "QUEUE",
    }
    assert world.workflows[workflow_id].paused_by == "ann@example.com"


def test_what_was_refused_or_changed_nothing_leaves_no_entry() -> None:
    world = World()
    world.put(task("a"), name="flow")
    workflow_id = next(iter(world.workflows))
    assert asked(world, UnpauseWorkflow(workflow_id)) == []
    assert asked(world, CancelTasks(("nothing",))) == []
    with pytest.raises(NotFound):
        asked(world, DeleteWorkflow("nothing"))
    assert world.decisions[-1].writes.audit == []
    assert asked(world, PutWorkflow(WorkflowSpec(name="flow", tasks=(task("a"),)))) == []
    (row,) = asked(world, PutWorkflow(WorkflowSpec(name="flow", tasks=(task("a", retries=3),))))
    assert (value(row.before), value(row.after)) == ({"version": 1}, {"version": 2})


def test_nobody_is_named_for_what_follows_in_the_same_round() -> None:
    world = World()
    world.put(task("a"))
    run_id = world.trigger()
    other = world.trigger()
    world.round(Asked(CancelTasks((run_id,)), ANN), CancelTasks((other,)))
    assert world.tasks[run_id].error == "cancelled by ann@example.com"
    assert world.tasks[other].error == "cancelled by a user"
    assert [row.object_id for row in world.decisions[-1].writes.audit] == [run_id]


def test_nobody_is_named_after_a_refusal_either() -> None:
    world = World()
    world.put(task("a"))
    run_id = world.trigger()
    world.decide(Asked(DeleteWorkflow("nothing"), ANN), CancelTasks((run_id,)))
    assert world.tasks[run_id].error == "cancelled by a user"


# Everything that is written down, each on something that was made before: the command, and what is said of it.
EVERYTHING: list[tuple[str, Callable[[dict[str, str]], Command], bool]] = [
    ("workflow.register", lambda _: PutWorkflow(WorkflowSpec(name="new", tasks=(task("a"),))), True),
    ("workflow.delete", lambda the: DeleteWorkflow(the["workflow"]), True),
    (
        "workflow.pause",
        lambda the: PauseWorkflow(the["workflow"], HOUR_US, WhilePaused.DROP, WhilePaused.DROP),
        True,
    ),
    ("worker.pause", lambda the: PauseWorker(the["worker"], True), True),
    ("run.cancel", lambda the: CancelTasks((the["run"],)), True),
    ("run.replay", lambda the: ReplayTasks((the["ended"],)), True),
    ("rate_limit.put", lambda _: PutRateLimit("new", 3, US_PER_S), True),
    ("rate_limit.delete", lambda _: DeleteRateLimit("limit"), True),
    ("filter.create", lambda the: CreateFilter(workflow_id=the["workflow"], scope="s", expression="true"), True),
    ("filter.change", lambda the: ChangeFilter(filter_id=the["filter"], expression="false"), True),
    ("filter.delete", lambda the: DeleteFilter(the["filter"]), True),
    ("rate_limit.pause", lambda _: PauseRateLimit("limit", START_US + HOUR_US), False),
    (
        "cron.create",
        lambda _: CreateCron(workflow_name="flow", name="new", expression="0 0 * * *", input="{}"),
        False,
    ),
    ("cron.backfill", lambda the: BackfillCron(the["cron"], START_US - 48 * HOUR_US, START_US), False),
    ("cron.change", lambda the: ChangeCron(the["cron"], is_enabled=False), False),
    ("cron.delete", lambda the: DeleteCron(the["cron"]), False),
    ("cron.run", lambda the: RunCron(the["cron"]), False),
    ("cron.backfill", lambda the: BackfillCron(the["cron"], START_US - 24 * HOUR_US, START_US), False),
    (
        "schedule.create",
        lambda _: ScheduleRuns(workflow_name="flow", at_us=(START_US + HOUR_US,), input="{}"),
        False,
    ),
    ("schedule.move", lambda the: MoveSchedules(((the["schedule"], START_US + 9 * HOUR_US),)), False),
    ("schedule.delete", lambda the: DeleteSchedules((the["schedule"],)), False),
    ("schedule.run", lambda the: RunSchedule(the["schedule"]), False),
    ("run.trigger", lambda _: TriggerRuns((RunRequest(workflow_name="flow", input="{}"),)), False),
    ("event.push", lambda _: PushEvents((EventRequest(key="k", payload="{}"),)), False),
]


@pytest.mark.parametrize(
    ("action", "command", "is_kept_of_programs"), EVERYTHING, ids=[action for action, _, _ in EVERYTHING]
)
def test_what_people_do_is_written_down_and_of_programs_what_changes_the_configuration(
    action: str, command: Callable[[dict[str, str]], Command], is_kept_of_programs: bool
) -> None:
    for by, is_kept in ((ANN, True), (PROGRAM, is_kept_of_programs)):
        world, the = furnished()
        rows = asked(world, command(the), by)
        assert [row.action for row in rows] == [action] * is_kept
        if rows:
            assert rows[0].before != rows[0].after
            assert rows[0].by_name == by.name


def furnished() -> tuple[World, dict[str, str]]:
    world = World()
    world.put(task("a"), name="flow")
    the = {"workflow": next(iter(world.workflows)), "run": world.trigger(), "ended": world.trigger()}
    world.do(CancelTasks((the["ended"],)))
    the["worker"] = world.worker(["default:elsewhere"])
    world.do(PutRateLimit("limit", 1, US_PER_S))
    the["filter"] = str(
        world.do(CreateFilter(workflow_id=the["workflow"], scope="old", expression="true", payload="{}"))
    )
    the["cron"] = str(world.do(CreateCron(workflow_name="flow", name="old", expression="0 0 * * *", input="{}")))
    world.do(ScheduleRuns(workflow_name="flow", at_us=(START_US + 2 * HOUR_US,), input="{}"))
    (the["schedule"],) = world.schedules
    return world, the


def test_an_entry_is_bounded_whatever_was_changed() -> None:
    world, the = furnished()
    (row,) = asked(world, ChangeCron(the["cron"], input='{"a":"' + "x" * 100_000 + '"}'))
    assert row.after is not None
    assert len(row.after) < 2 * TEXT_CHARS_MAX
    runs = tuple(world.trigger() for _ in range(IDS_SHOWN_MAX + 10))
    (row,) = asked(world, CancelTasks(runs))
    assert value(row.after) == {"tasks": len(runs), "count": len(runs), "ids": list(runs[:IDS_SHOWN_MAX])}
