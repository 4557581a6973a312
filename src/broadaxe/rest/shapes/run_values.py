"""The shapes of what runs say of themselves."""

from __future__ import annotations

from broadaxe.rest.wire import Instant, Pagination, Wire, json_value
from broadaxe.storage.run_values import RunValue


class Value(Wire):
    name: str
    set_at: Instant
    value: object = None
    """Missing if it is null, or too large for a list. What is nested very deeply comes as the JSON text it is."""
    is_shown: bool
    """False if the value has more than 16 KiB and was left out of the list; asked for by its name it is there."""


class ValueList(Wire):
    pagination: Pagination
    rows: list[Value]


def value(record: RunValue) -> Value:
    return Value(
        name=record.name,
        set_at=record.set_at,
        value=None if record.value is None else json_value(record.value),
        is_shown=record.value is not None,
    )
