"""Two engines on one database, linked as `app.py` links them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

from broadaxe.engine.engine import Engine
from broadaxe.engine.postgres_store import PostgresStore
from broadaxe.link.host import Host
from broadaxe.link.visitor import Visitor
from broadaxe.storage.ids import new_id
from broadaxe.storage.journal import CONNECTION_SETTINGS
from tests.engine.house import House

__all__ = ["Node", "node", "pair", "see_each_other"]


class Node:
    def __init__(self, store: PostgresStore, engine: Engine, host: Host, visitor: Visitor) -> None:
        self.store = store
        self.engine = engine
        self.host = host
        self.visitor = visitor
        self.session: asyncpg.Connection | None = None
        """What tells of its death."""
        self.is_dead = False

    def owns(self, tenant_id: str) -> bool:
        return tenant_id in self.engine.tenants_in_memory()

    async def look(self) -> None:
        """Hears now what the next renewal would say."""
        await self.store._leases.members._renew()

    async def cut_off(self) -> None:
        """From the database, for longer than its leases last: the others do not see it any more, and it knows."""
        members = self.store._leases.members
        await members._loops.close()
        members._renewed_at_s = float("-inf")
        assert self.session is not None
        self.session.terminate()
        assert self.engine._moves is not None
        await self.engine._moves._look_alive()

    async def kill(self) -> None:
        """Ends it as a kill would: its connections close, and nothing is given back."""
        self.is_dead = True
        assert self.session is not None
        self.session.terminate()
        for activation in self.engine._activations.values():
            if activation.present is not None:
                task = activation.present.actor._task
                assert task is not None
                task.cancel()
            activation._is_closed = True
        await self.store._leases._loops.close()
        await self.store._leases.members._loops.close()
        await self.engine._loops.close()
        await self.host.stop()
        await self.visitor.close()
        await self.store._journal_connections.close()


@asynccontextmanager
async def node(database: str, pool: asyncpg.Pool) -> AsyncIterator[Node]:
    settings = {name: str(value) for name, value in CONNECTION_SETTINGS.items()}

    async def connect() -> asyncpg.Connection:
        made.session = await asyncpg.connect(database)
        return made.session

    async with asyncpg.create_pool(database, min_size=1, max_size=2, server_settings=settings) as journal_pool:
        store = PostgresStore(
            journal_pool=journal_pool, pool=pool, node_id=new_id(), address="here:7077", connect=connect
        )
        secret = await store.link_secret()
        visitor = Visitor(secret)
        engine = Engine(store, connect=visitor, nodes=store.nodes)
        host = Host(engine, secret)
        made = Node(store, engine, host, visitor)
        store.reached_at(f"127.0.0.1:{await host.start('127.0.0.1', 0)}")
        await engine.start()
        try:
            yield made
        finally:
            if not made.is_dead:
                await engine.leave()
                await engine.stop()
                await host.stop()
                await visitor.close()


async def see_each_other(*nodes: Node) -> None:
    for each in nodes:
        await each.look()


@asynccontextmanager
async def pair(database: str, pool: asyncpg.Pool, tenant_id: str) -> AsyncIterator[tuple[Node, Node, House]]:
    """The owner of the tenant, another node, and the tenant as the other one sees it; it has the workflow `flow`."""
    async with node(database, pool) as one, node(database, pool) as two:
        await see_each_other(one, two)
        owner, other = (two, one) if one.store.nodes.place(tenant_id) else (one, two)
        await House(owner.engine, tenant_id, pool).put()
        yield owner, other, House(other.engine, tenant_id, pool)
