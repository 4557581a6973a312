"""Payloads that make expressions true."""

from __future__ import annotations

import json
from typing import Any

import pytest

from broadaxe.core.expressions import Environment, evaluate_bool
from broadaxe.core.fulfilment import CANDIDATES_MAX, fulfilment_of


@pytest.mark.parametrize(
    ("expression", "payload"),
    [
        ("", {}),
        ("input.order_id == 'o-17'", {"order_id": "o-17"}),
        ("'o-17' == input.order_id", {"order_id": "o-17"}),
        ("input.order.id == 17 && input.ok == true", {"order": {"id": 17}, "ok": True}),
        ('input["order"]["id"] == -3', {"order": {"id": -3}}),
        ("input.n > 5", {"n": 6}),
        ("5 < input.n && input.n < 10", {"n": 6}),
        ("input.n < 10 && input.n > 8", {"n": 9}),
        ("input.n >= 2.5", {"n": 2.5}),
        ("input.n > 0.0 && input.n < 1.0", {"n": 0.5}),
        ("input.n != 4", {"n": 5}),
        ("input.status in ['paid', 'free']", {"status": "paid"}),
        ("'urgent' in input.tags && 'b' in input.tags", {"tags": ["urgent", "b"]}),
        ("'x' in input", {"x": True}),
        ("has(input.refund) && input.refund == 'yes'", {"refund": "yes"}),
        ("input.approved", {"approved": True}),
        ("!input.approved", {"approved": False}),
        ("!has(input.error)", {}),
        ("!(input.n > 5)", {"n": 5}),
        ("input.a == 1 || input.b == 2", {"a": 1}),
        ("(input.a == 1 && input.a == 2) || input.b == 3", {"b": 3}),
        ("input.key.startsWith('user:') && input.key.endsWith('7')", {"key": "user:7"}),
        ("size(input.items) > 1", {"items": ["", ""]}),
        ("input.a == input.b && input.a == 3", None),
        ("int(input.n) == 4", {"n": 4}),
        ('input.name == "it\'s"', {"name": "it's"}),
        ("input.xs == [1, 2]", {"xs": [1, 2]}),
        ("input.kind == 'a' ? input.x == 1 : input.x == 2", {"kind": "a", "x": 1}),
    ],
)
def test_what_an_expression_asks_of_its_fields_is_given(expression: str, payload: dict[str, Any] | None) -> None:
    found = fulfilment_of(expression)
    made = json.loads(found.payload)
    if payload is not None:
        assert made == payload
    if expression:
        said = evaluate_bool(expression, Environment.CONDITION, {"input": made})
        assert (found.is_true, said) == ((payload is not None), (payload is not None))


@pytest.mark.parametrize(
    ("expression", "beginning"),
    [
        ("input.x == 1 && input.items.exists(i, i.ok)", {"x": 1}),
        ("input.x == 1 && input.x == 2", {"x": 2}),
        ("input.x +", {}),
        ("input.x == 1 && nothing.like == 2", {}),
        ("1 + 1", {}),
        ("input.a.b == 1 && input.a == 2", {"a": 2}),
    ],
)
def test_what_cannot_be_derived_is_said_and_begun(expression: str, beginning: dict[str, Any]) -> None:
    found = fulfilment_of(expression)
    assert (json.loads(found.payload), found.is_true) == (beginning, False)


def test_alternatives_do_not_multiply_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    from broadaxe.core import fulfilment

    tried = 0
    evaluate = fulfilment.evaluate_bool

    def counting(*args: Any) -> Any:
        nonlocal tried
        tried += 1
        return evaluate(*args)

    monkeypatch.setattr(fulfilment, "evaluate_bool", counting)
    one = "(input.a == 1 || input.b == 2 || input.c == 3)"
    assert not fulfilment_of(" && ".join([one] * 12) + " && input.z == 1 && input.z == 2").is_true
    assert tried == CANDIDATES_MAX
