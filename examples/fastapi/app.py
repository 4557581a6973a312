"""A FastAPI application with its worker beside it: reports are made in the background, and browsers watch them grow."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated
from uuid import UUID

from broadaxe_worker import Worker
from fastapi import Depends, FastAPI, HTTPException
from fastapi.sse import EventSourceResponse, ServerSentEvent
from hatchet_sdk import ClientConfig, Context, FailedTaskRunExceptionGroup, Hatchet, NonRetryableException
from hatchet_sdk.clients.rest.exceptions import NotFoundException
from hatchet_sdk.config import TenacityConfig
from pydantic import BaseModel, Field

hatchet = Hatchet()
# By default the SDK asks again and again for what is not there.
asks_once = Hatchet(config=ClientConfig(tenacity=TenacityConfig(max_attempts=0)))
ROWS = 500
#: What runs of this application are known by: others of the tenant are nobody's business here.
OURS = {"application": "reports"}


class Order(BaseModel):
    title: str = Field(min_length=1, max_length=200)
    rows: int = Field(default=10, ge=1, le=1000)


class Report(BaseModel):
    text: str


@hatchet.task(name="report", input_validator=Order, retries=3)
async def report(input: Order, ctx: Context) -> Report:
    for row in range(1, input.rows + 1):
        if row > ROWS:
            raise NonRetryableException(f"there are only {ROWS} rows")
        # All there is to know at this point, so that whoever comes late or again has missed nothing.
        await ctx.aio_put_stream(json.dumps({"done": row, "of": input.rows}))
    return Report(text=f"{input.title}: {input.rows} rows")


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    worker = Worker(hatchet, "reports", workflows=[report], slots=20)
    app.state.worker = asyncio.create_task(worker.run())
    yield
    # What runs is finished first; what does not finish goes to another worker.
    worker.stop()
    await app.state.worker


app = FastAPI(title="Reports", lifespan=lifespan)


@app.get("/health")
async def health() -> dict[str, str]:
    if app.state.worker.done():
        raise HTTPException(503, "the worker has ended")
    return {"worker": "at work"}


@app.post("/reports", status_code=202)
async def order(order: Order) -> dict[str, str]:
    run = await report.aio_run(order, wait_for_result=False, additional_metadata=OURS)
    return {"id": run.workflow_run_id}


async def found(report_id: UUID) -> str:
    try:
        made = await asks_once.runs.aio_get(str(report_id))
        metadata = made.run.additional_metadata or {}
    except NotFoundException:
        metadata = {}
    if not OURS.items() <= metadata.items():
        raise HTTPException(404, f"there is no report {report_id}")
    return str(report_id)


@app.get("/reports/{report_id}/events", response_class=EventSourceResponse)
async def events(run_id: Annotated[str, Depends(found)]) -> AsyncIterator[ServerSentEvent]:
    """Progress as it comes, then `done` with the report, or `failed`. Open it again at any time, also afterwards."""
    async for progress in hatchet.runs.subscribe_to_stream(run_id):
        yield ServerSentEvent(raw_data=progress, event="progress")
    try:
        ended = await report.get_run_ref(run_id).aio_result()
    except FailedTaskRunExceptionGroup as failed:
        yield ServerSentEvent(data={"error": failed.exceptions[0].exc}, event="failed")
    except Exception as cancelled:
        yield ServerSentEvent(data={"error": str(cancelled)}, event="failed")
    else:
        yield ServerSentEvent(data=ended, event="done")
