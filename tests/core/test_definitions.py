"""What a definition may say, how it is normalised, what makes two of them the same; durations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import count

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broadaxe.core.definition import (
    DEFAULT_EXECUTION_TIMEOUT_US,
    DEFAULT_SCHEDULE_TIMEOUT_US,
    TaskSpec,
    WorkflowDefinition,
    WorkflowSpec,
    check_name,
    checksum,
    normalise,
    normalise_action_id,
)
from broadaxe.core.durations import DURATION_US_MAX, US_PER_S, format_duration, parse_duration
from broadaxe.errors import InvalidArgument
from tests.core.world import task

bounded = settings(derandomize=True, deadline=None, max_examples=150)


def ids() -> Callable[[], str]:
    numbers = count(1)
    return lambda: f"id-{next(numbers)}"


def normalised(*tasks: TaskSpec, **fields: object) -> WorkflowDefinition:
    return normalise(WorkflowSpec(name="flow", tasks=tasks, **fields), ids())  # type: ignore[arg-type]


# Durations ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "us"),
    [
        ("0s", 0),
        ("250ms", 250_000),
        ("1.5s", 1_500_000),
        (".5s", 500_000),
        ("5.s", 5_000_000),
        ("42m30s", 2_550_000_000),
        ("1h30m", 5_400_000_000),
        ("30m1h", 5_400_000_000),
        ("2d", 172_800_000_000),
        ("0.0000001s", 0),
    ],
)
def test_durations_add_up_their_units(text: str, us: int) -> None:
    assert parse_duration(text, field="timeout") == us


@pytest.mark.parametrize(
    "text",
    [
        "",
        "5",
        "-5s",
        "+5s",
        "5 s",
        " 5s",
        "5s ",
        "5us",
        "5ns",
        "5w",
        "5y",
        "s",
        ".s",
        "1.2.3s",
        "5S",
        "5s\n",
        "\u0665s",
    ],
)
def test_what_is_not_a_duration_is_refused_by_its_field(text: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        parse_duration(text, field="tasks[3].timeout")
    assert refused.value.field == "tasks[3].timeout"


def test_durations_have_a_longest_value_and_a_longest_text() -> None:
    assert parse_duration(f"{DURATION_US_MAX // US_PER_S}s", field="timeout") == DURATION_US_MAX
    for text in (f"{DURATION_US_MAX // US_PER_S + 1}s", "9" * 60 + "h", "0" * 64 + "s"):
        with pytest.raises(InvalidArgument):
            parse_duration(text, field="timeout")


@pytest.mark.parametrize(
    ("us", "text"),
    [
        (0, "0s"),
        (250_000, "250ms"),
        (1_500_000, "1.5s"),
        (90_000_000, "1m30s"),
        (7_200_000_000, "2h0m0s"),
        (1_000_000_500_000, "277h46m40.5s"),
    ],
)
def test_durations_read_well(us: int, text: str) -> None:
    assert format_duration(us) == text


@bounded
@given(st.integers(min_value=0, max_value=DURATION_US_MAX // 1000))
def test_a_written_duration_reads_back_as_itself(ms: int) -> None:
    assert parse_duration(format_duration(ms * 1000), field="timeout") == ms * 1000


# Validation ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Bad:
    field: str
    spec: WorkflowSpec


def flow(*tasks: TaskSpec, **fields: object) -> WorkflowSpec:
    return WorkflowSpec(**{"name": "flow", "tasks": tasks or (task("a"),), **fields})  # type: ignore[arg-type]


def changed(**fields: object) -> TaskSpec:
    return msgspec.structs.replace(task("b"), **fields)


BAD = [
    Bad("name", flow(name="")),
    Bad("name", flow(name="two words")),
    Bad("name", flow(name="a" * 256)),
    Bad("name", flow(name="flow\n")),
    Bad("tasks", WorkflowSpec(name="flow")),
    Bad("tasks", flow(*(task(f"t{n}") for n in range(10_001)))),
    Bad("default_priority", flow(default_priority=0)),
    Bad("default_priority", flow(default_priority=4)),
    Bad("event_triggers[1]", flow(event_triggers=("x", ""))),
    Bad("tasks[1].readable_id", flow(task("a"), task("a"))),
    Bad("tasks[1].readable_id", flow(task("a"), changed(name="b b"))),
    Bad("tasks[1].parents", flow(task("a"), task("b", "missing"))),
    Bad("tasks", flow(task("a", "b"), task("b", "a"))),
    Bad("tasks", flow(task("a", "a"))),
    Bad("on_failure_task.readable_id", flow(task("a"), on_failure=task("a"))),
    Bad("on_failure_task.parents", flow(task("a"), on_failure=task("z", "a"))),
    Bad("on_failure_task.retries", flow(task("a"), on_failure=changed(retries=-1))),
    Bad("tasks[1].retries", flow(task("z"), changed(retries=-1))),
    Bad("tasks[1].retries", flow(task("z"), changed(retries=1_000_001))),
    Bad("tasks[1].backoff_factor", flow(task("z"), changed(backoff_factor=0.5))),
    Bad("tasks[1].backoff_factor", flow(task("z"), changed(backoff_factor=1000.5))),
    Bad("tasks[1].backoff_factor", flow(task("z"), changed(backoff_factor=float("nan")))),
    Bad("tasks[1].backoff_max_seconds", flow(task("z"), changed(backoff_max_s=0))),
    Bad("tasks[1].backoff_max_seconds", flow(task("z"), changed(backoff_max_s=86_401))),
    Bad("tasks[1].slot_requests", flow(task("z"), changed(slots={"gpu": 0}))),
    Bad("tasks[1].slot_requests", flow(task("z"), changed(slots={"": 1}))),
    Bad("tasks[1].timeout", flow(task("z"), changed(execution_timeout="soon"))),
    Bad("tasks[1].schedule_timeout", flow(task("z"), changed(schedule_timeout="5"))),
    Bad("tasks[1].action", flow(task("z"), changed(action_id="no-colon"))),
    Bad("tasks[1].action", flow(task("z"), changed(action_id="a::b"))),
    Bad("tasks[1].action", flow(task("z"), changed(action_id="a:b:c:d"))),
]


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad.field)
def test_a_bad_field_is_refused_by_name(bad: Bad) -> None:
    with pytest.raises(InvalidArgument) as refused:
        normalise(bad.spec, ids())
    assert refused.value.field == bad.field


def test_the_message_about_a_circle_names_its_tasks() -> None:
    with pytest.raises(InvalidArgument, match=r"b, c"):
        normalised(task("a"), task("b", "c"), task("c", "b", "a"))


@pytest.mark.parametrize("name", ["a", "A-1_b.c", "a" * 255])
def test_good_names(name: str) -> None:
    check_name(name, field="name")


def test_defaults() -> None:
    (only,) = normalised(task("a")).tasks
    assert only.execution_timeout_us == DEFAULT_EXECUTION_TIMEOUT_US
    assert only.schedule_timeout_us == DEFAULT_SCHEDULE_TIMEOUT_US
    assert (only.retries, only.backoff_factor, only.backoff_max_s) == (0, None, 86_400)
    assert only.slots == {"default": 1}
    assert normalised(task("a")).default_priority == 1


def test_action_ids_are_lower_cased() -> None:
    assert normalise_action_id("Flow:Task", field="action") == "flow:task"
    assert normalised(task("A", service="Flow")).tasks[0].action_id == "flow:a"


def test_tasks_come_in_topological_order_alphabetical_among_equals() -> None:
    definition = normalised(task("d", "b", "c"), task("c", "a"), task("b", "a"), task("z"), task("a"))
    assert [one.name for one in definition.tasks] == ["a", "z", "b", "c", "d"]


def test_a_long_chain_and_a_wide_fan_are_ordered() -> None:
    chain = [task(f"t{n:05}", *([f"t{n - 1:05}"] if n else [])) for n in range(9_998)]
    last = task("zz", *(one.name for one in chain))
    definition = normalised(last, *reversed(chain))
    assert [one.name for one in definition.tasks] == [*(one.name for one in chain), "zz"]


@pytest.mark.parametrize(
    ("tasks", "on_failure", "is_dag"),
    [((task("a"),), None, False), ((task("a"),), task("z"), True), ((task("a"), task("b")), None, True)],
)
def test_what_makes_a_dag(tasks: tuple[TaskSpec, ...], on_failure: TaskSpec | None, is_dag: bool) -> None:
    assert normalised(*tasks, on_failure=on_failure).is_dag is is_dag


def test_backoff_grows_to_its_maximum_and_survives_overflow() -> None:
    (one,) = normalised(task("a", retries=5, backoff_factor=2.0, backoff_max_s=10)).tasks
    assert [one.backoff_us(n) // US_PER_S for n in range(1, 6)] == [2, 4, 8, 10, 10]
    assert one.backoff_us(1_000_000) == 10 * US_PER_S
    assert normalised(task("a")).tasks[0].backoff_us(3) == 0


# Checksum -----------------------------------------------------------------------------------------------------------


def test_the_checksum_ignores_order_labels_ids_and_the_default_slot_request() -> None:
    base = normalised(task("a"), task("b", "a"), task("c", "a", "b"), event_triggers=("x", "y"))
    same = normalise(
        WorkflowSpec(
            name="flow",
            description="said differently",
            label="v2",
            tasks=(task("c", "b", "a"), task("b", "a"), task("a", slots={"default": 1})),
            event_triggers=("y", "x", "y"),
        ),
        lambda: "another id",
    )
    assert checksum(base) == checksum(same)


@pytest.mark.parametrize(
    "other",
    [
        flow(task("b")),
        flow(task("a", retries=1)),
        flow(task("a", execution_timeout="1s")),
        flow(task("a", schedule_timeout="1s")),
        flow(task("a", backoff_factor=2.0)),
        flow(task("a", backoff_max_s=5)),
        flow(task("a", slots={"default": 2})),
        flow(task("a", slots={"gpu": 1})),
        flow(task("a"), task("b")),
        flow(task("a"), on_failure=task("z")),
        flow(task("a", service="other")),
        flow(name="flow2"),
        flow(event_triggers=("x",)),
        flow(default_priority=2),
        flow(input_json_schema="{}"),
    ],
)
def test_the_checksum_sees_everything_else(other: WorkflowSpec) -> None:
    assert checksum(normalise(other, ids())) != checksum(normalised(task("a")))


def test_a_definition_survives_its_json() -> None:
    definition = normalised(task("a", slots={"gpu": 2}), task("b", "a"), on_failure=task("z"))
    assert msgspec.json.decode(msgspec.json.encode(definition), type=WorkflowDefinition) == definition
