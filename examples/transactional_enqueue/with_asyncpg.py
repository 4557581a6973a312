"""Transactional enqueue with asyncpg."""

import json
from uuid import UUID

import asyncpg


async def place_order(connection: asyncpg.Connection, item: str) -> UUID:
    """The id of the run that ships the order. Without a piece in stock there is neither order nor run."""
    async with connection.transaction():
        order_id = await connection.fetchval("insert into orders (item) values ($1) returning id", item)
        run_id = await connection.fetchval(
            "select broadaxe.enqueue($1, $2)", "ship-order", json.dumps({"order_id": order_id})
        )
        await connection.execute("update stock set pieces = pieces - 1 where item = $1", item)
        return run_id


async def place_order_with_gift(connection: asyncpg.Connection, item: str, gift: str) -> list[UUID]:
    """The gift is wanted, but not at any price: its savepoint takes its order and its run along."""
    async with connection.transaction():
        run_ids = [await place_order(connection, item)]
        try:
            run_ids.append(await place_order(connection, gift))
        except asyncpg.CheckViolationError:
            print(f"no {gift} left to give away")
        return run_ids


async def place_orders(connection: asyncpg.Connection, items: list[str]) -> list[UUID]:
    """All or none, in one statement. The runs start in the order of the items."""
    async with connection.transaction():
        rows = await connection.fetch(
            "with placed as (insert into orders (item) select unnest($1::text[]) returning id) "
            "select broadaxe.enqueue('ship-order', jsonb_build_object('order_id', id)) as run_id from placed",
            items,
        )
        return [row["run_id"] for row in rows]
