"""Event filters: which runs an event starts, and whose the filters are."""

from __future__ import annotations

import pytest

from broadaxe.core import filters
from broadaxe.core.commands.events import EventRequest, PushedEvent, PushEvents
from broadaxe.core.commands.filters import ChangeFilter, CreateFilter, DeleteFilter
from broadaxe.core.commands.workflows import DeleteWorkflow
from broadaxe.core.decision import FailureSource
from broadaxe.core.definition import FilterSpec, IdempotencyRule
from broadaxe.core.durations import US_PER_S
from broadaxe.errors import InvalidArgument, NotFound
from tests.core.world import World, task


def spec(expression: str = "true", scope: str = "S", payload: str = "{}") -> FilterSpec:
    return FilterSpec(expression=expression, scope=scope, payload=payload)


def world_with(*declared: FilterSpec, triggers: tuple[str, ...] = ("go",)) -> World:
    world = World()
    world.put(task("a"), event_triggers=triggers, default_filters=declared)
    return world


def push(
    world: World,
    scope: str | None = "S",
    *,
    key: str = "go",
    payload: str = '{"n":1}',
    metadata: str | None = None,
    priority: int | None = None,
) -> list[str | None]:
    """Pushes one event; the filter payloads of the runs it started, in order."""
    event = EventRequest(key=key, payload=payload, scope=scope, additional_metadata=metadata, priority=priority)
    (pushed,) = world.do(PushEvents((event,)))  # type: ignore[misc]
    assert isinstance(pushed, PushedEvent)
    return [world.run_rows[run_id].filter_payload for run_id in pushed.run_ids]


def create(world: World, expression: str = "true", scope: str = "S", payload: str = "{}") -> str:
    (workflow,) = world.tenant._state.workflows_by_name.values()
    filter_id = world.do(CreateFilter(workflow_id=workflow.id, scope=scope, expression=expression, payload=payload))
    assert isinstance(filter_id, str)
    return filter_id


# The decision --------------------------------------------------------------------------------------------------------

ONE, TWO, OTHER = spec("true", "S", '{"f":1}'), spec("input.n > 1", "S", '{"f":2}'), spec("true", "T", '{"f":3}')


@pytest.mark.parametrize(
    ("declared", "scope", "expected"),
    [
        ((), None, [None]),
        ((), "S", [None]),
        ((ONE,), None, []),
        ((ONE, OTHER), None, []),
        ((OTHER,), "S", []),
        ((ONE,), "s", []),
        ((ONE,), "S", ['{"f":1}']),
        ((ONE, TWO), "S", ['{"f":1}']),
        ((ONE, TWO, OTHER), "T", ['{"f":3}']),
        ((ONE, spec("input.n == 1", "S", '{"f":4}'), OTHER), "S", ['{"f":1}', '{"f":4}']),
        ((TWO,), "S", []),
        ((spec(""),), "S", []),
    ],
    ids=[
        "no filters, no scope",
        "no filters, a scope",
        "filters, no scope",
        "filters of two scopes, no scope",
        "no filter of this scope",
        "scopes tell case",
        "one filter says true",
        "one of two says true",
        "only this scope counts",
        "two say true",
        "none says true",
        "an empty expression",
    ],
)
def test_what_an_event_starts(declared: tuple[FilterSpec, ...], scope: str | None, expected: list[str | None]) -> None:
    world = world_with(*declared)
    assert push(world, scope) == expected
    assert world.failures == []
    assert len(world.pushed) == 1, "it is stored whatever it starts"


def test_the_payload_goes_with_the_run_to_its_worker() -> None:
    world = world_with(ONE)
    world.worker("a")
    push(world)
    (start,) = world.starts()
    assert start.filter_payload == '{"f":1}'
    assert world.run_rows[start.run_id].filter_id in world.filters


def test_a_later_change_of_the_filter_does_not_reach_the_run() -> None:
    world = world_with(ONE)
    push(world)
    (filter_id,) = world.filters
    world.do(ChangeFilter(filter_id=filter_id, payload='{"f":9}'))
    world.worker("a")
    (start,) = world.starts(last=2)
    assert start.filter_payload == '{"f":1}'
    assert push(world) == ['{"f":9}']


@pytest.mark.parametrize(
    ("expression", "is_true"),
    [
        ("input.n == 1", True),
        ("payload.f == 1", True),
        ("additional_metadata.user == 'u'", True),
        ("event_key == 'go'", True),
        ("event_id != ''", True),
        ("event_key.startsWith('no')", False),
    ],
)
def test_what_an_expression_may_name(expression: str, is_true: bool) -> None:
    world = world_with(spec(expression, "S", '{"f":1}'))
    assert len(push(world, metadata='{"user":"u"}')) == is_true


@pytest.mark.parametrize("expression", ["input.missing == 1", "input.n", "'true'", "payload.a.b"])
def test_a_filter_that_fails_starts_nothing_and_is_recorded(expression: str) -> None:
    world = world_with(spec(expression), ONE)
    assert push(world) == ['{"f":1}'], "the other filter decides for itself"
    (failure,) = world.failures
    (event_id,) = world.pushed
    (workflow,) = world.tenant._state.workflows.values()
    assert (failure.source, failure.event_id, failure.workflow_id) == (FailureSource.FILTER, event_id, workflow.id)
    assert expression in failure.message


def test_one_batch_records_so_many_failures() -> None:
    world = world_with(*(spec(f"input.missing == {number}") for number in range(150)))
    push(world)
    assert len(world.failures) == 100


def test_two_patterns_that_match_make_two_runs_of_each_filter() -> None:
    world = world_with(ONE, spec("true", "S", '{"f":5}'), triggers=("g*", "*o", "x"))
    assert sorted(filter(None, push(world))) == ['{"f":1}', '{"f":1}', '{"f":5}', '{"f":5}']


def test_filters_count_whatever_the_key() -> None:
    world = world_with(ONE, triggers=("go", "other"))
    assert push(world, key="other") == ['{"f":1}']
    assert push(world, None, key="other") == []


def test_filters_of_one_workflow_are_not_anothers() -> None:
    world = world_with(ONE)
    world.put(task("b"), name="open", event_triggers=("go",))
    assert push(world, None) == [None]
    assert set(push(world)) == {None, '{"f":1}'}


def test_a_filtered_run_has_the_events_metadata_priority_and_input() -> None:
    world = world_with(ONE)
    push(world, priority=3, metadata='{"mine":1,"hatchet__foreign":2}')
    (row,) = world.run_rows.values()
    (event_id,) = world.pushed
    assert row.priority == 3
    assert row.additional_metadata == f'{{"mine":1,"hatchet__event_id":"{event_id}","hatchet__event_key":"go"}}'


def test_each_filters_run_has_the_same_idempotency_key_so_one_wins() -> None:
    world = World()
    rule = IdempotencyRule(expression="'k'", ttl_us=US_PER_S)
    world.put(task("a"), event_triggers=("go",), default_filters=(ONE, spec()), idempotency=rule)
    assert push(world) == ['{"f":1}']


# Whose they are ------------------------------------------------------------------------------------------------------


def test_a_registration_that_declares_filters_replaces_those_declared_before() -> None:
    world = world_with(ONE, OTHER)
    mine = create(world, scope="S", payload='{"f":"mine"}')
    kept = next(row.id for row in world.filters.values() if row.scope == "T")
    world.put(task("a"), event_triggers=("go",), default_filters=(TWO, OTHER))
    assert {row.payload for row in world.filters.values()} == {'{"f":2}', '{"f":3}', '{"f":"mine"}'}
    assert {kept, mine} <= world.filters.keys(), "an equal one keeps its id"
    assert push(world) == ['{"f":"mine"}']


def test_a_registration_without_filters_leaves_them() -> None:
    world = world_with(ONE)
    world.put(task("a", retries=1), event_triggers=("go",))
    assert push(world) == ['{"f":1}']


def test_the_same_registration_changes_nothing() -> None:
    world = world_with(ONE, ONE, TWO)
    assert len(world.filters) == 3, "equal ones are two filters"
    world.put(task("a"), event_triggers=("go",), default_filters=(TWO, ONE, ONE))
    assert not world.decisions[-1].writes


def test_other_filters_make_no_new_version() -> None:
    world = World()
    first = world.put(task("a"), default_filters=(ONE,))
    assert world.put(task("a"), default_filters=(TWO,)) == first
    assert [row.payload for row in world.filters.values()] == ['{"f":2}']


def test_a_filter_is_made_changed_moved_and_deleted() -> None:
    world = world_with()
    filter_id = create(world, "false", "S", '{"f":1}')
    assert push(world) == []
    world.advance(1)
    world.do(ChangeFilter(filter_id=filter_id, expression="true"))
    assert push(world) == ['{"f":1}']
    world.do(ChangeFilter(filter_id=filter_id, scope="T"))
    assert (push(world), push(world, "T")) == ([], ['{"f":1}'])
    row = world.filters[filter_id]
    assert (row.updated_at_us - row.created_at_us, row.is_declared) == (US_PER_S, False)
    world.do(DeleteFilter(filter_id))
    assert push(world) == [None], "a workflow without filters is open again"
    for command in (DeleteFilter(filter_id), ChangeFilter(filter_id=filter_id, scope="U")):
        with pytest.raises(NotFound):
            world.do(command)


def test_filters_go_with_their_workflow() -> None:
    world = world_with(ONE)
    create(world)
    (workflow,) = world.tenant._state.workflows.values()
    world.do(DeleteWorkflow(workflow.id))
    assert world.filters == {}
    with pytest.raises(NotFound):
        world.do(CreateFilter(workflow_id=workflow.id, scope="S", expression="true"))
    world.put(task("a"), event_triggers=("go",))
    assert push(world) == [None]


@pytest.mark.parametrize(
    ("bad", "field"),
    [
        (spec("input."), "expression"),
        (spec("output.n == 1"), "expression"),
        (spec(scope="s" * 2_001), "scope"),
        (spec(scope="\x00"), "scope"),
        (spec("event_key == '\x00'"), "expression"),
        (spec(payload='{"p":"' + "x" * filters.PAYLOAD_BYTES_MAX + '"}'), "payload"),
    ],
    ids=["syntax", "unknown variable", "long scope", "NUL in scope", "NUL in expression", "large payload"],
)
def test_a_bad_filter_is_refused_and_changes_nothing(bad: FilterSpec, field: str) -> None:
    world = world_with(ONE)
    with pytest.raises(InvalidArgument) as refused:
        world.put(task("a", retries=2), event_triggers=("go",), default_filters=(TWO, bad))
    assert refused.value.field == f"default_filters[1].{field}"
    with pytest.raises(InvalidArgument) as refused:
        create(world, bad.expression, bad.scope, bad.payload)
    assert refused.value.field == field
    (filter_id,) = world.filters
    with pytest.raises(InvalidArgument) as refused:
        world.do(ChangeFilter(filter_id=filter_id, expression=bad.expression, scope=bad.scope, payload=bad.payload))
    assert refused.value.field == field
    assert not world.decide().writes
    assert push(world) == ['{"f":1}']


def test_a_scope_has_room_for_so_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filters, "SCOPE_FILTERS_MAX", 2)
    world = world_with(ONE, TWO)
    with pytest.raises(InvalidArgument, match="most allowed"):
        create(world)
    moved = create(world, scope="T")
    with pytest.raises(InvalidArgument, match="most allowed"):
        world.do(ChangeFilter(filter_id=moved, scope="S"))
    with pytest.raises(InvalidArgument, match="at most 2"):
        world.put(task("a"), default_filters=(spec(), spec(), spec()))


# Events --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "key", "matches"),
    [
        ("a.*", "a.b.c", True),
        ("a.*", "a.", True),
        ("a.*", "a", False),
        ("*", "", False),
        ("*", "anything", True),
        ("*.b", "a.b", True),
        ("a*c*e", "abcde", True),
        ("a*c*e", "ae", False),
        ("A", "a", False),
        ("a%", "abc", False),
        ("a_c", "abc", False),
        ("a_c", "a_c", True),
        ("a?", "ab", False),
        ("a[b]", "ab", False),
        ("a", "ab", False),
        ("a.b", "axb", False),
    ],
)
def test_a_star_is_the_only_wildcard(pattern: str, key: str, matches: bool) -> None:
    world = world_with(triggers=(pattern,))
    if not key:
        with pytest.raises(InvalidArgument, match="key"):
            push(world, key=key)
        return
    assert push(world, None, key=key) == [None] * matches


@pytest.mark.parametrize(("field", "size"), [("key", 1_025), ("scope", 2_001)])
def test_keys_and_scopes_fit_into_an_index(field: str, size: int) -> None:
    world = world_with()
    text = {"key": "go", "scope": "S", field: "x" * size}
    with pytest.raises(InvalidArgument) as refused:
        push(world, text["scope"], key=text["key"])
    assert refused.value.field == f"events[0].{field}"
