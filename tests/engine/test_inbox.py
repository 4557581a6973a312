"""Who is decided next: clients take turns, and each one's own commands keep their order."""

from __future__ import annotations

import asyncio

import pytest

from broadaxe.core.commands.workers import Heartbeat
from broadaxe.core.commands.workflows import DeleteWorkflow
from broadaxe.engine import backpressure as backpressure_module
from broadaxe.engine import inbox as inbox_module
from broadaxe.engine.backpressure import Backpressure
from broadaxe.engine.inbox import Inbox, Waiting
from broadaxe.errors import ResourceExhausted


def waiting(name: str, chars: int = 0, is_alone: bool = False) -> Waiting:
    return Waiting(Heartbeat(name), asyncio.get_running_loop().create_future(), chars, is_alone)


def names(batch: list[Waiting]) -> list[str]:
    return [one.command.worker_id for one in batch if isinstance(one.command, Heartbeat)]


async def test_clients_take_turns_and_keep_their_own_order() -> None:
    inbox = Inbox()
    for number in range(3):
        inbox.put(waiting(f"flood-{number}"), "flood")
    inbox.put(waiting("quiet-0"), "quiet")
    inbox.put(waiting("own"), None)
    assert names(inbox.take()) == ["own", "flood-0", "quiet-0", "flood-1", "flood-2"]
    assert len(inbox) == 0
    assert inbox.take() == []


async def test_a_flood_does_not_keep_another_client_out_of_the_next_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox_module, "ROUND_MAX", 4)
    inbox = Inbox()
    for number in range(100):
        inbox.put(waiting(f"flood-{number}"), "flood")
    inbox.take()
    inbox.put(waiting("quiet"), "quiet")
    assert "quiet" in names(inbox.take())


async def test_turns_go_on_where_the_last_batch_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox_module, "ROUND_MAX", 2)
    inbox = Inbox()
    for client in ("a", "b", "c"):
        for number in range(2):
            inbox.put(waiting(f"{client}{number}"), client)
    assert [names(inbox.take()) for _ in range(3)] == [["a0", "b0"], ["c0", "a1"], ["b1", "c1"]]


async def test_a_suspect_is_alone_in_its_batch() -> None:
    inbox = Inbox()
    inbox.put(waiting("a"), "one")
    inbox.put(waiting("suspect", is_alone=True), "two")
    inbox.put(waiting("b"), "three")
    assert [names(inbox.take()) for _ in range(3)] == [["a"], ["suspect"], ["b"]]


async def test_heavy_commands_share_a_batch_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox_module, "HEAVY_CHARS", 10)
    monkeypatch.setattr(inbox_module, "ROUND_CHARS_MAX", 30)
    inbox = Inbox()
    for number in range(3):
        inbox.put(waiting(f"heavy-{number}", chars=15), "one")
    inbox.put(waiting("huge", chars=90), "one")
    assert [names(inbox.take()) for _ in range(3)] == [["heavy-0", "heavy-1"], ["heavy-2"], ["huge"]]


async def test_what_its_caller_gave_up_is_not_made_later_but_what_a_worker_reports_counts() -> None:
    loop, inbox = asyncio.get_running_loop(), Inbox()
    impatient = [Waiting(DeleteWorkflow(f"w{number}"), loop.create_future(), 0, False) for number in range(3)]
    reported = waiting("reported")
    for one in (impatient[0], reported, *impatient[1:]):
        inbox.put(one, "one")
        one.reply.cancel()
    patient = Waiting(DeleteWorkflow("patient"), loop.create_future(), 0, False)
    inbox.put(patient, "two")
    inbox.put(gone := Waiting(DeleteWorkflow("gone"), loop.create_future(), 0, False), "three")
    gone.reply.cancel()
    assert inbox.take() == [reported, patient]
    assert len(inbox) == 0
    assert inbox.take() == []


async def test_what_is_drained_is_all_there_was() -> None:
    inbox = Inbox()
    inbox.put(waiting("own"), None)
    inbox.put(waiting("a"), "one")
    assert names(inbox.drain()) == ["own", "a"]
    assert len(inbox) == 0
    assert inbox.take() == []


def test_a_client_has_its_share_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backpressure_module, "UNDER_WAY_MAX", 3)
    monkeypatch.setattr(backpressure_module, "UNDER_WAY_OF_CLIENT_MAX", 2)
    room = Backpressure()
    room.enter("flood", 0)
    room.enter("flood", 0)
    with pytest.raises(ResourceExhausted):
        room.enter("flood", 0)
    room.enter("quiet", 0)
    with pytest.raises(ResourceExhausted):
        room.enter("other", 0)
    room.leave("flood", 0)
    room.enter("other", 0)
