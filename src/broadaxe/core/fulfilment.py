"""A payload that makes an expression true, where that can be seen from its form.

Somebody who waits for an event has said in CEL which one. What the expression asks of `input` is read off its syntax:
equalities, comparisons, `in`, `has`, `startsWith`, `endsWith`, `contains` and `size` on fields, joined by `&&`, `||`
and `!`. Whatever else it asks is left out. Nothing is believed: each candidate is evaluated, and the first that is true
is the answer; if none is, the first one comes as a beginning.

Pure and bounded: at most `CANDIDATES_MAX` are tried.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from operator import ge, gt, le, lt
from typing import Any, Final, TypeAlias

import msgspec

from broadaxe.core.expression_cost import Aggregate, Call, Constant, Identifier, Node, Select
from broadaxe.core.expressions import Environment, evaluate_bool, syntax_of

CANDIDATES_MAX: Final = 32
_DEPTH_MAX: Final = 32
_SIZE_MAX: Final = 1_000

Payload: TypeAlias = dict[str, Any]
_Path: TypeAlias = tuple[str, ...]

_FLIPPED: Final = {"_<_": "_>_", "_<=_": "_>=_", "_>_": "_<_", "_>=_": "_<=_"}
_OPPOSITE: Final = {
    "_==_": "_!=_", "_!=_": "_==_", "_<_": "_>=_", "_>=_": "_<_", "_>_": "_<=_", "_<=_": "_>_",
}  # fmt: skip
_HOLDS: Final[dict[str, Callable[[Any, Any], bool]]] = {"_<_": lt, "_<=_": le, "_>_": gt, "_>=_": ge}
_CONVERSIONS: Final = ("int", "uint", "double", "string", "bool", "dyn")


class Fulfilment(msgspec.Struct, frozen=True):
    """`payload` is the text of a JSON object; `is_true` says whether the expression is true of it."""

    payload: str
    is_true: bool


def fulfilment_of(expression: str) -> Fulfilment:
    """For a condition on an event's payload, which an expression knows as `input`. An empty one is true of anything."""
    if not expression.strip():
        return Fulfilment("{}", is_true=True)
    tree = syntax_of(expression, Environment.CONDITION)
    first: Payload | None = None
    for payload in islice(_fulfilled(tree, {}, 0), CANDIDATES_MAX) if tree is not None else ():
        first = payload if first is None else first
        if evaluate_bool(expression, Environment.CONDITION, {"input": payload}) is True:
            return Fulfilment(_text(payload), is_true=True)
    return Fulfilment(_text(first or {}), is_true=False)


def _text(payload: Payload) -> str:
    return msgspec.json.encode(payload).decode()


def _fulfilled(node: Node, payload: Payload, depth: int) -> Iterator[Payload]:
    """Payloads like this one of which the node should be true. What cannot be read asks for nothing."""
    if depth > _DEPTH_MAX:
        yield payload
        return
    match node:
        case Call("_&&_", (left, right)):
            for half in _fulfilled(left, payload, depth + 1):
                yield from _fulfilled(right, half, depth + 1)
        case Call("_||_", (left, right)):
            yield from _fulfilled(left, payload, depth + 1)
            yield from _fulfilled(right, payload, depth + 1)
        case Call("!_", (Call(function, arguments),)) if function in _OPPOSITE:
            yield from _fulfilled(Call(_OPPOSITE[function], arguments), payload, depth + 1)
        case Call("!_", (Call("!_", (inner,)),)):
            yield from _fulfilled(inner, payload, depth + 1)
        case Call("!_", (Select() as field,)):
            # A flag that is to be false, or a field that is not to be there.
            yield payload
            yield from _with(payload, _path(field), lambda _: [False])
        case Call("_?_:_", (condition, yes, no)):
            for half in _fulfilled(condition, payload, depth + 1):
                yield from _fulfilled(yes, half, depth + 1)
            yield from _fulfilled(no, payload, depth + 1)
        case Call("@in", (left, right)):
            yield from _member(left, right, payload)
        case Call(function, (left, right)) if function in ("_==_", "_!=_", *_HOLDS):
            yield from _compared(function, left, right, payload)
        case Call("startsWith" | "endsWith" | "contains" as function, (field, Constant(text=str(text)))):
            yield from _with(payload, _path(field), lambda old: [_joined(function, text, old)])
        case Select():
            yield from _with(payload, _path(node), lambda old: [True if old is None else old])
        case _:
            yield payload


def _compared(function: str, left: Node, right: Node, payload: Payload) -> Iterator[Payload]:
    if isinstance(left, Constant) and not isinstance(right, Constant):
        yield from _compared(_FLIPPED.get(function, function), right, left, payload)
        return
    match left, right:
        case Call("size", (field,)), Constant(value=int(value)):
            count = max(0, next(iter(_values(function, value, None)), 0))
            if count <= _SIZE_MAX:
                yield from _with(payload, _path(field), lambda _: [[""] * count, "x" * count])
        case _, Constant(value=value):
            yield from _with(payload, _path(left), lambda old: _values(function, value, old))
        case _, Aggregate(elements) if function == "_==_" and all(isinstance(e, Constant) for e in elements):
            wanted = [element.value for element in elements if isinstance(element, Constant)]
            yield from _with(payload, _path(left), lambda _: [wanted])
        case _ if function == "_==_":
            for half in _with(payload, _path(left), lambda old: ["x" if old is None else old]):
                yield from _with(half, _path(right), partial(_same, _at(half, _path(left))))
        case _:
            yield payload


def _member(left: Node, right: Node, payload: Payload) -> Iterator[Payload]:
    match left, right:
        case _, Aggregate(elements) if not isinstance(left, Constant):
            values = [element.value for element in elements if isinstance(element, Constant)]
            yield from _with(payload, _path(left), lambda old: [old] if old in values else values)
        case Constant(text=str(text)), Identifier():
            yield from _with(payload, (text,), lambda old: [True if old is None else old])
        case Constant(value=value), _:
            yield from _with(
                payload,
                _path(right),
                lambda old: [[*old, value] if isinstance(old, list) else [value], {str(value): True}],
            )
        case _:
            yield payload


def _values(function: str, wanted: Any, old: Any) -> list[Any]:
    """Values that compare like that with the wanted one; the one that is there already if it does."""
    if function == "_==_":
        return [wanted]
    if function == "_!=_":
        return [old if old is not None and old != wanted else _other(wanted)]
    if _is_number(wanted):
        if _is_number(old) and _HOLDS[function](old, wanted):
            return [old]
        step = {"_<_": -1, "_>_": 1}.get(function, 0)
        return [wanted + step, wanted + step / 2] if step else [wanted]
    if isinstance(wanted, str):
        if isinstance(old, str) and _HOLDS[function](old, wanted):
            return [old]
        return [{"_<_": "", "_>_": f"{wanted}x"}.get(function, wanted)]
    return [wanted]


def _other(value: Any) -> Any:
    if isinstance(value, bool):
        return not value
    if _is_number(value):
        return value + 1
    return f"{value}x" if isinstance(value, str) else "x"


def _same(value: Any, _: Any) -> list[Any]:
    return [value]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _joined(function: str, text: str, old: Any) -> str:
    if not isinstance(old, str):
        return text
    match function:
        case "startsWith":
            return old if old.startswith(text) else text + old
        case "endsWith":
            return old if old.endswith(text) else old + text
        case _:
            return old if text in old else old + text


def _path(node: Node) -> _Path | None:
    """The field of `input` that the node names."""
    match node:
        case Identifier("input"):
            return ()
        case Select(operand, field):
            above = _path(operand)
            return None if above is None else (*above, field)
        case Call("_[_]", (operand, Constant(text=str(field)))):
            above = _path(operand)
            return None if above is None else (*above, field)
        case Call(function, (operand,)) if function in _CONVERSIONS:
            return _path(operand)
        case _:
            return None


def _at(payload: Payload, path: _Path | None) -> Any:
    value: Any = payload
    for name in path or ():
        if not isinstance(value, dict):
            return None
        value = value.get(name)
    return value


def _with(payload: Payload, path: _Path | None, values: Callable[[Any], list[Any]]) -> Iterator[Payload]:
    """The payload with each of the values there; as it is for what is no field or cannot have fields."""
    if not path or any(not isinstance(_at(payload, path[:end]), dict | None) for end in range(1, len(path))):
        yield payload
        return
    for value in values(_at(payload, path)):
        made = copy.deepcopy(payload)
        inner = made
        for name in path[:-1]:
            inner = inner.setdefault(name, {})
        inner[path[-1]] = value
        yield made
