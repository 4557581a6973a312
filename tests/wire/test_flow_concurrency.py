"""Concurrency limits: who waits, who is cancelled, and what a slot covers."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hatchet_sdk import Hatchet
from hatchet_sdk.exceptions import FailedTaskRunExceptionGroup
from programs.flow_cue import Flow
from programs.flow_places import start, start_many, until_event
from wirekit import Rest, Stage


def numbers(stage: Stage, key: str, what: str = "started") -> list[int]:
    return [signal.data["n"] for signal in stage.told(key, what)]


async def test_keys_have_slots_of_their_own(flow: Hatchet, rest: Rest, stage: Stage, key: str) -> None:
    first_a = await start(flow, "flow-turns", Flow(key=key, n=1, user=f"{key}-a", way="a"))
    second_a = await start(flow, "flow-turns", Flow(key=key, n=2, user=f"{key}-a", way="a2"))
    first_b = await start(flow, "flow-turns", Flow(key=key, n=3, user=f"{key}-b", way="b"))
    await stage.heard(key, "started", count=2)
    assert sorted(numbers(stage, key)) == [1, 3]
    assert await rest.status(second_a.workflow_run_id) == "QUEUED"
    stage.open(key, "b")
    await first_b.aio_result()
    assert await rest.status(second_a.workflow_run_id) == "QUEUED"
    stage.open(key, "a")
    stage.open(key, "a2")
    await asyncio.gather(first_a.aio_result(), second_a.aio_result())
    told = [(signal.what, signal.data["n"]) for signal in stage.told(key) if signal.data["n"] != 3]
    assert told == [("started", 1), ("ended", 1), ("started", 2), ("ended", 2)]


async def test_those_who_wait_go_by_priority_then_arrival(flow: Hatchet, stage: Stage, key: str) -> None:
    references = [await start(flow, "flow-turns", Flow(key=key, n=0, user=key))]
    await stage.heard(key, "started")
    for n, priority in ((1, 1), (30, 3), (2, 2), (31, 3), (11, 1)):
        references.append(await start(flow, "flow-turns", Flow(key=key, n=n, user=key), priority=priority))
    stage.open(key)
    await asyncio.gather(*(reference.aio_result() for reference in references))
    assert numbers(stage, key) == [0, 30, 31, 2, 1, 11]


async def test_a_burst_under_cancel_newest_keeps_the_oldest(flow: Hatchet, rest: Rest, stage: Stage, key: str) -> None:
    references = await start_many(flow, "flow-newest", [Flow(key=key, n=n, user=key) for n in range(5)])
    await stage.heard(key, "started")
    statuses = [await rest.status(reference.workflow_run_id) for reference in references]
    assert statuses == ["RUNNING", *["CANCELLED"] * 4]
    events = await rest.events(references[1].workflow_run_id)
    assert [event["eventType"] for event in events] == ["QUEUED", "CANCELLED"]
    assert "concurrency" in events[-1]["message"] and "CANCEL_NEWEST" in events[-1]["message"]
    late = await start(flow, "flow-newest", Flow(key=key, n=5, user=key), priority=3)
    assert await rest.finished(late.workflow_run_id) == "CANCELLED"
    stage.open(key)
    await references[0].aio_result()
    assert numbers(stage, key) == [0]
    # With the slot free again, the next one runs.
    await (await start(flow, "flow-newest", Flow(key=key, n=6, user=key))).aio_result()


async def test_cancel_in_progress_puts_the_newest_first(flow: Hatchet, rest: Rest, stage: Stage, key: str) -> None:
    old = await start(flow, "flow-in-progress", Flow(key=key, n=1, user=key))
    await stage.heard(key, "started")
    new = await start(flow, "flow-in-progress", Flow(key=key, n=2, user=key))
    await stage.heard(key, "started", count=2)
    (cancelled,) = await stage.heard(key, "cancelled")
    assert cancelled.data["n"] == 1, "the worker was told"
    assert await rest.status(old.workflow_run_id) == "CANCELLED"
    assert await rest.status(new.workflow_run_id) == "RUNNING"
    event = (await rest.events(old.workflow_run_id))[-1]
    assert event["eventType"] == "CANCELLED" and "CANCEL_IN_PROGRESS" in event["message"]
    stage.open(key)
    assert (await new.aio_result())["flow-in-progress"]["n"] == 2
    assert numbers(stage, key, "ended") == [2]


async def test_cancel_in_progress_respects_priority(flow: Hatchet, rest: Rest, stage: Stage, key: str) -> None:
    urgent = await start(flow, "flow-in-progress", Flow(key=key, n=1, user=key), priority=3)
    await stage.heard(key, "started")
    low = await start(flow, "flow-in-progress", Flow(key=key, n=2, user=key), priority=2)
    assert await rest.finished(low.workflow_run_id) == "CANCELLED"
    assert await rest.status(urgent.workflow_run_id) == "RUNNING"
    equal = await start(flow, "flow-in-progress", Flow(key=key, n=3, user=key), priority=3)
    await stage.heard(key, "started", count=2)
    assert await rest.status(urgent.workflow_run_id) == "CANCELLED"
    stage.open(key)
    await equal.aio_result()
    assert numbers(stage, key) == [1, 3]


async def test_a_burst_under_cancel_in_progress_keeps_the_last(
    flow: Hatchet, rest: Rest, stage: Stage, key: str
) -> None:
    references = await start_many(flow, "flow-in-progress", [Flow(key=key, n=n, user=key) for n in range(5)])
    stage.open(key)
    assert (await references[-1].aio_result())["flow-in-progress"]["n"] == 4
    for reference in references[:-1]:
        assert await rest.finished(reference.workflow_run_id) == "CANCELLED"
    assert numbers(stage, key) == [4]


async def test_two_limits_are_acquired_in_order(flow: Hatchet, rest: Rest, stage: Stage, key: str) -> None:
    """`user` allows two, `other` one. The second run holds its user's slot while it waits for the other one."""

    def cue(n: int, other: str) -> Flow:
        return Flow(key=key, n=n, user=key, other=f"{key}-{other}", way=str(n))

    references = [
        await start(flow, "flow-two-limits", cue(1, "x")),
        await start(flow, "flow-two-limits", cue(2, "x")),
        await start(flow, "flow-two-limits", cue(3, "y")),
    ]
    await stage.heard(key, "started")
    statuses = [await rest.status(reference.workflow_run_id) for reference in references]
    assert statuses == ["RUNNING", "QUEUED", "QUEUED"], "nobody holds y, but the user's two slots are taken"
    await rest.cancel(references[1].workflow_run_id)
    await stage.heard(key, "started", count=2)
    assert numbers(stage, key) == [1, 3]
    for way in ("1", "3"):
        stage.open(key, way)
    await asyncio.gather(references[0].aio_result(), references[2].aio_result())


async def test_a_dag_run_holds_its_slot_to_the_end(flow: Hatchet, rest: Rest, stage: Stage, key: str) -> None:
    first = await start(flow, "flow-chain", Flow(key=key, n=1, user=key, way="1"))
    second = await start(flow, "flow-chain", Flow(key=key, n=2, user=key, way="2"))
    await stage.heard(key, "started")
    stage.open(key, "1")
    await stage.heard(key, "started", count=2)
    assert [(s.data["n"], s.data["task"]) for s in stage.told(key, "started")] == [(1, "first"), (1, "second")]
    assert await rest.status(second.workflow_run_id) == "QUEUED"
    for way in ("2", "second-1", "second-2"):
        stage.open(key, way)
    await asyncio.gather(first.aio_result(), second.aio_result())
    told = [(s.data["n"], s.data["task"]) for s in stage.told(key, "started")]
    assert told == [(1, "first"), (1, "second"), (2, "first"), (2, "second")]
    ended = next(s for s in stage.told(key, "ended") if s.data["n"] == 1 and s.data["task"] == "second")
    assert ended.at_s <= stage.told(key, "started")[2].at_s


async def test_a_displaced_dag_run_is_cancelled_whole(flow: Hatchet, rest: Rest, stage: Stage, key: str) -> None:
    old = await start(flow, "flow-chain-in-progress", Flow(key=key, n=1, user=key))
    await stage.heard(key, "started")
    new = await start(flow, "flow-chain-in-progress", Flow(key=key, n=2, user=key))
    await stage.heard(key, "cancelled")
    assert await rest.finished(old.workflow_run_id) == "CANCELLED"
    statuses = {name: row["status"] for name, row in (await rest.tasks(old.workflow_run_id)).items()}
    assert statuses == {"first": "CANCELLED", "second": "CANCELLED"}
    stage.open(key)
    stage.open(key, "second-go")
    await new.aio_result()


@pytest.mark.parametrize(("name", "expression"), [("flow-bad-key", "input.missing"), ("flow-number-key", "input.n")])
async def test_a_key_that_cannot_be_had_fails_the_run_at_once(
    flow: Hatchet, rest: Rest, stage: Stage, key: str, name: str, expression: str
) -> None:
    reference = await start(flow, name, Flow(key=key))
    with pytest.raises(FailedTaskRunExceptionGroup) as failed:
        await reference.aio_result()
    assert expression in failed.value.exceptions[0].exc
    assert await rest.event_types(reference.workflow_run_id) == ["FAILED"]
    assert await rest.replay(reference.workflow_run_id) == [reference.workflow_run_id]
    assert await rest.finished(reference.workflow_run_id) == "FAILED"
    assert stage.told(key) == []


async def test_waiting_for_a_worker_counts(narrow: tuple[Hatchet, str], rest: Rest, stage: Stage, key: str) -> None:
    """The worker is full, so the key's only slot is held by a run that waits for it; no other run gets the slot, not
    even one of more priority."""
    client, _ = narrow
    busy = await start(client, "flow-hold", Flow(key=key, n=0, way="busy"))
    await stage.heard(key, "started")
    first = await start(client, "flow-turns", Flow(key=key, n=1, user=key))
    await until_event(rest, first.workflow_run_id, "REQUEUED_NO_WORKER")
    second = await start(client, "flow-turns", Flow(key=key, n=2, user=key), priority=3)
    stage.open(key, "busy")
    stage.open(key)
    await asyncio.gather(*(reference.aio_result() for reference in (busy, first, second)))
    assert numbers(stage, key) == [0, 1, 2]
    assert await rest.event_types(second.workflow_run_id) == [
        "QUEUED", "ASSIGNED", "SENT_TO_WORKER", "STARTED", "FINISHED",
    ]  # fmt: skip


async def test_a_retry_acquires_its_slot_anew(flow: Hatchet, rest: Rest, stage: Stage, key: str) -> None:
    """In backoff the first run holds no slot, so the second one runs; the retry waits for it, as old as its run."""
    first = await start(flow, "flow-backs-off", Flow(key=key, n=1, user=key, fails=1))
    await stage.heard(key, "started")
    second = await start(flow, "flow-backs-off", Flow(key=key, n=2, user=key, way="second"))
    assert await rest.status(second.workflow_run_id) == "QUEUED"
    stage.open(key)
    await stage.heard(key, "started", count=2)
    await until_event(rest, first.workflow_run_id, "QUEUED", times=2)
    assert await rest.status(first.workflow_run_id) == "QUEUED"
    third = await start(flow, "flow-backs-off", Flow(key=key, n=3, user=key))
    urgent = await start(flow, "flow-backs-off", Flow(key=key, n=4, user=key), priority=3)
    stage.open(key, "second")
    await asyncio.gather(*(reference.aio_result() for reference in (first, second, third, urgent)))
    assert numbers(stage, key) == [1, 2, 4, 1, 3], "the retry goes before whoever came later, but not before the urgent"


async def test_a_number_is_a_limit_for_all(flow: Hatchet, rest: Rest, stage: Stage, key: str) -> None:
    references = await start_many(flow, "flow-integer", [Flow(key=key, n=n, user=f"{key}-{n}") for n in range(4)])
    await stage.heard(key, "started", count=2)
    statuses = [await rest.status(reference.workflow_run_id) for reference in references]
    assert statuses == ["RUNNING", "RUNNING", "QUEUED", "QUEUED"]
    stage.open(key)
    await asyncio.gather(*(reference.aio_result() for reference in references))
    running = most = 0
    for signal in stage.told(key):
        running += {"started": 1, "ended": -1}[signal.what]
        most = max(most, running)
    assert most == 2


async def test_a_flood_on_one_key_delays_another_by_one_turn(
    narrow: tuple[Hatchet, str], stage: Stage, key: str
) -> None:
    """The key's own limit is far from reached; what is scarce is the worker's only unit."""
    client, _ = narrow
    references = [await start(client, "flow-hold", Flow(key=key, n=-1))]
    await stage.heard(key, "started")
    references += await start_many(client, "flow-fair", [Flow(key=key, n=n, user="flood") for n in range(30)])
    references += await start_many(client, "flow-fair", [Flow(key=key, n=100 + n, user="calm") for n in range(3)])
    stage.open(key)
    await asyncio.gather(*(reference.aio_result() for reference in references))
    order = numbers(stage, key)[1:]
    assert order[:6] == [0, 100, 1, 101, 2, 102]
    assert order[6:] == list(range(3, 30))


async def test_a_run_cancelled_in_the_group_leaves_no_trace(flow: Hatchet, rest: Rest, stage: Stage, key: str) -> None:
    holder = await start(flow, "flow-turns", Flow(key=key, n=1, user=key))
    await stage.heard(key, "started")
    waiting: list[Any] = await start_many(flow, "flow-turns", [Flow(key=key, n=n, user=key) for n in range(2, 7)])
    await rest.cancel(*(reference.workflow_run_id for reference in waiting[:4]))
    stage.open(key)
    await asyncio.gather(holder.aio_result(), waiting[4].aio_result())
    assert numbers(stage, key) == [1, 6]


@pytest.mark.parametrize(("name", "survivor"), [("flow-keeps-newest", 4), ("flow-keeps-oldest", 1)])
async def test_one_may_wait_and_the_others_are_cancelled(
    flow: Hatchet, rest: Rest, stage: Stage, key: str, name: str, survivor: int
) -> None:
    references = await start_many(flow, name, [Flow(key=key, n=n, user=key) for n in range(5)])
    await stage.heard(key, "started")
    statuses = [await rest.status(reference.workflow_run_id) for reference in references]
    assert statuses == ["RUNNING", *("QUEUED" if n == survivor else "CANCELLED" for n in range(1, 5))]
    stage.open(key)
    await asyncio.gather(references[0].aio_result(), references[survivor].aio_result())
    assert numbers(stage, key) == [0, survivor]


async def test_workflows_can_share_a_limit_that_the_newest_run_sets(
    flow: Hatchet, rest: Rest, stage: Stage, key: str
) -> None:
    first = await start(flow, "flow-shared-1", Flow(key=key, n=1, user=key))
    await stage.heard(key, "started")
    second = await start(flow, "flow-shared-2", Flow(key=key, n=2, user=key))
    assert await rest.status(second.workflow_run_id) == "QUEUED"
    # It says two, so one of those who wait has room, the first to come.
    third = await start(flow, "flow-shared-1", Flow(key=key, n=3, user=key, limit=2))
    await stage.heard(key, "started", count=2)
    assert numbers(stage, key) == [1, 2]
    assert await rest.status(third.workflow_run_id) == "QUEUED"
    stage.open(key)
    await asyncio.gather(*(reference.aio_result() for reference in (first, second, third)))
