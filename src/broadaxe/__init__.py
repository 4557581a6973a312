"""Broadaxe, a durable task and workflow engine. A program that wants one inside itself: `broadaxe.Engine`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from broadaxe.in_process import Engine

__all__ = ["Engine"]


def __getattr__(name: str) -> Any:
    # Whoever runs a command must not wait for what only programs use.
    if name == "Engine":
        from broadaxe.in_process import Engine

        return Engine
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
