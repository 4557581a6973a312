"""Which workflows an event's key starts: patterns, how they come and go, and that few are looked at."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broadaxe.core.commands.workflows import DeleteWorkflow
from broadaxe.core.decision import VersionRow, WorkflowRow
from broadaxe.core.definition import WorkflowSpec, normalise
from broadaxe.core.event_patterns import EventPatterns
from broadaxe.core.model import Version, Workflow
from tests.core.world import World, task

bounded = settings(derandomize=True, deadline=None, max_examples=150)

DEFINITION = normalise(WorkflowSpec(name="flow", tasks=(task("a"),)), lambda: "id")


def workflow(number: int) -> Workflow:
    return Workflow(WorkflowRow(f"{number:04}", f"flow-{number}", "", 0, 0, None))


def listen(patterns: EventPatterns, listener: Workflow, triggers: Sequence[str]) -> None:
    """The workflow has a new version with these patterns."""
    definition = msgspec.structs.replace(DEFINITION, event_triggers=tuple(dict.fromkeys(triggers)))
    ordinal = 1 if listener.latest is None else listener.latest.ordinal + 1
    row = VersionRow(f"{listener.id}-{ordinal}", listener.id, ordinal, "", "", definition, 0)
    listener.latest = Version(row, listener)
    patterns.put(listener)


def plain_match(pattern: str, key: str) -> bool:
    """The definition of a match, too slow for anything but a test."""
    if not pattern:
        return not key
    if pattern[0] == "*":
        return any(plain_match(pattern[1:], key[start:]) for start in range(len(key) + 1))
    return bool(key) and key[0] == pattern[0] and plain_match(pattern[1:], key[1:])


@pytest.mark.parametrize(
    ("pattern", "key", "matches"),
    [
        ("a.b", "a.b", True),
        ("a.b", "a.bc", False),
        ("a.b", "A.b", False),
        ("a.*", "a.b.c", True),
        ("a.*", "a.", True),
        ("a.*", "a", False),
        ("*", "", True),
        ("*.c", "a.b.c", True),
        ("a*c", "ac", True),
        ("a*a", "a", False),
        ("a*b*c", "a-b-b-c", True),
        ("a*b*c", "acb", False),
        ("**", "anything", True),
        ("*b*", "abc", True),
        ("*b*", "ac", False),
        ("a%b", "a-b", False),
        ("a_b", "a-b", False),
        ("a.b", "axb", False),
        ("a*b", "a*b", True),
        ("a", "a*", False),
    ],
)
def test_event_keys(pattern: str, key: str, matches: bool) -> None:
    patterns, listener = EventPatterns(), workflow(1)
    listen(patterns, listener, [pattern])
    assert patterns.matching(key) == ([(listener, 1)] if matches else [])


several = st.lists(st.text("ab*", min_size=1, max_size=5), max_size=4)


@bounded
@given(st.lists(st.tuples(st.integers(0, 3), several), max_size=8), st.lists(st.text("ab", max_size=6), max_size=4))
def test_keys_find_the_patterns_of_latest_versions_by_workflow(
    versions: list[tuple[int, list[str]]], keys: list[str]
) -> None:
    patterns, listeners = EventPatterns(), [workflow(number) for number in range(4)]
    latest: dict[int, list[str]] = {}
    for number, triggers in versions:
        latest[number] = list(dict.fromkeys(triggers))
        listen(patterns, listeners[number], triggers)
    for key in keys:
        matches = {
            number: sum(plain_match(pattern, key) for pattern in triggers) for number, triggers in latest.items()
        }
        assert patterns.matching(key) == [
            (listeners[number], matches[number]) for number in sorted(matches) if matches[number]
        ]


@bounded
@given(st.lists(st.tuples(st.integers(0, 3), several), max_size=8))
def test_nothing_is_left_of_workflows_that_listen_no_more(versions: list[tuple[int, list[str]]]) -> None:
    patterns, listeners = EventPatterns(), [workflow(number) for number in range(4)]
    for number, triggers in versions:
        listen(patterns, listeners[number], triggers)
    for listener in listeners:
        listener.deleted_at_us = 1
        patterns.put(listener)
    assert not patterns._exact
    assert not patterns._with_wildcards
    assert not patterns.known()


def test_workflows_that_listen_for_other_keys_cost_an_event_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    patterns = EventPatterns()
    for number in range(1_000):
        listen(patterns, workflow(number), [f"order:{number:04}:*", f"*:done:{number:04}", f"user:{number}"])
    assert len(patterns._with_wildcards) == 2, "two lengths of a beginning and an end"
    compared: list[str] = []
    monkeypatch.setattr(
        "broadaxe.core.event_patterns._matches_between", lambda pattern, *_: compared.append(pattern) or True
    )
    assert [(found.id, matches) for found, matches in patterns.matching("order:0007:done:0009")] == [
        ("0007", 1),
        ("0009", 1),
    ]
    assert compared == ["order:0007:*", "*:done:0009"]


def test_a_load_brings_patterns_back_those_of_deleted_workflows_not() -> None:
    world = World()
    world.put(task("a"), name="old", event_triggers=("gone",))
    second = world.put(task("a"), name="second", event_triggers=("k*", "*k"))
    world.put(task("a"), name="old", event_triggers=("k", "k*"))
    deleted = world.put(task("a"), name="deleted", event_triggers=("k",))
    world.do(DeleteWorkflow(deleted.workflow_id))
    before = world.tenant._state.event_patterns
    world.restart()
    after = world.tenant._state.event_patterns
    assert after is not before
    assert after.known() == before.known()
    assert after.known()[second.workflow_id] == ("k*", "*k")
    assert [matches for _, matches in after.matching("k")] == [2, 2]
    assert not after.matching("gone")
