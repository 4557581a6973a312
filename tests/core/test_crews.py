"""Whose turn it is among the workers of an action, and that busy ones are not looked at again and again."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broadaxe.core import affinity
from broadaxe.core.commands.workers import Heartbeat
from broadaxe.core.crews import Crew, RoomKey, wake
from broadaxe.core.decision import WorkerHeard, WorkerRow
from broadaxe.core.durations import US_PER_S
from broadaxe.core.lifecycle import TaskStatus
from broadaxe.core.model import Worker
from tests.core.world import World, task

bounded = settings(derandomize=True, deadline=None, max_examples=200)
ONE_SLOT = ((("default", 1),), False)


def worker(number: int) -> Worker:
    row = WorkerRow(f"{number:03}", "w", ("a",), {"default": 1}, {}, {}, False, False, 0, 0, None, None)
    return Worker(row)


def pick(crew: Crew, needs: RoomKey = ONE_SLOT) -> Worker | None:
    for candidate in crew.in_turn(needs):
        if candidate.has_room_for(dict(needs[0])):
            return candidate
        crew.rest(candidate, needs)
    return None


class Ring:
    """The rule itself: everybody is looked at, beginning behind the one who had the last turn."""

    def __init__(self) -> None:
        self.workers: list[Worker] = []
        self.next = 0

    def pick(self) -> Worker | None:
        in_turn = self.workers[self.next :] + self.workers[: self.next]
        return next((found for found in in_turn if found.has_room_for({"default": 1})), None)

    def remove(self, number: int) -> Worker:
        if number < self.next:
            self.next -= 1
        return self.workers.pop(number)


@bounded
@given(st.lists(st.tuples(st.sampled_from(["come", "come", "go", "give", "give", "give", "end"]), st.integers(0, 99))))
def test_turns_are_those_of_a_ring_in_which_everybody_is_looked_at(steps: list[tuple[str, int]]) -> None:
    crew, ring, busy = Crew(), Ring(), list[Worker]()
    for count, (step, number) in enumerate(steps):
        if step == "come":
            newcomer = worker(count)
            crew.add(newcomer)
            crew.add(newcomer)
            ring.workers.append(newcomer)
        elif step == "go" and ring.workers:
            gone = ring.remove(number % len(ring.workers))
            crew.remove(gone)
            crew.remove(gone)
            busy = [one for one in busy if one is not gone]
        elif step == "give":
            chosen = pick(crew)
            assert chosen is ring.pick()
            if chosen is not None:
                chosen.take({"default": 1})
                busy.append(chosen)
                crew.had_its_turn(chosen)
                ring.next = ring.workers.index(chosen) + 1
        elif step == "end" and busy:
            done = busy.pop(number % len(busy))
            done.give_back({"default": 1})
            wake(done)
        assert list(crew) == ring.workers
        for one in ring.workers:
            assert crew.find(one.id) is one


def test_who_lacks_room_for_much_is_still_looked_at_for_little() -> None:
    crew, one = Crew(), worker(1)
    crew.add(one)
    assert pick(crew, ((("default", 2),), False)) is None
    assert pick(crew) is one


def test_more_kinds_of_needs_than_are_kept_are_found_out_again() -> None:
    crew, one = Crew(), worker(1)
    crew.add(one)
    for units in range(2, 200):
        assert pick(crew, ((("default", units),), False)) is None
    assert len(crew._rooms) <= 64
    assert pick(crew) is one
    one.give_back({"default": 200})
    wake(one)
    assert pick(crew, ((("default", 150),), False)) is one


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[Worker]:
    """Every look at a worker's room."""
    found: list[Worker] = []
    can_take = affinity._can_take

    def look(candidate: Worker, *others: object) -> bool:
        found.append(candidate)
        return can_take(candidate, *others)  # type: ignore[arg-type]

    monkeypatch.setattr(affinity, "_can_take", look)
    return found


def test_busy_workers_are_not_looked_at_for_every_task(looks: list[Worker]) -> None:
    world = World()
    world.put(task("a"))
    for _ in range(100):
        world.worker("a", slots={"default": 1})
    busy = [world.trigger() for _ in range(99)]
    looks.clear()
    for _ in range(20):
        world.complete(world.trigger())
    waiting = [world.trigger() for _ in range(50)]
    for run_id in busy[:20]:
        world.complete(run_id)
    assert [world.status(run_id) for run_id in waiting[:21]] == [TaskStatus.RUNNING] * 21
    assert [world.status(run_id) for run_id in waiting[21:]] == [TaskStatus.QUEUED] * 29
    assert len(looks) < 300, "about two for each task, and one for each worker that was busy already"


def test_a_worker_that_was_silent_for_a_moment_is_looked_at_again() -> None:
    world = World()
    world.put(task("a"))
    late = world.worker("a", slots={"default": 1})
    world.beating.pop(late, None)
    world.advance(15)
    run_id = world.trigger()
    assert world.status(run_id) is TaskStatus.QUEUED
    world.do(Heartbeat(late))
    assert world.status(run_id) is TaskStatus.RUNNING


def test_a_free_worker_costs_what_waits_and_not_what_it_offers() -> None:
    world = World()
    names = [f"t{number:02}" for number in range(50)]
    for name in names:
        world.put(task(name), name=name)
    world.worker(*names, slots={"default": 1}, service="flow")
    state = world.tenant._state
    for name in names:
        world.complete(world.trigger(name))
    assert len(state.queues) == 50
    running, second, third = (world.trigger(name) for name in names[:3])
    world.complete(running)
    assert set(state.waited_in) == {f"flow:{name}" for name in names[1:3]}
    assert world.status(second) is TaskStatus.RUNNING
    world.complete(second)
    assert world.status(third) is TaskStatus.RUNNING


def test_heartbeats_live_in_memory_and_the_row_can_still_tell_who_is_silent() -> None:
    """What reads rows calls a worker inactive at 30 s without a heartbeat."""
    world = World()
    world.put(task("a"))
    worker_id = world.worker("a")
    began = len(world.decisions)
    for _ in range(15):
        world.advance(4)
        assert world.now_us - (world.workers[worker_id].last_heartbeat_at_us or 0) < 30 * US_PER_S
    minute = world.decisions[began:]
    assert sum(bool(decision.writes.workers) for decision in minute) == 3
    assert sum(bool(decision.writes) for decision in minute) == 3
    heard = [effect for decision in minute for effect in decision.effects if isinstance(effect, WorkerHeard)]
    assert len(heard) == 60 // 4 - 3, "people who watch are told of every other one"
    world.advance(8)
    last_us = world.now_us
    world.beating.pop(worker_id)
    world.advance(30)
    assert world.workers[worker_id].last_heartbeat_at_us == last_us, "a silent worker's row has its last sign of life"
