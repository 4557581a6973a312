"""Every method that our descriptions of the wire declare is served."""

from __future__ import annotations

from typing import Any

from broadaxe.rpc._gen import (
    admin_pb2,
    dispatcher_pb2,
    durable_pb2,
    events_pb2,
    health_pb2,
    otlp_pb2,
    workflows_pb2,
)
from broadaxe.rpc.services.admin import AdminService
from broadaxe.rpc.services.dispatcher import DispatcherService
from broadaxe.rpc.services.durable import DurableService
from broadaxe.rpc.services.events import EventsService
from broadaxe.rpc.services.health import HealthService
from broadaxe.rpc.services.traces import TraceService
from broadaxe.rpc.services.workflows import WorkflowService
from broadaxe.rpc.transport import BidiMethod, Method, ServerStreamMethod

DECLARED = {
    "Dispatcher": (dispatcher_pb2, "Dispatcher"),
    "EventsService": (events_pb2, "EventsService"),
    "WorkflowService": (workflows_pb2, "WorkflowService"),
    "v1.AdminService": (admin_pb2, "AdminService"),
    "v1.V1Dispatcher": (durable_pb2, "V1Dispatcher"),
    "opentelemetry.proto.collector.trace.v1.TraceService": (otlp_pb2, "TraceService"),
    "grpc.health.v1.Health": (health_pb2, "Health"),
}


def served() -> list[Method]:
    none: Any = None
    services: list[Any] = [
        DispatcherService(none, none, none),
        EventsService(none, none, none),
        WorkflowService(none, none),
        AdminService(none, none, none),
        DurableService(none),
        TraceService(none),
        HealthService(none, []),
    ]
    return [method for service in services for method in service.methods()]


def test_what_is_declared_is_served_in_its_shape() -> None:
    shapes = {
        method.path: (
            method.request_type.DESCRIPTOR.full_name,
            method.response_type.DESCRIPTOR.full_name,
            isinstance(method, BidiMethod),
            isinstance(method, BidiMethod | ServerStreamMethod),
        )
        for method in served()
    }
    declared = {
        f"/{path}/{method.name}": (
            method.input_type.full_name,
            method.output_type.full_name,
            method.client_streaming,
            method.server_streaming,
        )
        for path, (module, name) in DECLARED.items()
        for method in module.DESCRIPTOR.services_by_name[name].methods
    }
    assert shapes == declared
