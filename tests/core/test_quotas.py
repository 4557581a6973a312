"""Limits of a tenant: what they count, whom they refuse, what waits for room, and what a load brings back."""

from __future__ import annotations

from typing import Any

from broadaxe.core.commands.crons import BackfillCron, CreateCron, RunCron
from broadaxe.core.commands.durable import SpawnChildren
from broadaxe.core.commands.events import EventRequest, PushEvents
from broadaxe.core.commands.outbox import RefusedRequest, TakeOutbox
from broadaxe.core.commands.quotas import QuotaState, Resource, SetQuotas, ShowQuotas
from broadaxe.core.commands.schedules import RunSchedule, Scheduled, ScheduleRuns
from broadaxe.core.commands.tasks import ReplayTasks
from broadaxe.core.commands.triggers import Promise, RunRequest, TriggerRuns
from broadaxe.core.commands.workers import RegisterWorker, UnregisterWorker
from broadaxe.core.decision import DurableRefusal, FailureSource, OutboxHasRoom
from broadaxe.core.definition import FilterSpec
from broadaxe.core.durations import US_PER_S
from broadaxe.core.loaded import Loaded
from broadaxe.core.quotas import DEFAULTS, alarm_of
from broadaxe.core.tenant import Tenant
from broadaxe.errors import QuotaReached, ResourceExhausted
from tests.core.world import DAY_US, World, task


def limited(**limits: int | None) -> World:
    """A world whose tenant is held to these limits, and to no others."""
    world = World()
    world.tenant = Tenant(world.ids, enforce_quotas=True)
    own: dict[Resource, int | None] = dict.fromkeys(Resource)
    world.do(SetQuotas(own | {Resource(name): limit for name, limit in limits.items()}))
    return world


def requests(count: int, workflow: str = "flow") -> TriggerRuns:
    return TriggerRuns(tuple(RunRequest(workflow_name=workflow, input="{}") for _ in range(count)))


def events(count: int, key: str = "key") -> PushEvents:
    return PushEvents(tuple(EventRequest(key=key, payload="{}") for _ in range(count)))


def states(world: World) -> dict[Resource, QuotaState]:
    reply = world.do(ShowQuotas())
    assert isinstance(reply, tuple)
    return {state.resource: state for state in reply if isinstance(state, QuotaState)}


def a_day_later(world: World) -> None:
    world.now_us += DAY_US
    world.decide()


def value(world: World, resource: Resource) -> int:
    return states(world)[resource].value


def refused(world: World, command: Any) -> QuotaReached:
    """The command is refused and changes nothing."""
    world.decide()
    decision = world.decide(command)
    assert not decision.writes and not decision.effects
    (reply,) = decision.replies
    assert isinstance(reply, QuotaReached)
    return reply


def test_without_enforcement_nothing_is_counted_and_nothing_is_refused() -> None:
    world = World()
    world.put(task("a"))
    for _ in range(3):
        world.do(requests(1_000))
    assert len(world.runs) == 3_000 > DEFAULTS[Resource.TASK_RUN]
    assert world.do(ShowQuotas()) == ()
    assert all(not decision.writes.quota_usage for decision in world.decisions)


def test_the_defaults_are_those_of_the_protocol() -> None:
    world = World()
    world.tenant = Tenant(world.ids, enforce_quotas=True)
    assert {resource.value: (state.limit, alarm_of(state.limit)) for resource, state in states(world).items()} == {
        "TASK_RUN": (2_000, 1_600),
        "EVENT": (1_000, 800),
        "WORKER": (3, 2),
        "WORKER_SLOT": (2_000, 1_600),
        "INCOMING_WEBHOOK": (5, 4),
    }


def test_task_runs_are_made_up_to_the_limit_and_refused_whole_beyond_it() -> None:
    world = limited(TASK_RUN=5)
    world.put(task("a"))
    world.do(requests(4))
    error = refused(world, requests(2))
    assert isinstance(error, ResourceExhausted) and not error.retryable
    for word in ("TASK_RUN", "4 of 5", "80 %", "2 more", "broadaxe tenant limits", "2026-01-02T12:00:00Z"):
        assert word in error.message
    assert error.room_at_us == world.now_us + DAY_US
    world.do(requests(1))
    assert refused(world, requests(1)).room_at_us is not None
    assert value(world, Resource.TASK_RUN) == 5 == len(world.runs)


def test_a_run_counts_the_tasks_its_workflow_declares() -> None:
    world = limited(TASK_RUN=5)
    world.put(task("a"), task("b", "a"), on_failure=task("oops"))
    world.do(requests(2))
    assert value(world, Resource.TASK_RUN) == 4
    refused(world, requests(1))


def test_what_never_fits_does_not_wait_for_the_window() -> None:
    world = limited(TASK_RUN=1)
    world.put(task("a"), task("b"))
    assert refused(world, requests(1)).room_at_us is None


def test_the_window_begins_with_the_first_use_and_ends_by_itself() -> None:
    world = limited(TASK_RUN=1)
    world.put(task("a"))
    assert states(world)[Resource.TASK_RUN].since_us is None
    world.advance(1_000)
    world.do(requests(1))
    began_us = world.now_us
    assert states(world)[Resource.TASK_RUN].since_us == began_us
    world.now_us = began_us + DAY_US - 1
    refused(world, requests(1))
    world.now_us += 1
    assert value(world, Resource.TASK_RUN) == 0
    world.do(requests(1))
    assert states(world)[Resource.TASK_RUN].since_us == world.now_us


def test_retries_and_replays_count_nothing() -> None:
    world = limited(TASK_RUN=1)
    world.put(task("a", retries=2))
    world.worker("a")
    run_id = world.trigger()
    world.fail(run_id)
    world.complete(run_id)
    assert world.do(ReplayTasks((run_id,))) == (run_id,)
    assert value(world, Resource.TASK_RUN) == 1


def test_children_that_exist_already_count_nothing() -> None:
    world = limited(TASK_RUN=2)
    world.put(task("a"))
    world.worker("a")
    parent = world.trigger()
    child = world.trigger(parent_task_id=parent, child_index=0)
    assert world.trigger(parent_task_id=parent, child_index=0) == child
    twice = RunRequest(workflow_name="flow", input="{}", parent_task_id=parent, child_index=1)
    refused(world, TriggerRuns((twice,)))
    world.do(SetQuotas({Resource.TASK_RUN: 3}))
    (one, other) = world.do(TriggerRuns((twice, twice)))  # type: ignore[misc]
    assert one == other
    assert value(world, Resource.TASK_RUN) == 3


def test_one_row_per_batch_tells_what_was_used() -> None:
    world = limited(TASK_RUN=100, EVENT=100)
    world.put(task("a"), event_triggers=("key",))
    world.round(requests(3), requests(4), events(2))
    (run_row, event_row) = sorted(world.decisions[-1].writes.quota_usage, key=lambda row: row.resource, reverse=True)
    assert (run_row.resource, run_row.value, run_row.since_us) == ("TASK_RUN", 9, world.now_us)
    assert (event_row.resource, event_row.value) == ("EVENT", 2)
    world.round(requests(1))
    (row,) = world.decisions[-1].writes.quota_usage
    assert (row.resource, row.value) == ("TASK_RUN", 10)


def test_a_load_brings_back_what_was_used() -> None:
    world = limited(TASK_RUN=5)
    world.put(task("a"))
    world.do(requests(4))
    rows = tuple(row for decision in world.decisions for row in decision.writes.quota_usage)
    world.restart()
    world.tenant = Tenant(world.ids, enforce_quotas=True)
    loaded = Loaded(
        workflows=tuple(world.workflows.values()),
        versions=tuple(world.versions.values()),
        quotas={Resource.TASK_RUN: 5},
        quota_usage=rows,
    )
    world.tenant.adopt(loaded, world.now_us)
    world.decide()
    assert value(world, Resource.TASK_RUN) == 4
    refused(world, requests(2))
    world.do(requests(1))


# Events ---------------------------------------------------------------------------------------------------------------


def test_events_are_refused_before_they_are_stored() -> None:
    world = limited(EVENT=3)
    world.do(events(2))
    error = refused(world, events(2))
    assert "EVENT" in error.message and "2 of 3" in error.message
    assert len(world.pushed) == 2
    world.do(events(1))
    assert value(world, Resource.EVENT) == 3


def test_an_event_is_refused_when_the_runs_it_would_start_have_no_room() -> None:
    world = limited(TASK_RUN=3)
    world.put(task("a"), task("b"), event_triggers=("key",))
    world.do(events(1))
    assert "TASK_RUN" in refused(world, events(1)).message
    world.do(events(1, "another"))
    assert len(world.pushed) == 2 and len(world.runs) == 1


def test_an_event_that_no_filter_lets_through_needs_no_room() -> None:
    world = limited(TASK_RUN=0)
    filters = (FilterSpec(scope="S", expression="input.n > 1", payload="{}"),)
    world.put(task("a"), event_triggers=("key",), default_filters=filters)
    push = EventRequest(key="key", payload='{"n": 1}', scope="S")
    world.do(PushEvents((push,)))
    refused(world, PushEvents((EventRequest(key="key", payload='{"n": 2}', scope="S"),)))
    assert len(world.pushed) == 1


# Workers --------------------------------------------------------------------------------------------------------------


def register(slots: int = 1) -> RegisterWorker:
    return RegisterWorker("worker", ("flow:a",), {"default": slots})


def test_a_worker_too_many_is_refused_until_one_leaves() -> None:
    world = limited(WORKER=2)
    one = world.worker("a")
    world.worker("a")
    error = refused(world, register())
    assert "WORKER" in error.message and "stop a worker" in error.message and error.room_at_us is None
    world.beating.pop(one)
    world.do(UnregisterWorker(one))
    assert value(world, Resource.WORKER) == 1
    world.worker("a")
    assert value(world, Resource.WORKER) == 2


def test_a_worker_that_comes_back_is_not_turned_away() -> None:
    world = limited(WORKER=1)
    one = world.worker("a")
    world.beating.pop(one)
    world.do(UnregisterWorker(one))
    world.worker("a")
    world.open(one)
    assert value(world, Resource.WORKER) == 2
    refused(world, register())


def test_a_worker_that_never_listens_counts_for_a_moment() -> None:
    world = limited(WORKER=1)
    world.do(register())
    refused(world, register())
    world.advance(30)
    world.do(register())


def test_slots_of_all_kinds_count() -> None:
    world = limited(WORKER_SLOT=10)
    world.worker("a", slots={"default": 4, "durable": 5})
    assert value(world, Resource.WORKER_SLOT) == 9
    assert "WORKER_SLOT" in refused(world, register(2)).message
    world.worker("a", slots={"default": 1})


# What comes by itself -------------------------------------------------------------------------------------------------


def schedule(world: World, in_s: float, workflow: str = "flow") -> str:
    reply = world.do(
        ScheduleRuns(workflow_name=workflow, at_us=(world.now_us + round(in_s * US_PER_S),), input="{}")
    )  # fmt: skip
    assert isinstance(reply, Scheduled)
    return reply.schedule_ids[0]


def test_a_schedule_without_room_is_made_when_the_window_ends() -> None:
    world = limited(TASK_RUN=1)
    world.put(task("a"))
    world.do(requests(1))
    kept = schedule(world, 60)
    later = schedule(world, 61)
    world.advance(100)
    assert set(world.schedules) == {kept, later}
    assert len(world.runs) == 1
    refused(world, RunSchedule(kept))
    a_day_later(world)
    assert set(world.schedules) == {later}
    assert len(world.runs) == 2
    a_day_later(world)
    assert not world.schedules
    assert len(world.runs) == 3


def test_a_schedule_that_waits_survives_a_crash() -> None:
    world = limited(TASK_RUN=1)
    world.put(task("a"))
    world.do(requests(1))
    schedule(world, 1)
    world.advance(10)
    rows = tuple(row for decision in world.decisions for row in decision.writes.quota_usage)
    world.tenant = Tenant(world.ids, enforce_quotas=True)
    loaded = Loaded(
        workflows=tuple(world.workflows.values()),
        versions=tuple(world.versions.values()),
        schedule_page=world._page((-1 << 60, "")),
        quotas={Resource.TASK_RUN: 1},
        quota_usage=rows,
    )
    world.tenant.adopt(loaded, world.now_us)
    world.decide()
    assert len(world.runs) == 1 and len(world.schedules) == 1
    a_day_later(world)
    assert len(world.runs) == 2 and not world.schedules


def test_raising_a_limit_makes_what_waits_at_once() -> None:
    world = limited(TASK_RUN=1)
    world.put(task("a"))
    world.do(requests(1))
    schedule(world, 1)
    world.advance(10)
    world.do(SetQuotas({Resource.TASK_RUN: 2}))
    world.decide()
    assert len(world.runs) == 2 and not world.schedules


def test_a_workflow_of_fewer_tasks_makes_what_waits_at_once() -> None:
    world = limited(TASK_RUN=3)
    world.put(task("a"), task("b"))
    world.do(requests(1))
    schedule(world, 1)
    world.advance(10)
    assert len(world.runs) == 1 and world.schedules
    world.put(task("a"))
    world.decide()
    assert len(world.runs) == 2 and not world.schedules


def test_a_schedule_that_never_fits_is_put_aside_and_recorded() -> None:
    world = limited(TASK_RUN=1)
    world.put(task("a"), task("b"))
    schedule(world, 1)
    world.advance(2)
    assert not world.schedules and not world.runs
    (failure,) = world.failures
    assert failure.source is FailureSource.TENANT_LIMIT and "TASK_RUN" in failure.message


def test_ticks_without_room_make_no_run_and_are_recorded_once_per_window() -> None:
    world = limited(TASK_RUN=2)
    world.put(task("a"), cron_triggers=("* * * * *",))
    world.advance(600)
    assert len(world.runs) == 2
    (failure,) = world.failures
    assert "* * * * *" in failure.message and failure.workflow_id is not None
    (cron,) = world.crons.values()
    assert cron.last_tick_us == world.now_us
    refused(world, RunCron(cron.id))
    a_day_later(world)
    world.advance(300)
    assert len(world.runs) == 4
    assert len(world.failures) == 2


def test_a_cron_run_by_hand_counts() -> None:
    world = limited(TASK_RUN=2)
    world.put(task("a"))
    cron_id = world.do(CreateCron(workflow_name="flow", name="one", expression="@yearly", input="{}"))
    assert isinstance(cron_id, str)
    world.do(RunCron(cron_id))
    assert value(world, Resource.TASK_RUN) == 1


def test_a_backfill_that_does_not_fit_makes_no_run_at_all() -> None:
    world = limited(TASK_RUN=2)
    world.put(task("a"))
    cron_id = world.do(CreateCron(workflow_name="flow", name="one", expression="0 * * * *", input="{}"))
    assert isinstance(cron_id, str)
    refused(world, BackfillCron(cron_id, 0, 2 * 3_600 * 1_000_000))
    assert not world.runs
    world.do(BackfillCron(cron_id, 0, 3_600 * 1_000_000))
    assert value(world, Resource.TASK_RUN) == 2


def promised(world: World) -> RunRequest:
    return RunRequest(workflow_name="flow", input="{}", promise=Promise(world.ids(), world.now_us))


def test_rows_of_the_outbox_stay_there_until_there_is_room() -> None:
    world = limited(TASK_RUN=1)
    world.put(task("a"))
    first, second = promised(world), promised(world)
    assert world.do(TakeOutbox((first, second))) == ()
    assert first.promise is not None and second.promise is not None
    writes = world.decisions[-1].writes
    assert writes.taken == [first.promise.id] and not writes.refused
    world.now_us += DAY_US - 1
    assert OutboxHasRoom() not in world.decide().effects
    assert world.tenant.next_due_us() == world.now_us + 1
    world.now_us += 1
    assert OutboxHasRoom() in world.decide().effects
    assert world.do(TakeOutbox((second,))) == ()
    assert world.decisions[-1].writes.taken == [second.promise.id]
    assert set(world.runs) == {first.promise.id, second.promise.id}


def test_a_row_of_the_outbox_that_never_fits_is_refused() -> None:
    world = limited(TASK_RUN=1)
    world.put(task("a"), task("b"))
    (aside,) = world.do(TakeOutbox((promised(world),)))  # type: ignore[misc]
    assert isinstance(aside, RefusedRequest) and "TASK_RUN" in aside.reason


def test_an_event_of_the_outbox_waits_for_room_too() -> None:
    world = limited(EVENT=1)
    world.do(events(1))
    event = EventRequest(key="key", payload="{}", promise=Promise(world.ids(), world.now_us))
    assert world.do(TakeOutbox((event,))) == ()
    assert world.decisions[-1].writes.taken == []
    world.do(SetQuotas({Resource.EVENT: 2}))
    assert OutboxHasRoom() in world.decisions[-1].effects
    world.do(TakeOutbox((event,)))
    assert len(world.pushed) == 2


def test_children_of_durable_tasks_are_refused_whole() -> None:
    world = limited(TASK_RUN=3)
    world.put(task("a", is_durable=True))
    world.put(task("c"), name="child")
    world.worker("a", slots={"default": 10, "durable": 10})
    parent = world.trigger()

    def spawn(*keys: str) -> SpawnChildren:
        children = tuple(RunRequest(workflow_name="child", input="{}", child_key=key) for key in keys)
        return SpawnChildren(stream=1, task_id=parent, invocation_count=1, requests=children)

    world.do(spawn("x", "y", "z"))
    (answer,) = world.answers()
    assert isinstance(answer, DurableRefusal) and "TASK_RUN" in answer.message
    assert len(world.runs) == 1
    world.do(SetQuotas({Resource.TASK_RUN: 4}))
    world.do(spawn("x", "y", "z"))
    assert value(world, Resource.TASK_RUN) == 4 == len(world.runs)
