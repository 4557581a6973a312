"""What the outbox asks for: each request for itself, with the id that was promised, and never twice."""

from __future__ import annotations

import msgspec
import pytest

from broadaxe.core.commands.events import EventRequest
from broadaxe.core.commands.filters import CreateFilter
from broadaxe.core.commands.outbox import RefusedRequest, TakeOutbox
from broadaxe.core.commands.triggers import Promise, RunRequest
from broadaxe.core.decision import RunStarted, Writes
from broadaxe.core.definition import ClaimMethod, ConcurrencyRule, IdempotencyRule, LimitStrategy
from broadaxe.core.durations import US_PER_S
from broadaxe.core.lifecycle import RunStatus
from broadaxe.core.tenant import Tenant
from tests.core.world import START_US, World, task

#: Asked for an hour before the world begins.
ASKED_AT_US = START_US - 3600 * US_PER_S


def promised(number: int) -> str:
    return f"00000000-0000-7000-8000-{number:012d}"


def run(number: int, *, workflow: str = "flow", **fields: object) -> RunRequest:
    fields.setdefault("input", f'{{"n":{number}}}')
    promise = Promise(promised(number), ASKED_AT_US)
    return RunRequest(workflow_name=workflow, promise=promise, **fields)  # type: ignore[arg-type]


def event(number: int, key: str = "order:made", **fields: object) -> EventRequest:
    promise = Promise(promised(number), ASKED_AT_US)
    return EventRequest(key=key, payload='{"e":1}', promise=promise, **fields)  # type: ignore[arg-type]


def take(world: World, *requests: RunRequest | EventRequest) -> tuple[RefusedRequest, ...]:
    reply = world.do(TakeOutbox(requests))
    assert isinstance(reply, tuple)
    return reply  # type: ignore[return-value]


def writes(world: World) -> Writes:
    return world.decisions[-1].writes


def test_runs_get_the_ids_and_the_birth_that_were_promised() -> None:
    world = World()
    world.put(task("a"))
    assert take(world, run(1), run(2)) == ()
    assert [new.row.id for new in writes(world).new_runs] == [promised(1), promised(2)]
    assert [new.row.created_at_us for new in writes(world).new_runs] == [ASKED_AT_US] * 2
    # A run of one task is one row in two tables, found by the same id at the same time.
    assert [(new.row.id, new.row.created_at_us) for new in writes(world).new_tasks] == [
        (promised(1), ASKED_AT_US),
        (promised(2), ASKED_AT_US),
    ]
    assert writes(world).taken == [promised(1), promised(2)]
    assert [e.run_id for e in world.decisions[-1].effects if isinstance(e, RunStarted)] == [promised(1), promised(2)]


def test_waiting_in_the_outbox_does_not_use_up_the_schedule_timeout() -> None:
    world = World()
    world.put(task("a", schedule_timeout="10s"))
    take(world, run(1))
    world.advance(9)
    assert world.runs[promised(1)].status is RunStatus.QUEUED
    world.advance(2)
    assert world.runs[promised(1)].status is RunStatus.CANCELLED


def test_a_clock_ahead_of_ours_does_not_make_a_run_of_the_future() -> None:
    world = World()
    world.put(task("a"))
    take(world, RunRequest(workflow_name="flow", input="{}", promise=Promise(promised(1), START_US + US_PER_S)))
    assert writes(world).new_runs[0].row.created_at_us == START_US


def test_an_event_gets_the_promised_id_and_starts_its_runs() -> None:
    world = World()
    world.put(task("a"), event_triggers=("order:*",))
    assert take(world, event(7, additional_metadata='{"who":"me"}')) == ()
    (row,) = writes(world).events
    assert (row.id, row.seen_at_us) == (promised(7), ASKED_AT_US)
    (new,) = writes(world).new_runs
    assert new.row.triggering_event_id == promised(7)
    assert new.row.id != promised(7)
    assert writes(world).taken == [promised(7)]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        pytest.param(run(2, workflow="gone"), "gone", id="unknown-workflow"),
        pytest.param(run(2, priority=9), "priority", id="priority-of-a-run"),
        pytest.param(event(2, key=""), "key", id="event-without-key"),
        pytest.param(event(2, priority=0), "priority", id="priority-of-an-event"),
        pytest.param(event(2, additional_metadata='{"n":1e999}'), "additional_metadata", id="metadata-nobody-can-read"),
        pytest.param(run(2, additional_metadata='{"n":1e999}'), "additional_metadata", id="metadata-of-a-run"),
    ],
)
def test_what_cannot_be_done_is_put_aside_and_stops_no_other(bad: RunRequest | EventRequest, reason: str) -> None:
    world = World()
    world.put(task("a"), event_triggers=("order:*",))
    (refusal,) = take(world, run(1), bad, run(3))
    assert refusal.id == promised(2)
    assert reason in refusal.reason
    assert writes(world).refused == [refusal]
    assert writes(world).taken == [promised(1), promised(2), promised(3)]
    assert [new.row.id for new in writes(world).new_runs] == [promised(1), promised(3)]
    assert writes(world).events == []


def test_the_same_row_twice_in_a_batch_is_one_run() -> None:
    world = World()
    world.put(task("a"))
    assert take(world, run(1), run(1)) == ()
    tenant: Tenant = world.tenant
    decision = tenant.decide((TakeOutbox((run(2),)), TakeOutbox((run(2),))), world.now_us)
    assert [new.row.id for new in decision.writes.new_runs] == [promised(2)]
    assert decision.writes.taken == [promised(2)]
    assert len(world.runs) == 1


def test_a_number_that_expressions_cannot_hold_fails_the_task_and_not_the_tenant() -> None:
    world = World()
    rule = ConcurrencyRule(expression="string(input.n)", strategy=LimitStrategy.GROUP_ROUND_ROBIN)
    world.put(msgspec.structs.replace(task("a"), concurrency=(rule,)))
    take(world, run(1, input='{"n":1e999}'), run(2))
    assert world.runs[promised(1)].status is RunStatus.FAILED
    assert world.runs[promised(2)].status is RunStatus.QUEUED


def test_a_run_whose_idempotency_key_is_held_does_not_come_to_be() -> None:
    world = World()
    world.put(
        task("a"), idempotency=IdempotencyRule(expression="input.k", ttl_us=60 * US_PER_S, method=ClaimMethod.TTL)
    )
    refused = take(world, run(1, input='{"k":"A"}'), run(2, input='{"k":"A"}'), run(3, input='{"k":1e999}'))
    assert [request.id for request in refused] == [promised(2), promised(3)]
    assert promised(1) in refused[0].reason
    assert list(world.runs) == [promised(1)]
    assert writes(world).taken == [promised(1), promised(2), promised(3)]


def test_an_event_that_filters_cannot_read_is_stored_and_starts_nothing() -> None:
    world = World()
    reply = world.put(task("a"), event_triggers=("order:*",))
    world.do(CreateFilter(workflow_id=reply.workflow_id, scope="eu", expression="true"))
    bad = EventRequest(key="order:made", payload='{"n":1e999}', scope="eu", promise=Promise(promised(1), ASKED_AT_US))
    assert take(world, bad, event(2, scope="eu")) == ()
    assert [row.id for row in writes(world).events] == [promised(1), promised(2)]
    assert [failure.event_id for failure in writes(world).expression_failures] == [promised(1)]
    assert [new.row.triggering_event_id for new in writes(world).new_runs] == [promised(2)]


def test_an_event_key_longer_than_its_index_takes_is_refused() -> None:
    world = World()
    world.put(task("a"))
    (refused,) = take(world, event(1, key="\N{AXE}" * 257))
    assert "1024 bytes" in refused.reason
