"""What the server says about itself: health, version, features. Needs no credentials, apart from the tenant's flags."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Request, Response

from broadaxe.rest import wire
from broadaxe.rest.context import Context, ContextDep
from broadaxe.rest.identity import ViewerScope
from broadaxe.rest.routers.route import API, router
from broadaxe.rest.shapes import server as shapes
from broadaxe.rest.statuses import refusal
from broadaxe.storage import setup
from broadaxe.storage.read_replica import ReadReplica

#: The version of the protocol we speak, which clients use to tell which features to expect.
PROTOCOL_VERSION = "v0.111.0"

routes = router("server")


@routes.get("/api/ready", response_class=Response, responses={500: {"model": wire.ApiErrors}})
async def ready(context: ContextDep) -> Response:
    """200 with an empty body once the engine takes work."""
    if context.engine.is_ready():
        return Response()
    return refusal(500, "the engine is not ready; it is starting or stopping")


@routes.get("/api/live", response_class=Response)
async def live() -> Response:
    """200 with an empty body while the process can answer at all."""
    return Response()


@routes.get(f"{API}/version")
async def version() -> shapes.Version:
    return shapes.Version(version=PROTOCOL_VERSION)


@routes.get(f"{API}/meta")
async def meta(request: Request, context: ContextDep) -> shapes.Meta:
    settings = context.settings
    is_open = settings.open_account_id is not None
    return shapes.Meta(
        auth=shapes.MetaAuth(schemes=["basic"]),
        allow_signup=settings.allows_signup,
        allow_invites=True,
        setup_needed=await _needs_setup(request, context) or None,
        allow_create_tenant=settings.allows_tenant_creation,
        allow_change_password=True,
        observability_enabled=True,
        prometheus_server_enabled=False,
        auth_disabled=True if is_open else None,
        auth_disabled_token=settings.open_token if is_open else None,
        reset_by_mail=None if context.mailer is None else True,
        entry_link_printed=None if settings.entry is None else True,
        grpc_tls_strategy=settings.tls_strategy,
        read_replica=None if context.replica is None else _replica(context.replica),
    )


async def _needs_setup(request: Request, context: Context) -> bool:
    """Whether there is no account yet. Asked until there is one."""
    state = request.app.state
    if not getattr(state, "has_accounts", False):
        state.has_accounts = not await setup.is_needed(context.pool)
    return not state.has_accounts


def _replica(replica: ReadReplica) -> shapes.ReadReplica:
    found = replica.condition
    return shapes.ReadReplica(state=found.state, lag_seconds=round(found.lag_s, 1))


@routes.get(f"{API}/cloud/metadata", response_model=wire.ApiErrors)
async def cloud_metadata() -> wire.ApiErrors:
    """The presence of `errors` tells clients that this server is not the hosted service."""
    return wire.ApiErrors(errors=[wire.ApiError(description="oss")])


@routes.get(
    f"{API}/control-plane/metadata",
    response_class=Response,
    status_code=404,
    response_description="There is no control plane.",
    responses={404: {"model": wire.ApiErrors}},
)
async def control_plane_metadata() -> Response:
    """Always 404: there is no hosted control plane."""
    return refusal(404, "there is no control plane")


@routes.get(f"{API}/meta/integrations")
async def integrations(context: ContextDep) -> list[shapes.Integration]:
    """`email`: whether alerts are sent by mail. Slack is told through channels, without an app to install."""
    return [
        shapes.Integration(name="email", enabled=context.mailer is not None),
        shapes.Integration(name="slack", enabled=False),
    ]


@routes.get(f"{API}/tenants/{{tenant}}/feature-flags")
async def feature_flag(
    scope: ViewerScope,
    is_enabled: Annotated[bool, Query(alias="isEnabledIfNoPosthog")] = False,
) -> shapes.FeatureFlag:
    """Every flag has the value the client would choose by itself."""
    return shapes.FeatureFlag(is_enabled=is_enabled)


@routes.get(f"{API}/tenants/{{tenant}}/entitlements")
async def entitlements(scope: ViewerScope) -> shapes.Entitlements:
    return shapes.Entitlements()
