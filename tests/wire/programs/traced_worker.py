"""A worker whose tasks are traced by the SDK's own instrumentor (`python -m programs.traced_worker`)."""

from __future__ import annotations

import argparse

from gallery.cue import Cue
from hatchet_sdk import Context, Hatchet
from hatchet_sdk.opentelemetry.instrumentor import HatchetInstrumentor
from opentelemetry import trace


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--name", required=True)
    parser.add_argument("--slots", type=int, required=True)
    given = parser.parse_args()
    HatchetInstrumentor(schedule_delay_millis=50).instrument()
    hatchet = Hatchet()
    tracer = trace.get_tracer("shop")

    @hatchet.task(name="traced-child", input_validator=Cue)
    async def child(cue: Cue, ctx: Context) -> dict[str, int]:
        with tracer.start_as_current_span("weigh", attributes={"shop.weight": cue.n}):
            return {"n": cue.n}

    @hatchet.task(name="traced", input_validator=Cue)
    async def parent(cue: Cue, ctx: Context) -> dict[str, str | None]:
        with tracer.start_as_current_span("pack"):
            if cue.fail:
                raise ValueError("the box is too small")
            reference = await child.aio_run(Cue(key=cue.key, n=cue.n), wait_for_result=False)
            await reference.aio_result()
        return {"child": reference.workflow_run_id, "traceparent": ctx.additional_metadata.get("traceparent")}

    hatchet.worker(given.name, slots=given.slots, workflows=[parent, child]).start()


if __name__ == "__main__":
    main()
