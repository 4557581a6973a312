"""Which trace a run belongs to, and how workers and children are told."""

from __future__ import annotations

import json

import pytest

from broadaxe.core.commands.triggers import RunRequest, TriggerRuns
from broadaxe.core.tracing import (
    Trace,
    attempt_span_id,
    event_span_id,
    given_trace,
    queued_span_id,
    run_span_id,
    trace_of,
    traced_metadata,
)
from tests.core.world import World, task

RUN = "019a0000-0000-7000-8000-00000000000a"
OWN = RUN.replace("-", "")
GIVEN = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def test_a_valid_trace_in_the_metadata_is_the_runs() -> None:
    metadata = json.dumps({"a": 1, "traceparent": GIVEN})
    assert trace_of(RUN, metadata) == Trace("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7")
    assert traced_metadata(metadata, RUN) is metadata


@pytest.mark.parametrize(
    "value",
    [
        "",
        "00-xyz",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        GIVEN.upper(),
        GIVEN + "-00",
        17,
        None,
        {"traceparent": GIVEN},
    ],
)
def test_an_invalid_one_is_replaced(value: object) -> None:
    metadata = json.dumps({"traceparent": value, "kept": True})
    assert given_trace(metadata) is None
    assert trace_of(RUN, metadata) == Trace(OWN, None)
    told = json.loads(traced_metadata(metadata, RUN))
    assert told == {"traceparent": f"00-{OWN}-{run_span_id(RUN)}-01", "kept": True}


@pytest.mark.parametrize("metadata", [None, "", "{}", " { } ", '{"a":1}', ' {\n "a" : {"b": "}"} } '])
def test_metadata_without_one_gets_that_of_the_run(metadata: str | None) -> None:
    told = json.loads(traced_metadata(metadata, RUN))
    assert told.pop("traceparent") == f"00-{OWN}-{run_span_id(RUN)}-01"
    assert told == json.loads(metadata or "{}")


def test_ids_of_spans_differ_and_stay_the_same() -> None:
    ids = [
        run_span_id(RUN),
        event_span_id(RUN),
        *(queued_span_id(RUN, n) for n in range(3)),
        *(attempt_span_id(RUN, n) for n in range(3)),
    ]
    assert len(set(ids)) == len(ids)
    assert all(len(span_id) == 16 and int(span_id, 16) for span_id in ids)
    assert attempt_span_id(RUN, 1) == ids[6]


def test_a_child_joins_the_trace_of_the_run_that_spawned_it() -> None:
    world = World()
    world.put(task("a"))
    plain, traced = (
        world.do(TriggerRuns((RunRequest(workflow_name="flow", input="{}", additional_metadata=metadata),)))[0]
        for metadata in (None, json.dumps({"traceparent": GIVEN}))
    )

    def child(parent: str, metadata: str | None = None) -> str:
        request = RunRequest(
            workflow_name="flow", input="{}", parent_task_id=parent, child_key="c", additional_metadata=metadata
        )
        (run_id,) = world.do(TriggerRuns((request,)))
        text = world.tenant.metadata_of_run(run_id)
        assert text is not None
        return str(json.loads(text)["traceparent"])

    assert child(plain) == f"00-{plain.replace('-', '')}-{run_span_id(plain)}-01"
    assert child(traced) == GIVEN
    other = GIVEN.replace("4bf9", "4bfa")
    world = World()
    world.put(task("a"))
    (parent,) = world.do(TriggerRuns((RunRequest(workflow_name="flow", input="{}"),)))
    assert child(parent, json.dumps({"traceparent": other})) == other
