"""Traces: the SDK's instrumentor exports to the engine, and its spans hang together with the engine's own."""

from __future__ import annotations

from typing import Any, Final

import pytest
from gallery.cue import Cue
from hatchet_sdk import Hatchet
from hatchet_sdk.exceptions import FailedTaskRunExceptionGroup
from wirekit import Rest, StartWorker, eventually

CALLER_TRACE: Final = "4bf92f3577b34da6a3ce929d0e0e4736"
CALLER_SPAN: Final = "00f067aa0ba902b7"
CALLER: Final = f"00-{CALLER_TRACE}-{CALLER_SPAN}-01"

Spans = dict[str, dict[str, Any]]


@pytest.fixture
async def traced(start_worker: StartWorker, hatchet: Hatchet, key: str) -> Hatchet:
    await start_worker(namespace=key, program="programs.traced_worker")
    return Hatchet(config=hatchet.config.model_copy(update={"namespace": f"{key}_"}))


async def _spans(rest: Rest, run_id: str, *wanted: str) -> Spans:
    """The spans of a run by name, once all of `wanted` are there."""

    async def look() -> Spans:
        rows = await rest.spans(run_id)
        assert len({row["spanId"] for row in rows}) == len(rows)
        named: Spans = {}
        for row in rows:
            about = row.get("spanAttributes", {}).get("hatchet.workflow_run_id")
            named[row["spanName"] if about in (None, run_id) else f"child {row['spanName']}"] = row
        return named

    return await eventually(look, until=lambda spans: set(wanted) <= set(spans), what=f"spans {wanted}")


async def test_the_spans_of_a_run_and_its_child_are_one_trace(traced: Hatchet, rest: Rest, key: str) -> None:
    workflow = traced.stubs.workflow(name="traced", input_validator=Cue)
    reference = await workflow.aio_run(Cue(key=key, n=7), wait_for_result=False)
    run_id = reference.workflow_run_id
    output = next(iter((await reference.aio_result()).values()))
    spans = await _spans(
        rest,
        run_id,
        "hatchet.engine.start_step_run",
        "hatchet.start_step_run",
        "pack",
        "hatchet.run_workflow",
        "child hatchet.engine.start_step_run",
        "child hatchet.start_step_run",
        "child weigh",
    )
    # Nobody gave a trace, so it is the run's own, from the engine's first span to the child's last.
    assert {span["traceId"] for span in spans.values()} == {run_id.replace("-", "")}

    def parent(name: str) -> str:
        return next(other for other, span in spans.items() if span["spanId"] == spans[name]["parentSpanId"])

    assert "parentSpanId" not in spans["hatchet.engine.workflow_run"]
    assert parent("hatchet.engine.queued") == "hatchet.engine.workflow_run"
    assert parent("hatchet.engine.start_step_run") == "hatchet.engine.workflow_run"
    assert parent("hatchet.start_step_run") == "hatchet.engine.workflow_run"
    assert parent("pack") == "hatchet.start_step_run"
    assert parent("hatchet.run_workflow") == "pack"
    assert parent("child hatchet.engine.workflow_run") == "hatchet.run_workflow"
    assert parent("child hatchet.start_step_run") == "hatchet.run_workflow"
    assert parent("child weigh") == "child hatchet.start_step_run"
    assert spans["hatchet.run_workflow"]["spanAttributes"]["hatchet.child_workflow_run_id"] == output["child"]
    weigh = spans["child weigh"]
    assert weigh["spanAttributes"]["shop.weight"] == "7"
    assert (weigh["spanKind"], weigh["statusCode"], weigh["scopeName"]) == ("INTERNAL", "UNSET", "shop")
    assert spans["hatchet.start_step_run"]["spanKind"] == "CONSUMER"
    own = spans["hatchet.engine.start_step_run"]
    assert own["statusCode"] == "OK" and own["spanAttributes"]["hatchet.span_source"] == "engine"
    assert own["durationNs"] > spans["pack"]["durationNs"] * 0.5


async def test_a_callers_trace_goes_on_through_the_run(traced: Hatchet, rest: Rest, key: str) -> None:
    workflow = traced.stubs.workflow(name="traced", input_validator=Cue)
    reference = await workflow.aio_run(
        Cue(key=key), wait_for_result=False, additional_metadata={"traceparent": CALLER, "kept": "yes"}
    )
    output = next(iter((await reference.aio_result()).values()))
    assert output["traceparent"] == CALLER
    spans = await _spans(rest, reference.workflow_run_id, "hatchet.start_step_run", "pack", "child weigh")
    assert {span["traceId"] for span in spans.values()} == {CALLER_TRACE}
    assert spans["hatchet.engine.workflow_run"]["parentSpanId"] == CALLER_SPAN
    assert spans["hatchet.start_step_run"]["parentSpanId"] == CALLER_SPAN
    details = await rest.run(reference.workflow_run_id)
    assert details["run"]["additionalMetadata"] == {"traceparent": CALLER, "kept": "yes"}


async def test_a_failure_shows_in_both_spans(traced: Hatchet, rest: Rest, key: str) -> None:
    workflow = traced.stubs.workflow(name="traced", input_validator=Cue)
    reference = await workflow.aio_run(Cue(key=key, fail=True), wait_for_result=False)
    with pytest.raises(FailedTaskRunExceptionGroup):
        await reference.aio_result()
    spans = await _spans(rest, reference.workflow_run_id, "hatchet.engine.start_step_run", "hatchet.start_step_run")
    assert spans["hatchet.engine.start_step_run"]["statusCode"] == "ERROR"
    assert "the box is too small" in spans["hatchet.engine.start_step_run"]["statusMessage"]
    assert spans["hatchet.start_step_run"]["statusCode"] == "ERROR"
