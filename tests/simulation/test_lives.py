"""A hundred simulated lives in memory, a few on the real database. See `life.py`; `make simulate` runs more."""

from __future__ import annotations

import asyncio
import random
from collections import Counter

import asyncpg
import msgspec
import pytest

from broadaxe.core import firing, waits
from broadaxe.core.calendar import Cron
from broadaxe.core.claims import Claims
from broadaxe.core.decision import Writes
from broadaxe.core.durable_log import Entry
from broadaxe.core.state import State
from broadaxe.core.waits import Wait
from tests.simulation.books import Broken
from tests.simulation.life import Crash, Life
from tests.simulation.postgres import Postgres
from tests.simulation.seeds import Outcome, live
from tests.simulation.tables import Store, Tables
from tests.storage.ground import make_journal, make_tenant

#: The same seeds every time, so more of them find nothing new here: `make simulate` plays others, by the thousand.
LIVES = 120
LIVES_PER_TEST = 10
#: Shorter than those of `make simulate`: most of the time of a long life goes into draining what it began.
STEPS_OF_MANY = 80


@pytest.mark.parametrize("first", range(0, LIVES, LIVES_PER_TEST))
def test_every_promise_holds_through_random_lives(first: int) -> None:
    for seed in range(first, first + LIVES_PER_TEST):
        outcome = live(seed, STEPS_OF_MANY)
        assert outcome.broken is None, outcome.broken


@pytest.mark.parametrize("seed", [3, 7, 11, 20])
async def test_the_same_life_on_the_real_database(pool: asyncpg.Pool, seed: int) -> None:
    """Each load is compared with the model of the tables, and each loaded tenant with the one before."""
    tenant_id = await make_tenant(pool)
    journal = await make_journal(pool, tenant_id)
    loop = asyncio.get_running_loop()
    stores: list[Postgres] = []

    def make_store(tables: Tables) -> Store:
        stores.append(Postgres(pool, loop, tenant_id, journal, tables))
        return stores[0]

    outcome: Outcome = await asyncio.to_thread(live, seed, 60, make_store)
    assert outcome.broken is None, outcome.broken
    assert stores[0].loads > 0
    finished = await pool.fetchval("select count(*) from broadaxe.run where finished_at is not null")
    assert finished == await pool.fetchval("select count(*) from broadaxe.run") > 0


def test_a_seed_lives_the_same_life_twice() -> None:
    first, second = Life(5), Life(5)
    for life in (first, second):
        life.live(60)
    assert first.tables.history == second.tables.history
    assert first.tables.tasks == second.tables.tasks
    assert (first.steps, first.commands, first.crashes) == (second.steps, second.commands, second.crashes)


def test_programs_end_as_they_do_without_disturbance() -> None:
    """Every life compares; here are enough programs that something happened to, and hardly one is left undecided."""
    twins = [twin for seed in (0, 2, 3, 5, 6, 7, 8) for twin in _durable_life(seed).twins]
    disturbed = [twin for twin in twins if twin.story.invocations > 1]
    assert len(twins) > 100
    assert len(disturbed) > 40
    assert max(twin.story.invocations for twin in disturbed) > 5
    assert sum(twin.has_output for twin in disturbed) > 25
    assert sum(twin.has_tie for twin in twins) < len(twins) / 50


def test_a_result_that_an_eviction_changes_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    fired = Wait.fired

    def knows_too_much(wait: Wait) -> dict[str, list[msgspec.Raw]]:
        brought = fired(wait)
        if isinstance(wait.owner, Entry) and wait.owner.log.invocation_count > 1:
            brought["again"] = [msgspec.Raw(b"{}")]
        return brought

    monkeypatch.setattr(Wait, "fired", knows_too_much)
    with pytest.raises(Broken, match=r"another output|an entry ends otherwise"):
        _durable_life(0)


def _durable_life(seed: int) -> Life:
    life = Life(seed)
    life.chances.durables = 0.8
    life.live(120)
    return life


def test_the_books_notice_a_lost_batch() -> None:
    """The checks can fail: a commit that is forgotten breaks a promise at the latest when memory is loaded again."""
    life = Life(1)
    commit, left = life.tables.commit, 10

    def forgets_one(writes: Writes) -> None:
        nonlocal left
        left -= bool(writes.new_tasks)
        if left != 0 or not writes.new_tasks:
            commit(writes)

    life.tables.commit = forgets_one  # type: ignore[method-assign]
    with pytest.raises((Broken, AssertionError, KeyError)):
        life.live(100)


def test_the_almanac_notices_a_schedule_that_is_not_used_up() -> None:
    life = Life(3)
    life.chances.plans = 1.0
    commit = life.tables.commit

    def keeps_schedules(writes: Writes) -> None:
        writes.deleted_schedules = []
        commit(writes)

    life.tables.commit = keeps_schedules  # type: ignore[method-assign]
    with pytest.raises(Broken, match="fired and is still there"):
        life.live(200)


def test_the_almanac_notices_a_tick_that_does_not_come(monkeypatch: pytest.MonkeyPatch) -> None:
    def misses(state: State, cron: Cron, now_us: int) -> None:
        cron.next_tick_us = None
        firing._arm(state, cron, now_us)

    monkeypatch.setattr(firing, "tick", misses)
    life = Life(4)
    life.chances.plans = 1.0
    with pytest.raises(Broken, match="a tick did not come"):
        life.live(200)


def test_the_books_notice_units_given_twice() -> None:
    life = Life(2)
    while not any(worker.running for worker in life.tenant._state.workers.values()):
        life.step()
    for worker in life.tenant._state.workers.values():
        worker.free = {kind: units + 50 for kind, units in worker.slots.items()}
    life.random = random.Random(0)
    with pytest.raises(Broken):
        for _ in range(200):
            life.step()
            life.act([], Crash.AFTER_COMMIT)


def test_the_books_notice_a_key_given_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Claims, "get", lambda *_: None)
    life = Life(4)
    life.chances.keys = 1.0
    with pytest.raises(Broken, match="two runs for one key"):
        life.live(200)


def test_the_books_notice_a_filter_that_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("broadaxe.core.filters.evaluate_bool", lambda *_: True)
    life = Life(3)
    life.chances.filters = 1.0
    with pytest.raises(Broken, match="an event started"):
        life.live(400)


def test_lives_have_conditions_of_every_outcome() -> None:
    decided: Counter[str] = Counter()
    for seed in range(4):
        life = Life(seed)
        life.chances.gates, life.chances.dags = 0.8, 0.8
        life.live(100)
        decided.update(life.gate_books.verdicts)
    assert min(decided[outcome] for outcome in ("let through", "skipped", "cancelled", "told")) > 5, decided


def test_the_books_notice_an_event_that_does_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waits, "_is_met", lambda condition, event: condition.event_key == event.key)
    life = Life(5)
    life.chances.gates = 1.0
    with pytest.raises(Broken):
        life.live(200)


def test_the_books_notice_gates_that_are_not_stored() -> None:
    life = Life(3)
    life.chances.gates = 1.0
    commit = life.tables.commit

    def forgets_gates(writes: Writes) -> None:
        writes.gates = []
        commit(writes)

    life.tables.commit = forgets_gates  # type: ignore[method-assign]
    with pytest.raises(Broken, match="what it waits for is not stored"):
        life.live(200)


def limited_life() -> Life:
    """One whose tenant is held to limits."""
    return next(life for seed in range(100) if (life := Life(seed)).quotas.is_enforced)


def test_the_books_notice_a_run_that_is_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    life = limited_life()
    monkeypatch.setattr("broadaxe.core.quotas.take", lambda *_: None)
    with pytest.raises(Broken, match=r"counted|more than the limit"):
        life.live(200)


def test_the_books_notice_a_limit_that_does_not_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    life = limited_life()
    monkeypatch.setattr("broadaxe.core.quotas.lacks", lambda *_: None)
    with pytest.raises(Broken, match="more than the limit"):
        life.live(400)
