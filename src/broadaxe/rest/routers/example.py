"""The example worker that an engine on somebody's own machine offers to newcomers."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from broadaxe.errors import FailedPrecondition
from broadaxe.example import LIFE_S
from broadaxe.rest.context import ContextDep
from broadaxe.rest.identity import AdminScope, ViewerScope
from broadaxe.rest.routers.route import STABLE, router
from broadaxe.rest.shapes import server as server_shapes
from broadaxe.storage.tokens import create_token

TOKEN_NAME: Final = "example worker"
#: As long as the example runs at most.
TOKEN_LIFE: Final = timedelta(seconds=LIFE_S)
_NOT_HERE: Final = "an engine started with `broadaxe dev` on your own machine offers it"

routes = router("example")


@routes.get(f"{STABLE}/tenants/{{tenant}}/example")
async def get_example(scope: ViewerScope, context: ContextDep) -> server_shapes.Example:
    """Whether this engine can run an example worker for a newcomer, and whether it does."""
    example = context.example
    if example is None:
        return server_shapes.Example(is_offered=False, is_running=False, problem=_NOT_HERE)
    problem = example.problem
    return server_shapes.Example(
        is_offered=problem is None, is_running=example.is_running_for(scope.tenant_id), problem=problem
    )


@routes.post(f"{STABLE}/tenants/{{tenant}}/example")
async def start_example(scope: AdminScope, context: ContextDep) -> server_shapes.Example:
    """Starts the example worker, with a token of its own, which starts a run of the workflow `example` first.

    Refused where the engine does not offer it. While it runs nothing is done.
    """
    example, settings = context.example, context.settings
    if example is None:
        raise FailedPrecondition(_NOT_HERE)
    if not example.is_running_for(scope.tenant_id):
        if example.problem is not None:
            raise FailedPrecondition(example.problem)

        async def environment() -> dict[str, str]:
            issued = await create_token(
                context.pool,
                scope.tenant_id,
                TOKEN_NAME,
                TOKEN_LIFE // timedelta(seconds=1),
                settings.server_url,
                settings.grpc_address,
            )
            return {
                "HATCHET_CLIENT_TOKEN": issued.token,
                "HATCHET_CLIENT_HOST_PORT": settings.grpc_address,
                "HATCHET_CLIENT_SERVER_URL": settings.server_url,
                "HATCHET_CLIENT_TLS_STRATEGY": "none",
            }

        await example.start(scope.tenant_id, environment)
    return server_shapes.Example(is_offered=True, is_running=True)
