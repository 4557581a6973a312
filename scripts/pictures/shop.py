"""The workflows of a small shop, for the pictures in the documentation. `python shop.py` is its worker."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from hatchet_sdk import (
    ConcurrencyExpression,
    ConcurrencyLimitStrategy,
    Context,
    DurableContext,
    Hatchet,
    NonRetryableException,
)
from hatchet_sdk.rate_limit import RateLimit
from pydantic import BaseModel, Field

__all__ = ["MAIL_LIMIT", "Letter", "Order", "Parcel", "hatchet", "mail", "order", "parcel", "refund", "report"]

MAIL_LIMIT = "mail"

hatchet = Hatchet()


class Order(BaseModel):
    number: str = Field(description="The shop's order number")
    customer: str = "acme"
    amount: float = Field(default=49.9, ge=0, description="In euros")
    express: bool = False


class Letter(BaseModel):
    to: str
    subject: str = "Your parcel is on its way"


class Parcel(BaseModel):
    number: str
    customer: str = "acme"


order = hatchet.workflow(
    name="fulfil-order", input_validator=Order, on_events=["order:paid"], description="From a paid order to a parcel"
)


@order.task(retries=1)
async def check_stock(input: Order, ctx: Context) -> dict[str, Any]:
    ctx.log(f"looking for the lines of {input.number}")
    await asyncio.sleep(0.15)
    return {"shelf": "C4", "lines": 3}


@order.task(retries=2, backoff_factor=1.0, backoff_max_seconds=1)
async def charge_card(input: Order, ctx: Context) -> dict[str, Any]:
    await asyncio.sleep(0.2)
    if input.customer == "broke":
        raise NonRetryableException(f"the card of {input.customer} was declined: insufficient funds")
    if ctx.retry_count == 0 and input.express:
        ctx.log("the payment provider hung up; it is tried again")
        raise ConnectionError("payment provider: connection reset by peer")
    return {"charge": "ch_51", "amount": input.amount}


@order.task(parents=[check_stock, charge_card])
async def pack(input: Order, ctx: Context) -> dict[str, Any]:
    for line in range(1, 4):
        ctx.log(f"packed line {line} of 3")
        await asyncio.sleep(0.08)
    return {"weight_g": 840}


@order.task(parents=[pack])
async def ship(input: Order, ctx: Context) -> dict[str, Any]:
    await asyncio.sleep(0.12)
    return {"tracking": f"BX-{input.number}", "carrier": "Express" if input.express else "Post"}


@order.task(parents=[ship])
async def tell_customer(input: Order, ctx: Context) -> dict[str, Any]:
    await asyncio.sleep(0.05)
    return {"sent": True}


@order.on_failure_task()
async def refund_on_failure(input: Order, ctx: Context) -> dict[str, Any]:
    return {"refunded": input.amount}


@hatchet.task(
    name="send-mail",
    input_validator=Letter,
    rate_limits=[RateLimit(static_key=MAIL_LIMIT, units=1)],
    description="At most ten letters a minute",
)
async def mail(input: Letter, ctx: Context) -> dict[str, Any]:
    await asyncio.sleep(0.05)
    return {"to": input.to}


@hatchet.task(
    name="book-parcel",
    input_validator=Parcel,
    execution_timeout=timedelta(minutes=30),
    concurrency=ConcurrencyExpression(
        expression="input.customer",
        max_runs=1,
        limit_strategy=ConcurrencyLimitStrategy.GROUP_ROUND_ROBIN,
    ),
    description="One parcel per customer at a time",
)
async def parcel(input: Parcel, ctx: Context) -> dict[str, Any]:
    await asyncio.sleep(600)
    return {"booked": True}


@hatchet.durable_task(name="refund", input_validator=Order, execution_timeout=timedelta(hours=2))
async def refund(input: Order, ctx: DurableContext) -> dict[str, Any]:
    await ctx.aio_wait_for_event("refund:approved", f"input.number == '{input.number}'")
    return {"refunded": input.amount}


@hatchet.task(name="nightly-report", on_crons=["0 3 * * *"], input_validator=Order)
async def report(input: Order, ctx: Context) -> dict[str, Any]:
    await asyncio.sleep(0.3)
    return {"orders": 128, "revenue": 6_387.2}


if __name__ == "__main__":
    hatchet.worker(
        "warehouse-1",
        slots=8,
        durable_slots=20,
        workflows=[order, mail, parcel, refund, report],
        labels={"room": "north"},
    ).start()
