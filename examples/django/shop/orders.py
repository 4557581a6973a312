"""Placing an order: its row, its run and the piece taken from stock come to be together or not at all."""

import json
from uuid import UUID

from django.db import connection, transaction
from django.db.models import F

from shop.models import Order, Stock


def enqueue(workflow: str, payload: dict) -> UUID:
    """Starts a run with the present transaction; the run's id."""
    with connection.cursor() as cursor:
        cursor.execute("select broadaxe.enqueue(%s, %s::jsonb)", [workflow, json.dumps(payload)])
        return cursor.fetchone()[0]


@transaction.atomic
def place_order(item: str) -> Order:
    """IntegrityError when there is no piece left, and then there is neither an order nor a run."""
    order = Order.objects.create(item=item)
    order.run_id = enqueue("ship-order", {"order_id": order.id})
    order.save(update_fields=["run_id"])
    Stock.objects.filter(item=item).update(pieces=F("pieces") - 1)
    return order
