"""The hub: waiters, chunks in order, gaps that are waited for, look-ups that fail."""

from __future__ import annotations

import asyncio

import pytest

from broadaxe.core.decision import Progress, RunFinished, RunStarted, TaskProgressed, TaskResult
from broadaxe.core.lifecycle import RunStatus, TaskStatus
from broadaxe.engine import subscriptions
from broadaxe.engine.subscriptions import EventSubscription, Hub, LiveEvent, LiveKind, RunOutcome
from broadaxe.loops import Loops

PATIENCE_S = 10.0


class Tables:
    """What a look-up finds. Every answer waits for the gate and counts."""

    def __init__(self) -> None:
        self.finished: dict[str, RunOutcome] = {}
        self.live: set[str] = set()
        self.is_here = True
        self.active: list[str] = []
        """Unfinished runs with the metadata that is followed, in memory or not."""
        self.begun: list[str] = []
        """Runs with it that have begun since it is followed, ended or not."""
        self.asked: list[list[str]] = []
        self.failures = 0
        self.loops = Loops("test")
        self.gate = asyncio.Event()
        self.gate.set()
        self.reached = asyncio.Event()

    async def look_up(self, run_ids: list[str]) -> list[RunOutcome]:
        self.asked.append(sorted(run_ids))
        found = [self.finished[run_id] for run_id in run_ids if run_id in self.finished]
        self.reached.set()
        await self.gate.wait()
        if self.failures:
            self.failures -= 1
            raise ConnectionError("the database is away")
        return found

    async def find_runs(self, key: str, value: str, since_us: int | None, limit: int) -> list[str]:
        found = self.begun if since_us is not None else [run for run in self.active if run not in self.finished]
        self.reached.set()
        await self.gate.wait()
        if self.failures:
            self.failures -= 1
            raise ConnectionError("the database is away")
        return found[:limit]

    def hub(self) -> Hub:
        return Hub(self.look_up, self.find_runs, self.live.__contains__, lambda: self.is_here, lambda: 7, self.loops)


def outcome(run_id: str) -> RunOutcome:
    return RunOutcome(run_id, RunStatus.COMPLETED, ())


def finished(run_id: str, metadata: str | None = None) -> RunFinished:
    results = (TaskResult(f"task of {run_id}", "a", TaskStatus.COMPLETED, None),)
    return RunFinished(run_id, RunStatus.COMPLETED, False, metadata, results, 1, "w", None)


def progressed(task_id: str, progress: Progress) -> TaskProgressed:
    return TaskProgressed("run", task_id, progress, 0, 0, "", 1, None)


def texts(subscription: EventSubscription) -> list[str]:
    """Chunks delivered so far."""
    told = [event.payload for event in subscription._events if event.kind is LiveKind.CHUNK]
    subscription._events.clear()
    return told


async def read(subscription: EventSubscription) -> LiveEvent:
    event = await asyncio.wait_for(subscription.next(), PATIENCE_S)
    assert event is not None
    return event


# Results -------------------------------------------------------------------------------------------------------------


async def test_an_unknown_run_is_waited_for_until_it_finishes() -> None:
    tables = Tables()
    hub = tables.hub()
    results = hub.results()
    results.add("later")
    await asyncio.wait_for(tables.reached.wait(), PATIENCE_S)
    hub.deliver(outcome("later"))
    assert await asyncio.wait_for(results.next(), PATIENCE_S) == outcome("later")
    assert not hub.has_waiter("later")


async def test_a_live_run_is_not_looked_up() -> None:
    tables = Tables()
    tables.live.add("run")
    hub = tables.hub()
    results = hub.results()
    results.add("run")
    hub.deliver(outcome("run"))
    assert await results.next() == outcome("run")
    assert tables.asked == []


async def test_who_asks_while_a_look_up_is_under_way_is_looked_up_again() -> None:
    tables = Tables()
    hub = tables.hub()
    early, late = hub.results(), hub.results()
    tables.gate.clear()
    early.add("run")
    await asyncio.wait_for(tables.reached.wait(), PATIENCE_S)
    # The look-up has seen nothing; the run finishes and is told to nobody but `early`; then `late` asks.
    tables.finished["run"] = outcome("run")
    hub.deliver(outcome("run"))
    late.add("run")
    tables.gate.set()
    assert await asyncio.wait_for(late.next(), PATIENCE_S) == outcome("run")
    assert await asyncio.wait_for(early.next(), PATIENCE_S) == outcome("run")
    assert tables.asked == [["run"], ["run"]]


async def test_a_failed_look_up_is_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subscriptions, "LOOK_UP_RETRY_S", 0.0)
    tables = Tables()
    tables.failures = 3
    tables.finished["run"] = outcome("run")
    hub = tables.hub()
    results = hub.results()
    results.add("run")
    assert await asyncio.wait_for(results.next(), PATIENCE_S) == outcome("run")
    assert len(tables.asked) == 4
    await tables.loops.close()


async def test_what_was_never_told_is_found_when_looked_for_again() -> None:
    tables = Tables()
    tables.live |= {"lost", "live", "watched", "tagged"}
    tables.active = ["tagged", "live"]
    hub = tables.hub()
    results, run = hub.results(), hub.watch_run("watched")
    tagged = await hub.watch_metadata("k", "v")
    results.add("lost")
    results.add("live")
    tables.live = {"live"}
    hub._is_live = tables.live.__contains__
    tables.finished = {run_id: outcome(run_id) for run_id in ("lost", "watched", "tagged")}
    hub.look_again()
    assert await asyncio.wait_for(results.next(), PATIENCE_S) == outcome("lost")
    last = await read(run)
    assert (last.kind, last.is_last, last.at_us) == (LiveKind.FINISHED, True, 7)
    end = await read(tagged)
    assert (end.run_id, end.is_last) == ("tagged", False)
    assert tables.asked == [["lost", "tagged", "watched"]]
    assert results.awaited == {"live"}


async def test_chunks_of_a_task_whose_end_was_never_told_are_let_go() -> None:
    tables = Tables()
    tables.live |= {"run", "t"}
    hub = tables.hub()
    live = hub.watch_run("run")
    hub.chunk("run", "t", "0", 0, 1, None)
    hub.chunk("run", "t", "2", 2, 1, None)
    tables.live.remove("t")
    hub.look_again()
    assert [(await read(live)).payload for _ in range(2)] == ["0", "2"]
    assert not hub._orders, "nothing of the task is remembered"


async def test_a_closed_subscription_waits_for_nothing() -> None:
    hub = Tables().hub()
    results = hub.results()
    results.add("run")
    results.close()
    results.add("other")
    assert await results.next() is None
    assert not hub.has_waiter("run")
    assert not hub.has_waiter("other")


# Chunks --------------------------------------------------------------------------------------------------------------


async def test_chunks_come_in_the_order_of_their_index() -> None:
    hub = Tables().hub()
    live = hub.watch_run("run")
    for index in (2, 1, 0, 4, 3, 5):
        hub.chunk("run", "t", str(index), index, 1, None)
    assert texts(live) == ["0", "1", "2", "3", "4", "5"]
    assert hub._orders["t"].timer is None


async def test_an_end_that_is_found_is_not_told_again_by_who_tells_late() -> None:
    tables = Tables()
    hub = tables.hub()
    live = await hub.watch_metadata("k", "v")
    tables.begun, tables.live = ["one", "two"], {"two"}
    tables.finished["one"] = outcome("one")
    hub.look_again()
    found = await read(live)
    assert (found.kind, found.run_id, found.is_last) == (LiveKind.FINISHED, "one", False)
    hub.look_again()
    hub.run_finished(finished("one", '{"k":"v"}'))
    hub.run_finished(finished("two", '{"k":"v"}'))
    last = await read(live)
    assert (last.run_id, last.is_last) == ("two", True)


async def test_a_chunk_that_is_sent_again_by_who_heard_no_answer_is_told_once() -> None:
    hub = Tables().hub()
    live = hub.watch_run("run")
    for text, index in (("a", 0), ("a", 0), ("a", 1), ("b", 2), ("b", 2), ("c", 4), ("c", 4), ("d", 3)):
        hub.chunk("run", "t", text, index, 1, None)
    hub.attempt_begins("t")
    hub.chunk("run", "t", "d", 0, 1, None)
    assert texts(live) == ["a", "a", "b", "d", "c", "d"]


async def test_chunks_that_a_node_sends_again_together_are_told_once() -> None:
    """Those that were on their way when the link between two nodes broke."""
    hub = Tables().hub()
    live = hub.watch_run("run")
    for text, index in (("a", 0), ("b", 1), ("c", 2), ("b", 1), ("c", 2), ("d", 3), ("a", 0), ("e", 4)):
        hub.chunk("run", "t", text, index, 1, None)
    assert texts(live) == ["a", "b", "c", "d", "e"]


async def test_chunks_of_another_attempt_are_put_in_order_though_the_former_one_told_no_end() -> None:
    hub = Tables().hub()
    live = hub.watch_run("run")
    for index in (0, 1, 2):
        hub.chunk("run", "t", f"first {index}", index, 1, None)
    hub.attempt_begins("t")
    for index in (1, 0, 2):
        hub.chunk("run", "t", f"second {index}", index, 1, None)
    assert texts(live)[3:] == ["second 0", "second 1", "second 2"]


async def test_chunks_without_an_index_pass_at_once() -> None:
    hub = Tables().hub()
    live = hub.watch_run("run")
    hub.chunk("run", "t", "held", 1, 1, None)
    hub.chunk("run", "t", "now", None, 1, None)
    assert texts(live) == ["now"]


async def test_a_gap_is_waited_for_and_then_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subscriptions, "GAP_WAIT_S", 0.0)
    hub = Tables().hub()
    live = hub.watch_run("run")
    hub.chunk("run", "t", "2", 2, 1, None)
    hub.chunk("run", "t", "1", 1, 1, None)
    assert texts(live) == []
    assert (await read(live)).payload == "1"
    assert (await read(live)).payload == "2"
    hub.chunk("run", "t", "3", 3, 1, None)
    hub.chunk("run", "t", "0 after all", 0, 1, None)
    assert texts(live) == ["3", "0 after all"]


async def test_a_gap_does_not_end_while_the_tenant_is_away_and_calls_are_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subscriptions, "GAP_WAIT_S", 0.0)
    tables = Tables()
    hub = tables.hub()
    live = hub.watch_run("run")
    tables.live |= {"run", "t"}
    tables.is_here = False
    hub.chunk("run", "t", "2", 2, 1, None)
    for _ in range(10):
        await asyncio.sleep(0)
    assert texts(live) == []
    monkeypatch.setattr(subscriptions, "GAP_WAIT_S", 60.0)
    tables.is_here = True
    hub.look_again()
    for _ in range(10):
        await asyncio.sleep(0)
    hub.chunk("run", "t", "0", 0, 1, None)
    hub.chunk("run", "t", "1", 1, 1, None)
    assert texts(live) == ["0", "1", "2"]


async def test_the_end_of_a_task_lets_held_chunks_out_before_it_is_told() -> None:
    hub = Tables().hub()
    live = hub.watch_run("run")
    hub.chunk("run", "t", "1", 1, 1, None)
    hub.progressed(progressed("t", Progress.COMPLETED))
    assert [event.kind for event in live._events] == [LiveKind.CHUNK, LiveKind.PROGRESS]
    assert hub._orders == {}


async def test_another_attempt_starts_its_stream_anew() -> None:
    hub = Tables().hub()
    live = hub.watch_run("run")
    hub.chunk("run", "t", "first", 0, 1, None)
    hub.progressed(progressed("t", Progress.FAILED))
    hub.chunk("run", "t", "again 0", 0, 1, None)
    hub.chunk("run", "t", "again 1", 1, 1, None)
    assert texts(live) == ["first", "again 0", "again 1"]


async def test_a_flood_of_early_chunks_is_bounded_and_stays_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subscriptions, "HELD_CHUNKS_MAX", 3)
    hub = Tables().hub()
    live = hub.watch_run("run")
    for index in range(1, 10):
        hub.chunk("run", "t", str(index), index, 1, None)
        assert len(hub._orders["t"].held) <= 3
    assert texts(live) == [str(index) for index in range(1, 10)]


async def test_nothing_of_a_finished_run_stays() -> None:
    hub = Tables().hub()
    live = hub.watch_run("run")
    hub.chunk("run", "task of run", "late", 9, 1, None)
    hub.run_finished(finished("run"))
    assert [event.kind for event in live._events] == [LiveKind.CHUNK, LiveKind.FINISHED]
    assert hub._orders == {}
    assert not hub.is_watched("run")


async def test_a_slow_reader_loses_chunks_but_never_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subscriptions, "EVENTS_BUFFERED_MAX", 5)
    hub = Tables().hub()
    live = hub.watch_run("run")
    for index in range(20):
        hub.chunk("run", "t", str(index), index, 1, None)
    hub.run_finished(finished("run"))
    assert live.lost == 15
    assert [event.kind for event in live._events] == [LiveKind.CHUNK] * 5 + [LiveKind.FINISHED]


async def test_large_events_of_a_slow_reader_are_bounded_by_their_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subscriptions, "CHARS_BUFFERED_MAX", 10)
    hub = Tables().hub()
    live = hub.watch_run("run")
    for index in range(3):
        hub.chunk("run", "t", "1234", index, 1, None)
    hub.progressed(TaskProgressed("run", "t", Progress.COMPLETED, 0, 0, "a long output", 1, None))
    hub.run_finished(finished("run"))
    assert live.lost == 2
    for payload in ("1234", "1234", ""):
        event = await read(live)
        assert event.payload == payload
    # What has been read makes room.
    live = hub.watch_run("run")
    for index in range(9):
        hub.chunk("run", "t", "1234", index, 1, None)
        assert await live.next() is not None
    assert live.lost == 0


async def test_chunks_held_for_a_gap_are_bounded_by_their_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subscriptions, "HELD_CHARS_MAX", 10)
    hub = Tables().hub()
    live = hub.watch_run("run")
    hub.chunk("run", "t", "12345", 2, 1, None)
    hub.chunk("run", "u", "12345", 1, 1, None)
    assert texts(live) == []
    hub.chunk("run", "t", "abc", 1, 1, None)
    assert texts(live) == ["12345", "abc"], "what no longer fits lets go of what its task held"
    hub.chunk("run", "u", "0", 0, 1, None)
    assert texts(live) == ["0", "12345"]
    assert hub._held_chars == 0


async def test_chunks_that_nobody_follows_are_not_held() -> None:
    hub = Tables().hub()
    hub.chunk("run", "t", "0", 0, 1, None)
    hub.chunk("run", "t", "7", 7, 1, None)
    assert hub._orders["t"].held == {}
    live = hub.watch_run("run")
    hub.chunk("run", "t", "8", 8, 1, None)
    assert texts(live) == ["8"], "a late subscriber does not wait for what was before it"


async def test_a_repeated_early_chunk_is_told_once() -> None:
    hub = Tables().hub()
    live = hub.watch_run("run")
    hub.chunk("run", "t", "one", 1, 1, None)
    hub.chunk("run", "t", "one", 1, 1, None)
    hub.chunk("run", "t", "zero", 0, 1, None)
    assert texts(live) == ["zero", "one"]
    assert hub._held_chars == 0


async def test_a_closed_subscription_has_nothing_more_to_read() -> None:
    hub = Tables().hub()
    live = hub.watch_run("run")
    reading = asyncio.create_task(live.next())
    hub.unwatch(live)
    assert await asyncio.wait_for(reading, PATIENCE_S) is None


# Watchers ------------------------------------------------------------------------------------------------------------


async def test_a_run_that_appears_is_announced_to_its_followers() -> None:
    hub = Tables().hub()
    one, other = hub.watch_run("run"), hub.watch_run("other")
    hub.run_started(RunStarted("run", None))
    assert (one.appeared.is_set(), other.appeared.is_set()) == (True, False)


async def test_metadata_watchers_end_with_their_last_run() -> None:
    tables = Tables()
    tables.live = {"one"}
    tables.active = ["one"]
    hub = tables.hub()
    live = await hub.watch_metadata("k", "v")
    hub.run_started(RunStarted("two", '{"k":"v"}'))
    hub.run_started(RunStarted("three", '{"k":"other"}'))
    hub.run_finished(finished("three", '{"k":"other"}'))
    hub.run_finished(finished("one", '{"k":"v"}'))
    hub.run_finished(finished("two", '{"k":"v"}'))
    assert [(event.run_id, event.is_last) for event in live._events] == [("one", False), ("two", True)]


async def test_a_backlog_beyond_what_is_known_is_looked_for_before_the_end_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(subscriptions, "ACTIVE_RUNS_MAX", 2)
    monkeypatch.setattr(subscriptions, "LOOK_UP_RETRY_S", 0.0)
    tables = Tables()
    tables.active = ["one", "two", "three", "four", "five"]
    hub = tables.hub()
    live = await hub.watch_metadata("k", "v")
    told = []
    # The third ends before it is known, and the database is away at a bad moment.
    for run_id in ("three", "one", "two", "five", "four"):
        tables.finished[run_id] = outcome(run_id)
        tables.failures = 1 if run_id == "two" else 0
        hub.run_finished(finished(run_id, '{"k":"v"}'))
        event = await read(live)
        told.append((event.run_id, event.is_last))
    assert told == [("three", False), ("one", False), ("two", False), ("five", False), ("four", True)]
    await tables.loops.close()


async def test_runs_that_end_while_more_are_looked_for_are_told_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subscriptions, "ACTIVE_RUNS_MAX", 1)
    tables = Tables()
    tables.active = ["one", "two"]
    hub = tables.hub()
    live = await hub.watch_metadata("k", "v")
    tables.gate.clear()
    for run_id in ("one", "two"):
        tables.finished[run_id] = outcome(run_id)
        hub.run_finished(finished(run_id, '{"k":"v"}'))
    tables.gate.set()
    told = []
    for _ in range(2):
        event = await read(live)
        told.append((event.run_id, event.is_last))
    assert told == [("one", False), ("two", True)]
    await tables.loops.close()


async def test_a_run_that_ended_while_the_subscription_began_is_not_waited_for() -> None:
    tables = Tables()
    tables.active = ["gone"]
    hub = tables.hub()
    tables.gate.clear()
    watching = asyncio.create_task(hub.watch_metadata("k", "v"))
    await asyncio.wait_for(tables.reached.wait(), PATIENCE_S)
    # The query has seen the run unfinished; now it ends and is told to nobody who knew it.
    tables.finished["gone"] = outcome("gone")
    hub.run_finished(finished("gone", None))
    tables.gate.set()
    live = await asyncio.wait_for(watching, PATIENCE_S)
    event = await read(live)
    assert (event.run_id, event.is_last) == ("gone", True)
    await tables.loops.close()


async def test_who_stops_watching_is_told_nothing() -> None:
    hub = Tables().hub()
    one, tagged = hub.watch_run("run"), await hub.watch_metadata("k", "v")
    hub.unwatch(one)
    hub.unwatch(tagged)
    hub.chunk("run", "t", "x", None, 1, '{"k":"v"}')
    assert not one._events
    assert not tagged._events
    assert not hub.is_watched("run")


@pytest.mark.parametrize(
    ("metadata", "matches"),
    [
        (None, False),
        ("", False),
        ("{}", False),
        ('{"k":"1"}', True),
        ('{"k":1}', True),
        ('{"k":"11"}', False),
        ('{"x":"1"}', False),
        ('{"k":null}', False),
    ],
)
async def test_metadata_is_compared_as_text(metadata: str | None, matches: bool) -> None:
    hub = Tables().hub()
    live = await hub.watch_metadata("k", "1")
    hub.chunk("run", "t", "x", None, 1, metadata)
    assert bool(live._events) is matches
