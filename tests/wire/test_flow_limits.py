"""Rate limits: what passes in a window, who waits, and what changing a limit does."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hatchet_sdk import Hatchet
from hatchet_sdk.exceptions import FailedTaskRunExceptionGroup
from hatchet_sdk.rate_limit import RateLimitDuration
from programs.flow_cue import Flow
from programs.flow_places import start, start_many, until_event
from wirekit import Rest, Stage

WINDOW_S = 1.0
#: Instants are shown in milliseconds.
ROUNDING_S = 0.002


def numbers(stage: Stage, key: str) -> list[int]:
    return [signal.data["n"] for signal in stage.told(key, "started")]


async def assigned_at_s(rest: Rest, run_id: str) -> float:
    """When the run's only attempt was assigned, by the engine's clock, in seconds since the Unix epoch."""
    (event,) = (event for event in await rest.events(run_id) if event["eventType"] == "ASSIGNED")
    return datetime.fromisoformat(event["timestamp"]).timestamp()


async def test_a_window_lets_through_no_more_than_its_limit(flow: Hatchet, rest: Rest, stage: Stage, key: str) -> None:
    """25 tasks at 10 a second: 10 of what was there when the limit was put, 10 and 5 in the windows after that."""
    put_at_s = time.time()
    await flow.rate_limits.aio_put("flow:paced", 10, RateLimitDuration.SECOND)
    references = await start_many(flow, "flow-paced", [Flow(key=key, n=n) for n in range(25)])
    await asyncio.gather(*(reference.aio_result() for reference in references))
    at_s = [await assigned_at_s(rest, reference.workflow_run_id) for reference in references]
    assert at_s == sorted(at_s), "first come, first served"
    assert at_s[20] - at_s[10] >= WINDOW_S - ROUNDING_S
    assert at_s[20] - put_at_s >= 2 * WINDOW_S - ROUNDING_S
    # Windows follow each other without a pause; a second of grace for a slow machine.
    assert at_s[24] - at_s[0] < 2 * WINDOW_S + 1.0
    for first in (0, 10, 20):
        assert at_s[min(first + 9, 24)] - at_s[first] < WINDOW_S
    limited = await rest.event_types(references[10].workflow_run_id)
    assert limited == ["QUEUED", "REQUEUED_RATE_LIMIT", "ASSIGNED", "SENT_TO_WORKER", "STARTED", "FINISHED"]


async def test_users_have_limits_of_their_own(flow: Hatchet, rest: Rest, stage: Stage, key: str) -> None:
    first_a = await start(flow, "flow-per-user", Flow(key=key, n=1, user=f"{key}-a"))
    second_a = await start(flow, "flow-per-user", Flow(key=key, n=2, user=f"{key}-a"))
    first_b = await start(flow, "flow-per-user", Flow(key=key, n=3, user=f"{key}-b"))
    await asyncio.gather(first_a.aio_result(), first_b.aio_result())
    assert sorted(numbers(stage, key)) == [1, 3]
    await until_event(rest, second_a.workflow_run_id, "REQUEUED_RATE_LIMIT")
    message = (await rest.events(second_a.workflow_run_id))[-1]["message"]
    assert f"{key}-a" in message and "1 units wanted, 0 left" in message
    await rest.cancel(second_a.workflow_run_id)


async def test_units_and_limit_by_expression(flow: Hatchet, rest: Rest, stage: Stage, key: str) -> None:
    """Of ten units three and five are taken; three more are too many, two are not."""

    def cue(n: int, units: int) -> Flow:
        return Flow(key=key, n=n, user=key, units=units, limit=10)

    for n, units in ((1, 3), (2, 5)):
        await (await start(flow, "flow-units", cue(n, units))).aio_result()
    waiting = await start(flow, "flow-units", cue(3, 3))
    await until_event(rest, waiting.workflow_run_id, "REQUEUED_RATE_LIMIT")
    assert "3 units wanted, 2 left" in (await rest.events(waiting.workflow_run_id))[-1]["message"]
    # It does not hold up who wants less.
    await (await start(flow, "flow-units", cue(4, 2))).aio_result()
    await (await start(flow, "flow-units", cue(5, 0))).aio_result()
    await rest.cancel(waiting.workflow_run_id)


async def test_units_that_are_no_number_fail_the_run_at_once(flow: Hatchet, rest: Rest, key: str) -> None:
    reference = await start(flow, "flow-bad-units", Flow(key=key, user=key, text="many"))
    with pytest.raises(FailedTaskRunExceptionGroup, match="1"):
        await reference.aio_result()
    (event,) = await rest.events(reference.workflow_run_id)
    assert event["eventType"] == "FAILED" and "input.text" in event["errorMessage"]


async def test_of_several_limits_all_or_none_are_taken(flow: Hatchet, rest: Rest, stage: Stage, key: str) -> None:
    """Users have two units a minute, others one. The second run of a user lacks the other's unit, so it takes none of
    its user's either, and a third run with another other still finds one."""

    def cue(n: int, other: str) -> Flow:
        return Flow(key=key, n=n, user=f"{key}-user", other=f"{key}-{other}")

    await (await start(flow, "flow-both", cue(1, "x"))).aio_result()
    blocked = await start(flow, "flow-both", cue(2, "x"))
    await until_event(rest, blocked.workflow_run_id, "REQUEUED_RATE_LIMIT")
    await (await start(flow, "flow-both", cue(3, "y"))).aio_result()
    exhausted = await start(flow, "flow-both", cue(4, "z"))
    await until_event(rest, exhausted.workflow_run_id, "REQUEUED_RATE_LIMIT")
    assert numbers(stage, key) == [1, 3]
    await rest.cancel(blocked.workflow_run_id, exhausted.workflow_run_id)


async def test_lowering_a_limit_takes_units_away_and_raising_adds_none(
    flow: Hatchet, rest: Rest, stage: Stage, key: str
) -> None:
    async def run(n: int) -> Any:
        return await start(flow, "flow-lowered", Flow(key=key, n=n))

    await flow.rate_limits.aio_put("flow:lowered", 10, RateLimitDuration.HOUR)
    await (await run(1)).aio_result()
    await flow.rate_limits.aio_put("flow:lowered", 2, RateLimitDuration.HOUR)
    await flow.rate_limits.aio_put("flow:lowered", 10, RateLimitDuration.HOUR)
    await asyncio.gather(*[(await run(n)).aio_result() for n in (2, 3)])
    waiting = await run(4)
    await until_event(rest, waiting.workflow_run_id, "REQUEUED_RATE_LIMIT")
    assert sorted(numbers(stage, key)) == [1, 2, 3]
    # A shorter window is over by now.
    await flow.rate_limits.aio_put("flow:lowered", 10, RateLimitDuration.SECOND)
    await waiting.aio_result()


async def test_a_limit_that_was_never_put_lets_nobody_through(
    flow: Hatchet, rest: Rest, stage: Stage, key: str
) -> None:
    reference = await start(flow, "flow-never-put", Flow(key=key))
    assert await rest.finished(reference.workflow_run_id) == "CANCELLED"
    types = await rest.event_types(reference.workflow_run_id)
    assert types == ["QUEUED", "REQUEUED_RATE_LIMIT", "SCHEDULING_TIMED_OUT"]
    assert stage.told(key) == []


async def test_every_attempt_takes_units(flow: Hatchet, rest: Rest, stage: Stage, key: str) -> None:
    """With one unit a minute the retry waits; a window of a second lets it go."""
    reference = await start(flow, "flow-per-user", Flow(key=key, user=key, fails=1))
    await until_event(rest, reference.workflow_run_id, "REQUEUED_RATE_LIMIT")
    assert len(stage.told(key, "started")) == 1
    await flow.rate_limits.aio_put(key, 1, RateLimitDuration.SECOND)
    await reference.aio_result()
    assert [signal.data["retry_count"] for signal in stage.told(key, "started")] == [0, 1]


async def test_who_waits_for_a_limit_goes_by_priority(flow: Hatchet, rest: Rest, stage: Stage, key: str) -> None:
    references = [await start(flow, "flow-per-user", Flow(key=key, n=0, user=key))]
    await references[0].aio_result()
    for n, priority in ((1, 1), (3, 3), (2, 2)):
        references.append(await start(flow, "flow-per-user", Flow(key=key, n=n, user=key), priority=priority))
    await flow.rate_limits.aio_put(key, 1, RateLimitDuration.SECOND)
    await asyncio.gather(*(reference.aio_result() for reference in references))
    assert numbers(stage, key) == [0, 3, 2, 1]


async def test_a_paused_limit_lets_nobody_through_until_then(flow: Hatchet, rest: Rest, stage: Stage, key: str) -> None:
    await flow.rate_limits.aio_put(key, 100, RateLimitDuration.SECOND)
    until = datetime.now(UTC) + timedelta(seconds=2)
    assert abs(await flow.rate_limits.aio_pause(key, until) - until) < timedelta(milliseconds=1)
    # An earlier instant does not shorten the pause.
    assert await flow.rate_limits.aio_pause(key, until - timedelta(seconds=1)) > until - timedelta(milliseconds=1)
    reference = await start(flow, "flow-units", Flow(key=key, user=key, limit=100))
    await reference.aio_result()
    assert await assigned_at_s(rest, reference.workflow_run_id) >= until.timestamp() - ROUNDING_S
    assert "REQUEUED_RATE_LIMIT" in await rest.event_types(reference.workflow_run_id)


async def test_limits_are_listed_with_what_they_have_left(hatchet: Hatchet, key: str) -> None:
    await hatchet.rate_limits.aio_put(f"{key}:a", 7, RateLimitDuration.MINUTE)
    await hatchet.rate_limits.aio_put(f"{key}:b", 3, RateLimitDuration.HOUR)
    listed = (await hatchet.rate_limits.aio_list(search=key)).rows or []
    mine = {limit.key: (limit.limit_value, limit.value, limit.window) for limit in listed}
    assert mine == {f"{key}:a": (7, 7, "1m0s"), f"{key}:b": (3, 3, "1h0m0s")}
