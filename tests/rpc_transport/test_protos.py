"""Our message layouts are those of the official SDK, and the generated code is what the sources say."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from hatchet_sdk.contracts import dispatcher_pb2, events_pb2, workflows_pb2
from hatchet_sdk.contracts.v1 import dispatcher_pb2 as v1_dispatcher_pb2
from hatchet_sdk.contracts.v1 import workflows_pb2 as v1_workflows_pb2
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2

from broadaxe.rpc._gen import admin_pb2, durable_pb2, otlp_pb2
from broadaxe.rpc._gen import dispatcher_pb2 as our_dispatcher_pb2
from broadaxe.rpc._gen import events_pb2 as our_events_pb2
from broadaxe.rpc._gen import workflows_pb2 as our_workflows_pb2

ROOT = Path(__file__).parents[2]
GENERATED = "src/broadaxe/rpc/_gen"


def test_generated_code_belongs_to_the_sources() -> None:
    recorded = {
        path: digest
        for digest, path in (
            line.split(maxsplit=1) for line in (ROOT / GENERATED / "SHA256SUMS").read_text().splitlines()
        )
    }
    present = {
        path.relative_to(ROOT).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for pattern in ("proto/**/*.proto", f"{GENERATED}/*_pb2.py", f"{GENERATED}/*_pb2.pyi")
        for path in ROOT.glob(pattern)
    }
    assert present == recorded, "a .proto or a generated file was changed by hand; run `make proto`"


@pytest.mark.parametrize(
    ("official", "ours", "service"),
    [
        (dispatcher_pb2, our_dispatcher_pb2, "Dispatcher"),
        (events_pb2, our_events_pb2, "EventsService"),
        (workflows_pb2, our_workflows_pb2, "WorkflowService"),
        (v1_workflows_pb2, admin_pb2, "AdminService"),
        (v1_dispatcher_pb2, durable_pb2, "V1Dispatcher"),
    ],
)
def test_service_reads_and_writes_what_the_official_sdk_does(official, ours, service: str) -> None:
    theirs = official.DESCRIPTOR.services_by_name[service].methods_by_name
    mine = ours.DESCRIPTOR.services_by_name[service].methods_by_name
    assert set(mine) >= set(theirs)
    seen: set[str] = set()
    differences: list[str] = []
    for name, method in theirs.items():
        if (method.client_streaming, method.server_streaming) != (
            mine[name].client_streaming,
            mine[name].server_streaming,
        ):
            differences.append(f"{name}: another call shape")
        differences += _differences(method.input_type, mine[name].input_type, seen)
        differences += _differences(method.output_type, mine[name].output_type, seen)
    assert differences == []


#: Fields of OTLP that only its profiles use, which travel over another service.
OF_PROFILES = ("key_strindex", "string_value_strindex", "entity_refs")


def test_spans_are_read_as_opentelemetry_writes_them() -> None:
    official = trace_service_pb2.DESCRIPTOR.services_by_name["TraceService"].methods_by_name["Export"]
    ours = otlp_pb2.DESCRIPTOR.services_by_name["TraceService"].methods_by_name["Export"]
    seen: set[str] = set()
    differences = _differences(official.input_type, ours.input_type, seen)
    differences += _differences(official.output_type, ours.output_type, seen)
    assert [found for found in differences if not any(f".{name} = " in found for name in OF_PROFILES)] == []


def _differences(official: Descriptor, ours: Descriptor, seen: set[str]) -> list[str]:
    """What a peer that speaks `official` would misread. Fields and values of ours that it lacks are no difference."""
    if official.full_name in seen:
        return []
    seen.add(official.full_name)
    found: list[str] = []
    for number, field in {field.number: field for field in official.fields}.items():
        mine = ours.fields_by_number.get(number)
        place = f"{official.full_name}.{field.name} = {number}"
        if mine is None:
            found.append(f"{place}: we lack it")
            continue
        if _layout(field) != _layout(mine):
            found.append(f"{place}: {_layout(field)} there, {_layout(mine)} here")
        elif field.message_type is not None:
            found += _differences(field.message_type, mine.message_type, seen)
        elif field.enum_type is not None and not _values(field.enum_type) <= _values(mine.enum_type):
            found.append(f"{place}: we lack enum values")
    return found


def _layout(field: FieldDescriptor) -> tuple[int, bool, bool]:
    return (field.type, field.is_repeated, field.has_presence)


def _values(enum: EnumDescriptor) -> set[int]:
    return {value.number for value in enum.values}
