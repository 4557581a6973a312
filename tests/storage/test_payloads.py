"""Inputs and outputs: a bounded cache that is never wrong."""

from __future__ import annotations

import asyncpg

from broadaxe.core.commands.attempts import Outcome, ReportAttempt
from broadaxe.core.commands.tasks import ReplayTasks
from broadaxe.storage.payloads import Payloads
from tests.storage.test_journal_and_loader import begin, trigger, worker


async def test_what_the_cache_lost_is_read_from_the_tables(pool: asyncpg.Pool) -> None:
    life = await begin(pool)
    await worker(life, "s:a")
    run_ids = [await trigger(life) for _ in range(5)]
    for run_id in run_ids[:4]:
        await life.do(ReportAttempt(run_id, 0, Outcome.COMPLETED, f'{{"of":"{run_id}"}}'))
    payloads = Payloads(pool, life.tenant_id, chars_max=0)
    assert await payloads.inputs(run_ids) == dict.fromkeys(run_ids, "{}")
    expected = {run_id: f'{{"of":"{run_id}"}}' for run_id in run_ids[:4]}
    assert await payloads.outputs(run_ids) == expected
    assert await payloads.outputs(run_ids) == expected


async def test_what_is_in_the_cache_is_not_asked_for_and_what_is_dropped_is(pool: asyncpg.Pool) -> None:
    life = await begin(pool)
    await worker(life, "s:a")
    run_id = await trigger(life)
    payloads = Payloads(pool, life.tenant_id)
    payloads.put_output(run_id, "passing by")
    assert await payloads.outputs([run_id]) == {run_id: "passing by"}
    payloads.drop_output(run_id)
    assert await payloads.outputs([run_id]) == {}
    await life.do(ReportAttempt(run_id, 0, Outcome.COMPLETED, '{"x":1}'))
    assert await payloads.outputs([run_id]) == {run_id: '{"x":1}'}
    await life.do(ReplayTasks((run_id,)))
    payloads.drop_output(run_id)
    assert await payloads.outputs([run_id]) == {}


async def test_the_cache_holds_no_more_than_its_bound(pool: asyncpg.Pool) -> None:
    payloads = Payloads(pool, "10000000-0000-4000-8000-000000000001", chars_max=20)
    for number in range(10):
        payloads.put_input(f"00000000-0000-4000-8000-00000000000{number}", "12345")
    payloads.put_input("00000000-0000-4000-8000-00000000000a", "longer than ten")
    cached = payloads._inputs
    assert cached._chars == sum(map(len, cached._texts.values())) <= 10


async def test_inputs_of_another_tenant_are_not_found(pool: asyncpg.Pool) -> None:
    one, other = await begin(pool), await begin(pool)
    run_id = await trigger(one)
    assert await Payloads(pool, other.tenant_id).inputs([run_id]) == {}
