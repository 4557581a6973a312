"""What the worker does. Imported by the worker alone: the web processes need no client of the engine."""

from functools import wraps

from django.db import close_old_connections
from hatchet_sdk import Context, Hatchet
from pydantic import BaseModel

from shop.models import Order

hatchet = Hatchet()


def with_database(function):
    """Threads of a worker live long, and Django ends connections only with its own requests."""

    @wraps(function)
    def run(input, ctx):
        close_old_connections()
        try:
            return function(input, ctx)
        finally:
            close_old_connections()

    return run


class Shipment(BaseModel):
    order_id: int


@hatchet.task(name="ship-order", input_validator=Shipment, retries=3, backoff_factor=2.0)
@with_database
def ship_order(input: Shipment, ctx: Context) -> dict[str, str]:
    order = Order.objects.get(id=input.order_id)
    # A task may be run again: what was done before is not done twice.
    Order.objects.filter(id=order.id, shipped=False).update(shipped=True)
    return {"shipped": order.item}


workflows = [ship_order]
