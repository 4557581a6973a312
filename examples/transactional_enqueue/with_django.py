"""Transactional enqueue with Django."""

import json
from uuid import UUID

from django.db import IntegrityError, connection, models, transaction
from django.db.models import F


class Order(models.Model):
    id = models.BigAutoField(primary_key=True)
    item = models.TextField()

    class Meta:
        app_label = "shop"
        db_table = "orders"


class Stock(models.Model):
    item = models.TextField(primary_key=True)
    pieces = models.IntegerField()

    class Meta:
        app_label = "shop"
        db_table = "stock"


def enqueue(workflow: str, payload: dict) -> UUID:
    with connection.cursor() as cursor:
        cursor.execute("select broadaxe.enqueue(%s, %s::jsonb)", [workflow, json.dumps(payload)])
        return cursor.fetchone()[0]


@transaction.atomic
def place_order(item: str) -> UUID:
    """The id of the run that ships the order. Without a piece in stock there is neither order nor run."""
    order = Order.objects.create(item=item)
    run_id = enqueue("ship-order", {"order_id": order.id})
    Stock.objects.filter(item=item).update(pieces=F("pieces") - 1)
    return run_id


@transaction.atomic
def place_order_with_gift(item: str, gift: str) -> list[UUID]:
    """The gift is wanted, but not at any price: its savepoint takes its order and its run along."""
    run_ids = [place_order(item)]
    try:
        run_ids.append(place_order(gift))
    except IntegrityError:
        print(f"no {gift} left to give away")
    return run_ids


@transaction.atomic
def place_orders(items: list[str]) -> list[UUID]:
    """All or none. The runs start in the order of the items."""
    orders = Order.objects.bulk_create(Order(item=item) for item in items)
    return [enqueue("ship-order", {"order_id": order.id}) for order in orders]
