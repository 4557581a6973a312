"""Takes a third off what a program on the official SDK needs of the processor to start. Python imports it first of all.

The SDK declares some five hundred models and checked functions of its REST client, of which a test program uses a few,
and pydantic prepares each for use while it is imported, in each of a worker's processes. Here it prepares what is used
when it is used first. Nothing else changes: the SDK is what was installed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pydantic

_validate_call: Any = pydantic.validate_call


def _validate_when_called(
    function: Callable[..., Any] | None = None, /, *, config: pydantic.ConfigDict | None = None, **options: Any
) -> Any:
    checked = _validate_call(config=pydantic.ConfigDict(**(config or {}) | {"defer_build": True}), **options)
    return checked if function is None else checked(function)


pydantic.BaseModel.model_config["defer_build"] = True
pydantic.validate_call = _validate_when_called
