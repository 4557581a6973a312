"""Conditions of DAGs with the official SDK: each line of section 6.8 (line 56 of the acceptance checklist)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from gallery.cue import Cue
from hatchet_sdk import Hatchet
from wirekit import EngineProcess, Rest, Stage, StartWorker, eventually

LONG_S = 60.0
GO, SKIP, STOP = "conditions:go", "conditions:skip", "conditions:stop"
C, X, Q, S = "COMPLETED", "CANCELLED", "QUEUED", "SKIPPED"

#: Tasks of `conditions-parents`, whose parent says 1: what becomes of each.
ENDS = {
    "skips": S,
    "does-not-skip": C,
    "cancels": X,
    "cancels-before-it-skips": X,
    "waits-for-what-is-true": C,
    "waits-in-vain": S,
    "waits-for-an-error": S,
    "skips-on-an-error": C,
    "waits-for-all": S,
    "waits-for-either": C,
    "either-parent-or-sleep": C,
    "sleep-in-place-of-parent": C,
    "parent-and-sleep": C,
    "nothing-to-wait-for": C,
    "skips-after-a-while": S,
    "cancels-after-a-while": X,
    "cancels-for-one-of-two": X,
    "heir": S,
    "heir-of-two": C,
    "heir-that-decides": C,
    "heir-that-looks": S,
    "heir-of-a-cancelled": X,
}


@pytest.fixture
async def gated(engine: EngineProcess, _durable: str) -> Hatchet:
    return engine.client()


async def start(hatchet: Hatchet, name: str, cue: Cue) -> str:
    reference = await hatchet.stubs.workflow(name=name, input_validator=Cue).aio_run(cue, wait_for_result=False)
    return reference.workflow_run_id


async def outcomes(rest: Rest, run_id: str) -> dict[str, str]:
    """Task name -> status; one that was skipped is shown as completed, with an output that says so."""
    tasks = await rest.tasks(run_id)
    return {
        name: S if (task.get("output") or {}).get("skipped") is True else task["status"] for name, task in tasks.items()
    }


async def until_waiting(rest: Rest, run_id: str, *names: str) -> None:
    async def seen() -> dict[str, str]:
        return await outcomes(rest, run_id)

    await eventually(seen, until=lambda now: all(now.get(name) == Q for name in names), what=f"{names} wait")


async def push(hatchet: Hatchet, key: str, n: int = 0, scope: str | None = None) -> None:
    await hatchet.event.aio_push(key, {"n": n}, scope=scope)


async def test_conditions_on_parents_decide_when_all_parents_are_over(gated: Hatchet, rest: Rest, key: str) -> None:
    """Also sleeps beside them, groups of both kinds, and parents that were skipped."""
    run_id = await start(gated, "conditions-parents", Cue(key=key))
    assert await rest.finished(run_id, LONG_S) == X
    assert await outcomes(rest, run_id) == {"one": C, "two": C} | ENDS
    tasks = await rest.tasks(run_id)
    brought = {name: task["output"]["brought"] for name, task in tasks.items() if "brought" in (task["output"] or {})}
    slept = {name: [v for v in data.values() if v and "sleep_duration" in v] for name, data in brought.items()}
    assert {name for name, found in slept.items() if found} == {"sleep-in-place-of-parent", "parent-and-sleep"}
    assert slept["parent-and-sleep"] == [{"sleep_duration": "1s"}]


@pytest.mark.parametrize(
    ("pushed", "ends", "run_ends"),
    [
        ([(GO, 1), (GO, 2), (SKIP, 0), (STOP, 0)], {"gated": C, "last": C}, C),
        ([(SKIP, 0), (GO, 2)], {"gated": S, "last": C}, C),
        ([(STOP, 0), (GO, 2)], {"gated": X, "last": X}, X),
    ],
    ids=["goes on", "is skipped", "is cancelled"],
)
async def test_the_list_fulfilled_first_decides(
    gated: Hatchet,
    rest: Rest,
    stage: Stage,
    key: str,
    pushed: Sequence[tuple[str, int]],
    ends: dict[str, str],
    run_ends: str,
) -> None:
    """An event that came before the parents were over does not count; later ones do, whatever their scope."""
    run_id = await start(gated, "conditions-lists", Cue(key=key, text="held"))
    await push(gated, GO, 2)
    await push(gated, STOP)
    assert await outcomes(rest, run_id) in ({"first": Q}, {"first": "RUNNING"})
    stage.open(key)
    await until_waiting(rest, run_id, "gated")
    assert await rest.status(run_id) == "RUNNING"
    for event_key, n in pushed:
        await push(gated, event_key, n, scope="of whatever kind")
    assert await rest.finished(run_id, LONG_S) == run_ends
    assert await outcomes(rest, run_id) == {"first": C} | ends
    tasks = await rest.tasks(run_id)
    if ends["gated"] == C:
        assert tasks["gated"]["output"]["brought"][GO] == {"n": 2}
        assert SKIP not in tasks["gated"]["output"]["brought"]
    if ends["last"] == C:
        said = tasks["last"]["output"]
        assert said["was_skipped"] is (ends["gated"] == S)
        assert ("skipped" in said["error"]) is (ends["gated"] == S)


async def test_a_failed_parent_cancels_whatever_the_conditions_say(gated: Hatchet, rest: Rest, key: str) -> None:
    run_id = await start(gated, "conditions-lists", Cue(key=key, fail=True))
    assert await rest.finished(run_id, LONG_S) == "FAILED"
    assert await outcomes(rest, run_id) == {"first": "FAILED", "gated": X, "last": X}


async def test_waiting_takes_no_slot_and_no_schedule_timeout_and_ends_with_the_run(
    gated: Hatchet, rest: Rest, key: str
) -> None:
    """The gated task has a schedule timeout of one second, and waits for longer than another run sleeps."""
    run_id = await start(gated, "conditions-lists", Cue(key=key))
    await until_waiting(rest, run_id, "gated")
    other_id = await start(gated, "conditions-root", Cue(key=key))
    assert await rest.status(other_id) == "QUEUED"
    assert await rest.finished(other_id, LONG_S) == C
    task = await rest.task(other_id)
    assert _at(task["startedAt"]) - _at(task["taskInsertedAt"]) >= timedelta(seconds=2)
    assert await outcomes(rest, run_id) == {"first": C, "gated": Q}
    await rest.cancel(run_id)
    assert await rest.finished(run_id) == X
    assert await outcomes(rest, run_id) == {"first": C, "gated": X, "last": X}
    await push(gated, GO, 2)
    assert await outcomes(rest, run_id) == {"first": C, "gated": X, "last": X}


async def test_an_event_lets_a_root_go_on_before_its_sleep_is_over(gated: Hatchet, rest: Rest, key: str) -> None:
    run_id = await start(gated, "conditions-root", Cue(key=key))
    await push(gated, "conditions:root", 5)
    assert await rest.finished(run_id, LONG_S) == C
    brought = (await rest.task(run_id))["output"]["brought"]
    assert brought["conditions:root"] == {"n": 5}
    assert not any("sleep_duration" in (value or {}) for value in brought.values())


async def test_sleeps_and_events_count_from_the_end_of_the_last_parent(
    gated: Hatchet, rest: Rest, stage: Stage, key: str
) -> None:
    run_id = await start(gated, "conditions-both", Cue(key=key))
    await stage.heard(key, "left")
    await push(gated, "conditions:both")
    assert {"sleeps", "waits"}.isdisjoint(await rest.tasks(run_id))
    stage.open(key)
    await until_waiting(rest, run_id, "waits")
    tasks = await rest.tasks(run_id)
    await push(gated, "conditions:both", 3)
    assert await rest.finished(run_id, LONG_S) == C
    tasks = await rest.tasks(run_id)
    assert _at(tasks["sleeps"]["startedAt"]) - _at(tasks["right"]["finishedAt"]) >= timedelta(seconds=1)
    assert tasks["waits"]["output"]["brought"]["conditions:both"] == {"n": 3}


async def test_a_replay_waits_anew(gated: Hatchet, rest: Rest, key: str) -> None:
    """The whole run, then only the task that was skipped, whose condition on events counts new ones alone."""
    run_id = await start(gated, "conditions-lists", Cue(key=key))
    await until_waiting(rest, run_id, "gated")
    await push(gated, SKIP)
    assert await rest.finished(run_id, LONG_S) == C
    await rest.replay(run_id)
    await until_waiting(rest, run_id, "gated")
    await push(gated, STOP)
    assert await rest.finished(run_id, LONG_S) == X
    await rest.replay((await rest.tasks(run_id))["gated"]["taskExternalId"])
    await until_waiting(rest, run_id, "gated")
    await push(gated, GO, 9)
    assert await rest.finished(run_id, LONG_S) == C
    tasks = await rest.tasks(run_id)
    assert tasks["gated"]["output"]["brought"][GO] == {"n": 9}
    assert (tasks["gated"]["retryCount"], tasks["first"]["retryCount"]) == (2, 1)


async def test_what_is_waited_for_survives_the_engine(
    own_engine: EngineProcess, start_worker: StartWorker, key: str
) -> None:
    worker, _ = await start_worker(engine=own_engine, program="programs.durable_worker")
    client = own_engine.client()
    async with Rest(own_engine.url, own_engine.token, client.tenant_id) as rest:
        run_id = await start(client, "conditions-lists", Cue(key=key))
        await until_waiting(rest, run_id, "gated")
        await own_engine.kill()
        killed_at = datetime.now(UTC)
        await own_engine.start()
        # Once it is let through, the task waits one second for a worker and no longer.
        await rest.until_listening(worker.name, since=killed_at)
        await push(client, GO, 4)
        assert await rest.finished(run_id, LONG_S) == C
        assert (await rest.tasks(run_id))["gated"]["output"]["brought"][GO] == {"n": 4}


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text)
