"""The nodes of the installation, for its operators: which live, and which are to hand their tenants over."""

from __future__ import annotations

from broadaxe.rest.context import ContextDep
from broadaxe.rest.identity import CallerDep, OperatorDep
from broadaxe.rest.parameters import PathId
from broadaxe.rest.routers.route import API, router
from broadaxe.rest.shapes import cluster as shapes
from broadaxe.storage.nodes import NodeRow, drain_node
from broadaxe.storage.nodes import nodes as node_rows

routes = router("server")


@routes.get(f"{API}/cluster/nodes")
async def nodes(operator: OperatorDep, context: ContextDep) -> shapes.Nodes:
    """The engines that share the database, the oldest first, with those lost within the last day."""
    return shapes.Nodes(rows=[_node(row) for row in await node_rows(context.pool)])


@routes.put(f"{API}/cluster/nodes/{{node}}/drain")
async def drain(node: PathId, operator: OperatorDep, caller: CallerDep, context: ContextDep) -> shapes.Nodes:
    """Lets an engine hand all its tenants over and take none; it goes on serving its clients. Answers what is then."""
    await drain_node(context.pool, node, caller.by)
    return await nodes(operator, context)


@routes.delete(f"{API}/cluster/nodes/{{node}}/drain")
async def undo_drain(node: PathId, operator: OperatorDep, caller: CallerDep, context: ContextDep) -> shapes.Nodes:
    """Lets an engine own tenants again."""
    await drain_node(context.pool, node, caller.by, is_undone=True)
    return await nodes(operator, context)


def _node(row: NodeRow) -> shapes.Node:
    return shapes.Node(
        id=row.id,
        address=row.address,
        version=row.version,
        started_at=row.started_at,
        renewed_seconds_ago=round(row.renewed_ago_s, 1),
        draining_at=row.draining_at,
        tenants=row.tenants,
        load=round(row.load, 2),
        is_lost=row.is_lost,
    )
