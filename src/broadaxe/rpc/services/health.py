"""`grpc.health.v1.Health`: whether calls are taken, for load balancers and orchestrators, which have no token.

The state is one for all services: SERVING while the engine is ready, NOT_SERVING once the server drains. Source: the
health checking protocol of gRPC.

Bounds: everybody may watch, so at most `WATCHES_MAX` streams do so at a time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Final

from broadaxe.errors import NotFound, ResourceExhausted
from broadaxe.rpc._gen import health_pb2 as pb
from broadaxe.rpc.transport import Call, Method, Send, server_stream, unary

WATCHES_MAX: Final = 1_000

_SERVICE: Final = "grpc.health.v1.Health"


class HealthService:
    def __init__(self, is_ready: Callable[[], bool], methods: Iterable[Method]) -> None:
        """`methods` are all others of the server; what they belong to can be asked for by name."""
        self._is_ready = is_ready
        self._services = {"", _SERVICE, *(method.path.split("/")[1] for method in methods)}
        self._watches = 0

    def methods(self) -> list[Method]:
        return [
            unary(f"/{_SERVICE}/Check", pb.HealthCheckRequest, pb.HealthCheckResponse, self.check, is_public=True),
            server_stream(
                f"/{_SERVICE}/Watch", pb.HealthCheckRequest, pb.HealthCheckResponse, self.watch, is_public=True
            ),
        ]

    async def check(self, request: pb.HealthCheckRequest, call: Call) -> pb.HealthCheckResponse:
        if request.service not in self._services:
            raise NotFound(f"there is no service {request.service[:200]}", field="service")
        return pb.HealthCheckResponse(status=self._status(call.draining))

    async def watch(self, request: pb.HealthCheckRequest, call: Call, send: Send[pb.HealthCheckResponse]) -> None:
        """Tells the state at once and when it changes, and ends when the server does. A service that is not here is
        one that may come, so the stream of an unknown one stays open."""
        if self._watches >= WATCHES_MAX:
            raise ResourceExhausted(f"at most {WATCHES_MAX} callers may watch; use Check")
        self._watches += 1
        try:
            if request.service not in self._services:
                await send(pb.HealthCheckResponse(status=pb.HealthCheckResponse.SERVICE_UNKNOWN))
                await call.draining.wait()
                return
            await send(pb.HealthCheckResponse(status=self._status(call.draining)))
            if not call.draining.is_set():
                await call.draining.wait()
                await send(pb.HealthCheckResponse(status=pb.HealthCheckResponse.NOT_SERVING))
        finally:
            self._watches -= 1

    def _status(self, draining: asyncio.Event) -> pb.HealthCheckResponse.ServingStatus:
        if self._is_ready() and not draining.is_set():
            return pb.HealthCheckResponse.SERVING
        return pb.HealthCheckResponse.NOT_SERVING
