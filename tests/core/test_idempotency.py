"""Idempotency keys: who claims one, what a collision comes to, when a key is free again."""

from __future__ import annotations

import msgspec
import pytest

from broadaxe.core import claims
from broadaxe.core.claims import Claims, digest_of, expires_at_us, pack, run_id_of
from broadaxe.core.commands.attempts import Outcome, ReportAttempt
from broadaxe.core.commands.events import EventRequest, PushEvents
from broadaxe.core.commands.tasks import ReplayTasks
from broadaxe.core.commands.triggers import RunRequest, TriggerRuns
from broadaxe.core.decision import FailureSource
from broadaxe.core.definition import ClaimMethod, IdempotencyRule
from broadaxe.core.durations import US_PER_S
from broadaxe.core.lifecycle import TaskStatus
from broadaxe.errors import IdempotencyCollision, InvalidArgument
from tests.core.world import World, task

RUN = "0199aaaa-0000-7000-8000-00000000{:04x}"


def rule(ttl_s: float = 60, method: ClaimMethod = ClaimMethod.TTL, expression: str = "input.k") -> IdempotencyRule:
    return IdempotencyRule(expression=expression, ttl_us=round(ttl_s * US_PER_S), method=method)


STATUS = ClaimMethod.STATUS


def given(key: str = "A", **more: str) -> str:
    return msgspec.json.encode({"k": key, **more}).decode()


def world_with(idempotency: IdempotencyRule | None = None, *, triggers: tuple[str, ...] = ()) -> World:
    world = World()
    world.put(task("a", retries=1), idempotency=idempotency or rule(), event_triggers=triggers)
    return world


def requests(*keys: str, workflow: str = "flow") -> TriggerRuns:
    return TriggerRuns(tuple(RunRequest(workflow_name=workflow, input=given(key)) for key in keys))


def collision_of(world: World, key: str = "A", workflow: str = "flow") -> IdempotencyCollision:
    with pytest.raises(IdempotencyCollision) as refused:
        world.trigger(workflow, run_input=given(key))
    return refused.value


# TTL -----------------------------------------------------------------------------------------------------------------


def test_a_key_is_held_for_its_time_whatever_becomes_of_the_run() -> None:
    world = world_with(rule(ttl_s=60))
    world.worker("a")
    first = world.trigger(run_input=given())
    assert world.run_rows[first].idempotency_key == "A"
    world.complete(first)
    world.advance(59.9)
    refused = collision_of(world)
    assert [existing for existing, _ in refused.collisions] == [first]
    assert refused.started == ()
    assert first in refused.message
    world.advance(0.1)
    assert world.trigger(run_input=given()) != first


def test_an_attempt_does_not_extend_the_time() -> None:
    world = world_with(rule(ttl_s=10))
    world.trigger(run_input=given())
    for _ in range(3):
        world.advance(3)
        collision_of(world)
    world.advance(1)
    assert world.trigger(run_input=given())


def test_other_keys_are_free() -> None:
    world = world_with()
    assert len({world.trigger(run_input=given(key)) for key in "ABC"}) == 3


def test_a_collision_makes_no_run_and_says_what_id_it_would_have_had() -> None:
    world = world_with()
    world.trigger(run_input=given())
    refused = collision_of(world)
    ((existing, colliding),) = refused.collisions
    assert colliding not in world.run_rows
    assert existing != colliding
    assert not world.decisions[-1].writes


# STATUS --------------------------------------------------------------------------------------------------------------


def test_a_status_key_is_free_once_its_run_has_ended() -> None:
    world = world_with(rule(3_600, STATUS))
    world.worker("a")
    first = world.trigger(run_input=given())
    collision_of(world)
    world.fail(first)
    assert world.status(first) is TaskStatus.RUNNING, "a retry is not the end"
    collision_of(world)
    world.fail(first)
    assert world.status(first) is TaskStatus.FAILED
    assert world.claims == {}
    assert world.trigger(run_input=given()) != first


def test_a_status_key_is_free_after_its_longest_time_though_the_run_goes_on() -> None:
    world = world_with(rule(30, STATUS))
    first = world.trigger(run_input=given())
    world.advance(30)
    second = world.trigger(run_input=given())
    world.worker("a")
    world.complete(first)
    assert [existing for existing, _ in collision_of(world).collisions] == [second], "the first one's end frees nothing"


def test_a_run_that_ends_in_the_batch_that_makes_it_holds_nothing() -> None:
    world = World()
    bad = task("a")
    world.put(msgspec.structs.replace(bad, schedule_timeout="0s"), idempotency=rule(60, STATUS))
    first = world.trigger(run_input=given())
    assert world.status(first) is TaskStatus.CANCELLED
    assert world.trigger(run_input=given()) != first
    assert world.claims == {}


def test_a_replay_does_not_claim_again() -> None:
    world = world_with(rule(60, STATUS))
    world.worker("a")
    first = world.trigger(run_input=given())
    world.complete(first)
    world.do(ReplayTasks((first,)))
    assert world.run_rows[first].idempotency_key == "A", "it keeps its key"
    second = world.trigger(run_input=given())
    world.complete(first)
    assert [existing for existing, _ in collision_of(world).collisions] == [second]


# One tenant, many requests ------------------------------------------------------------------------------------------


def test_keys_are_the_tenants_not_the_workflows() -> None:
    world = world_with()
    world.put(task("a"), name="other", idempotency=rule(5, STATUS, "'A'"))
    first = world.trigger(run_input=given())
    assert [existing for existing, _ in collision_of(world, workflow="other").collisions] == [first]


def test_of_equal_keys_in_one_request_one_wins_and_the_rest_start() -> None:
    world = world_with()
    (reply,) = world.decide(requests("A", "B", "A", "C", "B")).replies
    assert isinstance(reply, IdempotencyCollision)
    assert [world.run_rows[run_id].idempotency_key for run_id in reply.started] == ["A", "B", "C"]
    assert [world.run_rows[existing].idempotency_key for existing, _ in reply.collisions] == ["A", "B"]
    assert len({colliding for _, colliding in reply.collisions}) == 2


def test_of_equal_keys_in_one_batch_one_wins() -> None:
    world = world_with()
    decision = world.decide(requests("A"), requests("A"))
    assert [type(reply) for reply in decision.replies] == [tuple, IdempotencyCollision]


def test_a_key_that_is_freed_and_claimed_in_one_batch_is_held() -> None:
    world = world_with(rule(60, STATUS))
    world.worker("a")
    first = world.trigger(run_input=given())
    replies = world.round(ReportAttempt(first, 0, Outcome.COMPLETED, "{}"), requests("A"))
    ((second,),) = replies[1:]  # type: ignore[misc]
    assert [existing for existing, _ in collision_of(world).collisions] == [second]
    assert [claim.run_id for claim in world.claims.values()] == [second]


# Every way a run comes to be ------------------------------------------------------------------------------------------


def test_an_event_whose_key_is_held_starts_nothing_and_is_stored() -> None:
    world = world_with(triggers=("go",))
    first = world.trigger(run_input=given())
    (pushed,) = world.do(PushEvents((EventRequest(key="go", payload=given()),)))  # type: ignore[misc]
    assert pushed.run_ids == ()  # type: ignore[union-attr]
    assert pushed.event_id in world.pushed  # type: ignore[union-attr]
    assert list(world.run_rows) == [first]
    assert world.failures == []


def test_a_child_that_exists_is_returned_before_its_key_is_looked_at() -> None:
    world = World()
    world.put(task("p"), name="parent")
    world.put(task("a"), idempotency=rule())
    world.worker("p")
    parent = world.trigger("parent")
    child = world.trigger(run_input=given(), parent_task_id=parent, child_key="c")
    assert world.trigger(run_input=given(), parent_task_id=parent, child_key="c") == child
    with pytest.raises(IdempotencyCollision) as refused:
        world.trigger(run_input=given(), parent_task_id=parent, child_key="another")
    assert [existing for existing, _ in refused.value.collisions] == [child]


def test_a_childs_key_is_made_of_the_metadata_it_inherits() -> None:
    world = World()
    world.put(task("p"), name="parent")
    world.put(task("a"), idempotency=rule(expression="additional_metadata.tenant"))
    world.worker("p")
    parent = world.trigger("parent", additional_metadata='{"tenant":"acme"}')
    child = world.trigger(parent_task_id=parent, child_index=0)
    assert world.run_rows[child].idempotency_key == "acme"


# Keys that cannot be had ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("run_input", "reason"),
    [
        ("{}", "k"),
        ('{"k":1}', "string"),
        ('{"k":""}', "empty"),
        ('{"k":"broadaxe__x"}', "reserved"),
    ],
    ids=["missing", "number", "empty", "reserved"],
)
def test_a_key_that_cannot_be_had_refuses_the_whole_request(run_input: str, reason: str) -> None:
    world = world_with()
    fine, bad = (RunRequest(workflow_name="flow", input=text) for text in (given(), run_input))
    with pytest.raises(InvalidArgument, match=reason) as refused:
        world.do(TriggerRuns((fine, bad)))
    assert refused.value.field == "workflows[1].input"
    world.decide()
    assert world.run_rows == {}
    assert world.claims == {}


def test_an_event_whose_key_cannot_be_had_starts_nothing_and_says_so() -> None:
    world = world_with(triggers=("go",))
    (pushed,) = world.do(PushEvents((EventRequest(key="go", payload="{}"),)))  # type: ignore[misc]
    assert pushed.run_ids == ()  # type: ignore[union-attr]
    (failure,) = world.failures
    assert (failure.source, failure.event_id) == (FailureSource.IDEMPOTENCY_KEY, pushed.event_id)  # type: ignore[union-attr]
    assert "input.k" in failure.message


@pytest.mark.parametrize(
    ("bad", "field"),
    [
        (rule(expression="input."), "idempotency.expression"),
        (rule(expression=""), "idempotency.expression"),
        (rule(expression="workflow_run_id"), "idempotency.expression"),
        (rule(ttl_s=0), "idempotency.ttl_ms"),
        (rule(ttl_s=4_000 * 86_400), "idempotency.ttl_ms"),
    ],
    ids=["syntax", "empty", "unknown variable", "no time", "eleven years"],
)
def test_a_bad_rule_is_refused_at_registration(bad: IdempotencyRule, field: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        World().put(task("a"), idempotency=bad)
    assert refused.value.field == field


def test_a_rule_is_part_of_the_version() -> None:
    world = World()
    plain = world.put(task("a"))
    ruled = world.put(task("a"), idempotency=rule())
    assert (ruled.ordinal, world.put(task("a"), idempotency=rule()).ordinal) == (plain.ordinal + 1, plain.ordinal + 1)


# Expiry --------------------------------------------------------------------------------------------------------------


def test_claims_whose_time_is_over_are_swept_from_memory_and_tables() -> None:
    world = world_with(rule(10))
    world.do(requests(*map(str, range(50))))
    world.advance(5)
    world.do(requests("late"))
    assert len(world.claims) == 51
    world.advance(6)
    assert [claim.digest for claim in world.claims.values()] == [digest_of("late")]
    world.advance(5)
    assert world.claims == {}
    assert len(world.tenant._state.claims) == 0


def test_a_sweep_takes_so_many_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("broadaxe.core.idempotency.SWEPT_AT_ONCE_MAX", 20)
    world = world_with(rule(10))
    world.do(requests(*map(str, range(50))))
    world.advance(11)
    assert [
        len(decision.writes.released_claims) for decision in world.decisions if decision.writes.released_claims
    ] == [
        20,
        20,
        10,
    ]


def test_a_claim_read_back_is_the_claim_that_was_made() -> None:
    packed = pack(RUN.format(7), 1_767_268_800_123_456)
    assert len(packed) == 24
    assert (run_id_of(packed), expires_at_us(packed)) == (RUN.format(7), 1_767_268_800_123_456)


def test_references_to_released_claims_do_not_pile_up() -> None:
    held = Claims()
    for number in range(50_000):
        digest = digest_of("same")
        held.put(digest, pack(RUN.format(number), 3_600 * US_PER_S + number))
        held.drop(digest)
    assert held._references <= claims._STALE_MIN
    assert len(held) == 0


def test_what_expires_is_found_after_the_lists_were_made_anew() -> None:
    held = Claims()
    digests = [digest_of(str(number)) for number in range(4_000)]
    for number, digest in enumerate(digests):
        held.put(digest, pack(RUN.format(number), (number % 7 + 1) * US_PER_S))
    for digest in digests[100:]:
        held.drop(digest)
    assert held._references < 4_000
    assert sorted(held.pop_expired(7 * US_PER_S, 1_000)) == sorted(digests[:100])
    assert held.next_second() is None
