"""What a compiled CEL expression reads, and how much work it can be made to do.

Owns the reading of a checked syntax tree (the public protobuf schema `cel.expr.CheckedExpr`, which the evaluator
hands out) and two answers about it: the fields of each variable that the expression looks at, and the largest
variables it may be run on. Refuses nothing itself: `expressions.py` turns the numbers into refusals.

Why it is needed: the evaluator counts loop turns (10,000 for a whole evaluation) but not what one turn costs, it
cannot be interrupted, and it runs in the process that schedules everybody's tasks. Three shapes are cheap to write
and dear to run: a regular expression that comes from the payload, a chain of `replace` or of loops that doubles a
string, and `map` or `filter`, whose result list the evaluator copies at every turn.

How it works: `work` is bounded from above by walking the tree once with one number, the size of the variables. Sizes
are whole trees, counted in elements plus blocks of 16 characters; a unit of work is about 100 ns on a small machine.
A loop over a value of size n is worth n turns on elements of size 1 plus one turn on an element of size n: every
bound below is a convex polynomial of the element's size, so no other way of dividing n among the turns costs more
than that sum. The bound grows with the size, so the largest size that stays below `WORK_MAX` is found once,
when the expression is compiled; what is left at evaluation is one comparison.

Invariants: pure and deterministic; sizes never under-count; an expression that reads a variable as a whole is given
all of it.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

#: Work one evaluation may do at most, in units of about 100 ns: one second on a small machine.
WORK_MAX: Final = 1e7
#: Largest variables that any expression is run on: half a million elements, or 8 MB of text.
SIZE_MAX_EXPONENT: Final = 19
LOOPS_NESTED_MAX: Final = 4
#: The evaluator's own bound on loop turns in one evaluation.
TURNS_MAX: Final = 10_000
CHARACTERS_PER_UNIT: Final = 16

#: Calls that look at their arguments and give a number or a truth value. Operators carry the checker's names.
_COMPARISONS: Final = ("_&&_", "_||_", "!_", "_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_", "@in")
_SEARCHES: Final = ("size", "contains", "startsWith", "endsWith", "indexOf", "lastIndexOf")
_CONVERSIONS: Final = ("int", "uint", "double", "bool", "@not_strictly_false")
_SCALARS: Final = frozenset((*_COMPARISONS, *_SEARCHES, *_CONVERSIONS))

#: Compiling a regular expression, in units per character: most become one instruction, a Unicode class hundreds.
_PATTERN_WORK: Final = 50.0
_PATTERN_CLASS_WORK: Final = 5_000.0
#: The evaluator's regular expression engine gives up at a fixed size of program, about 250 ms after it began.
_PATTERN_WORK_MAX: Final = 2.5e6
_REPETITION: Final = re.compile(r"\{(\d*),?(\d*)\}")


@dataclass(frozen=True, slots=True)
class Constant:
    """`text` is the value of a string, `value` that of anything JSON can say."""

    text: str | None
    size: float
    value: str | int | float | bool | None = None


@dataclass(frozen=True, slots=True)
class Identifier:
    name: str


@dataclass(frozen=True, slots=True)
class Select:
    operand: Node
    field: str


@dataclass(frozen=True, slots=True)
class Call:
    function: str
    arguments: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Aggregate:
    """A list, a map or a message written out in the expression."""

    elements: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Loop:
    """What `all`, `exists`, `exists_one`, `map` and `filter` become."""

    variables: tuple[str, ...]
    source: Node
    accumulator: str
    initial: Node
    steps: tuple[Node, ...]
    result: Node


Node: TypeAlias = Constant | Identifier | Select | Call | Aggregate | Loop

#: For each variable that is read: the fields that are, or None when the variable is read as a whole.
Reads: TypeAlias = dict[str, frozenset[str] | None]


def parse_checked(serialized: bytes) -> Node:
    """The syntax tree in what the evaluator calls the serialized form of an expression."""
    [checked] = [value for number, value in _fields(serialized) if number == 2 and isinstance(value, bytes)]
    [tree] = [value for number, value in _fields(checked) if number == 4 and isinstance(value, bytes)]
    return _node(tree)


def reads_of(tree: Node, variables: frozenset[str]) -> Reads:
    """Which of `variables` the expression reads, and which of their fields."""
    found: dict[str, set[str] | None] = {}
    _collect_reads(tree, variables, found)
    return {name: None if fields is None else frozenset(fields) for name, fields in found.items()}


def loop_nesting(tree: Node) -> int:
    """How many loops run inside one another; what a loop ranges over is read before it starts."""
    deepest = max((loop_nesting(part) for part in _parts(tree)), default=0)
    if isinstance(tree, Loop):
        return max(deepest, 1 + max(loop_nesting(step) for step in tree.steps))
    return deepest


def size_max_of(tree: Node) -> int:
    """The largest size of variables on which the expression stays below `WORK_MAX`; 0 if there is none.

    Found to within a quarter of a power of two.
    """
    allowed, refused = -1, 4 * SIZE_MAX_EXPONENT + 1
    while refused - allowed > 1:
        quarters = (allowed + refused) // 2
        if _bound(tree, {}, 2.0 ** (quarters / 4), inner=False)[1] <= WORK_MAX:
            allowed = quarters
        else:
            refused = quarters
    return 0 if allowed < 0 else int(2.0 ** (allowed / 4))


# --- reading the tree -------------------------------------------------------------------------------------------------


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The fields of a protobuf message in order, unparsed."""
    position, end = 0, len(message)
    while position < end:
        tag, position = _varint(message, position)
        number, wire_type = tag >> 3, tag & 7
        if wire_type == 0:
            value, position = _varint(message, position)
            yield number, value
            continue
        if wire_type == 2:
            length, position = _varint(message, position)
        else:
            length = 8 if wire_type == 1 else 4
        yield number, message[position : position + length]
        position += length


def _varint(message: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7


def _node(message: bytes) -> Node:
    for number, body in _fields(message):
        if not isinstance(body, bytes):
            continue
        match number:
            case 3:
                return _constant(body)
            case 4:
                return Identifier(_text(body, 1).removeprefix("."))
            case 5:
                return Select(_child(body, 1), _text(body, 2))
            case 6:
                return Call(_text(body, 2), tuple(_children(body, 1, 3)))
            case 7:
                return Aggregate(tuple(_children(body, 1)))
            case 8:
                entries = [entry for field, entry in _fields(body) if field == 2 and isinstance(entry, bytes)]
                return Aggregate(tuple(child for entry in entries for child in _children(entry, 3, 4)))
            case 9:
                return _loop(body)
            case _:
                continue
    return Constant(None, 1)


def _loop(body: bytes) -> Loop:
    return Loop(
        variables=tuple(name for name in (_text(body, 1), _text(body, 8)) if name),
        source=_child(body, 2),
        accumulator=_text(body, 3),
        initial=_child(body, 4),
        steps=(_child(body, 5), _child(body, 6)),
        result=_child(body, 7),
    )


def _constant(body: bytes) -> Constant:
    for number, value in _fields(body):
        match number, value:
            case 6, bytes():
                text = value.decode()
                return Constant(text, 1 + len(value) // CHARACTERS_PER_UNIT, text)
            case 7, bytes():
                return Constant(None, 1 + len(value) // CHARACTERS_PER_UNIT)
            case 2, int():
                return Constant(None, 1, bool(value))
            case 3, int():
                return Constant(None, 1, value - (1 << 64) if value >> 63 else value)
            case 4, int():
                return Constant(None, 1, value)
            case 5, bytes():
                [number_] = struct.unpack("<d", value)
                return Constant(None, 1, number_)
    return Constant(None, 1)


def _text(message: bytes, wanted: int) -> str:
    return next(
        (body.decode() for number, body in _fields(message) if number == wanted and isinstance(body, bytes)), ""
    )


def _child(message: bytes, wanted: int) -> Node:
    return next(_children(message, wanted), Constant(None, 1))


def _children(message: bytes, *wanted: int) -> Iterator[Node]:
    for number, body in _fields(message):
        if number in wanted and isinstance(body, bytes):
            yield _node(body)


# --- what is read -----------------------------------------------------------------------------------------------------


def _collect_reads(node: Node, variables: frozenset[str], found: dict[str, set[str] | None]) -> None:
    match node:
        case (
            Select(operand=Identifier(name=name), field=field)
            | Call(function="_[_]", arguments=(Identifier(name=name), Constant(text=str(field))))
            | Call(function="@in", arguments=(Constant(text=str(field)), Identifier(name=name)))
        ) if name in variables:
            fields = found.setdefault(name, set())
            if fields is not None:
                fields.add(field)
            return
        case Identifier(name=name) if name in variables:
            found[name] = None
        case Loop():
            # A loop variable may carry a variable's name; then nobody can say here which of the two is meant.
            found.update(dict.fromkeys(variables.intersection((*node.variables, node.accumulator))))
    for child in _parts(node):
        _collect_reads(child, variables, found)


def _parts(node: Node) -> tuple[Node, ...]:
    match node:
        case Select():
            return (node.operand,)
        case Call():
            return node.arguments
        case Aggregate():
            return node.elements
        case Loop():
            return (node.source, node.initial, *node.steps, node.result)
        case _:
            return ()


# --- how much work ----------------------------------------------------------------------------------------------------


def _bound(node: Node, scope: Mapping[str, float], variables_size: float, *, inner: bool) -> tuple[float, float]:
    """Upper bounds of the size of the value and of the work to get it."""
    match node:
        case Constant():
            return node.size, 0.0
        case Identifier():
            return scope.get(node.name, variables_size), 0.25
        case Select():
            size, work = _bound(node.operand, scope, variables_size, inner=inner)
            return size, work + 0.5
        case Aggregate():
            parts = [_bound(element, scope, variables_size, inner=inner) for element in node.elements]
            return 1.0 + sum(size for size, _ in parts), 1.0 + sum(work for _, work in parts)
        case Call():
            parts = [_bound(argument, scope, variables_size, inner=inner) for argument in node.arguments]
            size, own_work = _call_bound(node, [size for size, _ in parts])
            return size, own_work + sum(work for _, work in parts)
        case Loop():
            return _loop_bound(node, scope, variables_size, inner=inner)


def _call_bound(call: Call, sizes: list[float]) -> tuple[float, float]:
    """Size of the result and work of the call itself, its arguments being of these sizes."""
    total = 1.0 + sum(sizes)
    match call.function, sizes:
        case "_?_:_", [_, then, otherwise]:
            return max(then, otherwise), 1.0
        case "_[_]", [container, _]:
            return container, 1.0
        case "replace", [text, _, replacement, *_]:
            # Replacing nothing by something inserts it before every character.
            size = 1.0 + CHARACTERS_PER_UNIT * text * (1.0 + replacement)
            return size, CHARACTERS_PER_UNIT * text + size
        case "split", [text, *_]:
            size = 1.0 + CHARACTERS_PER_UNIT * text
            return size, size
        case "join", [items, *separator]:
            size = items * (1.0 + sum(separator))
            return size, total + size
        case "format", [template, arguments]:
            # A clause prints at most all its arguments or a number of a thousand digits.
            size = CHARACTERS_PER_UNIT * template * (64.0 + 2.0 * arguments)
            return size, total + size
        case "quote", _:
            return 2.0 * total, 2.0 * total
        case "matches", [text, pattern]:
            return 1.0, 64.0 * text * pattern + _pattern_work(call.arguments[1])
        case name, _ if name in _SCALARS:
            return 1.0, 0.5 * total
        case _:
            return total, total


def _pattern_work(pattern: Node) -> float:
    """Work of compiling a regular expression, which the evaluator does at every call."""
    if not isinstance(pattern, Constant) or pattern.text is None:
        return _PATTERN_WORK_MAX
    per_character = _PATTERN_CLASS_WORK if "\\p" in pattern.text.lower() else _PATTERN_WORK
    work = per_character * (1 + len(pattern.text))
    for least, most in _REPETITION.findall(pattern.text):
        work *= max(1, int(least[:4] or 0), int(most[:4] or 0))
        if work >= _PATTERN_WORK_MAX:
            return _PATTERN_WORK_MAX
    return min(work, _PATTERN_WORK_MAX)


def _loop_bound(loop: Loop, scope: Mapping[str, float], variables_size: float, *, inner: bool) -> tuple[float, float]:
    source_size, source_work = _bound(loop.source, scope, variables_size, inner=inner)
    initial_size, _ = _bound(loop.initial, scope, variables_size, inner=inner)
    # The evaluator stops at TURNS_MAX. Inside another loop the cap would make the bound concave, and the sum wrong.
    turns = source_size if inner else min(source_size, TURNS_MAX)

    def turn(element_size: float) -> tuple[float, float]:
        turn_scope = {**scope, **dict.fromkeys(loop.variables, element_size), loop.accumulator: 0.0}
        parts = [_bound(step, turn_scope, variables_size, inner=True) for step in loop.steps]
        return sum(size for size, _ in parts), 1.0 + sum(work for _, work in parts)

    (small_size, small_work), (large_size, large_work) = turn(1.0), turn(source_size)
    grows = isinstance(loop.initial, Aggregate)
    size = initial_size + turns * small_size + large_size if grows else 1.0
    copying_work = 0.25 * turns * turns if grows else 0.0
    result_scope = {**scope, loop.accumulator: size}
    result_size, result_work = _bound(loop.result, result_scope, variables_size, inner=inner)
    return result_size, source_work + turns * small_work + large_work + copying_work + result_work
