"""What is done with each record: the worker's side."""

from datetime import timedelta

from hatchet_sdk import ConcurrencyExpression, ConcurrencyLimitStrategy, Context, Hatchet, TTLBasedIdempotencyConfig
from pydantic import BaseModel

hatchet = Hatchet()


class Record(BaseModel):
    place: str
    key: str
    value: str | None


class Payment(BaseModel):
    account: str
    cents: int


@hatchet.task(
    name="payment",
    input_validator=Record,
    # As long as Kafka may hand a record out again.
    idempotency=TTLBasedIdempotencyConfig(key_expression="input.place", ttl=timedelta(days=7)),
    # Records of one key one after the other, in their order.
    concurrency=ConcurrencyExpression(
        expression="input.key", max_runs=1, limit_strategy=ConcurrencyLimitStrategy.GROUP_ROUND_ROBIN
    ),
    schedule_timeout=timedelta(days=1),
)
async def payment(input: Record, ctx: Context) -> dict[str, str]:
    # A record that cannot be read fails its run, where it can be looked at and replayed, and holds nobody up.
    paid = Payment.model_validate_json(input.value or "")
    return {"booked": f"{paid.cents} on {paid.account}"}


if __name__ == "__main__":
    hatchet.worker("payments", slots=100, workflows=[payment]).start()
