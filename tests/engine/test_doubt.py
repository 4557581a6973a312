"""What tells of a commit that nobody heard of: a row that no other round can make."""

from __future__ import annotations

from broadaxe.core.commands import Command
from broadaxe.core.commands.asked import Asked, Initiator, InitiatorKind, promised
from broadaxe.core.commands.events import EventRequest, PushEvents
from broadaxe.core.commands.outbox import TakeOutbox
from broadaxe.core.commands.triggers import Promise, RunRequest, TriggerRuns
from broadaxe.engine.doubt import Witness, WitnessKind, witness_of
from broadaxe.storage.ids import new_id
from tests.core.world import World, task

EVENT = PushEvents((EventRequest(key="now", payload="{}"),))
TRIGGER = TriggerRuns((RunRequest(workflow_name="flow", input="{}"),))


def witness(*commands: Command) -> tuple[Witness | None, World]:
    world = World()
    world.put(task("a"), event_triggers=("paid",))
    decision = world.decide(*commands)
    return witness_of(decision.writes, decision.replies, commands), world


def test_what_another_round_may_make_of_the_same_promise_tells_nothing() -> None:
    """Asked for over a link that broke, or left in the outbox, it is made by the tenant's next owner as well: the rest
    of the round would be taken for committed."""
    anybody = Initiator(InitiatorKind.TOKEN, new_id(), "token")
    left = (
        RunRequest(workflow_name="flow", input="{}", promise=Promise(new_id())),
        EventRequest(key="now", payload="{}", promise=Promise(new_id())),
    )
    promises = promised(TRIGGER, new_id), promised(Asked(TRIGGER, anybody), new_id), TakeOutbox(left)
    none, _ = witness(*promises)
    assert none is None
    found, world = witness(*promises, EVENT)
    _, pushed = world.decisions[-1].writes.events
    assert found == Witness(WitnessKind.EVENT, pushed.id)


def test_of_an_event_that_was_promised_the_runs_it_starts_tell() -> None:
    found, world = witness(promised(PushEvents((EventRequest(key="paid", payload="{}"),)), new_id))
    (started,) = world.decisions[-1].writes.new_runs
    assert found == Witness(WitnessKind.RUN, started.row.id)
