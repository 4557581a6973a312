"""Time to come, and who holds what: read from live memory, in order, page by page."""

from __future__ import annotations

import heapq
import random

import msgspec
import pytest

from broadaxe.core import outlook
from broadaxe.core.commands.crons import CreateCron
from broadaxe.core.commands.schedules import Scheduled, ScheduleRuns
from broadaxe.core.commands.triggers import RunRequest, TriggerRuns
from broadaxe.core.commands.workflows import PauseWorkflow, WhilePaused
from broadaxe.core.definition import ConcurrencyRule, LimitStrategy
from broadaxe.core.durations import US_PER_S
from broadaxe.core.heaps import in_order
from broadaxe.core.occupancy import place_of
from broadaxe.core.questions import Coming, ComingKind, KeySeen, KeysInUse, QueuesInUse, TimeToCome
from tests.core.test_durable import Program, sleep
from tests.core.world import World, task


def coming(world: World, **question: object) -> list[Coming]:
    return list(world.tenant.answer(TimeToCome(**question), world.now_us).rows)  # type: ignore[arg-type]


def keys(world: World, **question: object) -> list[KeySeen]:
    return list(world.tenant.answer(KeysInUse(**question), world.now_us).rows)  # type: ignore[arg-type]


def test_a_heap_is_read_in_its_order_and_left_as_it_is() -> None:
    numbers = random.Random(1).choices(range(100), k=500)
    heap: list[int] = []
    for number in numbers:
        heapq.heappush(heap, number)
    before = list(heap)
    assert list(in_order(heap)) == sorted(numbers)
    assert heap == before
    assert list(in_order([])) == []


def test_every_kind_of_instant_comes_in_order_with_what_it_belongs_to() -> None:
    program = Program()
    world = program.world
    program.wait(sleep(5))
    flow = world.put(task("a", retries=1, backoff_factor=20.0, backoff_max_s=60, schedule_timeout="2m")).workflow_id
    queued = world.trigger()
    world.put(task("b", service="kid", retries=1, backoff_factor=20.0, backoff_max_s=60), name="other")
    world.worker("kid:b")
    failed = world.trigger("other")
    world.fail(failed)
    metadata = '{"broadaxe__debounce_key": "k", "broadaxe__debounce_quiet_ms": 3000}'
    burst = world.trigger(additional_metadata=metadata)
    cron = world.do(CreateCron(workflow_name="flow", name="tick", expression="*/5 * * * *", input="{}"))
    at_us = world.now_us + 90 * US_PER_S
    scheduled = world.do(ScheduleRuns(workflow_name="flow", at_us=(at_us,), input="{}"))
    assert isinstance(scheduled, Scheduled)
    rows = [row for row in coming(world) if row.kind is not ComingKind.EXECUTION_TIMEOUT]
    assert [(row.kind, (row.at_us - world.now_us) // US_PER_S) for row in rows] == [
        (ComingKind.DEBOUNCE, 3),
        (ComingKind.SLEEP, 5),
        (ComingKind.RETRY, 20),
        (ComingKind.SCHEDULE, 90),
        (ComingKind.SCHEDULE_TIMEOUT, 120),
        (ComingKind.CRON, 300),
    ]
    assert [row.run_id for row in rows] == [burst, program.id, failed, None, queued, None]
    assert (rows[5].cron_id, rows[5].key, rows[5].workflow_id) == (cron, "*/5 * * * *", flow)
    assert rows[3].schedule_id == scheduled.schedule_ids[0]
    only = coming(world, kinds=frozenset({ComingKind.SLEEP, ComingKind.CRON}))
    assert [row.kind for row in only] == [ComingKind.SLEEP, ComingKind.CRON]


def test_pages_meet_without_a_gap_also_where_the_whole_heap_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    workflow_id = world.put(task("a")).workflow_id
    for _ in range(40):
        world.trigger()
        world.now_us += US_PER_S // 4
    # Set anew twice: alarms that are stale, and alarms that are there twice.
    for ttl_s in (900, 300, 900):
        world.do(PauseWorkflow(workflow_id, ttl_s * US_PER_S, WhilePaused.QUEUE, WhilePaused.DROP))
    whole = coming(world, limit=500)
    assert len(whole) == 40
    for looked_at_max in (5_000, 10):
        monkeypatch.setattr(outlook, "_LOOKED_AT_MAX", looked_at_max)
        walked: list[Coming] = []
        while page := coming(world, limit=7, after=(walked[-1].at_us, walked[-1].number) if walked else None):
            walked += page
        assert walked == whole


def test_the_first_page_of_a_large_heap_looks_at_few_alarms(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    world.put(task("a"))
    world.do(TriggerRuns(tuple(RunRequest(workflow_name="flow", input="{}") for _ in range(3_000))))
    looked_at = 0
    is_valid = outlook.is_valid

    def counting(alarm: object) -> bool:
        nonlocal looked_at
        looked_at += 1
        return is_valid(alarm)  # type: ignore[arg-type]

    monkeypatch.setattr(outlook, "is_valid", counting)
    assert len(coming(world, limit=50)) == 50
    assert looked_at <= 60


def test_a_key_tells_who_holds_it_and_who_waits_for_how_long() -> None:
    world = World()
    rule = ConcurrencyRule(expression="input.k", strategy=LimitStrategy.GROUP_ROUND_ROBIN)
    workflow_id = world.put(msgspec.structs.replace(task("a"), concurrency=(rule,))).workflow_id
    world.worker("a")
    holder = world.trigger(run_input='{"k": "acme"}')
    world.now_us += US_PER_S
    waits = world.trigger(run_input='{"k": "acme"}')
    world.trigger(run_input='{"k": "Zenith"}')
    acme, zenith = keys(world)
    assert (acme.key, acme.expression, acme.max_runs, acme.held, acme.waiting) == ("acme", "input.k", 1, 1, 1)
    assert (acme.workflow_id, acme.workflow_name, acme.task_name) == (workflow_id, "flow", "a")
    assert [(found.run_id, found.is_running, found.since_us) for found in acme.holders] == [
        (holder, True, world.now_us - US_PER_S)
    ]
    assert [(found.run_id, found.is_running, found.since_us) for found in acme.waiters] == [
        (waits, False, world.now_us)
    ]
    assert [row.key for row in keys(world, search="ZEN")] == ["Zenith"]
    assert keys(world, workflow_id="0") == []
    assert [row.key for row in keys(world, limit=1)] == ["acme"]
    assert [row.key for row in keys(world, limit=1, after=place_of(acme))] == ["Zenith"]
    assert keys(world, after=place_of(zenith)) == []


def test_a_rule_of_the_workflow_and_one_of_the_tenant_are_told_apart() -> None:
    world = World()
    whole = ConcurrencyRule(expression="'all'", strategy=LimitStrategy.GROUP_ROUND_ROBIN, max_runs=2)
    shared = ConcurrencyRule(
        expression="'one'", strategy=LimitStrategy.GROUP_ROUND_ROBIN, name="shared", is_tenant_scoped=True
    )
    world.put(msgspec.structs.replace(task("a"), concurrency=(shared,)), task("b", "a"), concurrency=(whole,))
    world.worker("a", "b")
    for _ in range(2):
        world.trigger()
    by_key = {row.key: row for row in keys(world)}
    assert (by_key["all"].task_name, by_key["all"].is_tenant_scoped, by_key["all"].held) == (None, False, 2)
    assert [found.task_id for found in by_key["all"].holders] == [None, None]
    one = by_key["one"]
    assert (one.task_name, one.is_tenant_scoped, one.rule_name, one.held, one.waiting) == ("a", True, "shared", 1, 1)


def test_queues_tell_how_many_wait_and_since_when() -> None:
    world = World()
    world.put(task("a"))
    world.put(task("b"), name="other")
    world.worker("b", slots={"default": 1})
    for _ in range(3):
        world.trigger("other")
    first_us = world.now_us
    world.trigger()
    world.now_us += US_PER_S
    world.trigger()
    found = {row.action_id: row for row in world.tenant.answer(QueuesInUse(), world.now_us)}
    assert (found["flow:b"].waiting, found["flow:b"].workers, found["flow:b"].workers_ready) == (2, 1, 1)
    assert (found["flow:a"].waiting, found["flow:a"].workers, found["flow:a"].oldest_us) == (2, 0, first_us)
