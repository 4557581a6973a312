"""CEL expressions: what each environment knows, what evaluates to what, what is refused, and what it may cost."""

from __future__ import annotations

import hashlib
import json
import re
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from broadaxe.core.expression_cost import CHARACTERS_PER_UNIT, TURNS_MAX
from broadaxe.core.expressions import (
    EXPRESSION_LENGTH_MAX,
    JSON_DEPTH_MAX,
    RESULT_LENGTH_MAX,
    Environment,
    Expression,
    Failure,
    check,
    compile_key,
    evaluate_bool,
    evaluate_int,
    evaluate_string,
)
from broadaxe.errors import InvalidArgument

TASK = Environment.TASK
INPUT: Mapping[str, object] = {
    "user": {"id": "u-17", "tags": ["a", "b"]},
    "x": "abc",
    "unicode": "žluťoučký 🐎",
    "n": 5,
    "five": 5.0,
    "price": 10,
    "ratio": 5.7,
    "yes": True,
    "nothing": None,
    "list": [1, 2, 3],
    "objects": [{"k": "v", "n": 1}, {"k": "w", "n": 2}],
    "with-dash": "dash",
    "at": "2024-01-02T03:04:05Z",
    "int64_max": 2**63 - 1,
    "wide": 2**70,
    "pattern": "^a.c$",
}
TASK_VARIABLES: Mapping[str, object] = {
    "input": INPUT,
    "additional_metadata": {"team": "blue"},
    "workflow_run_id": "0190f2a4-0000-7000-8000-000000000001",
}


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("input.user.id", "u-17"),
        ("'constant'", "constant"),
        ("''", ""),
        ('input["with-dash"]', "dash"),
        ('input.user.id + "-" + additional_metadata.team', "u-17-blue"),
        ("workflow_run_id", "0190f2a4-0000-7000-8000-000000000001"),
        ('input.yes ? "a" : input.missing', "a"),
        ('has(input.missing) ? input.missing : "none"', "none"),
        ("input.unicode", "žluťoučký 🐎"),
        (r'"\u00e9"', "é"),
        # conversions
        ("string(input.n)", "5"),
        ("string(input.five)", "5"),
        ("string(input.ratio)", "5.7"),
        ("string(input.yes)", "true"),
        ("string(1e21)", "1e+21"),
        ("string(timestamp(input.at) + duration('90m'))", "2024-01-02T04:34:05Z"),
        # the strings extension
        ("input.x.charAt(1)", "b"),
        ("input.x.upperAscii()", "ABC"),
        ('"ABC".lowerAscii()', "abc"),
        ('"hello".replace("l", "L")', "heLLo"),
        ('"hello".replace("l", "L", 1)', "heLlo"),
        ('"a,b,c".split(",")[1]', "b"),
        ('"a,b,c".split(",", 2)[1]', "b,c"),
        ('"hello".substring(1)', "ello"),
        ('"hello".substring(1, 3)', "el"),
        ('"  a ".trim()', "a"),
        ('input.user.tags.join("-")', "a-b"),
        ('["a", "b"].join()', "ab"),
        ('"abc".reverse()', "cba"),
        ('"%s-%d".format([input.x, input.n])', "abc-5"),
        # lists
        ("input.objects.filter(o, o.n > 1)[0].k", "w"),
        ("input.objects.map(o, o.k).join()", "vw"),
        # our function, in both its forms
        ("checksum(input.x)", hashlib.sha256(b"abc").hexdigest()),
        ("input.x.checksum()", hashlib.sha256(b"abc").hexdigest()),
        ("input.unicode.checksum()", hashlib.sha256("žluťoučký 🐎".encode()).hexdigest()),
    ],
)
def test_string_expression_gives(expression: str, expected: str) -> None:
    check(expression, TASK, field="key")
    assert evaluate_string(expression, TASK, TASK_VARIABLES) == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("10", 10),
        ("-1", -1),
        ("10.9", 10),
        ("-10.9", -10),
        ("7u", 7),
        ("input.n", 5),
        ("input.ratio", 5),
        ("input.n + 1", 6),
        ("input.n % 2", 1),
        ("input.x.indexOf('c')", 2),
        ("input.x.lastIndexOf('z')", -1),
        ("size(input.unicode)", 11),
        ("size(input.list)", 3),
        ("input.int64_max", 2**63 - 1),
        ("int('12')", 12),
        ("timestamp(input.at).getFullYear()", 2024),
        ('input.user.id == "u-17" ? 100 : 10', 100),
        # JSON does not say which of CEL's numbers 10 is: both readings are tried.
        ("input.price * 2", 20),
        ("input.price * 1.55", 15),
        ("input.price / 4.0 + 0.5", 3),
    ],
)
def test_int_expression_gives(expression: str, expected: int) -> None:
    check(expression, TASK, field="units")
    assert evaluate_int(expression, TASK, TASK_VARIABLES) == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("input.n == 5", True),
        ("input.five == 5", True),
        ("input.five == input.n", True),
        ("input.n < 5.5", True),
        ("input.ratio > input.n", True),
        ('input.n == "5"', False),
        ("input.nothing == null", True),
        ("has(input.nothing)", True),
        ("has(input.missing)", False),
        ('"x" in input', True),
        ('"missing" in input', False),
        ("2 in input.list", True),
        ("input.list.exists(i, i == 2)", True),
        ("input.list.all(i, i > 1)", False),
        ("input.list.exists_one(i, i > 2)", True),
        ("input.list.map(i, i * 2) == [2, 4, 6]", True),
        ("input.objects.exists(o, o.k == 'w' && o.n == 2)", True),
        ("input.missing == 1 || true", True),
        ("input.missing == 1 && false", False),
        ("input.x.contains('b') && input.x.startsWith('a') && input.x.endsWith('c')", True),
        ("input.x.matches('^a.c$')", True),
        ("input.x.matches(input.pattern)", True),
        ("timestamp(input.at) < timestamp('2025-01-01T00:00:00Z')", True),
        ("input.wide > 1e20", True),
        ("input == input", True),
    ],
)
def test_bool_expression_gives(expression: str, expected: bool) -> None:
    check(expression, TASK, field="filter")
    assert evaluate_bool(expression, TASK, TASK_VARIABLES) is expected


@pytest.mark.parametrize(
    ("environment", "variables"),
    [
        (TASK, ("input", "additional_metadata", "workflow_run_id")),
        (Environment.IDEMPOTENCY, ("input", "additional_metadata")),
        (Environment.EVENT_FILTER, ("input", "payload", "additional_metadata", "event_id", "event_key")),
        (Environment.WEBHOOK, ("input", "headers")),
        (Environment.CONDITION, ("input", "output")),
    ],
)
def test_environment_knows_its_variables_and_no_others(environment: Environment, variables: tuple[str, ...]) -> None:
    everything = {name for each in Environment for name in each.variables} | {"parents"}
    for name in variables:
        check(f"string({name}) == 'x'" if name.endswith(("_id", "_key")) else f"{name}.x", environment, field="e")
    for name in everything.difference(variables):
        with pytest.raises(InvalidArgument, match=f"undeclared reference to '{name}"):
            check(f"{name}.x", environment, field="e")


def test_each_environment_evaluates() -> None:
    event = {
        "input": {"a": 1},
        "payload": {"b": 1},
        "additional_metadata": {},
        "event_id": "e1",
        "event_key": "user:new",
    }
    assert (
        evaluate_bool("input.a == payload.b && event_key.startsWith('user:')", Environment.EVENT_FILTER, event) is True
    )
    webhook = {"input": {"action": "opened"}, "headers": {"x-github-event": "pull_request"}}
    key = "'github:' + headers['x-github-event'] + ':' + input.action"
    assert evaluate_string(key, Environment.WEBHOOK, webhook) == "github:pull_request:opened"
    assert evaluate_bool("output.skipped", Environment.CONDITION, {"output": {"skipped": True}}) is True
    assert evaluate_bool("input.n > 3", Environment.CONDITION, {"input": {"n": 4}}) is True
    assert evaluate_string("input.a", Environment.IDEMPOTENCY, {"input": {"a": "k"}, "additional_metadata": {}}) == "k"


@pytest.mark.parametrize(
    ("expression", "complaint"),
    [
        ("", "is empty"),
        ("  \n", "is empty"),
        ("input.x ==", "line 1, column 11: Syntax error: mismatched input '<EOF>'"),
        ("input.x +\n* 2", "line 2, column 1: Syntax error"),
        ('"unterminated', "line 1, column 1: Syntax error"),
        ("a b", "column 3: Syntax error"),
        ("unknown()", "undeclared reference to 'unknown'"),
        ("parents.fetch.n", "there are input, additional_metadata, workflow_run_id here"),
        ("1 == 'a'", "no matching overload for '_==_'"),
        ("checksum('a', 'b')", "checksum"),
        ("checksum(1)", "no matching overload for 'checksum'"),
        ("workflow_run_id.x", "cannot be the operand of a select"),
        ("9223372036854775808", "invalid int literal"),
        ("x" * (EXPRESSION_LENGTH_MAX + 1), "has 8193 characters, at most 8192"),
        ('"\ud800"', "not valid Unicode"),
        ("(" * 40 + "1" + ")" * 40, "nested too deeply"),
        ("+".join(["1"] * 50), "nested too deeply"),
        (".exists(x, input.l".join(["input.l"] * 6) + " == []" + ")" * 5, "nests more than 4 loops"),
        ("input.s" + '.replace("", "aaaaaaaaaa")' * 9, "does too much work"),
        ('input.l.exists(i, i.matches("\\\\pL{500}"))', "does too much work"),
        ("input.l.exists(i, i.matches(input.pattern))", "does too much work"),
    ],
)
def test_registration_refuses(expression: str, complaint: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        check(expression, TASK, field="tasks[0].concurrency[1].expression")
    assert caught.value.field == "tasks[0].concurrency[1].expression"
    assert complaint in caught.value.message


def test_a_long_chain_of_alternatives_is_not_nesting() -> None:
    check(" || ".join(f"input.key == '{number}'" for number in range(300)), TASK, field="e")


def test_compile_key_gives_an_expression_to_keep() -> None:
    key = compile_key("input.user.id", field="key")
    assert key == Expression("input.user.id", TASK)
    assert key.evaluate_string(TASK_VARIABLES) == "u-17"
    assert compile_key("input.n * 2", field="units").evaluate_int(TASK_VARIABLES) == 10


@pytest.mark.parametrize(
    ("evaluate", "expression", "reason"),
    [
        (evaluate_string, "input.missing", "missing"),
        (evaluate_string, "input.user.missing", "missing"),
        (evaluate_string, "input.n", "expected string, got int"),
        (evaluate_string, "input.ratio", "expected string, got double"),
        (evaluate_string, "input.yes", "expected string, got bool"),
        (evaluate_string, "input.nothing", "expected string, got null"),
        (evaluate_string, "input.list", "expected string, got list"),
        (evaluate_string, "input", "expected string, got map"),
        (evaluate_string, "input.x + input.n", "No matching overloads"),
        (evaluate_string, "checksum(input.n)", "No matching overloads"),
        (evaluate_string, "input.x.y", "not an object"),
        (evaluate_string, 'input.n ? "a" : "b"', "condition before ? is not a bool"),
        (evaluate_string, 'input.x.matches("(") ? "a" : "b"', "invalid regular expression"),
        (evaluate_string, "input.x.charAt(9)", "charAt"),
        (evaluate_string, "timestamp(input.x)", "timestamp"),
        (evaluate_string, r'"a\u0000b"', "NUL"),
        (evaluate_string, "unknown.x", "does not compile"),
        (evaluate_string, "", "is empty"),
        (evaluate_int, "input.yes", "expected int, got bool"),
        (evaluate_int, "input.x", "expected int, got string"),
        (evaluate_int, "input.n / 0", "divide by zero"),
        (evaluate_int, "input.int64_max + 1", "integer overflow"),
        (evaluate_int, "input.wide", "not a 64-bit integer"),
        (evaluate_int, "1.0 / 0.0", "gives inf"),
        (evaluate_int, "18446744073709551615u", "not a 64-bit integer"),
        (evaluate_int, "input.list[9]", "index=9 size=3"),
        (evaluate_bool, "input.n", "expected bool, got int"),
        (evaluate_bool, "'true'", "expected bool, got string"),
        (evaluate_bool, "input.x < input.n", "No matching overloads"),
        (evaluate_bool, "input.missing == 1 || false", "missing"),
    ],
)
def test_evaluation_fails_with_a_value_that_names_the_expression(
    evaluate: Callable[[str, Environment, Mapping[str, object]], object], expression: str, reason: str
) -> None:
    outcome = evaluate(expression, TASK, TASK_VARIABLES)
    assert isinstance(outcome, Failure)
    assert outcome.message.startswith(f"expression {expression!r}: ")
    assert reason in outcome.message


def test_a_variable_without_a_value_is_a_failure() -> None:
    outcome = evaluate_bool("input.x == 1", Environment.CONDITION, {"output": {}})
    assert outcome == Failure("expression 'input.x == 1': input has no value here")


def test_a_string_longer_than_a_key_is_a_failure() -> None:
    fits, too_long = {"input": {"x": "é" * RESULT_LENGTH_MAX}}, {"input": {"x": "é" * (RESULT_LENGTH_MAX + 1)}}
    assert evaluate_string("input.x", TASK, fits) == "é" * RESULT_LENGTH_MAX
    outcome = evaluate_string("input.x", TASK, too_long)
    assert isinstance(outcome, Failure)
    assert "checksum" in outcome.message
    assert isinstance(evaluate_string("input.x.checksum()", TASK, too_long), str)


@pytest.mark.parametrize("elsewhere", [2**70, "\ud800", [[[[]]]], object(), "x" * 100_000_000], ids=type)
def test_fields_that_are_not_read_do_not_matter(elsewhere: object) -> None:
    variables = {"input": {"x": "a", "elsewhere": elsewhere}}
    assert evaluate_string("input.x", TASK, variables) == "a"
    assert evaluate_bool('has(input.x) && "x" in input && input["x"] == "a"', TASK, variables) is True


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("\ud800", "lone surrogate"),
        ({"\ud800": 1}, "lone surrogate"),
        (10**400, "too large for a double"),
        (object(), "not JSON: object"),
        ((1, 2), "not JSON: tuple"),
    ],
    ids=lambda value: value if isinstance(value, str) and value.isascii() else type(value).__name__,
)
def test_values_the_evaluator_cannot_take_are_failures(value: object, reason: str) -> None:
    outcome = evaluate_string("input.x", TASK, {"input": {"x": value}})
    assert isinstance(outcome, Failure)
    assert reason in outcome.message


def test_json_nested_deeper_than_the_bound_is_a_failure_and_not_a_crash() -> None:
    deep: object = "bottom"
    for _ in range(100_000):
        deep = {"x": deep}
    outcome = evaluate_string("input.x.x", TASK, {"input": deep})
    assert isinstance(outcome, Failure)
    assert f"more than {JSON_DEPTH_MAX} levels" in outcome.message
    # Unwound by hand: the interpreter frees nested values recursively as well.
    while isinstance(deep, dict):
        deep = deep.popitem()[1]


def test_a_loop_variable_may_carry_the_name_of_a_variable() -> None:
    assert evaluate_string("input.user.tags.map(input, input + '!')[0] + input.x", TASK, TASK_VARIABLES) == "a!abc"


def test_loops_stop_at_the_evaluators_bound() -> None:
    numbers = {"input": {"l": list(range(11_000))}}
    outcome = evaluate_bool("input.l.exists(i, i < 0)", TASK, numbers)
    assert isinstance(outcome, Failure)
    assert "loops too often (10000 turns at most)" in outcome.message
    assert evaluate_bool("input.l.exists(i, i == 9)", TASK, numbers) is True


TEXT_4_MB = "ab" * 2_000_000


@pytest.mark.parametrize(
    ("expression", "payload"),
    [
        ("input.s.matches(input.s)", {"s": "a" * 100_000}),
        ("input.s.matches(input.s + 'b')", {"s": "(a{1,30}){1,30}"}),
        ("input.l.map(i, i).size() > 0", {"l": list(range(9_900))}),
        (
            "input.s.replace('a', 'aaaaaaaaaa').replace('a', 'aaaaaaaaaa').replace('a', 'aaaaaaaaaa') == ''",
            {"s": "a" * 9**6},
        ),
        (
            "[input.s + input.s].exists(a, [a + a + a + a].exists(b, [b + b + b + b].exists(c, c == '')))",
            {"s": TEXT_4_MB},
        ),
        (
            "input.l.exists(a, input.l.exists(b, input.l.exists(c, input.s.contains(a))))",
            {"l": ["x"] * 300, "s": TEXT_4_MB},
        ),
        ("input.l.exists(a, input.s.contains(a))", {"l": ["x"] * 9_000, "s": TEXT_4_MB}),
        ("input.l.exists(i, i.matches('^[0-9]{4}-[0-9]{2}$'))", {"l": ["2024-1"] * 9_000}),
        ("input.s.split('').join('-') == ''", {"s": TEXT_4_MB}),
        ("'%s'.format([input.s]).size() == 1", {"s": TEXT_4_MB}),
    ],
)
def test_costly_expressions_end_soon(expression: str, payload: Mapping[str, object]) -> None:
    """Answered or refused, both are right; the bound is ten times what it takes on a busy small machine."""
    check(expression, TASK, field="e")
    started = time.process_time()
    outcome = evaluate_bool(expression, TASK, {"input": payload})
    assert time.process_time() - started < 10
    assert isinstance(outcome, bool | Failure)


@pytest.mark.parametrize(
    ("expression", "payload"),
    [
        ("input.s.contains('zz')", {"s": TEXT_4_MB}),
        ("input.s == 'x'", {"s": TEXT_4_MB}),
        ("input.users.exists(u, u.name == 'none')", {"users": [{"name": f"user {n}", "age": n} for n in range(5_000)]}),
        ("input.users.exists(u, u.roles.exists(r, r == 'none'))", {"users": [{"roles": ["a", "b"]}] * 3_000}),
        ("input.a.exists(x, input.b.exists(y, x == y))", {"a": ["p" * 36] * 90, "b": ["q" * 36] * 90}),
        ("input.tags.map(t, t.lowerAscii()).join(',') == ''", {"tags": ["Some Tag"] * 300}),
        ("input.l.exists(i, i.matches('^abc[0-9]+$'))", {"l": ["abc"] * 1_000}),
    ],
)
def test_reasonable_expressions_on_large_payloads_are_answered(expression: str, payload: Mapping[str, object]) -> None:
    assert evaluate_bool(expression, TASK, {"input": payload}) is False


def test_a_refused_size_is_named_and_the_size_named_is_allowed() -> None:
    expression = "input.s.matches(input.s)"
    outcome = evaluate_bool(expression, TASK, {"input": {"s": "a" * 100_000}})
    assert isinstance(outcome, Failure)
    named = re.search(r"at most about (\d+) characters", outcome.message)
    assert named is not None
    # The object, its key and the string count for an element each.
    fits = int(named[1]) - 4 * CHARACTERS_PER_UNIT
    assert evaluate_bool(expression, TASK, {"input": {"s": "a" * fits}}) is True


def test_threads_share_programs() -> None:
    wrong: list[object] = []

    def evaluate_many(thread: int) -> None:
        for turn in range(500):
            outcome = evaluate_string("input.x + '!'", TASK, {"input": {"x": f"{thread}-{turn}"}})
            if outcome != f"{thread}-{turn}!":
                wrong.append(outcome)

    threads = [threading.Thread(target=evaluate_many, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


DOCS = (Path(__file__).parents[2] / "docs" / "expressions.md").read_text()
DOCUMENTED_EXAMPLES = re.findall(r"^\| `(.+)` \| `(.+)` \|$", DOCS, re.MULTILINE)


@pytest.mark.parametrize(("expression", "value"), DOCUMENTED_EXAMPLES)
def test_documented_example_gives_what_the_page_says(expression: str, value: str) -> None:
    documented_input = re.search(r"```json\n(.*?)\n```", DOCS, re.DOTALL)
    assert documented_input is not None
    evaluators: Mapping[type, Callable[[str, Environment, Mapping[str, object]], object]]
    evaluators = {str: evaluate_string, int: evaluate_int, bool: evaluate_bool}
    expected = json.loads(value)
    variables = {"input": json.loads(documented_input[1])}
    assert evaluators[type(expected)](expression, TASK, variables) == expected


def test_the_page_has_examples_and_names_the_bounds() -> None:
    assert len(DOCUMENTED_EXAMPLES) >= 12
    for bound in (EXPRESSION_LENGTH_MAX, RESULT_LENGTH_MAX, TURNS_MAX):
        assert f"{bound:,}" in DOCS
    for environment in Environment:
        for name in environment.variables:
            assert f"`{name}`" in DOCS


# --- arbitrary input --------------------------------------------------------------------------------------------------

ENVIRONMENTS = st.sampled_from(Environment)
FRAGMENTS = (
    "input|output|.x|.y|[0]|(|)|+|==|&&|?|:|1|2.5|'a'|\"|\\|has(|,|.map(i,|.exists(i,|.replace('a','b')|"
    ".matches(|[|]|{|}| in |null|\n|//|!|-"
)
EXPRESSIONS = st.one_of(st.text(max_size=60), st.lists(st.sampled_from(FRAGMENTS.split("|")), max_size=14).map("".join))
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.sampled_from(["\ud800", 2**64]),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["x", "y", "z", "ž"]), inner, max_size=4)
    ),
    max_leaves=12,
)
WELL_FORMED = """
    input.x; input.x.y; input.x + input.y; input.x * 1.5; input.x[0]; size(input.x) > 1; string(input.x);
    input == input.x; input.x.exists(i, i == input.y); input.x.map(i, i.y); input.x in input.y; checksum(input.x);
    input.x.matches(input.y); '%s %d'.format([input.x, input.y]); -input.x; !input.x; input.x ? input.y : input.z;
    int(input.x); timestamp(input.x); input.x.split(input.y); has(input.x.y); input.x % 3;
    input.x.substring(input.y); input.x.join(','); input.x < input.y
"""


@settings(max_examples=400, deadline=None)
@given(expression=EXPRESSIONS, environment=ENVIRONMENTS)
@example(expression="input.x\0", environment=TASK)
@example(expression="\ud800", environment=TASK)
@example(expression="!" * 8_000 + "true", environment=TASK)
@example(expression="[" * 8_000, environment=TASK)
@example(expression="a." * 4_000, environment=TASK)
@example(expression="--" * 4_000, environment=TASK)
def test_check_raises_nothing_but_invalid_argument(expression: str, environment: Environment) -> None:
    try:
        check(expression, environment, field="some.field")
    except InvalidArgument as error:
        assert error.field == "some.field"
        assert len(error.message) < 2_000
    else:
        outcome = evaluate_string(expression, environment, {})
        assert isinstance(outcome, str | Failure)


@settings(max_examples=400, deadline=None)
@given(expression=st.sampled_from(WELL_FORMED.split(";")), value=JSON_VALUES)
def test_evaluation_of_arbitrary_json_never_raises(expression: str, value: object) -> None:
    variables = {"input": value}
    for evaluate, kind in ((evaluate_string, str), (evaluate_int, int), (evaluate_bool, bool)):
        outcome = evaluate(expression, TASK, variables)
        assert type(outcome) in (kind, Failure)
        again = evaluate(expression, TASK, variables)
        assert outcome == again


@settings(max_examples=200, deadline=None)
@given(value=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=50))
def test_strings_pass_through_unchanged(value: str) -> None:
    payload = json.loads(json.dumps({"x": value}))
    assert evaluate_string("input.x", TASK, {"input": payload}) == value
    assert evaluate_string("input.x.reverse().reverse()", TASK, {"input": payload}) == value
    assert evaluate_int("size(input.x)", TASK, {"input": payload}) == len(value)


@settings(max_examples=200, deadline=None)
@given(number=st.integers(-(2**63), 2**63 - 1))
def test_64_bit_integers_pass_through_exactly(number: int) -> None:
    assert evaluate_int("input.x", TASK, {"input": {"x": number}}) == number
    assert evaluate_string("string(input.x)", TASK, {"input": {"x": number}}) == str(number)
