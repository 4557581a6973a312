"""Durable tasks: what an invocation asks for and is told, and what survives it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from broadaxe.core import adoption, durable, waits
from broadaxe.core.commands.attempts import Accepted, Outcome, ReportAttempt
from broadaxe.core.commands.durable import (
    BeginMemo,
    BeginWait,
    CompleteMemo,
    EntryRef,
    EvictInvocation,
    RegisterSignal,
    ReportWaiting,
    SpawnChildren,
)
from broadaxe.core.commands.events import EventRequest, PushEvents
from broadaxe.core.commands.tasks import BranchTask, CancelTasks, ReplayTasks, RestoreTask
from broadaxe.core.commands.triggers import RunRequest
from broadaxe.core.commands.workers import PauseWorker
from broadaxe.core.commands.workflows import DeleteWorkflow
from broadaxe.core.decision import (
    ChildrenAck,
    DropInvocation,
    DurableRefusal,
    EntryCompleted,
    EvictionAck,
    MemoAck,
    NonDeterminism,
    SignalFired,
    WaitAck,
)
from broadaxe.core.definition import ClaimMethod, IdempotencyRule
from broadaxe.core.durations import US_PER_S
from broadaxe.core.lifecycle import TaskEventType, TaskStatus
from broadaxe.core.waits import Condition
from broadaxe.errors import FailedPrecondition, InvalidArgument, NotFound, ResourceExhausted
from tests.core.world import World, task

STREAM = 7


def sleep(seconds: float, group: int = 0) -> Condition:
    text = f"{seconds:g}s"
    return Condition(group=group, data_key=f"sleep:{text}", sleep=text, sleep_us=round(seconds * US_PER_S))


def event(key: str, group: int = 0, data_key: str = "", **options: Any) -> Condition:
    return Condition(group=group, data_key=data_key or key, event_key=key, **options)


class Program:
    """One durable task, driven as its worker would."""

    def __init__(self, world: World | None = None, **options: Any) -> None:
        self.world = world or World()
        if world is None:
            self.world.put(task("deep", service="deep", is_durable=True, **options), name="deep")
            self.world.put(task("kid", service="kid"), name="kid")
            self.world.worker("deep:deep", slots={"durable": 2, "default": 1})
            self.world.worker("kid:kid")
        self.id = self.world.trigger("deep")
        self.stream = STREAM

    @property
    def invocation(self) -> int:
        return self.world.logs[self.id].invocation_count

    @property
    def status(self) -> TaskStatus:
        return self.world.status(self.id)

    def wait(self, *conditions: Condition, invocation: int | None = None) -> list[Any]:
        return self.ask(BeginWait, conditions=conditions, invocation=invocation)

    def memo(self) -> list[Any]:
        return self.ask(BeginMemo)

    def keep(self, ref: EntryRef, value: str) -> list[Any]:
        return self.ask(CompleteMemo, branch_id=ref.branch_id, node_id=ref.node_id, payload=value)

    def spawn(self, *inputs: str, key: str | None = None) -> list[Any]:
        requests = tuple(RunRequest(workflow_name="kid", input=text, child_key=key) for text in inputs)
        return self.ask(SpawnChildren, requests=requests)

    def evict(self, invocation: int | None = None) -> list[Any]:
        return self.ask(EvictInvocation, invocation=invocation)

    def list_waiting(self, *nodes: int, branch: int = 1) -> list[Any]:
        refs = tuple(EntryRef(self.id, self.invocation, branch, node) for node in nodes)
        self.world.do(ReportWaiting(self.stream, refs))
        return self.world.answers()

    def ask(self, kind: Any, *, invocation: int | None = None, **fields: Any) -> list[Any]:
        count = self.invocation if invocation is None else invocation
        self.world.do(kind(stream=self.stream, task_id=self.id, invocation_count=count, **fields))
        return self.world.answers()

    def push(self, key: str, payload: str = "{}", scope: str | None = None) -> None:
        self.world.do(PushEvents((EventRequest(key=key, payload=payload, scope=scope),)))

    def entry(self, node: int, branch: int = 1) -> Any:
        return self.world.entries[self.id, branch, node]


def data_of(answer: Any) -> Any:
    assert isinstance(answer, EntryCompleted)
    assert answer.payload is not None
    return msgspec.json.decode(answer.payload)


# Waits -----------------------------------------------------------------------------------------------------------


def test_a_sleep_is_acknowledged_at_once_and_over_exactly_in_time() -> None:
    program = Program()
    (ack,) = program.wait(sleep(5))
    assert isinstance(ack, WaitAck)
    assert ack.ref == EntryRef(program.id, 1, 1, 1)
    began_us = program.world.now_us
    program.world.advance(10)
    told = [a for d in program.world.decisions for a in d.effects if isinstance(a, EntryCompleted)]
    assert [data_of(answer) for answer in told] == [{"CREATE": {"sleep:5s": [{"sleep_duration": "5s"}]}}]
    assert program.entry(1).satisfied_at_us == began_us + 5 * US_PER_S


def test_a_wait_for_two_sleeps_is_over_with_the_longer_one() -> None:
    program = Program()
    began_us = program.world.now_us
    program.wait(sleep(5, group=0), sleep(10, group=1))
    program.world.advance(7)
    assert program.entry(1).satisfied_at_us is None
    program.world.advance(3)
    assert program.entry(1).satisfied_at_us == began_us + 10 * US_PER_S


@pytest.mark.parametrize("us", [0, -1_000_000])
def test_a_sleep_of_no_length_is_over_at_once(us: int) -> None:
    ack, done = Program().wait(Condition(group=0, data_key="sleep:0s", sleep="0s", sleep_us=us))
    assert isinstance(ack, WaitAck)
    assert isinstance(done, EntryCompleted)


def test_an_event_that_matches_ends_every_wait_for_it() -> None:
    first = Program()
    second = Program(first.world)
    for program in (first, second):
        program.wait(event("go", expression="input.x == 1"))
    first.push("go", '{"x": 2}')
    assert first.world.answers() == []
    first.push("go", '{"x": 1}')
    answers = first.world.answers()
    assert {answer.ref.task_id for answer in answers} == {first.id, second.id}
    assert data_of(answers[0]) == {"CREATE": {"go": [{"x": 1}]}}


@pytest.mark.parametrize("expression", ["input.absent == 1", "input.x +", "1 + 1"])
def test_an_expression_that_fails_is_not_met(expression: str) -> None:
    program = Program()
    program.wait(event("go", expression=expression))
    program.push("go", '{"x": 1}')
    assert program.world.answers() == []


def test_a_scope_lets_only_its_events_through() -> None:
    program = Program()
    program.wait(event("go", scope="a"))
    program.push("go", scope="b")
    program.push("go")
    assert program.entry(1).satisfied_at_us is None
    program.push("go", scope="a")
    assert program.entry(1).satisfied_at_us is not None


@pytest.mark.parametrize("expression", ["", "input.n > 0"])
def test_looking_back_finds_the_newest_event_of_the_scope(expression: str) -> None:
    program = Program()
    since_us = program.world.now_us
    for number in (1, 2):
        program.world.now_us += US_PER_S
        program.push("go", f'{{"n": {number}}}', scope="a")
    program.push("go", '{"n": 3}', scope="b")
    _, done = program.wait(event("go", scope="a", since_us=since_us, expression=expression))
    assert data_of(done) == {"CREATE": {"go": [{"n": 2}]}}


def test_without_a_scope_nothing_is_looked_back_at() -> None:
    program = Program()
    program.push("go")
    program.wait(event("go", since_us=0))
    assert program.entry(1).satisfied_at_us is None


def test_alternatives_bring_only_what_fired_and_all_groups_are_needed() -> None:
    program = Program()
    program.wait(sleep(60, group=0), event("a", group=0), event("b", group=1))
    program.push("b", '{"n": 1}')
    assert program.world.answers() == []
    program.push("a", '{"n": 2}')
    (done,) = program.world.answers()
    assert data_of(done) == {"CREATE": {"a": [{"n": 2}], "b": [{"n": 1}]}}


@pytest.mark.parametrize(("first", "second"), [("", "input.n > 1"), ("input.n < 2", "input.n > 1")])
def test_a_condition_that_came_true_hides_no_other_on_the_same_key(first: str, second: str) -> None:
    program = Program()
    program.wait(event("go", group=0, expression=first), event("go", group=1, expression=second))
    program.push("go", '{"n": 0}')
    assert program.world.answers() == []
    program.push("go", '{"n": 2}')
    (done,) = program.world.answers()
    assert data_of(done) == {"CREATE": {"go": [{"n": 0}, {"n": 2}]}}


def test_a_sleep_that_was_over_comes_before_an_event_that_came_later_though_nobody_rang_it() -> None:
    """The engine was held up: event and alarm are decided in one round."""
    program = Program()
    program.wait(sleep(10, group=0), event("a", group=0))
    program.world.now_us += 14 * US_PER_S
    program.push("a", '{"n": 1}')
    (done,) = program.world.answers()
    assert data_of(done) == {"CREATE": {"sleep:10s": [{"sleep_duration": "10s"}]}}


def test_a_wait_for_nothing_is_refused() -> None:
    program = Program()
    with pytest.raises(InvalidArgument, match="at least one condition"):
        program.wait()
    with pytest.raises(InvalidArgument, match=str(waits.CONDITIONS_MAX)):
        program.wait(*(event("x", group=n) for n in range(waits.CONDITIONS_MAX + 1)))


# Doing it again --------------------------------------------------------------------------------------------------


def test_a_new_invocation_gets_recorded_results_in_the_order_they_came() -> None:
    program = Program(retries=1)
    program.wait(event("late"))
    program.wait(event("early"))
    program.push("early")
    program.push("late")
    program.world.fail(program.id)
    assert program.invocation == 2
    # The first to be asked for came second: it is held back for the other.
    assert [type(a) for a in program.wait(event("late"))] == [WaitAck]
    _, first, second = program.wait(event("early"))
    assert (first.ref.node_id, second.ref.node_id) == (2, 1)
    assert (first.order, second.order) == (1, 2)


def test_another_operation_at_a_recorded_node_is_told_and_changes_nothing() -> None:
    program = Program(retries=1)
    program.wait(sleep(5))
    program.world.fail(program.id)
    before = dict(program.world.entries)
    (answer,) = program.wait(event("go"))
    assert isinstance(answer, NonDeterminism)
    assert answer.ref == EntryRef(program.id, 2, 1, 1)
    assert "wait for" in answer.message
    assert program.world.entries == before


def test_or_groups_and_order_do_not_make_two_waits_different() -> None:
    program = Program(retries=1)
    program.wait(sleep(5, group=0), event("go", group=1))
    program.world.fail(program.id)
    (answer,) = program.wait(event("go", group=4), sleep(5, group=9))
    assert isinstance(answer, WaitAck)


def test_a_sleep_keeps_its_instant_through_retries_and_restarts() -> None:
    program = Program(retries=1)
    program.wait(sleep(60))
    due_us = program.entry(1).due_at_us
    program.world.advance(20)
    program.world.fail(program.id)
    program.wait(sleep(60))
    program.world.restart()
    program.world.advance(60)
    assert program.entry(1).satisfied_at_us == due_us


def test_an_invocation_that_recorded_something_goes_on_after_a_restart() -> None:
    program = Program()
    program.world.now_us += 1
    program.wait(sleep(5))
    program.world.restart()
    (ack,) = program.wait(event("go"))
    assert isinstance(ack, WaitAck)
    assert ack.ref == EntryRef(program.id, 1, 1, 2)


def test_an_invocation_that_was_doing_things_again_starts_over_after_a_restart() -> None:
    program = Program(retries=1)
    program.wait(sleep(5))
    program.wait(event("go"))
    program.world.fail(program.id)
    program.world.now_us += 1
    program.wait(sleep(5))
    program.world.restart()
    (lost,) = program.wait(event("go"), invocation=2)
    assert isinstance(lost, DropInvocation)
    assert program.invocation == 3
    assert program.world.tasks[program.id].retry_count == 1, "no retry was used up"
    assert [type(program.wait(*again)[0]) for again in ((sleep(5),), (event("go"),))] == [WaitAck, WaitAck]


def test_a_memo_is_computed_once() -> None:
    program = Program(retries=1)
    (ack,) = program.memo()
    assert isinstance(ack, MemoAck)
    assert not ack.is_kept
    program.keep(ack.ref, '{"now": 1}')
    program.world.fail(program.id)
    (again,) = program.memo()
    assert again.is_kept
    assert program.entry(1).result == '{"now": 1}'


def test_a_memo_keeps_its_first_value() -> None:
    program = Program()
    (ack,) = program.memo()
    program.keep(ack.ref, "1")
    program.keep(ack.ref, "2")
    assert program.entry(1).result == "1"


def test_a_memo_that_was_never_kept_is_computed_again() -> None:
    program = Program(retries=1)
    program.memo()
    program.world.fail(program.id)
    (again,) = program.memo()
    assert not again.is_kept
    program.keep(again.ref, "1")
    assert [type(a) for a in program.list_waiting(1)] == [EntryCompleted]


def test_the_present_invocation_is_the_only_one_that_is_heard() -> None:
    program = Program(retries=1)
    program.world.fail(program.id)
    (answer,) = program.wait(sleep(5), invocation=1)
    assert isinstance(answer, DropInvocation)
    assert answer.ref.invocation_count == 1
    assert not program.world.entries


def test_what_an_older_invocation_waits_for_is_not_told_to_it() -> None:
    program = Program(retries=1)
    program.wait(sleep(0))
    program.world.fail(program.id)
    (ack, _) = program.wait(sleep(0))
    program.world.do(ReportWaiting(program.stream, (EntryRef(program.id, 1, 1, ack.ref.node_id),)))
    assert [(type(a), a.ref.invocation_count) for a in program.world.answers()] == [(DropInvocation, 1)]


# Children --------------------------------------------------------------------------------------------------------


def test_children_are_acknowledged_in_order_and_told_only_when_awaited() -> None:
    program = Program()
    (ack,) = program.spawn('{"n": 1}', '{"n": 2}')
    assert isinstance(ack, ChildrenAck)
    assert [(branch, node) for branch, node, _ in ack.children] == [(1, 1), (1, 2)]
    first, second = (run_id for _, _, run_id in ack.children)
    program.world.complete(second, '{"m": 2}')
    assert not [a for a in program.world.answers() if isinstance(a, EntryCompleted)]
    (told,) = program.list_waiting(2)
    assert told.ref.node_id == 2
    program.list_waiting(1)
    program.world.complete(first, '{"m": 1}')
    (told,) = program.world.answers()
    assert (told.ref.node_id, told.payload) == (1, None), "its outcome is read from the log"
    assert (program.id, first) in program.world.decisions[-1].writes.finished_children


def test_of_what_becomes_of_a_child_in_one_round_the_last_counts() -> None:
    program = Program()
    (ack,) = program.spawn('{"n": 1}')
    ((_, _, child),) = ack.children
    program.world.complete(child, '{"m": 1}')
    again = ReplayTasks((child,)), CancelTasks((child,))
    program.world.round(*again, *again)
    writes = program.world.decisions[-1].writes
    assert (writes.finished_children, writes.reopened_children) == ([(program.id, child)], [])
    assert program.entry(1).satisfied_at_us is not None


def test_a_child_is_not_spawned_twice_and_a_changed_one_is_told() -> None:
    program = Program(retries=1)
    (ack,) = program.spawn('{"n": 1}')
    program.world.fail(program.id)
    (again,) = program.spawn('{"n": 1}')
    assert again.children == ack.children
    (wrong,) = program.spawn('{"n": 2}', '{"n": 3}')
    assert len(wrong.children) == 2
    program.world.do(CancelTasks((program.id,)))
    program.world.do(ReplayTasks((program.id,)))
    (differs,) = program.spawn('{"n": 9}')
    assert isinstance(differs, NonDeterminism)


def test_a_key_stands_for_one_child_and_takes_one_node() -> None:
    program = Program(retries=1)
    (first,) = program.spawn('{"n": 1}', '{"n": 2}', key="same")
    assert first.children[0] == first.children[1]
    (after,) = program.wait(sleep(1))
    assert after.ref.node_id == 2
    program.world.fail(program.id)
    (again,) = program.spawn('{"n": 5}', '{"n": 6}', key="same")
    assert again.children == first.children
    (after,) = program.wait(sleep(1))
    assert isinstance(after, WaitAck)
    assert after.ref.node_id == 2


def kid(number: int, key: str | None = None, workflow: str = "kid") -> RunRequest:
    return RunRequest(workflow_name=workflow, input=f'{{"n": {number}}}', child_key=key)


def holding(program: Program, number: int) -> str:
    """Only one run of the children's workflow at a time for each input: another run has this one's key."""
    rule = IdempotencyRule(expression="string(input.n)", ttl_us=60 * US_PER_S, method=ClaimMethod.TTL)
    program.world.put(task("kid", service="kid"), name="kid", idempotency=rule)
    return program.world.trigger("kid", run_input=f'{{"n": {number}}}')


def test_an_unknown_workflow_spawns_nothing() -> None:
    program = Program()
    (refusal,) = program.ask(SpawnChildren, requests=(kid(1), kid(2, workflow="nobody")))
    assert isinstance(refusal, DurableRefusal)
    assert "nobody" in refusal.message
    assert len(program.world.runs) == 1
    assert [program.entry(node).child_run_id for node in (1, 2)] == [None, None]


def test_a_key_stands_for_its_child_after_a_restart_too() -> None:
    program = Program()
    program.world.now_us += 1
    (ack,) = program.spawn('{"n": 1}', key="k")
    program.world.restart()
    (again,) = program.spawn('{"n": 2}', key="k")
    assert again.children == ack.children
    assert len(program.world.runs) == 2


def test_a_refused_spawn_leaves_no_gap_and_is_refused_again_once_the_program_went_on() -> None:
    program = Program(retries=2)
    holding(program, 2)
    (refusal,) = program.ask(SpawnChildren, requests=(kid(1), kid(2), kid(3)))
    assert isinstance(refusal, DurableRefusal)
    assert "idempotency key" in refusal.message
    (ack,) = program.wait(sleep(60))
    assert ack.ref.node_id == 4
    runs = len(program.world.runs)
    program.world.advance(120)  # The key is free by now.
    program.world.fail(program.id)
    (again,) = program.ask(SpawnChildren, requests=(kid(1), kid(2), kid(3)))
    assert isinstance(again, DurableRefusal)
    assert again.message == refusal.message
    assert [type(a) for a in program.wait(sleep(60))] == [WaitAck, EntryCompleted]
    assert len(program.world.runs) == runs
    assert [program.entry(node).child_run_id is None for node in (1, 2, 3)] == [False, True, False]


def test_a_refused_spawn_that_nothing_followed_is_tried_again() -> None:
    for restarts in (False, True):
        program = Program(retries=2)
        holding(program, 2)
        program.world.now_us += 1
        program.ask(SpawnChildren, requests=(kid(1), kid(2)))
        first = program.entry(1).child_run_id
        program.world.advance(120)
        if restarts:
            program.world.restart()
        program.world.fail(program.id)
        (ack,) = program.ask(SpawnChildren, requests=(kid(1), kid(2)))
        assert isinstance(ack, ChildrenAck)
        assert ack.children[0][2] == first
        assert program.entry(2).child_run_id == ack.children[1][2]
        assert program.entry(2).label == ""


def test_an_invocation_goes_on_behind_a_refused_spawn_after_a_restart() -> None:
    program = Program()
    program.world.now_us += 1
    program.ask(SpawnChildren, requests=(kid(1, workflow="nobody"),))
    program.world.restart()
    (ack,) = program.wait(sleep(5))
    assert ack.ref.node_id == 2


def test_a_spawn_where_another_was_refused_is_told() -> None:
    program = Program(retries=1)
    program.ask(SpawnChildren, requests=(kid(1, workflow="nobody"),))
    program.world.fail(program.id)
    (differs,) = program.spawn('{"n": 1}')
    assert isinstance(differs, NonDeterminism)


def test_a_refused_key_twice_in_one_request_is_tried_once() -> None:
    program = Program(retries=1)
    holding(program, 2)
    (refusal,) = program.ask(SpawnChildren, requests=(kid(2, key="k"), kid(3, key="k")))
    assert isinstance(refusal, DurableRefusal)
    assert (program.id, 1, 2) not in program.world.entries
    assert len(program.world.runs) == 2
    program.world.advance(120)
    program.world.fail(program.id)
    (ack,) = program.ask(SpawnChildren, requests=(kid(2, key="k"), kid(3, key="k")))
    assert isinstance(ack, ChildrenAck)
    assert ack.children[0] == ack.children[1]
    (after,) = program.wait(sleep(1))
    assert after.ref.node_id == 2


def test_a_branch_may_begin_at_a_refused_spawn() -> None:
    program = Program()
    program.ask(SpawnChildren, requests=(kid(1, workflow="nobody"),))
    program.wait(sleep(1))
    program.world.advance(1)
    program.world.complete(program.id)
    fork = program.world.do(BranchTask(program.id, 2, 1))
    assert isinstance(fork, EntryRef)
    assert fork.node_id == 2


def test_a_branch_leaves_a_refused_spawn_it_shares_as_it_is() -> None:
    program = Program()
    program.ask(SpawnChildren, requests=(kid(1, workflow="later"),))
    program.wait(sleep(1))
    program.world.complete(program.id)
    program.world.put(task("kid", service="kid"), name="later")
    program.world.do(BranchTask(program.id, 2, 1))
    recorded = program.entry(1)
    (again,) = program.ask(SpawnChildren, requests=(kid(1, workflow="later"),))
    assert isinstance(again, DurableRefusal)
    assert program.entry(1) == recorded
    # The first branch goes on where it was: a program that was refused.
    program.world.complete(program.id)
    program.world.do(BranchTask(program.id, 2, 1))
    (still,) = program.ask(SpawnChildren, requests=(kid(1, workflow="later"),))
    assert isinstance(still, DurableRefusal)


def test_a_spawn_is_all_or_none_across_the_beginning_of_a_branch() -> None:
    program = Program()
    refused = (kid(1, workflow="later"), kid(2, workflow="later"))
    program.ask(SpawnChildren, requests=refused)
    program.world.complete(program.id)
    program.world.put(task("kid", service="kid"), name="later")
    program.world.do(BranchTask(program.id, 2, 1))
    runs = len(program.world.runs)
    for _ in range(2):
        (again,) = program.ask(SpawnChildren, requests=refused)
        assert isinstance(again, DurableRefusal)
        assert "later" in again.message
        assert len(program.world.runs) == runs
        program.world.complete(program.id)
        program.world.do(ReplayTasks((program.id,)))
    program.world.complete(program.id)
    program.world.do(BranchTask(program.id, 1, 1))
    (ack,) = program.ask(SpawnChildren, requests=refused)
    assert isinstance(ack, ChildrenAck)


def test_a_branch_discards_a_refused_spawn_with_a_key() -> None:
    program = Program()
    program.spawn('{"n": 1}', key="other")
    program.ask(SpawnChildren, requests=(kid(1, key="k", workflow="nobody"),))
    program.world.complete(program.id)
    program.world.do(BranchTask(program.id, 1, 1))
    (ack,) = program.spawn('{"n": 1}', key="k")
    assert isinstance(ack, ChildrenAck)


def test_a_child_is_found_again_though_its_workflow_was_deleted() -> None:
    program = Program(retries=1)
    (ack,) = program.spawn('{"n": 1}')
    child = ack.children[0][2]
    program.world.complete(child, '{"m": 1}')
    program.world.do(DeleteWorkflow(program.world.run_rows[child].workflow_id))
    program.world.fail(program.id)
    (again,) = program.spawn('{"n": 1}')
    assert isinstance(again, ChildrenAck)
    assert again.children == ack.children
    (told,) = program.list_waiting(1)
    assert isinstance(told, EntryCompleted)
    (refusal,) = program.spawn('{"n": 2}')
    assert isinstance(refusal, DurableRefusal)


def test_more_operations_than_a_log_holds_are_refused_before_anything_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(durable, "ENTRIES_MAX", 3)
    program = Program()
    program.spawn('{"n": 1}', '{"n": 2}')
    runs = len(program.world.runs)
    with pytest.raises(ResourceExhausted, match="3 operations"):
        program.spawn('{"n": 3}', '{"n": 4}')
    assert len(program.world.runs) == runs
    with pytest.raises(ResourceExhausted):
        program.world.do(RegisterSignal(program.id, "s", (event("go"),)))
        program.world.do(RegisterSignal(program.id, "t", (event("go"),)))


def test_a_result_that_was_lost_is_sent_again_before_a_child_that_is_listed_now() -> None:
    program = Program()
    (ack,) = program.spawn("{}")
    program.wait(event("go"))
    program.world.complete(ack.children[0][2])
    program.push("go")
    program.stream += 1  # What was told on the old one never arrived.
    told = program.list_waiting(1, 2)
    assert [(a.ref.node_id, a.order) for a in told] == [(2, 1), (1, 2)]


def test_a_replayed_child_is_awaited_again() -> None:
    program = Program()
    (ack,) = program.spawn("{}")
    child = ack.children[0][2]
    program.list_waiting(1)
    program.world.complete(child)
    program.world.do(ReplayTasks((child,)))
    assert program.entry(1).satisfied_at_us is None
    program.world.complete(child, '{"second": true}')
    (told,) = program.world.answers()
    assert isinstance(told, EntryCompleted)
    assert (program.id, child) in program.world.decisions[-1].writes.finished_children


def test_the_end_of_a_child_replayed_in_the_same_batch_is_not_told() -> None:
    program = Program()
    (ack,) = program.spawn("{}")
    child = ack.children[0][2]
    program.world.complete(child, '{"first": true}')
    listed = ReportWaiting(program.stream, (EntryRef(program.id, program.invocation, 1, 1),), ())
    program.world.round(listed, ReplayTasks((child,)))
    assert program.world.answers() == []
    program.world.complete(child, '{"second": true}')
    (told,) = program.world.answers()
    assert isinstance(told, EntryCompleted)


# Eviction --------------------------------------------------------------------------------------------------------


def test_an_evicted_task_frees_its_slot_has_no_deadline_and_leaves_memory() -> None:
    program = Program(execution_timeout="30s")
    program.wait(sleep(600))
    (ack,) = program.evict()
    assert isinstance(ack, EvictionAck)
    state = program.world.tasks[program.id]
    assert (state.status, state.worker_id, state.due_at_us) == (TaskStatus.EVICTED, None, None)
    assert program.world.tenant.counts()["tasks"] == 0
    program.world.advance(599)
    assert program.status is TaskStatus.EVICTED
    program.world.advance(1)
    assert program.status is TaskStatus.RUNNING
    assert program.invocation == 2
    assert program.world.logs[program.id].order_at_eviction is None
    assert program.world.tasks[program.id].retry_count == 0
    _, done = program.wait(sleep(600))
    assert isinstance(done, EntryCompleted)
    events = program.world.events(program.id)
    assert events[-4:-1] == [TaskEventType.DURABLE_EVICTED, TaskEventType.DURABLE_RESTORING, TaskEventType.ASSIGNED]


def test_a_sleeper_survives_a_restart_and_wakes_in_time() -> None:
    program = Program()
    program.wait(sleep(600))
    due_us = program.entry(1).due_at_us
    program.evict()
    program.world.restart()
    assert program.world.tenant.counts()["tasks"] == 0
    program.world.advance(600)
    assert program.status is not TaskStatus.EVICTED
    assert program.entry(1).satisfied_at_us == due_us


def test_a_sleeper_that_was_read_back_in_vain_leaves_memory_again() -> None:
    program = Program()
    program.wait(event("go"))
    program.evict()
    for restarts in (False, True):
        if restarts:
            program.world.restart()
        with pytest.raises(FailedPrecondition):
            program.world.do(BranchTask(program.id, 1, 1))
        program.world.decide()
        assert program.world.tenant.counts()["tasks"] == 0
    program.push("go")
    assert program.status is TaskStatus.RUNNING


def test_an_event_wakes_a_sleeper() -> None:
    program = Program()
    program.wait(event("go", expression="input.x == 1"))
    program.evict()
    program.push("go", '{"x": 2}')
    assert program.status is TaskStatus.EVICTED
    program.push("other", '{"x": 1}')
    program.push("go", '{"x": 1}')
    assert program.status is TaskStatus.RUNNING
    assert not program.world.tenant._state.dormant_for_events


def test_a_child_that_ended_before_its_sleeping_parent_was_read_back_wakes_it_after_a_crash() -> None:
    program = Program()
    world = program.world
    (ack,) = program.spawn("{}")
    program.list_waiting(1)
    program.evict()
    report = ReportAttempt(ack.children[0][2], 0, Outcome.COMPLETED, "{}")
    world._write(world.tenant.decide((report,), world.now_us).writes)
    assert program.status is TaskStatus.EVICTED
    world.restart()
    assert program.status is not TaskStatus.EVICTED


def test_an_evicted_task_of_a_dag_stays_in_memory_with_its_run() -> None:
    world = World()
    world.put(task("deep", service="deep", is_durable=True), task("next", "deep", service="deep"), name="pair")
    world.worker("deep:deep", "deep:next", slots={"durable": 2, "default": 1})
    run_id = world.trigger("pair")
    deep = world.task(run_id, "deep")
    world.do(BeginWait(stream=STREAM, task_id=deep, invocation_count=1, conditions=(event("go"),)))
    world.do(EvictInvocation(stream=STREAM, task_id=deep, invocation_count=1))
    assert world.status(deep) is TaskStatus.EVICTED
    assert world.tenant.is_live(run_id)
    world.do(CancelTasks((run_id,)))
    assert world.statuses(run_id)["next"] is TaskStatus.CANCELLED


def test_an_event_wakes_only_the_sleepers_it_is_for() -> None:
    first = Program()
    second, third = Program(first.world), Program(first.world)
    conditions = (
        event("go", expression="input.id == 'a'"),
        event("go", scope="s", expression="input.id == 'b'"),
        event("go", expression="input.id.startsWith('c')"),
    )
    for program, condition in zip((first, second, third), conditions, strict=True):
        program.wait(condition, invocation=1)
        program.evict(1)
    first.world.restart()
    for payload, scope in (('{"id":"b"}', None), ('{"id":"x"}', "s"), ("{}", None)):
        first.push("go", payload, scope)
        assert first.world.read_back == []
    first.push("go", '{"id":"b"}', scope="s")
    assert first.world.read_back == [{second.id}]
    assert [program.status for program in (first, second, third)] == [
        TaskStatus.EVICTED,
        TaskStatus.RUNNING,
        TaskStatus.EVICTED,
    ]


@pytest.mark.parametrize("is_restarted", [False, True], ids=["", "restarted"])
def test_sleepers_an_event_is_for_come_back_a_portion_after_the_other(
    monkeypatch: pytest.MonkeyPatch, is_restarted: bool
) -> None:
    monkeypatch.setattr(adoption, "_WAKE_MAX", 2)
    first = Program()
    programs = [first, *(Program(first.world) for _ in range(4))]
    for program in programs:
        program.wait(event("go"), invocation=1)
        program.evict(1)
    world = first.world
    request = EventRequest(key="go", payload='{"n":1}')
    world._write(world.tenant.decide((PushEvents((request,)),), world.now_us).writes)
    assert {program.status for program in programs} == {TaskStatus.EVICTED}
    if is_restarted:
        world.restart()
    world.decide()
    assert [len(tasks) for tasks in world.read_back] == [2, 2, 1]
    assert all(program.status is not TaskStatus.EVICTED for program in programs)
    assert all(program.entry(1).satisfied_at_us is not None for program in programs)
    assert world.news == {}
    world.restart()
    assert {program.entry(1).satisfied_at_us for program in programs} == {world.now_us}


def test_an_event_a_sleeper_was_not_shown_yet_comes_before_what_follows() -> None:
    program = Program()
    world = program.world
    program.wait(event("go", group=0, data_key="first"), event("go", group=0, expression="input.n == 2"), sleep(10, 1))
    program.evict()
    world.advance(1)
    for payload in ('{"n":1}', '{"n":2}'):
        push = PushEvents((EventRequest(key="go", payload=payload),))
        world._write(world.tenant.decide((push,), world.now_us).writes)
    world.restart()
    assert program.status is TaskStatus.EVICTED
    assert world.tenant.counts()["tasks"] == 0
    world.advance(9)
    assert program.status is TaskStatus.RUNNING
    brought = {"first": [{"n": 1}], "go": [{"n": 2}], "sleep:10s": [{"sleep_duration": "10s"}]}
    assert msgspec.json.decode(program.entry(1).result or "") == {"CREATE": brought}


def test_a_sleep_that_was_over_before_an_event_wins() -> None:
    program = Program()
    world = program.world
    program.wait(sleep(3), event("go"))
    program.evict()
    world.now_us += 4 * US_PER_S  # late: the alarm has not rung
    world.decide(PushEvents((EventRequest(key="go", payload="{}"),)))
    assert program.status is TaskStatus.RUNNING
    assert msgspec.json.decode(program.entry(1).result or "") == {"CREATE": {"sleep:3s": [{"sleep_duration": "3s"}]}}


def test_a_child_wakes_a_sleeper_also_over_a_restart() -> None:
    for restarts in (False, True):
        program = Program()
        (ack,) = program.spawn("{}")
        program.list_waiting(1)
        program.evict()
        if restarts:
            program.world.restart()
        program.world.complete(ack.children[0][2], '{"m": 1}')
        assert program.status in (TaskStatus.RUNNING, TaskStatus.QUEUED)
        assert program.entry(1).order == 1


def test_a_child_nobody_listed_wakes_a_sleeper_once() -> None:
    program = Program()
    (ack,) = program.spawn("{}")
    program.wait(sleep(600))
    program.evict()
    program.world.complete(ack.children[0][2])
    assert program.status is TaskStatus.RUNNING
    program.spawn("{}")
    program.wait(sleep(600))
    program.evict()
    assert program.status is TaskStatus.EVICTED


def test_what_came_before_the_eviction_was_known_restores_at_once() -> None:
    program = Program()
    program.stream = STREAM
    program.wait(event("go"))
    world = program.world
    world.round(
        PushEvents((EventRequest(key="go", payload="{}"),)),
        EvictInvocation(stream=STREAM, task_id=program.id, invocation_count=1),
    )
    assert program.status is TaskStatus.RUNNING
    assert program.invocation == 2


def test_a_result_that_passed_the_eviction_on_its_way_restores_the_task() -> None:
    program = Program()
    program.wait(event("go"))
    program.push("go")
    program.evict()
    assert program.status is TaskStatus.RUNNING
    assert program.invocation == 2


def test_a_child_that_ended_unlisted_before_the_eviction_restores_the_task_once() -> None:
    program = Program()
    (ack,) = program.spawn("{}")
    program.wait(sleep(600))
    program.world.complete(ack.children[0][2])
    program.evict()
    assert program.status is TaskStatus.RUNNING
    assert program.invocation == 2
    program.evict()
    assert program.status is TaskStatus.EVICTED


def test_a_result_that_is_held_back_restores_the_task() -> None:
    program = Program(retries=1)
    program.wait(event("late"))
    program.wait(event("early"))
    program.push("early")
    program.push("late")
    program.world.fail(program.id)
    assert [type(a) for a in program.wait(event("late"))] == [WaitAck]
    program.evict()
    assert program.status is TaskStatus.RUNNING
    assert program.invocation == 3


def test_a_result_that_was_looked_at_does_not() -> None:
    program = Program()
    program.wait(event("go"))
    program.push("go")
    program.wait(event("later"))
    program.evict()
    assert program.status is TaskStatus.EVICTED


def test_an_eviction_of_an_older_invocation_changes_nothing() -> None:
    program = Program(retries=1)
    program.world.fail(program.id)
    (answer,) = program.evict(invocation=1)
    assert isinstance(answer, DropInvocation)
    assert program.status is TaskStatus.RUNNING


def test_an_evicted_task_can_be_cancelled_and_restored_by_hand() -> None:
    cancelled, restored = Program(), Program()
    for program in (cancelled, restored):
        program.wait(sleep(600))
        program.evict()
    assert cancelled.world.do(CancelTasks((cancelled.id,))) == (cancelled.id,)
    assert cancelled.status is TaskStatus.CANCELLED
    assert restored.world.do(RestoreTask(restored.id)) is True
    assert restored.status is TaskStatus.RUNNING
    assert restored.world.do(RestoreTask(restored.id)) is False
    assert cancelled.world.do(RestoreTask(cancelled.id)) is False


def test_a_result_that_is_never_asked_for_again_starts_the_task_anew() -> None:
    program = Program(retries=1)
    program.wait(event("a"))
    program.wait(event("b"))
    program.push("a")
    program.push("b")
    program.world.fail(program.id)
    program.wait(event("a"))
    program.world.do(ReplayTasks(()))
    program.world.restart()
    # After the restart the invocation is taken to have been told; a list repairs what it missed.
    assert [type(a) for a in program.list_waiting(1)] == [EntryCompleted]


def test_a_held_result_stalls_a_minute_at_most() -> None:
    program = Program(retries=1)
    (ack,) = program.spawn("{}")
    program.list_waiting(1)
    program.wait(event("later"))
    program.world.complete(ack.children[0][2])
    program.push("later")
    program.world.fail(program.id)
    program.spawn("{}")
    assert [type(a) for a in program.wait(event("later"))] == [WaitAck]
    program.world.advance(61)
    assert program.invocation == 3


# Reports ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("outcome", [Outcome.FAILED, Outcome.COMPLETED, Outcome.CANCELLED])
def test_a_report_of_an_invocation_on_another_worker_changes_nothing(outcome: Outcome) -> None:
    program = Program()
    first = program.world.tasks[program.id].worker_id
    assert first is not None
    program.wait(sleep(600))
    program.evict()
    second = program.world.worker("deep:deep", slots={"durable": 2, "default": 1})
    program.world.do(PauseWorker(first, True))
    program.world.do(RestoreTask(program.id))
    assert program.world.tasks[program.id].worker_id == second
    reply = program.world.do(ReportAttempt(program.id, 0, outcome, "{}", worker=first))
    assert reply == Accepted(is_current=False)
    assert program.status is TaskStatus.RUNNING
    # Some workers give their name instead of their id.
    reply = program.world.do(ReportAttempt(program.id, 0, outcome, "{}", worker="worker"))
    assert reply == Accepted(is_current=True)


def test_a_report_of_the_present_worker_ends_the_invocation() -> None:
    program = Program()
    worker = program.world.tasks[program.id].worker_id
    assert worker is not None
    program.world.do(ReportAttempt(program.id, 0, Outcome.COMPLETED, "{}", worker=worker))
    assert program.status is TaskStatus.COMPLETED


# Replay and branches -----------------------------------------------------------------------------------------------


def finish_three(program: Program) -> None:
    for number in range(3):
        program.wait(sleep(number + 1))
        program.world.advance(number + 1)
    program.world.complete(program.id, '{"done": 1}')


def test_a_replay_gives_everything_back_at_once() -> None:
    program = Program()
    finish_three(program)
    program.world.do(ReplayTasks((program.id,)))
    for number in range(3):
        ack, done = program.wait(sleep(number + 1))
        assert (ack.ref.node_id, done.ref.node_id) == (number + 1, number + 1)
    assert program.world.tasks[program.id].retry_count == 1


def test_a_branch_shares_what_came_before_and_does_the_rest_again() -> None:
    program = Program()
    finish_three(program)
    fork = program.world.do(BranchTask(program.id, 2, 1))
    assert isinstance(fork, EntryRef)
    assert (fork.branch_id, fork.node_id) == (2, 2)
    ack, done = program.wait(sleep(1))
    assert (ack.ref.branch_id, done.ref.branch_id) == (1, 1)
    (ack,) = program.wait(sleep(2))
    assert ack.ref.branch_id == 2
    program.world.advance(2)
    (ack,) = program.wait(sleep(30))
    assert isinstance(ack, WaitAck)
    assert program.entry(3, branch=2).identity != program.entry(3).identity


def test_a_branch_off_a_branch_survives_a_restart() -> None:
    program = Program()
    finish_three(program)
    program.world.do(BranchTask(program.id, 2, 1))
    program.wait(sleep(1))
    program.wait(sleep(2))
    program.world.advance(2)
    program.world.complete(program.id)
    program.world.do(BranchTask(program.id, 2, 2))
    program.world.restart()
    assert program.world.logs[program.id].branch_id == 3
    (lost,) = program.wait(sleep(1))
    assert isinstance(lost, DropInvocation)
    ack, *_ = program.wait(sleep(1))
    assert ack.ref.branch_id == 1


def test_children_of_discarded_nodes_are_spawned_anew() -> None:
    program = Program()
    (ack,) = program.spawn("{}", key="k")
    program.world.complete(ack.children[0][2])
    program.world.complete(program.id)
    program.world.do(BranchTask(program.id, 1, 1))
    (again,) = program.spawn("{}", key="k")
    assert again.children[0][2] != ack.children[0][2]
    assert again.children[0][0] == 2


def test_a_task_whose_successors_are_not_over_is_not_branched() -> None:
    world = World()
    world.put(task("deep", is_durable=True), task("after", "deep"))
    world.worker("deep", slots={"durable": 1})
    run_id = world.trigger()
    task_id = world.task(run_id, "deep")
    world.do(BeginMemo(stream=STREAM, task_id=task_id, invocation_count=1))
    assert world.complete(task_id)
    with pytest.raises(FailedPrecondition, match="come after it"):
        world.do(BranchTask(task_id, 1, 1))
    world.do(CancelTasks((run_id,)))
    assert world.do(BranchTask(task_id, 1, 1)) == EntryRef(task_id, 1, 2, 1)


def test_only_a_task_that_is_over_and_a_node_that_is_there_can_be_branched() -> None:
    program = Program()
    with pytest.raises(FailedPrecondition):
        program.world.do(BranchTask(program.id, 1, 1))
    finish_three(program)
    for node, branch_id in ((4, 1), (0, 1), (1, 2)):
        with pytest.raises(NotFound):
            program.world.do(BranchTask(program.id, node, branch_id))
    with pytest.raises(NotFound):
        program.world.do(BranchTask("00000000-0000-7000-8000-000000000000", 1, 1))


def test_waits_that_a_branch_discards_are_not_armed_again() -> None:
    program = Program()
    program.wait(event("go"))
    program.world.do(CancelTasks((program.id,)))
    program.world.do(BranchTask(program.id, 1, 1))
    assert program.status is TaskStatus.RUNNING
    program.push("go")
    program.world.advance(1)
    assert program.entry(1).satisfied_at_us is None
    assert not program.world.answers()
    (ack,) = program.wait(event("stay"))
    program.world.restart()
    program.push("go")
    assert program.entry(1).satisfied_at_us is None
    assert ack.ref.branch_id == 2


# Refusals and the older protocol -------------------------------------------------------------------------------------


def test_a_signal_is_known_by_its_key_and_fires_once() -> None:
    program = Program()
    for _ in range(2):
        program.world.do(RegisterSignal(program.id, "s", (event("go"),)))
    program.push("go", '{"n": 1}')
    fired = [e for e in program.world.decisions[-1].effects if isinstance(e, SignalFired)]
    assert [(f.task_id, f.key, msgspec.json.decode(f.payload)) for f in fired] == [
        (program.id, "s", {"CREATE": {"go": [{"n": 1}]}})
    ]
    with pytest.raises(NotFound):
        program.world.do(RegisterSignal("00000000-0000-7000-8000-000000000000", "s", (event("go"),)))


def test_a_signal_of_a_task_that_sleeps_outside_memory_fires_and_wakes_it() -> None:
    for restarts in (False, True):
        program = Program()
        program.wait(sleep(600))
        program.evict()
        program.world.do(RegisterSignal(program.id, "s", (event("go"), sleep(30, group=1))))
        assert program.status is TaskStatus.EVICTED
        assert program.world.tenant.counts()["tasks"] == 0, "it sleeps on"
        if restarts:
            program.world.restart()
        program.world.advance(30)
        assert program.status is TaskStatus.EVICTED
        program.push("go", '{"n": 1}')
        fired = [e for d in program.world.decisions[-3:] for e in d.effects if isinstance(e, SignalFired)]
        assert [(f.task_id, f.key) for f in fired] == [(program.id, "s")]
        assert program.status is TaskStatus.RUNNING


def test_a_signal_asked_for_again_while_the_task_sleeps_is_the_same() -> None:
    program = Program()
    program.world.do(RegisterSignal(program.id, "s", (event("go"),)))
    program.wait(sleep(600))
    program.evict()
    entries = dict(program.world.entries)
    program.world.do(RegisterSignal(program.id, "s", (event("other"),)))
    assert program.world.entries == entries
    assert program.world.tenant.counts()["tasks"] == 0


def test_a_task_that_has_not_begun_has_no_signals() -> None:
    program = Program()
    _, waiting = (program.world.trigger("deep") for _ in range(2))
    assert program.world.status(waiting) is TaskStatus.QUEUED
    with pytest.raises(NotFound):
        program.world.do(RegisterSignal(waiting, "s", (event("go"),)))


def test_without_an_expression_only_the_newest_event_is_read() -> None:
    program = Program()
    tenant = program.world.tenant
    plain = BeginWait(
        stream=STREAM, task_id=program.id, invocation_count=1, conditions=(event("go", scope="a", since_us=0),)
    )
    (query,) = tenant.missing(plain).events
    assert query.count_max == 1
    picky = (event("go", scope="a", since_us=0, expression="input.n == 1"),)
    (query,) = tenant.missing(RegisterSignal(program.id, "s", picky)).events
    assert query.count_max == waits.PAST_EVENTS_MAX == 1_000


def test_looking_back_prefers_the_newest_event_of_the_same_batch() -> None:
    program = Program()
    wait = BeginWait(
        stream=STREAM, task_id=program.id, invocation_count=1, conditions=(event("go", scope="a", since_us=0),)
    )
    pushes = [PushEvents((EventRequest(key="go", payload=f'{{"n": {n}}}', scope="a"),)) for n in (1, 2)]
    program.world.round(*pushes, wait)
    (told,) = [a for a in program.world.answers() if isinstance(a, EntryCompleted)]
    assert data_of(told) == {"CREATE": {"go": [{"n": 2}]}}
