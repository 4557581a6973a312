"""Who is asked when an event is pushed: everybody who wants it, and as few others as can be told apart cheaply."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadaxe.core.interests import Interest, Interests, Shown

KEY = "order:paid"

PAYLOADS = [
    {},
    {"id": "a"},
    {"id": "b"},
    {"id": ""},
    {"id": None},
    {"id": 5},
    {"id": 5.0},
    {"id": 5.5},
    {"id": -5},
    {"id": 0},
    {"id": True},
    {"id": False},
    {"id": ["a"]},
    {"id": {"id": "a"}},
    {"id": "a", "n": 1, "order": {"id": "a", "n": 5}},
    {"id": "b", "n": 1, "order": {"id": "b", "n": 1}},
    {"order": "a"},
]
BEGINNINGS = [
    "input.id == 'a'",
    'input.id == "a"',
    " input . id=='b' ",
    "input.id==''",
    "input.id == 5",
    "input.id == -5",
    "input.id == 5.0",
    "input.id == true",
    "input.id == null",
    "input.id == 0",
    "input.order.id == 'a'",
    "input.order.n == 5",
    "input.id.id == 'a'",
    "input.id == r'a'",
    "input.id == '''a'''",
    "input.id == '\\x61'",
    "'a' == input.id",
    "input['id'] == 'a'",
    "input.id != 'a'",
    "!(input.id == 'a')",
    "input.id == 'a' == true",
    "input.id == 'a' ? false : true",
    "has(input.order)",
    "true",
    "",
]
ENDINGS = ["", " && true", " && input.n == 1", " || true", " && false || true", " && (false || true)", " ? true : true"]

expressions = st.builds(str.__add__, st.sampled_from(BEGINNINGS), st.sampled_from(ENDINGS))
scopes = st.sampled_from([None, "s", "t"])
wanted = st.builds(Interest, st.sampled_from([KEY, "other"]), scopes, expressions)


@given(st.lists(wanted, max_size=30), st.sampled_from(PAYLOADS), scopes)
def test_nobody_who_wants_an_event_is_left_out(asked: list[Interest], payload: object, scope: str | None) -> None:
    interests: Interests[int] = Interests()
    for waiter, interest in enumerate(asked):
        interests.add(waiter, interest)
    event = Shown(KEY, scope, json.dumps(payload))
    candidates = interests.candidates(event)
    assert candidates == sorted(set(candidates))
    wanting = [w for w, i in enumerate(asked) if event.meets(i.key, i.scope, i.expression)]
    assert set(wanting) <= set(candidates)
    for waiter, interest in enumerate(asked):
        interests.remove(waiter, interest)
    assert not interests
    assert interests.candidates(event) == []


@pytest.mark.parametrize(
    "expression",
    ["input.id == 'a'", 'input.id=="a"', "input.id == 'a' && input.n == 1", "input.order.id == 'a'", "input.id == 7"],
)
def test_who_waits_for_another_subject_is_not_asked(expression: str) -> None:
    interests: Interests[int] = Interests()
    interests.add(1, Interest(KEY, None, expression))
    interests.add(2, Interest(KEY, None, "input.n == 1"))
    assert interests.candidates(Shown(KEY, None, '{"id": "b", "n": 1, "order": {"id": "b"}}')) == [2]


def test_who_waits_for_another_scope_is_not_asked() -> None:
    interests: Interests[str] = Interests()
    for scope in (None, "s", "t"):
        interests.add(str(scope), Interest(KEY, scope, ""))
    assert interests.candidates(Shown(KEY, "s", "{}")) == ["None", "s"]
    assert interests.candidates(Shown(KEY, None, "{}")) == ["None"]


def test_they_are_asked_in_the_order_they_came_each_once() -> None:
    interests: Interests[str] = Interests()
    asked = [("z", ""), ("b", "input.id == 'a'"), ("a", ""), ("b", ""), ("a", "input.id == 'a'")]
    for waiter, expression in asked:
        interests.add(waiter, Interest(KEY, None, expression))
    assert interests.candidates(Shown(KEY, None, '{"id": "a"}')) == ["z", "b", "a"]


def test_a_payload_that_cannot_be_computed_with_meets_only_who_asks_nothing_of_it() -> None:
    interests: Interests[int] = Interests()
    for waiter, expression in enumerate(["", "true", "input.id == 'a'"]):
        interests.add(waiter, Interest(KEY, None, expression))
    event = Shown(KEY, None, '{"id": 1e999}')
    assert [w for w in interests.candidates(event) if event.meets(KEY, None, ["", "true", "input.id == 'a'"][w])] == [0]
