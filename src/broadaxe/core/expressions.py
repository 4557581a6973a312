"""CEL expressions: the places where they stand, checking them at registration, evaluating them on JSON.

Owns the environments of semantics 5.12 (which variables an expression may name), the cache of compiled programs and
every bound on what an expression may cost. Refuses, when an expression is registered: what does not parse, a name the
environment does not have, an operator that no type could satisfy, text longer than `EXPRESSION_LENGTH_MAX`, and work
that grows too fast with its input (`expression_cost.py`). At evaluation nothing is ever raised: whatever goes wrong
is a `Failure`, whose message names the expression, because the caller's answer to it is a task in FAILED or a
condition that is not met, not an error of the engine.

Invariants: the same expression on the same variables gives the same answer, on any node, in any thread. An evaluation
ends: the evaluator bounds its loop turns, the size of the variables is bounded per expression before it starts, and
its result is bounded after. Only the fields an expression reads are handed to the evaluator, so what a payload holds
elsewhere can neither slow it down nor fail it.

Numbers. JSON knows one kind of number and CEL two. An integer is an `int` here, so `input.n % 2` works; if that
leaves an operator without an overload (`input.price * 1.5` with a price of 10), the expression is evaluated once more
with every number of the payload as a `double`. Integers beyond 64 bits are doubles from the start, as they are for
most readers of JSON.

Which implementation. Two compiled ones with wheels were compared on 160 expressions over these environments, CPython
3.11 on linux x86-64, two busy cores:

                                    cel-expr-python 0.1.3         common-expression-language 0.10.0
    engine                          Google's CEL C++              the Rust crate `cel`
    type check at registration      yes, as in the Go library     none: parses only
    unknown name                    refused, line and column      found only when evaluated
    strings extension               all of it, with format        Python functions, no format
    size("žluťoučký 🐎")            11, as specified              18, bytes
    string(true), message literals  yes                           no overload; "feature not enabled"
    1e21 as string                  1e+21                         1000000000000000000000
    loop turns                      bounded (10,000)              unbounded: three nested loops over 400 ran > 20 s
    20,000 terms, 100,000 brackets  refused                       crash of the process; a panic
    import and environment          22 to 34 ms                   1.1 to 3.3 s
    compile                         70 to 230 us                  15 to 140 us
    evaluate a small payload        40 to 80 us                   120 to 300 us
    evaluate, 5,000 objects         20 ms                         75 to 135 ms
    releases, maintainers           3 in 2026, Google's CEL team  16 since 2024, one maintainer
    wheels                          3.11-3.14, linux (glibc       3.11-3.15, linux, macOS, Windows, PyPy
                                    2.27), macOS, Windows
    wheel, installed                17 MB, 50 MB                  1.8 MB, 6 MB and a command line's dependencies

Through this module, which hands over only what is read, a short expression is evaluated in 15 to 25 us whatever else
the payload holds, and compiled in 0.1 to 1.5 ms, the bound on its work included.

The first is chosen for fidelity (the check and even its messages are the reference's) and because it survives hostile
input. Its own weak spots are guarded here: JSON nested 10,000 deep overflows its stack, a lone surrogate makes it
lose the error, integers beyond 64 bits fail expressions that never read them, regular expressions from the payload
and growing strings are unbounded. Nesting of an expression stops at its limit of 32 levels (the Go library allows
250), which it lets nobody change; a chain of `||` or `&&` is not nesting.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache, lru_cache
from typing import Final, Protocol, TypeAlias

import msgspec

# The package ships stubs without the `py.typed` marker; the protocols below are the part of it that is used.
from cel_expr_python import cel  # type: ignore[import-untyped]
from cel_expr_python.ext import ext_strings  # type: ignore[import-untyped]

from broadaxe.core.expression_cost import (
    CHARACTERS_PER_UNIT,
    LOOPS_NESTED_MAX,
    TURNS_MAX,
    Node,
    Reads,
    loop_nesting,
    parse_checked,
    reads_of,
    size_max_of,
)
from broadaxe.errors import InvalidArgument

#: Characters of an expression.
EXPRESSION_LENGTH_MAX: Final = 8_192
#: Characters of a string that an expression gives. Keys are stored and indexed; longer ones go through `checksum`.
RESULT_LENGTH_MAX: Final = 4_096
#: Nesting of a payload, counted from the variable. The evaluator recurses; ten thousand levels overflow its stack.
JSON_DEPTH_MAX: Final = 200
#: Compiled programs kept; one takes about 4 KB.
PROGRAMS_MAX: Final = 4_096
#: An expression is refused if it cannot be run on variables of even this size (a hundred characters).
USEFUL_SIZE_MIN: Final = 8

_INT_MIN: Final = -(2**63)
_INT_MAX: Final = 2**63 - 1
_SHOWN_LENGTH_MAX: Final = 200

_POSITION: Final = re.compile(r"ERROR: <input>:(\d+):(\d+): (.*)")
_STATUS: Final = re.compile(r"\A[A-Z_]+: |\s*\[[A-Z_]+\]\Z")
_EXPECTING: Final = re.compile(r" expecting \{.*\}")
_NO_OVERLOAD: Final = "No matching overloads"
_UNBOUND: Final = re.compile(r'No value with name "(\w+)" found in Activation')


class Environment(StrEnum):
    """The places where an expression may stand. Each has its variables, and no others."""

    TASK = "task"
    """Concurrency keys, rate limits and batch keys."""
    IDEMPOTENCY = "idempotency"
    """Idempotency keys, which are computed before there is a run."""
    EVENT_FILTER = "event filter"
    WEBHOOK = "webhook"
    CONDITION = "condition"
    """Wait, skip and cancel conditions: `input` is a user event's payload, `output` a parent's output; one is bound."""

    @property
    def variables(self) -> tuple[str, ...]:
        return _VARIABLES[self]


_VARIABLES: Final[Mapping[Environment, tuple[str, ...]]] = {
    Environment.TASK: ("input", "additional_metadata", "workflow_run_id"),
    Environment.IDEMPOTENCY: ("input", "additional_metadata"),
    Environment.EVENT_FILTER: ("input", "payload", "additional_metadata", "event_id", "event_key"),
    Environment.WEBHOOK: ("input", "headers"),
    Environment.CONDITION: ("input", "output"),
}
_STRING_VARIABLES: Final = frozenset(("workflow_run_id", "event_id", "event_key"))


@dataclass(frozen=True, slots=True)
class Failure:
    """An evaluation that gave no usable answer. `message` names the expression and says why."""

    message: str


@dataclass(frozen=True, slots=True)
class Expression:
    """An expression known to compile in its environment."""

    text: str
    environment: Environment

    def evaluate_string(self, variables: Mapping[str, object]) -> str | Failure:
        return evaluate_string(self.text, self.environment, variables)

    def evaluate_int(self, variables: Mapping[str, object]) -> int | Failure:
        return evaluate_int(self.text, self.environment, variables)


def compile_key(expression: str, *, field: str) -> Expression:
    """A concurrency, rate-limit or batch expression, checked. Raises InvalidArgument naming `field`."""
    check(expression, Environment.TASK, field=field)
    return Expression(expression, Environment.TASK)


def check(expression: str, environment: Environment, *, field: str) -> None:
    """Raises InvalidArgument naming `field` unless the expression compiles in the environment and can be afforded."""
    program = _compiled(expression, environment)
    if isinstance(program, _Refused):
        raise InvalidArgument(f"expression {_shown(expression)} {program.reason}", field=field)


def syntax_of(expression: str, environment: Environment) -> Node | None:
    """The syntax tree of the expression, None if it does not compile there."""
    program = _compiled(expression, environment)
    return None if isinstance(program, _Refused) else parse_checked(program.evaluable.serialize())


def variables_of(payload: str, metadata: str | None) -> dict[str, object] | Failure:
    """`input` and `additional_metadata` from texts that are known to be JSON objects, or none."""
    found: dict[str, object] = {}
    for name, text in (("input", payload), ("additional_metadata", metadata or "{}")):
        value = value_of(text)
        if isinstance(value, Failure):
            return Failure(f"{name}: {value.message}")
        found[name] = value
    return found


def value_of(text: str) -> object | Failure:
    """What a text that is known to be JSON says.

    A Failure for what is valid JSON and yet cannot be computed with: a number beyond all types, a depth beyond all
    stacks.
    """
    try:
        value: object = msgspec.json.decode(text)
    except (msgspec.MsgspecError, RecursionError) as error:
        return Failure(f"expressions cannot read it: {error}")
    return value


def evaluate_string(expression: str, environment: Environment, variables: Mapping[str, object]) -> str | Failure:
    """The string the expression gives, at most `RESULT_LENGTH_MAX` characters, without NUL."""
    value = _evaluated(expression, environment, variables)
    if isinstance(value, Failure):
        return value
    result = value.plain_value() if _type_name(value) == "string" else None
    if not isinstance(result, str):
        return _failure(expression, f"expected string, got {_type_name(value)}")
    if len(result) > RESULT_LENGTH_MAX:
        length = f"{len(result)} characters, at most {RESULT_LENGTH_MAX} are kept"
        return _failure(expression, f"gives a string of {length}; shorten it with checksum()")
    if "\0" in result:
        return _failure(expression, "gives a string with a NUL character, which cannot be stored")
    return result


def evaluate_int(expression: str, environment: Environment, variables: Mapping[str, object]) -> int | Failure:
    """The integer the expression gives; a double is truncated towards zero."""
    value = _evaluated(expression, environment, variables)
    if isinstance(value, Failure):
        return value
    number = value.plain_value() if _type_name(value) in ("int", "uint", "double") else None
    if not isinstance(number, int | float):
        return _failure(expression, f"expected int, got {_type_name(value)}")
    if not math.isfinite(number) or not _INT_MIN <= int(number) <= _INT_MAX:
        return _failure(expression, f"gives {number}, which is not a 64-bit integer")
    return int(number)


def evaluate_bool(expression: str, environment: Environment, variables: Mapping[str, object]) -> bool | Failure:
    """The truth value the expression gives. What an empty expression means is the caller's to know."""
    value = _evaluated(expression, environment, variables)
    if isinstance(value, Failure):
        return value
    result = value.plain_value() if _type_name(value) == "bool" else None
    if not isinstance(result, bool):
        return _failure(expression, f"expected bool, got {_type_name(value)}")
    return result


# --- compiling --------------------------------------------------------------------------------------------------------


class _Type(Protocol):
    def name(self) -> str: ...


class _Value(Protocol):
    def type(self) -> _Type: ...

    def plain_value(self) -> object: ...


class _Evaluable(Protocol):
    def eval(self, *, data: dict[str, object]) -> _Value: ...

    def serialize(self) -> bytes: ...


class _Compiler(Protocol):
    def compile(self, expression: str) -> _Evaluable: ...


@dataclass(frozen=True, slots=True)
class _Program:
    evaluable: _Evaluable
    reads: Reads
    size_max: int


@dataclass(frozen=True, slots=True)
class _Refused:
    reason: str


@cache
def _compiler(environment: Environment) -> _Compiler:
    """The evaluator's environment. Built when first needed: it takes some milliseconds, and many processes never do."""
    map_type = cel.Type.Map(cel.Type.STRING, cel.Type.DYN)
    overloads = [
        cel.Overload(
            f"checksum_{form}", cel.Type.STRING, [cel.Type.STRING], is_member=form == "member", impl=_sha256_hex
        )
        for form in ("global", "member")
    ]
    compiler: _Compiler = cel.NewEnv(
        variables={name: cel.Type.STRING if name in _STRING_VARIABLES else map_type for name in environment.variables},
        extensions=[ext_strings.ExtStrings()],
        functions=[cel.FunctionDecl("checksum", overloads)],
    )
    return compiler


def _sha256_hex(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@lru_cache(maxsize=PROGRAMS_MAX)
def _compiled(expression: str, environment: Environment) -> _Program | _Refused:
    """The program, or why there is none: a refusal is cached too, for conditions that are evaluated unchecked."""
    if not expression.strip():
        return _Refused("is empty")
    if len(expression) > EXPRESSION_LENGTH_MAX:
        return _Refused(f"has {len(expression)} characters, at most {EXPRESSION_LENGTH_MAX} are allowed")
    if not _is_unicode(expression):
        return _Refused("is not valid Unicode: it holds a lone surrogate")
    try:
        evaluable = _compiler(environment).compile(expression)
        tree = parse_checked(evaluable.serialize())
    except RuntimeError as error:
        return _Refused(f"does not compile: {_compile_problem(str(error), environment)}")
    if loop_nesting(tree) > LOOPS_NESTED_MAX:
        return _Refused(f"nests more than {LOOPS_NESTED_MAX} loops (all, exists, exists_one, map, filter)")
    size_max = size_max_of(tree)
    if size_max < USEFUL_SIZE_MIN:
        return _Refused("does too much work: it repeats strings, loops or regular expressions within one another")
    return _Program(evaluable, reads_of(tree, frozenset(environment.variables)), size_max)


def _compile_problem(text: str, environment: Environment) -> str:
    """The evaluator's first complaint, with its position, without its listings."""
    if "recursion" in text:
        return "it is nested too deeply (32 levels at most); a long chain of + counts as nesting, join() does not"
    found = _POSITION.search(text)
    if found is None:
        return _STATUS.sub("", text).splitlines()[0]
    line, column, problem = found.groups()
    problem = _EXPECTING.sub("", problem).replace(" (in container '')", "")
    if problem.startswith("undeclared reference"):
        problem += f"; there are {', '.join(environment.variables)} here"
    return f"line {line}, column {column}: {problem}"


# --- evaluating -------------------------------------------------------------------------------------------------------


def _evaluated(expression: str, environment: Environment, variables: Mapping[str, object]) -> _Value | Failure:
    program = _compiled(expression, environment)
    if isinstance(program, _Refused):
        return _failure(expression, program.reason)
    data = _read_variables(program.reads, variables)
    survey = _survey(data, program.size_max)
    if isinstance(survey, Failure):
        return _failure(expression, survey.message)
    if survey.has_wide_ints:
        data = {name: _convert(value, wide_only=True) for name, value in data.items()}
    outcome = _run(program.evaluable, data)
    if isinstance(outcome, Failure) and _NO_OVERLOAD in outcome.message and survey.has_ints:
        doubles = {name: _convert(value, wide_only=False) for name, value in data.items()}
        second = _run(program.evaluable, doubles)
        outcome = outcome if isinstance(second, Failure) else second
    return _failure(expression, outcome.message) if isinstance(outcome, Failure) else outcome


def _read_variables(reads: Reads, variables: Mapping[str, object]) -> dict[str, object]:
    """The variables the expression names, cut down to the fields it looks at."""
    data: dict[str, object] = {}
    for name, fields in reads.items():
        if name in variables:
            value = variables[name]
            if isinstance(value, Mapping):
                value = {key: value[key] for key in (value if fields is None else fields) if key in value}
            data[name] = value
    return data


def _run(evaluable: _Evaluable, data: dict[str, object]) -> _Value | Failure:
    """One evaluation; the evaluator's two ways of reporting an error become one."""
    try:
        value = evaluable.eval(data=data)
        problem = str(value.plain_value()) if _type_name(value) in ("error", "unknown") else None
    except Exception as error:  # The evaluator raises what it likes, for instance when its loop turns are used up.
        problem = str(error)
    return value if problem is None else Failure(_evaluation_problem(problem))


def _evaluation_problem(text: str) -> str:
    text = _STATUS.sub("", text).strip()
    if unbound := _UNBOUND.search(text):
        return f"{unbound[1]} has no value here"
    if "budget" in text:
        return f"loops too often ({TURNS_MAX} turns at most)"
    if "Applying SELECT" in text:
        return "reads a field of a value that is not an object"
    if "<jump_condition>" in text:
        return "the condition before ? is not a bool"
    return _abbreviated(text)


_Json: TypeAlias = object


@dataclass(frozen=True, slots=True)
class _Survey:
    has_ints: bool
    has_wide_ints: bool


def _survey(data: dict[str, object], size_max: int) -> _Survey | Failure:
    """Walks the variables once: are they JSON, small enough for this expression, and which numbers do they hold."""
    has_ints = has_wide_ints = False
    size = 0
    pending: list[tuple[_Json, int]] = [(value, 0) for value in data.values()]
    while pending:
        value, depth = pending.pop()
        size += 1
        if isinstance(value, str):
            size += len(value) // CHARACTERS_PER_UNIT
            if not _is_unicode(value):
                return Failure("reads a string that is not valid Unicode: it holds a lone surrogate")
        elif isinstance(value, dict):
            pending.extend((child, depth + 1) for pair in value.items() for child in pair)
        elif isinstance(value, list):
            pending.extend((child, depth + 1) for child in value)
        elif isinstance(value, int) and not isinstance(value, bool):
            has_ints = True
            if not _INT_MIN <= value <= _INT_MAX:
                has_wide_ints = True
                if value.bit_length() > 1023:
                    return Failure("reads a number that is too large for a double")
        elif not (value is None or isinstance(value, bool | float)):
            return Failure(f"reads a value that is not JSON: {type(value).__name__}")
        if depth > JSON_DEPTH_MAX:
            return Failure(f"reads JSON that is nested more than {JSON_DEPTH_MAX} levels deep")
        if size + len(pending) > size_max:
            return Failure(
                f"would do too much work on a value of this size (at most about {size_max * CHARACTERS_PER_UNIT} "
                f"characters or {size_max} elements)"
            )
    return _Survey(has_ints, has_wide_ints)


def _convert(value: _Json, *, wide_only: bool) -> _Json:
    """A copy with integers as doubles: all, or those beyond 64 bits. `JSON_DEPTH_MAX` bounds the recursion."""
    if isinstance(value, dict):
        return {key: _convert(child, wide_only=wide_only) for key, child in value.items()}
    if isinstance(value, list):
        return [_convert(child, wide_only=wide_only) for child in value]
    if isinstance(value, int) and not isinstance(value, bool) and not (wide_only and _INT_MIN <= value <= _INT_MAX):
        return float(value)
    return value


def _type_name(value: _Value) -> str:
    """`string`, `int`, `list`: the evaluator writes `LIST<DYN>`."""
    return value.type().name().partition("<")[0].lower()


def _is_unicode(text: str) -> bool:
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _failure(expression: str, reason: str) -> Failure:
    return Failure(f"expression {_shown(expression)}: {reason}")


def _shown(expression: str) -> str:
    return repr(_abbreviated(expression))


def _abbreviated(text: str) -> str:
    return text if len(text) <= _SHOWN_LENGTH_MAX else f"{text[:_SHOWN_LENGTH_MAX]}..."
