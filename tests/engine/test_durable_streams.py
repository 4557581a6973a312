"""Open durable streams: answers in order, an end that is noticed, a bound, and signals that are told once."""

from __future__ import annotations

import asyncio

import pytest

from broadaxe.core.commands import Command, Reply
from broadaxe.core.commands.durable import (
    BeginMemo,
    BeginWait,
    EntryRef,
    EvictInvocation,
    FindPlace,
    Place,
    ResumeInvocations,
)
from broadaxe.core.decision import EntryCompleted, MemoAck, WaitAck
from broadaxe.engine import durable_streams
from broadaxe.engine.clock import SystemClock
from broadaxe.engine.durable_streams import Answer, DurableStream, SignalSubscription
from broadaxe.errors import Unavailable
from tests.engine.house import ManualClock


def answer(node_id: int) -> Answer:
    return Answer(WaitAck(stream=1, ref=EntryRef("t", 1, 1, node_id)))


async def test_answers_come_in_the_order_in_which_they_were_put() -> None:
    stream = DurableStream(1, SystemClock())
    for node_id in (1, 2, 3):
        stream.put(answer(node_id))
    assert [await stream.next() for _ in range(3)] == [answer(node_id) for node_id in (1, 2, 3)]


async def test_whoever_reads_an_empty_stream_waits_for_the_next_answer() -> None:
    stream = DurableStream(1, SystemClock())
    reading = asyncio.create_task(stream.next())
    await asyncio.sleep(0)
    assert not reading.done()
    stream.put(answer(1))
    assert await reading == answer(1)


async def test_a_closed_stream_gives_nothing_more() -> None:
    stream = DurableStream(1, SystemClock())
    stream.put(answer(1))
    stream.close()
    stream.put(answer(2))
    assert not stream._items, "nothing gathers that nobody will read"
    assert await stream.next() is None
    assert await stream.next() is None


@pytest.mark.parametrize(("later_us", "arrived_order"), [(999_999, 0), (1_000_000, 7)])
async def test_a_wish_to_be_evicted_says_which_results_had_surely_arrived(later_us: int, arrived_order: int) -> None:
    clock = ManualClock(1_000_000_000)
    stream = DurableStream(1, clock)
    stream.ask(BeginWait(stream=1, task_id="t", invocation_count=1, conditions=()))
    ref = EntryRef("t", 1, 1, 1)
    stream.put(Answer(EntryCompleted(stream=1, ref=ref, payload="{}", order=7)))
    clock.us += later_us
    asked = stream.ask(EvictInvocation(stream=1, task_id="t", invocation_count=1))
    assert isinstance(asked, EvictInvocation)
    assert asked.arrived_order == arrived_order


async def test_closing_ends_a_read_under_way() -> None:
    stream = DurableStream(1, SystemClock())
    reading = asyncio.create_task(stream.next())
    await asyncio.sleep(0)
    stream.close()
    assert await reading is None


async def test_a_stream_that_is_not_read_is_closed_at_its_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(durable_streams, "ITEMS_MAX", 2)
    stream = DurableStream(1, SystemClock())
    for node_id in (1, 2):
        stream.put(answer(node_id))
    assert await stream.next() == answer(1)
    for node_id in (3, 4):
        stream.put(answer(node_id))
    assert await stream.next() is None


async def test_a_signal_is_told_once_and_only_to_whom_it_concerns() -> None:
    subscription = SignalSubscription()
    subscription.wanted |= {("t", "a"), ("t", "b")}
    for key in ("a", "a", "c", "b"):
        subscription.fire("t", key, f'"{key}"')
    subscription.fire("u", "a", "{}")
    assert await subscription.next() == ("t", "a", '"a"')
    assert await subscription.next() == ("t", "b", '"b"')
    waiting = asyncio.create_task(subscription.next())
    await asyncio.sleep(0)
    assert not waiting.done()
    subscription.wanted.add(("t", "c"))
    subscription.fire("t", "c", "1")
    assert await waiting == ("t", "c", "1")


async def test_an_operation_that_was_answered_while_its_submission_failed_is_not_asked_again() -> None:
    stream = DurableStream(1, SystemClock())
    submitted: list[Command] = []

    async def submit(command: Command) -> Reply:
        if isinstance(command, FindPlace):
            return Place(3, 0)
        submitted.append(command)
        assert isinstance(command, BeginMemo)
        assert (command.number, command.after) == (1, 3)
        stream.put(Answer(MemoAck(stream=1, ref=EntryRef("t", 1, 1, 4), is_kept=False, payload=None, number=1)))
        raise Unavailable("told by the announcement, and lost here")

    await stream.decide(stream.ask(BeginMemo(stream=1, task_id="t", invocation_count=1)), submit)
    assert len(submitted) == 1
    stream.put(Answer(MemoAck(stream=1, ref=EntryRef("t", 1, 1, 4), is_kept=False, payload=None, number=1)))
    assert len(stream._items) == 1
    assert not any(isinstance(command, BeginMemo) for command in stream.announcement())


@pytest.mark.parametrize("has_ended", [False, True], ids=["open", "ended meanwhile"])
async def test_an_operation_says_where_it_belongs_whatever_became_of_its_stream(has_ended: bool) -> None:
    """Else a commit of which nobody heard makes it two operations, and the next invocation another story."""
    stream = DurableStream(1, SystemClock())
    submitted: list[Command] = []

    async def submit(command: Command) -> Reply:
        if isinstance(command, FindPlace):
            if has_ended:
                stream.close()
            return Place(0, None, 2)
        submitted.append(command)
        return None

    await stream.decide(stream.ask(BeginMemo(stream=1, task_id="t", invocation_count=1)), submit)
    (operation,) = submitted
    assert isinstance(operation, BeginMemo)
    assert (operation.after, operation.told) == (0, 2)


@pytest.mark.parametrize("goes_on", [True, False])
def test_an_eviction_is_announced_before_what_its_program_asked_after_it(goes_on: bool) -> None:
    """A result had passed the wish to be evicted. Decided the other way round, the task would sleep for ever."""
    stream = DurableStream(1, SystemClock())
    memo = BeginMemo(stream=1, task_id="t", invocation_count=1)
    leave = EvictInvocation(stream=1, task_id="t", invocation_count=1)
    for command in (leave, memo) if goes_on else (memo, leave):
        asked = stream.ask(command)
        if isinstance(asked, BeginMemo):
            stream._begin(asked, Place(0, None, 0))
    expected = [EvictInvocation, BeginMemo] if goes_on else [BeginMemo, EvictInvocation]
    assert [type(command) for command in stream.announcement()][1:] == expected


@pytest.mark.parametrize("sent_at_most", [0, 3])
async def test_a_tenant_that_is_loaded_anew_hears_after_which_place_nothing_was_sent(sent_at_most: int) -> None:
    stream = DurableStream(1, SystemClock())

    async def submit(command: Command) -> Reply:
        return Place(0, None, sent_at_most) if isinstance(command, FindPlace) else None

    await stream.decide(stream.ask(BeginMemo(stream=1, task_id="t", invocation_count=2)), submit)
    (told,) = (
        told
        for command in stream.announcement()
        if isinstance(command, ResumeInvocations)
        for told in command.invocations
    )
    assert (told.order, told.sent_at_most) == (None, sent_at_most)
