"""Transactional enqueue with psycopg 3."""

from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb


def place_order(connection: psycopg.Connection, item: str) -> UUID:
    """The id of the run that ships the order. Without a piece in stock there is neither order nor run."""
    with connection.transaction():
        (order_id,) = connection.execute("insert into orders (item) values (%s) returning id", (item,)).fetchone()
        (run_id,) = connection.execute(
            "select broadaxe.enqueue(%s, %s)", ("ship-order", Jsonb({"order_id": order_id}))
        ).fetchone()
        connection.execute("update stock set pieces = pieces - 1 where item = %s", (item,))
        return run_id


def place_order_with_gift(connection: psycopg.Connection, item: str, gift: str) -> list[UUID]:
    """The gift is wanted, but not at any price: its savepoint takes its order and its run along."""
    with connection.transaction():
        run_ids = [place_order(connection, item)]
        try:
            run_ids.append(place_order(connection, gift))
        except psycopg.errors.CheckViolation:
            print(f"no {gift} left to give away")
        return run_ids


def place_orders(connection: psycopg.Connection, items: list[str]) -> list[UUID]:
    """All or none, in one statement. The runs start in the order of the items."""
    with connection.transaction():
        rows = connection.execute(
            "with placed as (insert into orders (item) select unnest(%s::text[]) returning id) "
            "select broadaxe.enqueue('ship-order', jsonb_build_object('order_id', id)) from placed",
            (items,),
        )
        return [run_id for (run_id,) in rows]
