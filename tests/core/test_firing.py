"""Crons and schedules: what fires when, what is lost on purpose, and what survives a load."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest

from broadaxe.core import firing
from broadaxe.core.calendar import PAGE_SCHEDULES_MAX
from broadaxe.core.commands.crons import (
    BACKFILL_TICKS_MAX,
    BackfillCron,
    Backfilled,
    ChangeCron,
    CreateCron,
    DeleteCron,
    RunCron,
)
from broadaxe.core.commands.events import EventRequest, PushEvents
from broadaxe.core.commands.schedules import DeleteSchedules, MoveSchedules, RunSchedule, Scheduled, ScheduleRuns
from broadaxe.core.commands.triggers import RunRequest, TriggerRuns
from broadaxe.core.commands.workflows import DeleteWorkflow, PauseWorkflow, UnpauseWorkflow, WhilePaused
from broadaxe.core.decision import Decision, RunRow, StartAttempt
from broadaxe.core.definition import ClaimMethod, IdempotencyRule
from broadaxe.core.durations import US_PER_S
from broadaxe.core.lifecycle import RunCause
from broadaxe.errors import (
    AlreadyExists,
    BroadaxeError,
    FailedPrecondition,
    IdempotencyCollision,
    InvalidArgument,
    NotFound,
    ResourceExhausted,
)
from tests.core.world import DAY_US, START_US, World, task

MINUTE_S = 60
HOUR_US = 3_600 * US_PER_S


def flow(**options: Any) -> World:
    world = World()
    world.put(task("only"), **options)
    return world


def cron(world: World, expression: str = "* * * * *", name: str = "nightly", **options: Any) -> str:
    options = {"workflow_name": "flow", "input": '{"n":1}', **options}
    cron_id = world.do(CreateCron(name=name, expression=expression, **options))
    assert isinstance(cron_id, str)
    return cron_id


def schedule(world: World, *after_s: float, **options: Any) -> tuple[str, ...]:
    options = {"workflow_name": "flow", "input": '{"n":1}', **options}
    at_us = tuple(world.now_us + round(s * US_PER_S) for s in after_s)
    reply = world.do(ScheduleRuns(at_us=at_us, **options))
    assert isinstance(reply, Scheduled)
    return reply.schedule_ids


def metadata(row: RunRow) -> dict[str, Any]:
    return msgspec.json.decode(row.additional_metadata or "{}", type=dict[str, Any])


def ticked(world: World) -> list[str]:
    """The ticks that runs were made for, in order."""
    return [metadata(row)["hatchet__cron_scheduled_at"] for row in world.run_rows.values()]


def clock(at_us: int) -> str:
    return datetime.fromtimestamp(at_us / 1e6, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


# Crons ----------------------------------------------------------------------------------------------------------------


def test_a_declared_cron_ticks_at_its_very_instants_with_its_input() -> None:
    world = flow(cron_triggers=("* * * * *",), cron_input='{"from":"cron"}', default_priority=3)
    world.advance(3 * MINUTE_S)
    assert ticked(world) == [clock(START_US + n * MINUTE_S * US_PER_S) for n in (1, 2, 3)]
    for n, row in enumerate(world.run_rows.values(), 1):
        assert row.created_at_us == START_US + n * MINUTE_S * US_PER_S
        assert row.priority == 3
        assert metadata(row)["hatchet__cron_expression"] == "* * * * *"
        assert metadata(row)["hatchet__cron_name"] == ""
    inputs = [new.input for decision in world.decisions for new in decision.writes.new_runs]
    assert inputs == ['{"from":"cron"}'] * 3


def test_a_cron_by_command_carries_its_name_metadata_and_priority() -> None:
    world = flow()
    cron(world, "*/2 * * * * *", additional_metadata='{"a":1,"hatchet__cron_name":"forged"}', priority=2)
    world.advance(4)
    (first, second) = world.run_rows.values()
    assert metadata(first) == {
        "a": 1,
        "hatchet__cron_expression": "*/2 * * * * *",
        "hatchet__cron_name": "nightly",
        "hatchet__cron_scheduled_at": clock(START_US + 2 * US_PER_S),
    }
    assert (first.priority, second.priority) == (2, 2)
    assert metadata(second)["hatchet__cron_scheduled_at"] == clock(START_US + 4 * US_PER_S)


def test_the_tick_and_its_run_are_one_commit() -> None:
    world = flow(cron_triggers=("* * * * *",))
    world.advance(MINUTE_S)
    (decision,) = [d for d in world.decisions if d.writes.cron_ticks]
    assert [new.row.id for new in decision.writes.new_runs] == list(world.run_rows)
    assert [tick.at_us for tick in decision.writes.cron_ticks] == [START_US + MINUTE_S * US_PER_S]


def test_a_tick_fires_while_the_run_before_is_still_there() -> None:
    world = flow(cron_triggers=("* * * * *",))
    world.advance(2 * MINUTE_S)
    assert len(world.run_rows) == 2


def minutes(*numbers: int) -> list[str]:
    return [clock(START_US + n * MINUTE_S * US_PER_S) for n in numbers]


def away(world: World, for_s: float) -> None:
    """Nobody is there for so long; then the engine loads what it had committed."""
    world.now_us += round(for_s * US_PER_S)
    world.restart()


def test_of_the_ticks_missed_while_the_engine_was_away_the_last_comes_once() -> None:
    world = flow(cron_triggers=("* * * * *",))
    world.advance(MINUTE_S)
    away(world, 5.5 * MINUTE_S)
    assert ticked(world) == minutes(1, 6)
    away(world, 1)
    world.advance(MINUTE_S)
    assert ticked(world) == minutes(1, 6, 7)


def test_a_tick_that_fell_into_a_short_absence_comes() -> None:
    world = flow(cron_triggers=("0 13 * * *",))
    world.advance(59 * MINUTE_S + 58)
    away(world, 4)
    assert ticked(world) == minutes(60)


def test_every_tick_of_the_last_seconds_comes_after_an_absence() -> None:
    world = flow(cron_triggers=("*/5 * * * * *",))
    world.advance(5)
    away(world, 13)
    assert ticked(world) == [clock(START_US + s * US_PER_S) for s in (5, 10, 15)]


@pytest.mark.parametrize(("away_minutes", "ticks"), [(119, (60,)), (120, ())])
def test_a_missed_tick_comes_while_it_is_less_than_an_hour_old(away_minutes: int, ticks: tuple[int, ...]) -> None:
    world = flow(cron_triggers=("0 13 * * *",))
    away(world, away_minutes * MINUTE_S)
    assert ticked(world) == minutes(*ticks)


@pytest.mark.parametrize(
    ("catch_up_minutes", "ticks"), [(0, ()), (5, ()), (60, (60,))], ids=["never", "too-old", "within"]
)
def test_how_old_a_missed_tick_may_be_is_a_setting(catch_up_minutes: int, ticks: tuple[int, ...]) -> None:
    world = World(cron_catch_up_us=catch_up_minutes * MINUTE_S * US_PER_S)
    world.put(task("a"), cron_triggers=("0 13 * * *",))
    away(world, 70 * MINUTE_S)
    assert ticked(world) == minutes(*ticks)


def test_several_crons_each_catch_up_with_their_own_last_tick() -> None:
    world = flow(cron_triggers=("*/7 * * * *", "*/10 * * * *", "0 0 * * *"))
    away(world, 33.5 * MINUTE_S)
    assert sorted(ticked(world)) == minutes(28, 30)


def test_the_tick_of_a_skipped_hour_comes_once_after_an_absence() -> None:
    # In Berlin the clock jumps from two to three on 29 March 2026, at one o'clock UTC.
    jump_us = 1_774_746_000 * US_PER_S
    world = World(jump_us - 60 * US_PER_S)
    world.put(task("a"), cron_triggers=("CRON_TZ=Europe/Berlin 15,45 2 * * *",))
    away(world, 10 * MINUTE_S)
    assert ticked(world) == [clock(jump_us)]
    away(world, 10 * MINUTE_S)
    assert ticked(world) == [clock(jump_us)]


def test_the_second_pass_of_a_doubled_hour_is_not_caught_up_with() -> None:
    # In Berlin the clock goes back from three to two on 25 October 2026, at one o'clock UTC.
    jump_us = 1_792_890_000 * US_PER_S
    world = World(jump_us - 31 * MINUTE_S * US_PER_S)
    world.put(task("a"), cron_triggers=("CRON_TZ=Europe/Berlin 30 2 * * *",))
    world.advance(2 * MINUTE_S)
    assert ticked(world) == [clock(jump_us - 30 * MINUTE_S * US_PER_S)]
    away(world, 70 * MINUTE_S)
    assert len(ticked(world)) == 1


def test_what_a_pause_dropped_is_not_caught_up_with() -> None:
    world = flow(cron_triggers=("*/5 * * * *",))
    (workflow_id,) = world.workflows
    world.do(PauseWorkflow(workflow_id, DAY_US, WhilePaused.DROP, WhilePaused.DROP))
    world.advance(6 * MINUTE_S)
    world.do(PauseWorkflow(workflow_id, DAY_US, WhilePaused.QUEUE, WhilePaused.QUEUE))
    away(world, MINUTE_S)
    assert ticked(world) == []
    away(world, 5 * MINUTE_S)
    assert ticked(world) == minutes(10), "paused with QUEUE, it makes a run that waits"


def test_ticks_that_fell_into_an_absence_and_a_pause_that_drops_are_lost() -> None:
    world = flow(cron_triggers=("*/5 * * * *",))
    (workflow_id,) = world.workflows
    world.do(PauseWorkflow(workflow_id, DAY_US, WhilePaused.DROP, WhilePaused.DROP))
    away(world, 6 * MINUTE_S)
    world.do(UnpauseWorkflow(workflow_id))
    away(world, 1)
    assert ticked(world) == []


def test_a_cron_that_was_enabled_after_a_tick_does_not_catch_up_with_it() -> None:
    world = flow()
    cron_id = cron(world, "*/5 * * * *")
    world.do(ChangeCron(cron_id, False))
    world.advance(6 * MINUTE_S)
    world.do(ChangeCron(cron_id, True))
    away(world, MINUTE_S)
    assert ticked(world) == []


def test_a_cron_of_every_second_is_caught_up_with_in_no_time() -> None:
    world = flow(cron_triggers=("0-40 * * * * *",))
    away(world, 59 * MINUTE_S - 1)
    assert ticked(world) == [clock(START_US + (58 * MINUTE_S + 40) * US_PER_S)]


def test_what_the_machine_slept_through_is_caught_up_with_like_an_absence() -> None:
    world = flow(cron_triggers=("*/5 * * * *",))
    world.now_us += 34 * MINUTE_S * US_PER_S
    world.decide()
    world.decide()
    assert ticked(world) == minutes(30)


@pytest.mark.parametrize("by_us", [0, -1, -30 * US_PER_S], ids=["same", "a-tick-before", "half-a-minute-before"])
def test_a_tick_that_came_never_comes_again_even_if_the_clock_went_back(by_us: int) -> None:
    world = flow(cron_triggers=("* * * * *",))
    world.advance(MINUTE_S)
    world.now_us += by_us
    world.restart()
    world.advance(MINUTE_S + 31)
    assert ticked(world) == [clock(START_US + n * MINUTE_S * US_PER_S) for n in (1, 2)]


def test_ticks_found_a_little_late_are_made_up_and_older_ones_lost() -> None:
    world = flow(cron_triggers=("*/5 * * * * *",))
    world.now_us += 60 * US_PER_S
    world.decide()
    assert ticked(world) == [clock(START_US + s * US_PER_S) for s in (50, 55, 60)]
    world.now_us += 60 * US_PER_S + 1
    world.decide()
    assert ticked(world)[3:] == [clock(START_US + s * US_PER_S) for s in (115, 120)]


@pytest.mark.parametrize("is_made_so", [False, True], ids=["later", "from-the-start"])
def test_a_disabled_cron_does_not_tick_and_goes_on_from_when_it_is_enabled(is_made_so: bool) -> None:
    world = flow()
    cron_id = cron(world, is_enabled=not is_made_so)
    if not is_made_so:
        world.do(ChangeCron(cron_id, False))
    assert not world.crons[cron_id].is_enabled
    world.advance(3 * MINUTE_S)
    world.restart()
    world.advance(2 * MINUTE_S + 1)
    assert world.run_rows == {}
    world.do(ChangeCron(cron_id, True))
    world.do(ChangeCron(cron_id, None))
    world.advance(MINUTE_S)
    assert ticked(world) == [clock(START_US + 6 * MINUTE_S * US_PER_S)]


def test_a_changed_cron_ticks_by_its_new_expression_with_its_new_input() -> None:
    world = flow()
    cron_id = cron(world, "*/5 * * * *")
    change = ChangeCron(
        cron_id, name="hourly", expression="30 * * * *", input='{"n":2}', additional_metadata='{"a":"b"}', priority=3
    )
    world.do(change)
    row = world.crons[cron_id]
    assert (row.name, row.expression, row.input, row.priority, row.is_enabled) == (
        "hourly", "30 * * * *", '{"n":2}', 3, True
    )  # fmt: skip
    world.restart()
    world.advance(31 * MINUTE_S)
    (run,) = world.run_rows.values()
    assert (run.priority, metadata(run)["a"], metadata(run)["hatchet__cron_name"]) == (3, "b", "hourly")
    world.do(ChangeCron(cron_id, additional_metadata=None, priority=None))
    assert (world.crons[cron_id].additional_metadata, world.crons[cron_id].priority) == (None, None)


def test_a_changed_cron_that_is_disabled_stays_so() -> None:
    world = flow()
    cron_id = cron(world)
    world.do(ChangeCron(cron_id, False))
    world.do(ChangeCron(cron_id, expression="*/2 * * * *"))
    world.advance(5 * MINUTE_S)
    assert world.run_rows == {}


def test_crons_may_swap_their_names_in_one_batch() -> None:
    world = flow()
    one, two = cron(world, name="one"), cron(world, name="two")
    world.round(ChangeCron(one, name="three"), ChangeCron(two, name="one"), ChangeCron(one, name="two"))
    assert (world.crons[one].name, world.crons[two].name) == ("two", "one")


@pytest.mark.parametrize(
    ("change", "error", "field"),
    [
        ({"name": ""}, InvalidArgument, "cronName"),
        ({"name": "taken"}, AlreadyExists, "cronName"),
        ({"expression": "61 * * * *"}, InvalidArgument, "cronExpression"),
        ({"priority": 4}, InvalidArgument, "priority"),
        ({"additional_metadata": '{"hatchet__x":1'}, InvalidArgument, "additionalMetadata"),
    ],
    ids=str,
)
def test_a_change_that_cannot_be_changes_nothing(
    change: dict[str, Any], error: type[BroadaxeError], field: str
) -> None:
    world = flow()
    cron_id, _ = cron(world), cron(world, name="taken")
    before = dict(world.crons)
    with pytest.raises(error) as refused:
        world.do(ChangeCron(cron_id, False, **({"input": "{}"} | change)))
    assert refused.value.field == field
    assert world.crons == before


def test_a_declared_cron_is_changed_in_code_only() -> None:
    world = flow(cron_triggers=("* * * * *",))
    (cron_id,) = world.crons
    with pytest.raises(FailedPrecondition):
        world.do(ChangeCron(cron_id, input='{"n":1}'))
    world.do(ChangeCron(cron_id, False))
    assert not world.crons[cron_id].is_enabled


def test_a_deleted_cron_is_gone_with_its_row() -> None:
    world = flow()
    cron_id = cron(world)
    world.do(DeleteCron(cron_id))
    world.advance(2 * MINUTE_S)
    assert (world.run_rows, world.crons) == ({}, {})
    for command in (DeleteCron(cron_id), ChangeCron(cron_id, True), RunCron(cron_id)):
        with pytest.raises(NotFound):
            world.do(command)


def test_running_a_cron_now_leaves_its_ticks_alone() -> None:
    world = flow()
    cron_id = cron(world)
    world.do(ChangeCron(cron_id, False))
    run_id = world.do(RunCron(cron_id))
    assert isinstance(run_id, str)
    assert metadata(world.run_rows[run_id]) == {
        "hatchet__cron_expression": "* * * * *",
        "hatchet__cron_name": "nightly",
    }
    world.do(ChangeCron(cron_id, True))
    world.advance(MINUTE_S)
    assert len(world.run_rows) == 2


def backfill(world: World, cron_id: str, since_us: int, until_us: int) -> Backfilled:
    reply = world.do(BackfillCron(cron_id, since_us, until_us))
    assert isinstance(reply, Backfilled)
    return reply


def test_a_backfill_makes_a_run_for_each_tick_of_a_past_range_and_leaves_the_cron_alone() -> None:
    world = flow()
    cron_id = cron(world, "CRON_TZ=Europe/Berlin 0 9 * * *", additional_metadata='{"a":1}', priority=2)
    before = world.crons[cron_id]
    end_us = START_US - START_US % DAY_US
    done = backfill(world, cron_id, end_us - 3 * DAY_US, end_us)
    assert (done.made, done.skipped) == (3, 0)
    hours = [datetime.fromisoformat(at).astimezone(ZoneInfo("Europe/Berlin")).hour for at in ticked(world)]
    assert hours == [9, 9, 9] and ticked(world) == sorted(set(ticked(world)))
    for row in world.run_rows.values():
        assert (row.cause, row.priority, row.created_at_us) == (RunCause.CRON, 2, world.now_us)
        assert metadata(row)["broadaxe__backfill_id"] == done.backfill_id and metadata(row)["a"] == 1
    assert world.crons[cron_id] == before
    inputs = [new.input for decision in world.decisions for new in decision.writes.new_runs]
    assert inputs == ['{"n":1}'] * 3


def test_both_ends_of_a_backfill_are_included_and_it_works_while_the_cron_is_disabled() -> None:
    world = flow()
    cron_id = cron(world, "0 * * * *")
    world.do(ChangeCron(cron_id, False))
    last_us = START_US - START_US % HOUR_US
    assert backfill(world, cron_id, last_us - 2 * HOUR_US, last_us).made == 3
    assert backfill(world, cron_id, last_us - 2 * HOUR_US + 1, last_us - 1).made == 1


@pytest.mark.parametrize(
    ("since_us", "until_us", "field", "says"),
    [
        (START_US - HOUR_US, START_US + 1, "until", "has to be past"),
        (START_US - 1, START_US - 2, "until", "before it begins"),
        (START_US - 4_000 * DAY_US, START_US, "since", "3660 days"),
        (START_US - HOUR_US + US_PER_S, START_US - HOUR_US + US_PER_S, "since", "no tick"),
        (START_US - BACKFILL_TICKS_MAX * MINUTE_S * US_PER_S, START_US, "until", "in parts"),
    ],
    ids=["ahead", "reversed", "years", "no-tick", "too-many"],
)
def test_a_backfill_that_cannot_be_names_its_field_and_makes_nothing(
    since_us: int, until_us: int, field: str, says: str
) -> None:
    world = flow()
    cron_id = cron(world, "* * * * *")
    with pytest.raises(InvalidArgument, match=says) as refused:
        backfill(world, cron_id, since_us, until_us)
    assert refused.value.field == field and world.run_rows == {}


def test_the_runs_of_a_backfill_have_inputs_that_fit_together() -> None:
    world = flow()
    cron_id = cron(world, "* * * * *", input=msgspec.json.encode({"big": "x" * 1_000_000}).decode())
    with pytest.raises(InvalidArgument, match="copy of the input"):
        backfill(world, cron_id, START_US - 100 * MINUTE_S * US_PER_S, START_US)
    assert backfill(world, cron_id, START_US - 10 * MINUTE_S * US_PER_S, START_US).made == 11


def test_ticks_of_a_backfill_without_a_run_are_counted() -> None:
    held = IdempotencyRule(expression="'one'", method=ClaimMethod.TTL, ttl_us=HOUR_US)
    world = flow(idempotency=held)
    cron_id = cron(world, "* * * * *")
    done = backfill(world, cron_id, START_US - 2 * MINUTE_S * US_PER_S, START_US)
    assert (done.made, done.skipped) == (1, 2)
    with pytest.raises(IdempotencyCollision):
        backfill(world, cron_id, START_US - 2 * MINUTE_S * US_PER_S, START_US)


def test_a_new_version_replaces_declared_crons_and_keeps_the_others() -> None:
    world = flow(cron_triggers=("0 * * * *", "30 * * * *"))
    kept_id = next(row.id for row in world.crons.values() if row.expression == "0 * * * *")
    own_id = cron(world, "15 * * * *")
    world.put(task("only", retries=1), cron_triggers=("0 * * * *", "45 * * * *"), cron_input='{"v":2}')
    crons = {row.expression: row for row in world.crons.values()}
    assert set(crons) == {"0 * * * *", "45 * * * *", "15 * * * *"}
    assert crons["0 * * * *"].id == kept_id and crons["0 * * * *"].input == '{"v":2}'
    assert crons["15 * * * *"].id == own_id and not crons["15 * * * *"].is_declared
    world.advance(3_600)
    latest = max(world.versions.values(), key=lambda version: version.ordinal).id
    assert [row.version_id for row in world.run_rows.values()] == [latest] * 3


def test_registering_again_at_the_instant_of_a_tick_does_not_lose_it() -> None:
    world = flow(cron_triggers=("* * * * *",))
    world.now_us += MINUTE_S * US_PER_S + 5
    world.put(task("only", retries=1), cron_triggers=("* * * * *",))
    assert ticked(world) == [clock(START_US + MINUTE_S * US_PER_S)]


def test_a_declared_cron_that_was_deleted_returns_with_the_next_registration() -> None:
    world = flow(cron_triggers=("* * * * *",))
    (cron_id,) = world.crons
    world.do(DeleteCron(cron_id))
    assert world.crons == {}
    world.put(task("only"), cron_triggers=("* * * * *",))
    assert [row.expression for row in world.crons.values()] == ["* * * * *"]
    assert len(world.versions) == 1


def test_the_same_declared_expression_twice_is_one_cron() -> None:
    world = flow(cron_triggers=("* * * * *", "* * * * *"))
    assert len(world.crons) == 1


def test_the_order_of_declared_crons_makes_no_new_version() -> None:
    world = flow(cron_triggers=("0 1 * * *", "0 2 * * *"))
    world.put(task("only"), cron_triggers=("0 2 * * *", "0 1 * * *"))
    assert len(world.versions) == 1
    world.put(task("only"))
    assert len(world.versions) == 2 and world.crons == {}


@pytest.mark.parametrize(
    ("options", "error", "field"),
    [
        ({"workflow_name": "nobody"}, NotFound, "name"),
        ({"name": ""}, InvalidArgument, "cronName"),
        ({"name": "n" * 256}, InvalidArgument, "cronName"),
        ({"expression": "* * * *"}, InvalidArgument, "cronExpression"),
        ({"priority": 4}, InvalidArgument, "priority"),
        ({"additional_metadata": '{"n":1e999}'}, InvalidArgument, "additionalMetadata"),
        ({"additional_metadata": '{"n":' + "[" * 5_000 + "]" * 5_000 + "}"}, InvalidArgument, "additionalMetadata"),
        ({}, AlreadyExists, "cronName"),
    ],
)
def test_a_refused_cron_changes_nothing(options: dict[str, Any], error: type[Exception], field: str) -> None:
    world = flow()
    cron(world)
    with pytest.raises(error) as refused:
        cron(world, **options)
    assert refused.value.field == field  # type: ignore[attr-defined]
    world.decide()
    assert len(world.crons) == 1 and not world.decisions[-1].writes


def test_the_same_name_with_another_expression_is_another_cron() -> None:
    world = flow()
    cron(world)
    cron(world, "0 * * * *")
    assert len(world.crons) == 2


def test_a_bad_declared_cron_refuses_the_whole_registration() -> None:
    world = World()
    with pytest.raises(InvalidArgument) as refused:
        world.put(task("only"), cron_triggers=("0 * * * *", "61 * * * *"))
    assert refused.value.field == "cron_triggers[1]"
    assert world.versions == {}


def test_crons_of_a_tenant_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(firing, "CRONS_MAX", 2)
    world = flow(cron_triggers=("0 * * * *",))
    cron(world)
    with pytest.raises(ResourceExhausted):
        cron(world, name="third")
    with pytest.raises(ResourceExhausted):
        world.put(task("only"), cron_triggers=("0 * * * *", "1 * * * *"))
    assert len(world.versions) == 1


def test_the_inputs_of_crons_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(firing, "CRON_INPUT_BYTES_MAX", 20)
    world = flow()
    cron_id = cron(world, input='{"a":"xxxxxxxx"}')
    with pytest.raises(ResourceExhausted):
        cron(world, name="other", input='{"a":"xxxxxxxx"}')
    world.do(DeleteCron(cron_id))
    cron(world, name="other", input='{"a":"xxxxxxxx"}')


@pytest.mark.parametrize("behaviour", [WhilePaused.QUEUE, WhilePaused.DROP])
def test_a_paused_workflow_keeps_or_loses_what_comes_due(behaviour: WhilePaused) -> None:
    world = flow()
    cron(world)
    workflow_id = next(iter(world.workflows))
    schedule(world, 30)
    world.do(PauseWorkflow(workflow_id, 10 * HOUR_US, behaviour, behaviour))
    world.advance(MINUTE_S)
    assert len(world.run_rows) == (2 if behaviour is WhilePaused.QUEUE else 0)
    assert world.schedules == {}
    world.do(UnpauseWorkflow(workflow_id))
    made = len(world.run_rows)
    world.advance(MINUTE_S)
    assert len(world.run_rows) == made + 1


# Schedules ------------------------------------------------------------------------------------------------------------


def test_a_schedule_makes_one_run_at_its_instant_and_is_gone() -> None:
    world = flow(default_priority=2)
    (one, two) = schedule(world, 10, 5.5, additional_metadata='{"a":1}')
    assert list(world.schedules) == [one, two]
    world.advance(6)
    assert [row.created_at_us for row in world.run_rows.values()] == [START_US + 5_500_000]
    assert list(world.schedules) == [one]
    world.advance(6)
    assert [row.created_at_us for row in world.run_rows.values()][1:] == [START_US + 10 * US_PER_S]
    assert [metadata(row) for row in world.run_rows.values()] == [
        {"a": 1, "broadaxe__schedule_id": schedule_id} for schedule_id in (two, one)
    ]
    assert all(row.priority == 2 for row in world.run_rows.values())
    assert world.schedules == {}
    (decision, _) = [d for d in world.decisions if d.writes.deleted_schedules]
    assert decision.writes.deleted_schedules == [two] and len(decision.writes.new_runs) == 1


def test_a_past_instant_fires_at_once_and_once() -> None:
    world = flow()
    schedule(world, -3_600)
    assert len(world.run_rows) == 1 and world.schedules == {}
    world.advance(3_600)
    assert len(world.run_rows) == 1


def test_what_came_due_while_the_engine_was_away_fires_once_on_its_return() -> None:
    world = flow()
    schedule(world, 10, 20, 7_200)
    world.now_us += HOUR_US
    world.restart()
    assert len(world.run_rows) == 2
    world.restart()
    assert len(world.run_rows) == 2 and len(world.schedules) == 1


def test_it_runs_the_newest_version_at_its_instant() -> None:
    world = flow()
    schedule(world, 60)
    world.put(task("only", retries=1))
    world.advance(60)
    (row,) = world.run_rows.values()
    assert world.versions[row.version_id].ordinal == 2


def test_moved_schedules_fire_at_their_new_instants_only() -> None:
    world = flow()
    (sooner, later, same) = schedule(world, 100, 10, 50)
    unknown = "00000000-0000-7000-8000-00000000ffff"
    moved = world.do(
        MoveSchedules(
            ((sooner, START_US + 5 * US_PER_S), (unknown, START_US), (later, START_US + 500 * US_PER_S)),
        )
    )
    assert moved == (sooner, later)
    world.advance(60)
    assert [row.created_at_us - START_US for row in world.run_rows.values()] == [5 * US_PER_S, 50 * US_PER_S]
    assert list(world.schedules) == [later] and same not in world.schedules
    assert world.schedules[later].updated_at_us == START_US
    assert world.do(MoveSchedules(((sooner, START_US),))) == ()


def test_deleted_schedules_never_fire() -> None:
    world = flow()
    (one, two) = schedule(world, 10, 20)
    assert world.do(DeleteSchedules((one, one, "00000000-0000-7000-8000-00000000ffff"))) == (one,)
    world.advance(60)
    assert len(world.run_rows) == 1 and world.do(DeleteSchedules((two,))) == ()


def test_running_a_schedule_now_uses_it_up() -> None:
    world = flow()
    (schedule_id,) = schedule(world, 60)
    run_id = world.do(RunSchedule(schedule_id))
    assert list(world.run_rows) == [run_id] and world.schedules == {}
    world.advance(120)
    assert len(world.run_rows) == 1
    with pytest.raises(NotFound):
        world.do(RunSchedule(schedule_id))


def test_a_deleted_workflow_never_fires() -> None:
    world = flow(cron_triggers=("* * * * *",))
    cron(world, "0 * * * *")
    schedule(world, 60, 120)
    (workflow_id,) = world.workflows
    world.do(DeleteWorkflow(workflow_id))
    assert (world.crons, world.schedules) == ({}, {})
    world.restart()
    world.put(task("only"))
    world.advance(7_200)
    assert world.run_rows == {}


def test_a_run_that_a_task_scheduled_shows_as_its_child_and_is_no_duplicate_of_one() -> None:
    world = flow()
    world.worker("only")
    parent = world.trigger()
    task_id = world.task(parent, "only")
    parents = {"parent_run_id": parent, "parent_task_id": task_id, "child_index": 0}
    schedule(world, 10, **parents)
    schedule(world, 10, **parents)
    world.complete(task_id)
    world.advance(10)
    scheduled = [row for row in world.run_rows.values() if row.parent_task_id == task_id]
    assert len(scheduled) == 2
    assert all((row.parent_run_id, row.child_index, row.child_key) == (parent, None, None) for row in scheduled)
    child = world.trigger(parent_task_id=task_id)
    assert child not in {row.id for row in scheduled}
    assert world.trigger(parent_task_id=task_id, child_index=0) == child


@pytest.mark.parametrize(
    ("options", "after_s", "error", "field"),
    [
        ({"workflow_name": "nobody"}, (1,), NotFound, "name"),
        ({"priority": 0}, (1,), InvalidArgument, "priority"),
        ({"additional_metadata": '{"n":1e999}'}, (1,), InvalidArgument, "additionalMetadata"),
        ({}, (), InvalidArgument, "schedules"),
        ({}, (1,) * 1_001, InvalidArgument, "schedules"),
        ({}, (1, 1e12), InvalidArgument, "triggerAt"),
        ({"input": '{"a":"' + "x" * 100_000 + '"}'}, (1,) * 1_000, InvalidArgument, "input"),
    ],
)
def test_refused_schedules_change_nothing(
    options: dict[str, Any], after_s: tuple[float, ...], error: type[Exception], field: str
) -> None:
    world = flow()
    with pytest.raises(error) as refused:
        schedule(world, *after_s, **options)
    assert refused.value.field == field  # type: ignore[attr-defined]
    assert world.schedules == {}


# Collisions -----------------------------------------------------------------------------------------------------------


def keyed() -> World:
    return flow(
        idempotency=IdempotencyRule(expression="string(input.n)", method=ClaimMethod.TTL, ttl_us=10 * HOUR_US),
    )


def test_a_firing_that_collides_makes_no_run_and_is_done() -> None:
    world = keyed()
    cron(world)
    schedule(world, 60, 61)
    world.advance(5 * MINUTE_S)
    assert len(world.run_rows) == 1 and world.schedules == {}
    (row,) = world.crons.values()
    assert row.last_tick_us == START_US + 5 * MINUTE_S * US_PER_S


def test_a_firing_whose_key_fails_makes_no_run_and_is_recorded() -> None:
    world = keyed()
    schedule(world, 60, input="{}")
    world.advance(60)
    assert world.run_rows == {} and world.schedules == {} and len(world.failures) == 1


def test_running_now_into_a_collision_tells_the_caller_and_keeps_the_schedule() -> None:
    world = keyed()
    cron_id = cron(world)
    (schedule_id,) = schedule(world, 60)
    world.do(RunCron(cron_id))
    for command in (RunCron(cron_id), RunSchedule(schedule_id)):
        with pytest.raises(IdempotencyCollision):
            world.do(command)
    world.decide()
    assert list(world.schedules) == [schedule_id] and len(world.run_rows) == 1


# More schedules than memory holds -------------------------------------------------------------------------------------


def test_of_many_schedules_only_the_nearest_are_in_memory_and_all_fire_in_order() -> None:
    world = flow()
    total = 5 * PAGE_SCHEDULES_MAX
    order = [(n * 7_919) % total for n in range(total)]
    for start in range(0, total, 500):
        schedule(world, *(10 + n / 100 for n in order[start : start + 500]))
    calendar = world.tenant._state.calendar
    assert len(world.schedules) == total
    assert len(calendar.schedules) <= 2 * PAGE_SCHEDULES_MAX and calendar.horizon is not None
    world.restart()
    calendar = world.tenant._state.calendar
    assert len(calendar.schedules) == PAGE_SCHEDULES_MAX
    world.advance(10 + total / 100)
    assert world.schedules == {}
    fired = [row.created_at_us for row in world.run_rows.values()]
    assert fired == [START_US + round((10 + n / 100) * US_PER_S) for n in range(total)]


def test_thousands_at_one_instant_all_fire_at_it() -> None:
    world = flow()
    for _ in range(3):
        schedule(world, *[60] * 1_000)
    world.restart()
    world.advance(60)
    assert len(world.run_rows) == 3_000 and world.schedules == {}
    assert {row.created_at_us for row in world.run_rows.values()} == {START_US + 60 * US_PER_S}


def test_schedules_behind_the_horizon_can_be_moved_deleted_and_run() -> None:
    world = flow()
    ids = [i for start in range(0, 3_000, 1_000) for i in schedule(world, *range(100 + start, 1_100 + start))]
    world.restart()
    calendar = world.tenant._state.calendar
    far = ids[2_000:2_003]
    assert not set(far) & set(calendar.schedules)
    assert world.do(MoveSchedules(((far[0], world.now_us + US_PER_S), (far[1], world.now_us + 9_999 * US_PER_S)))) == (
        far[0],
        far[1],
    )
    assert world.do(DeleteSchedules((far[2],))) == (far[2],)
    run_id = world.do(RunSchedule(ids[2_500]))
    assert calendar.beyond == {} and far[0] in calendar.schedules and far[1] not in calendar.schedules
    assert list(world.run_rows) == [run_id]
    world.advance(1)
    assert len(world.run_rows) == 2
    world.advance(3_200)
    assert list(world.schedules) == [far[1]]
    assert len(world.run_rows) == 2_999 - 1
    world.advance(9_999)
    assert world.schedules == {} and len(world.run_rows) == 2_999


def test_large_inputs_keep_fewer_schedules_in_memory() -> None:
    world = flow()
    large = '{"a":"' + "x" * 1_000_000 + '"}'
    for start in range(0, 120, 40):
        schedule(world, *range(100 + start, 140 + start), input=large)
    calendar = world.tenant._state.calendar
    assert calendar.schedule_input_bytes <= 64 * 1024 * 1024 and calendar.horizon is not None
    world.advance(300)
    assert len(world.run_rows) == 120 and calendar.schedule_input_bytes == 0


def test_deleting_a_workflow_clears_what_is_behind_the_horizon_too() -> None:
    world = flow()
    world.put(task("only"), name="other")
    for _ in range(3):
        schedule(world, *range(100, 1_100))
    (kept,) = schedule(world, 5_000, workflow_name="other")
    workflow_id = next(row.id for row in world.workflows.values() if row.name == "flow")
    world.do(DeleteWorkflow(workflow_id))
    assert list(world.schedules) == [kept]
    world.advance(6_000)
    assert len(world.run_rows) == 1


# Causes ---------------------------------------------------------------------------------------------------------------


def test_a_run_knows_what_made_it_whatever_its_metadata_says() -> None:
    world = flow(cron_triggers=("* * * * *",), event_triggers=("order",))
    worker_id = world.worker("only")
    forged = '{"hatchet__cron_expression":"* * * * *","hatchet__event_id":"x"}'
    manual = world.trigger(additional_metadata=forged)
    (child,) = world.do(TriggerRuns((RunRequest(workflow_name="flow", input="{}", parent_task_id=manual),)))  # type: ignore[misc, union-attr]
    world.do(PushEvents((EventRequest(key="order", payload="{}", additional_metadata=forged),)))
    (event,) = [row.id for row in world.run_rows.values() if row.triggering_event_key]
    schedule(world, 1)
    world.advance(1)
    scheduled = list(world.run_rows)[-1]
    world.advance(MINUTE_S)
    ticked_run = list(world.run_rows)[-1]
    (cron_id,) = world.crons
    by_hand = world.do(RunCron(cron_id))
    (schedule_id,) = schedule(world, 3_000)
    before_its_time = world.do(RunSchedule(schedule_id))
    causes = {row.id: row.cause for row in world.run_rows.values()}
    assert causes == {
        manual: RunCause.MANUAL,
        child: RunCause.MANUAL,
        event: RunCause.EVENT,
        scheduled: RunCause.SCHEDULE,
        ticked_run: RunCause.CRON,
        by_hand: RunCause.CRON,
        before_its_time: RunCause.SCHEDULE,
    }
    starts = {start.task_id: start.cause for decision in world.decisions for start in attempts(decision)}
    assert starts == causes
    assert worker_id in world.workers


def attempts(decision: Decision) -> list[StartAttempt]:
    return [effect for effect in decision.effects if isinstance(effect, StartAttempt)]
