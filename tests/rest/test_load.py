"""Load over time: what ended, how long it had waited and run, what waited and ran; of a tenant and of a worker."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from broadaxe.storage import load_reads
from broadaxe.storage.ids import id_floor, new_id

if TYPE_CHECKING:
    from .conftest import Seeds, Site

MINUTE = timedelta(minutes=1)


def _id_at(at: datetime) -> str:
    return id_floor(at)[:14] + new_id()[14:]


@pytest.fixture
def hour() -> datetime:
    """The beginning of a bucket of a minute, half an hour ago."""
    now = datetime.now(UTC)
    return now.replace(second=0, microsecond=0) - 30 * MINUTE


async def _task(seeds: Seeds, made: Any, queued: datetime, waits_s: float, runs_s: float | None, **task: Any) -> None:
    """A task that waited and ran for so long; without the latter it runs yet."""
    started = queued + timedelta(seconds=waits_s)
    columns: dict[str, Any] = {"queued_at": queued, "created_at": queued, "assigned_at": started, "started_at": started}
    if runs_s is None:
        columns |= {"status": "RUNNING"}
    else:
        columns |= {"status": "COMPLETED", "finished_at": started + timedelta(seconds=runs_s)}
    columns |= task
    status = "RUNNING" if columns["status"] == "EVICTED" else columns["status"]
    times = {"started_at": None, "finished_at": columns.get("finished_at")}
    await seeds.run(made, id=_id_at(queued), status=status, created_at=queued, task=columns, **times)


async def _points(site: Site, since: datetime, path: str = "") -> dict[datetime, dict[str, Any]]:
    answer = await site.client.get(path or f"{site.stable}/load", params={"since": since.isoformat()})
    assert answer.status_code == 200, answer.text
    assert answer.json()["widthS"] == 60
    return {datetime.fromisoformat(point.pop("time")): point for point in answer.json()["results"]}


async def test_a_bucket_says_what_ended_and_how_long_it_had_waited_and_run(site: Site, hour: datetime) -> None:
    made = await site.seeds.single()
    for n in range(1, 21):
        await _task(site.seeds, made, hour, waits_s=n / 10, runs_s=n)
    await _task(site.seeds, made, hour, waits_s=1, runs_s=9, status="FAILED")
    await _task(
        site.seeds,
        made,
        hour,
        waits_s=0,
        runs_s=1,
        status="CANCELLED",
        assigned_at=None,
        started_at=None,
    )
    points = await _points(site, hour)
    first = points[hour]
    assert (first["succeeded"], first["failed"], first["cancelled"]) == (20, 1, 1)
    assert (first["waitedMsP50"], first["waitedMsP95"]) == (1_000, 1_900)
    assert (first["ranMsP50"], first["ranMsP95"]) == (10_000, 19_000)
    empty = points[hour + 5 * MINUTE]
    assert (empty["succeeded"], empty["failed"]) == (0, 0)
    assert "waitedMsP50" not in empty, "of nothing there is no time"


async def test_what_waited_and_ran_is_told_on_average(site: Site, hour: datetime) -> None:
    made = await site.seeds.single()
    # Waits from :10 of the first minute to :10 of the third, runs until :10 of the fourth.
    await _task(site.seeds, made, hour + timedelta(seconds=10), waits_s=120, runs_s=60)
    # Live: one runs since the second minute, one waits since the third, one was put aside, one came before all that.
    await _task(site.seeds, made, hour + MINUTE, waits_s=5, runs_s=None)
    await _task(site.seeds, made, hour + 2 * MINUTE, waits_s=0, runs_s=None, status="QUEUED", assigned_at=None)
    await _task(site.seeds, made, hour, waits_s=0, runs_s=None, status="EVICTED")
    await _task(site.seeds, made, hour - timedelta(days=1), waits_s=0, runs_s=None, status="QUEUED", assigned_at=None)
    points = await _points(site, hour)
    at = [(points[hour + n * MINUTE]["waiting"], points[hour + n * MINUTE]["running"]) for n in range(5)]
    assert at == [(1.833, 0), (2.083, 0.917), (2.167, 1.833), (2, 1.167), (2, 1)]
    assert len(points) == 31


async def test_a_sample_stands_for_all_of_its_slice(
    site: Site, hour: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load_reads, "TASKS_PER_SLICE", 2)
    made = await site.seeds.single()
    for _ in range(10):
        await _task(site.seeds, made, hour, waits_s=90, runs_s=1)
    for _ in range(2):
        await _task(site.seeds, made, hour, waits_s=100, runs_s=3)
    points = await _points(site, hour)
    assert points[hour]["waiting"] == 12
    assert points[hour + MINUTE]["succeeded"] == 12
    assert (points[hour + MINUTE]["ranMsP50"], points[hour + MINUTE]["ranMsP95"]) == (1_000, 3_000)


async def test_a_worker_shows_how_many_tasks_it_ran_at_once(site: Site, hour: datetime) -> None:
    made, worker = await site.seeds.single(), await site.seeds.worker()
    for second in (0, 10, 20):
        await _task(site.seeds, made, hour + timedelta(seconds=second), waits_s=0, runs_s=15, worker_id=worker)
    await _task(site.seeds, made, hour + 2 * MINUTE, waits_s=0, runs_s=5, status="FAILED", worker_id=worker)
    await _task(site.seeds, made, hour + 3 * MINUTE, waits_s=0, runs_s=None, worker_id=worker)
    await _task(site.seeds, made, hour, waits_s=0, runs_s=30, worker_id=new_id())
    points = await _points(site, hour, f"/api/v1/stable/workers/{worker}/load")
    at = [points[hour + n * MINUTE] for n in range(5)]
    assert [point["running"] for point in at] == [2, 0, 1, 1, 1]
    assert [(point["succeeded"], point["failed"]) for point in at] == [(3, 0), (0, 0), (0, 1), (0, 0), (0, 0)]


async def test_a_window_that_has_not_begun_is_refused(site: Site) -> None:
    for since in ("2999-01-01T00:00:00Z", "0305-01-01T00:00:00Z"):
        refused = await site.client.get(f"{site.stable}/load", params={"since": since})
        assert refused.status_code == 400
    missing = await site.client.get(f"/api/v1/stable/workers/{new_id()}/load")
    assert missing.status_code == 404


async def test_load_is_the_tenants_own(site: Site) -> None:
    assert (await site.client.get(f"/api/v1/stable/tenants/{new_id()}/load")).status_code == 403
