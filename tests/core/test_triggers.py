"""Where runs come from: definitions and their versions, triggers, children, events."""

from __future__ import annotations

import json

import pytest

from broadaxe.core.commands.events import EventRequest, PushEvents
from broadaxe.core.commands.tasks import ReplayTasks
from broadaxe.core.commands.triggers import RunRequest, TriggerRuns
from broadaxe.core.commands.workflows import DeleteWorkflow
from broadaxe.core.lifecycle import TaskStatus
from broadaxe.errors import InvalidArgument, NotFound
from tests.core.world import World, task

NOBODY = "00000000-0000-7000-8000-000000000000"


def push(world: World, key: str, **fields: object) -> list[str]:
    """Pushes one event; the workflow names of the runs it started."""
    (pushed,) = world.do(PushEvents((EventRequest(key=key, payload='{"e":1}', **fields),)))  # type: ignore[arg-type,misc]
    return [world.run_rows[run_id].workflow_id for run_id in pushed.run_ids]  # type: ignore[union-attr]


# Versions ------------------------------------------------------------------------------------------------------------


def test_the_same_definition_makes_no_new_version() -> None:
    world = World()
    first = world.put(task("a"))
    world.advance(1)
    assert world.put(task("a", slots={"default": 1})) == first
    assert not world.decisions[-1].writes
    changed = world.put(task("a", retries=1))
    assert (changed.workflow_id, changed.ordinal) == (first.workflow_id, 2)
    back = world.put(task("a"))
    assert back.ordinal == 3


def test_new_runs_take_the_newest_version_and_running_ones_keep_theirs() -> None:
    world = World()
    old = world.put(task("a"))
    running = world.trigger()
    new = world.put(task("a", retries=1))
    world.worker("a")
    assert world.run_rows[running].version_id == old.version_id
    assert world.run_rows[world.trigger()].version_id == new.version_id
    world.fail(running)
    assert world.status(running) is TaskStatus.FAILED


def test_a_deleted_workflow_is_unknown_and_its_runs_go_on() -> None:
    world = World()
    first = world.put(task("a"))
    run_id = world.trigger()
    world.do(DeleteWorkflow(first.workflow_id))
    with pytest.raises(InvalidArgument, match="flow"):
        world.trigger()
    with pytest.raises(NotFound):
        world.do(DeleteWorkflow(first.workflow_id))
    world.worker("a")
    assert world.complete(run_id)
    again = world.put(task("a"))
    assert again.workflow_id != first.workflow_id
    assert again.ordinal == 1


# Triggers ------------------------------------------------------------------------------------------------------------


def test_a_trigger_with_a_free_slot_is_assigned_in_the_batch_that_makes_it() -> None:
    world = World()
    world.put(task("a"))
    world.worker("a")
    run_id = world.trigger()
    writes = world.decisions[-1].writes
    assert [(new.row.id, new.state.status) for new in writes.new_tasks] == [(run_id, TaskStatus.RUNNING)]
    assert writes.tasks == []


def test_a_bulk_keeps_its_order() -> None:
    world = World()
    world.put(task("a"))
    requests = tuple(RunRequest(workflow_name="flow", input=json.dumps({"n": n})) for n in range(500))
    run_ids = world.do(TriggerRuns(requests))
    inputs = {new.row.id: new.input for new in world.decisions[-1].writes.new_runs}
    assert [json.loads(inputs[run_id])["n"] for run_id in run_ids] == list(range(500))  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("field", "bad"),
    [
        ("name", RunRequest(workflow_name="missing", input="{}")),
        ("workflows[1].priority", RunRequest(workflow_name="flow", input="{}", priority=4)),
        (
            "workflows[1].parent_task_run_external_id",
            RunRequest(workflow_name="flow", input="{}", parent_task_id=NOBODY),
        ),
    ],
)
def test_one_bad_request_refuses_all(field: str, bad: RunRequest) -> None:
    world = World()
    world.put(task("a"))
    with pytest.raises(InvalidArgument) as refused:
        world.do(TriggerRuns((RunRequest(workflow_name="flow", input="{}"), bad)))
    assert refused.value.field == field
    assert not world.decide().writes
    assert world.tenant.counts()["runs"] == 0


def test_unknown_workflows_are_listed_by_name() -> None:
    world = World()
    with pytest.raises(InvalidArgument, match=r"'one', 'two'"):
        world.do(TriggerRuns(tuple(RunRequest(workflow_name=name, input="{}") for name in ("one", "two", "one"))))


# Children ------------------------------------------------------------------------------------------------------------


def parent(world: World, metadata: str | None = None) -> str:
    world.put(task("p", retries=5), name="parent")
    world.put(task("c"), name="child")
    world.worker("p", "c")
    return world.trigger("parent", additional_metadata=metadata)


def test_a_child_is_found_again_by_its_index_across_attempts() -> None:
    world = World()
    task_id = parent(world)
    children = [world.trigger("child", parent_task_id=task_id, child_index=n) for n in range(3)]
    assert len(set(children)) == 3
    world.complete(children[0])
    world.fail(task_id)
    again = [world.trigger("child", parent_task_id=task_id, child_index=n) for n in range(3)]
    assert again == children


def test_key_and_index_share_one_namespace() -> None:
    world = World()
    task_id = parent(world)
    by_index = world.trigger("child", parent_task_id=task_id, child_index=0)
    assert world.trigger("child", parent_task_id=task_id, child_key="0") == by_index
    assert world.trigger("child", parent_task_id=task_id, child_key="") == by_index
    assert world.trigger("child", parent_task_id=task_id) == by_index
    by_key = world.trigger("child", parent_task_id=task_id, child_index=0, child_key="k")
    assert by_key != by_index
    assert world.trigger("child", parent_task_id=task_id, child_index=7, child_key="k") == by_key


def test_the_same_key_twice_in_one_request_is_one_child() -> None:
    world = World()
    task_id = parent(world)
    request = RunRequest(workflow_name="child", input="{}", parent_task_id=task_id, child_key="k")
    first, second = world.do(TriggerRuns((request, request)))  # type: ignore[misc]
    assert first == second


def test_children_of_another_parent_are_others() -> None:
    world = World()
    one = parent(world)
    other = world.trigger("parent")
    assert world.trigger("child", parent_task_id=one, child_index=0) != world.trigger(
        "child", parent_task_id=other, child_index=0
    )


def test_children_are_found_again_after_the_parent_finished_and_was_replayed() -> None:
    world = World()
    task_id = parent(world)
    child = world.trigger("child", parent_task_id=task_id, child_index=0)
    world.complete(task_id)
    assert world.trigger("child", parent_task_id=task_id, child_index=0) == child
    assert world.tenant.counts()["runs"] == 1, "the finished parent was only looked at"
    world.do(ReplayTasks((task_id,)))
    assert world.trigger("child", parent_task_id=task_id, child_index=0) == child


def test_children_inherit_metadata_but_no_reserved_keys_and_their_own_win() -> None:
    world = World()
    task_id = parent(world, '{"user":"u1","color":"red","hatchet__secret":"x"}')
    child = world.trigger("child", parent_task_id=task_id, additional_metadata='{"color":"blue"}')
    row = world.run_rows[child]
    metadata = json.loads(row.additional_metadata or "")
    assert metadata.pop("traceparent").split("-")[1] == task_id.replace("-", "")
    assert metadata == {
        "user": "u1",
        "color": "blue",
        "hatchet__parent_workflow_run_id": task_id,
        "hatchet__parent_step_run_id": task_id,
    }
    assert (row.parent_run_id, row.parent_task_id) == (task_id, task_id)


def test_a_parent_that_ends_leaves_its_children_alone() -> None:
    world = World()
    task_id = parent(world)
    child = world.trigger("child", parent_task_id=task_id)
    world.fail(task_id, is_retryable=False)
    assert world.status(child) is TaskStatus.RUNNING


def test_children_do_not_inherit_priority() -> None:
    world = World()
    world.put(task("p"), name="parent")
    world.put(task("c"), name="child")
    run_id = world.trigger("parent", priority=3)
    assert world.run_rows[world.trigger("child", parent_task_id=run_id)].priority == 1


# Events --------------------------------------------------------------------------------------------------------------


def test_an_event_starts_one_run_per_matching_pattern_of_newest_versions() -> None:
    world = World()
    world.put(task("a"), name="old", event_triggers=("order:*",))
    world.put(task("a"), name="old", event_triggers=("other",))
    both = world.put(task("a"), name="both", event_triggers=("order:*", "*:new", "order:*")).workflow_id
    exact = world.put(task("a"), name="exact", event_triggers=("order:new",)).workflow_id
    world.put(task("a"), name="deaf")
    assert push(world, "order:new") == [both, both, exact]


def test_an_event_nobody_waits_for_is_kept() -> None:
    world = World()
    assert push(world, "lonely", scope="s", priority=2) == []
    (event,) = world.pushed.values()
    assert (event.key, event.payload, event.scope, event.priority) == ("lonely", '{"e":1}', "s", 2)


def test_runs_of_an_event_carry_its_payload_metadata_and_priority() -> None:
    world = World()
    world.put(task("a"), event_triggers=("k",), default_priority=2)
    push(world, "k", additional_metadata='{"user":"u","hatchet__x":"1"}', priority=3)
    (new_run,) = world.decisions[-1].writes.new_runs
    (event_id,) = world.pushed
    assert new_run.input == '{"e":1}'
    assert new_run.row.priority == 3
    assert (new_run.row.triggering_event_id, new_run.row.triggering_event_key) == (event_id, "k")
    assert json.loads(new_run.row.additional_metadata or "") == {
        "user": "u",
        "hatchet__event_id": event_id,
        "hatchet__event_key": "k",
    }
    push(world, "k")
    assert world.decisions[-1].writes.new_runs[0].row.priority == 2


def test_a_deleted_workflow_hears_no_events() -> None:
    world = World()
    world.do(DeleteWorkflow(world.put(task("a"), event_triggers=("k",)).workflow_id))
    assert push(world, "k") == []


@pytest.mark.parametrize(
    ("field", "event"),
    [
        ("events[1].key", EventRequest(key="", payload="{}")),
        ("events[1].priority", EventRequest(key="k", payload="{}", priority=9)),
    ],
)
def test_one_bad_event_refuses_all(field: str, event: EventRequest) -> None:
    world = World()
    with pytest.raises(InvalidArgument) as refused:
        world.do(PushEvents((EventRequest(key="k", payload="{}"), event)))
    assert refused.value.field == field
    assert not world.decide().writes


# Asked for again ------------------------------------------------------------------------------------------------------


def twice(world: World, *names: str) -> tuple[TriggerRuns, TriggerRuns]:
    """What somebody asks for by way of a link, and what they ask for when the link broke before the answer."""
    requests = tuple(RunRequest(workflow_name=name, input="{}") for name in names)
    first = TriggerRuns(requests).promised(world.ids)
    second = first.again()
    assert second is not None
    return first, second


def test_runs_that_were_promised_are_made_once_however_often_they_are_asked_for() -> None:
    world = World()
    world.put(task("a"))
    first, second = twice(world, "flow", "flow")
    made = world.do(first)
    assert made == tuple(request.promise.id for request in first.requests if request.promise)
    assert world.do(second) == made
    assert world.do(first) == made, "the first one may come after the second"
    world.restart()
    assert world.do(second) == made
    assert len(world.runs) == 2


def test_runs_that_were_asked_for_and_never_made_are_made_by_the_second_request() -> None:
    world = World()
    world.put(task("a"))
    _, second = twice(world, "flow")
    (run_id,) = world.do(second)  # type: ignore[misc]
    assert list(world.runs) == [run_id]


def test_a_run_that_has_ended_meanwhile_is_looked_for_and_not_made_again() -> None:
    world = World()
    world.put(task("a"))
    world.worker("a")
    first, second = twice(world, "flow")
    (run_id,) = world.do(first)  # type: ignore[misc]
    world.complete(run_id)
    assert world.tenant.missing(first).tasks == frozenset()
    assert world.tenant.missing(second).tasks == {run_id}
    assert world.do(second) == (run_id,)
    assert len(world.runs) == 1


def test_what_was_promised_nothing_cannot_be_asked_for_again() -> None:
    assert TriggerRuns((RunRequest(workflow_name="flow", input="{}"),)).again() is None


def test_events_that_were_promised_are_pushed_once_however_often_they_are_pushed_again() -> None:
    world = World()
    world.put(task("a"), event_triggers=("order:*",))
    first = PushEvents(tuple(EventRequest(key=f"order:{n}", payload="{}") for n in range(2))).promised(world.ids)
    second = first.again()
    assert second is not None
    made = world.do(first)
    assert world.do(second) == made
    world.restart()
    assert world.do(second) == made, "from the tables"
    assert [event.event_id for event in made] == [event.promise.id for event in first.events if event.promise]  # type: ignore[union-attr]
    assert len(world.pushed) == len(world.runs) == 2


def test_an_event_that_comes_twice_in_one_round_is_pushed_once() -> None:
    """The first was under way when its link broke, and the second overtook nothing."""
    world = World()
    world.put(task("a"), event_triggers=("order",))
    first = PushEvents((EventRequest(key="order", payload="{}"),)).promised(world.ids)
    second = first.again()
    assert second is not None
    decision = world.decide(first, second)
    assert decision.replies[0] == decision.replies[1]
    assert len(world.pushed) == len(world.runs) == 1


def test_events_that_never_were_pushed_are_pushed_by_the_second_request() -> None:
    world = World()
    world.put(task("a"), event_triggers=("order",))
    request = PushEvents((EventRequest(key="order", payload="{}"),))
    assert request.again() is None, "nobody knows under which id it would be"
    second = request.promised(world.ids).again()
    assert second is not None
    (pushed,) = world.do(second)  # type: ignore[misc]
    assert list(world.pushed) == [pushed.event_id]  # type: ignore[union-attr]
