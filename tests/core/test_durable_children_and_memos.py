"""What durable tasks keep that comes late or under an old name: memos after the end, children by their index."""

from __future__ import annotations

from broadaxe.core.commands.durable import BeginMemo, CompleteMemo, EntryRef, SpawnChildren
from broadaxe.core.commands.tasks import BranchTask, ReplayTasks, RestoreTask
from broadaxe.core.commands.triggers import RunRequest
from broadaxe.core.decision import ChildrenAck, DropInvocation, MemoAck, NonDeterminism
from broadaxe.core.lifecycle import TaskStatus
from tests.core.test_durable import Program, sleep
from tests.core.world import task

# Memos -----------------------------------------------------------------------------------------------------------


def memo_of(program: Program) -> EntryRef:
    (ack,) = program.memo()
    assert isinstance(ack, MemoAck)
    assert not ack.is_kept
    return ack.ref


def replayed_memo(program: Program) -> MemoAck:
    program.world.do(ReplayTasks((program.id,)))
    (ack,) = program.memo()
    assert isinstance(ack, MemoAck)
    return ack


def late(program: Program, ref: EntryRef, value: str) -> CompleteMemo:
    return CompleteMemo(
        stream=program.stream,
        task_id=program.id,
        invocation_count=ref.invocation_count,
        branch_id=ref.branch_id,
        node_id=ref.node_id,
        payload=value,
    )


def test_a_memo_that_comes_after_the_end_of_its_task_is_kept() -> None:
    program = Program()
    ref = memo_of(program)
    program.world.complete(program.id)
    program.world.do(late(program, ref, '"first"'))
    assert program.world.answers() == []
    assert replayed_memo(program).is_kept
    assert program.entry(1).result == '"first"'


def test_the_first_value_of_a_memo_counts_also_after_the_end() -> None:
    program = Program()
    ref = memo_of(program)
    program.keep(ref, '"first"')
    program.world.complete(program.id)
    program.world.round(late(program, ref, '"second"'), late(program, ref, '"third"'))
    assert program.entry(1).result == '"first"'


def test_a_memo_of_a_failed_attempt_is_kept_for_the_next_one() -> None:
    program = Program(retries=1)
    ref = memo_of(program)
    program.world.fail(program.id)
    (dropped,) = (program.world.do(late(program, ref, '"first"')), program.world.answers()[0])[1:]
    assert isinstance(dropped, DropInvocation)
    (ack,) = program.ask(BeginMemo)
    assert ack.is_kept


def test_a_memo_comes_too_late_once_a_newer_invocation_computes_its_own() -> None:
    program = Program(retries=1)
    ref = memo_of(program)
    program.world.fail(program.id)
    newer = memo_of(program)
    program.world.do(late(program, ref, '"old"'))
    program.keep(newer, '"new"')
    assert program.entry(1).result == '"new"'


def test_a_memo_of_a_task_that_sleeps_outside_memory_is_kept() -> None:
    program = Program()
    ref = memo_of(program)
    program.wait(sleep(600))
    program.evict()
    assert program.status is TaskStatus.EVICTED
    program.world.do(late(program, ref, '"first"'))
    program.world.do(RestoreTask(program.id))
    (ack,) = program.memo()
    assert isinstance(ack, MemoAck)
    assert ack.is_kept


def test_a_late_value_for_what_is_no_memo_changes_nothing() -> None:
    program = Program()
    (ack, *_) = program.wait(sleep(600))
    program.world.do(late(program, ack.ref, '"x"'))
    program.world.complete(program.id)
    program.world.do(late(program, ack.ref, '"x"'))
    assert program.entry(1).satisfied_at_us is None


# Children by index -----------------------------------------------------------------------------------------------


def spawn(program: Program, index: int, workflow: str = "kid", text: str = "{}") -> list[object]:
    request = RunRequest(workflow_name=workflow, input=text, child_index=index)
    return program.ask(SpawnChildren, requests=(request,))


def child(answers: list[object]) -> tuple[int, int, str]:
    (ack,) = answers
    assert isinstance(ack, ChildrenAck)
    (made,) = ack.children
    return made


def two_kinds() -> Program:
    program = Program()
    program.world.put(task("cat", service="kid"), name="cat")
    return program


def test_an_index_that_was_used_before_is_the_first_child_and_takes_no_node() -> None:
    program = two_kinds()
    first = child(spawn(program, 0))
    child(spawn(program, 1, "cat"))
    assert child(spawn(program, 0, text='{"other": 1}')) == first
    _, node_id, _ = child(spawn(program, 2))
    assert node_id == 3
    assert len(program.world.runs) == 4


def test_an_index_of_another_workflow_is_not_deterministic_and_makes_nothing() -> None:
    program = two_kinds()
    child(spawn(program, 0))
    child(spawn(program, 1, "cat"))
    (answer,) = spawn(program, 1)
    assert isinstance(answer, NonDeterminism)
    assert len(program.world.runs) == 3


def test_indexes_are_known_again_after_a_restart_and_in_a_replay() -> None:
    program = two_kinds()
    program.world.advance(1)
    first = child(spawn(program, 0))
    child(spawn(program, 1, "cat"))
    program.world.restart()
    assert child(spawn(program, 0)) == first
    program.world.complete(program.id)
    program.world.do(ReplayTasks((program.id,)))
    assert child(spawn(program, 0)) == first
    child(spawn(program, 1, "cat"))
    assert child(spawn(program, 0)) == first
    assert len(program.world.runs) == 3


def test_a_replay_that_spawns_another_input_under_its_index_is_not_deterministic() -> None:
    program = two_kinds()
    child(spawn(program, 0))
    program.world.complete(program.id)
    program.world.do(ReplayTasks((program.id,)))
    (answer,) = spawn(program, 0, text='{"other": 1}')
    assert isinstance(answer, NonDeterminism)


def test_the_index_of_a_discarded_child_is_free_again() -> None:
    program = two_kinds()
    first = child(spawn(program, 0))
    program.world.complete(program.id)
    program.world.do(BranchTask(program.id, 1, 1))
    second = child(spawn(program, 0))
    assert second[2] != first[2]
    assert child(spawn(program, 0)) == second


# Branches --------------------------------------------------------------------------------------------------------


def test_branch_zero_is_the_present_branch() -> None:
    program = Program()
    program.wait(sleep(0))
    program.world.complete(program.id)
    assert program.world.do(BranchTask(program.id, 1, 0)) == EntryRef(program.id, 1, 2, 1)
    program.wait(sleep(0))
    program.world.complete(program.id)
    fork = program.world.do(BranchTask(program.id, 1, 0))
    assert isinstance(fork, EntryRef)
    assert fork.branch_id == 3
    assert program.world.branches[program.id][-1].parent_branch_id == 2
