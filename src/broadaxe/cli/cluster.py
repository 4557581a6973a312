"""`broadaxe cluster`: the engines on one database, and which of them are to hand their tenants over.

For whoever has the database: it asks no engine, and the engine that is meant hears of it there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from broadaxe.cli import options
from broadaxe.cli.database import initiator, with_connection
from broadaxe.cli.listing import show

if TYPE_CHECKING:
    import asyncpg

    from broadaxe.storage.nodes import NodeRow

__all__ = ["cluster"]


@click.group(short_help="The engines on one database: list them, drain one.")
def cluster() -> None:
    """The engines that share a database, which tenants are spread over.

    \b
    Examples:
      broadaxe cluster nodes
      broadaxe cluster drain 0199b6a2
      broadaxe cluster drain 0199b6a2 --undo
    """


@cluster.command()
@options.as_json
@options.database_url
@options.data_dir
def nodes(as_json: bool, **given: str | None) -> None:
    """List the engines, the oldest first: id, version, tenants owned, cores in use, last sign of life, address."""
    settings = options.settings_from(given)

    async def print_all(connection: asyncpg.Connection) -> None:
        from broadaxe.storage.nodes import nodes

        show(
            await nodes(connection),
            as_json=as_json,
            line=_line,
            fields=lambda row: {
                "id": row.id,
                "address": row.address,
                "linkAddress": row.link_address,
                "version": row.version,
                "startedAt": row.started_at,
                "renewedSecondsAgo": round(row.renewed_ago_s, 1),
                "drainingAt": row.draining_at,
                "tenants": row.tenants,
                "load": round(row.load, 2),
                "isLost": row.is_lost,
            },
            empty="no engine has run on this database within the last day; start one with: broadaxe serve",
        )

    import asyncio

    asyncio.run(with_connection(settings, print_all))


@cluster.command()
@click.argument("node")
@click.option("--undo", is_flag=True, help="The engine may own tenants again.")
@options.database_url
@options.data_dir
def drain(node: str, undo: bool, **given: str | None) -> None:
    """Let the engine NODE, an id or its beginning, hand all its tenants over to the others.

    No call fails over it. It takes no tenant from then on, and goes on serving its clients by way of the others until
    it is stopped. Its log says when it owns nothing any more. A restarted engine is another one and drains no longer.
    """
    settings = options.settings_from(given)

    async def tell(connection: asyncpg.Connection) -> None:
        from broadaxe.storage.nodes import drain_node, nodes

        row = await drain_node(connection, node, initiator(), is_undone=undo)
        if undo:
            click.echo(f"node {row.id} may own tenants again")
            return
        click.echo(
            f"node {row.id} hands over its tenants ({row.tenants}); `broadaxe cluster nodes` shows how far it is"
        )
        others = [other for other in await nodes(connection) if other.id != row.id]
        if not any(other.draining_at is None and not other.is_lost for other in others):
            click.echo("there is no other node to take them, so it keeps them until one comes")

    import asyncio

    asyncio.run(with_connection(settings, tell))


def _line(row: NodeRow) -> str:
    state = "live"
    if row.is_lost:
        state = "lost"
    elif row.draining_at is not None:
        state = "draining" if row.tenants else "drained"
    return (
        f"{row.id}  {state:<8}  {row.version:<8}  {row.tenants:>6} tenants  {row.load:>5.2f} cores"
        f"  seen {row.renewed_ago_s:>5.1f} s ago  {row.address}"
    )
