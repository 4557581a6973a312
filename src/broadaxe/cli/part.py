"""One process of a node that runs in several: `python -m broadaxe.cli.part NAME`, started by `cli/edges.py`.

Reads what it is from standard input, and stops in order when that closes, whatever the process that started it died of.
"""

from __future__ import annotations

import pickle
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import structlog

from broadaxe import logs
from broadaxe.cli.engine_process import run_until_signal
from broadaxe.config import Settings
from broadaxe.errors import BroadaxeError, ConfigurationError
from broadaxe.parts import Part

if TYPE_CHECKING:
    from broadaxe.app import App

__all__ = ["main"]

LOOK_EVERY_S: Final = 0.05


def main() -> None:
    settings, part = pickle.load(sys.stdin.buffer)
    assert isinstance(settings, Settings)
    assert isinstance(part, Part)
    logs.configure(settings.log_level, settings.log_format)
    structlog.contextvars.bind_contextvars(process=part.name)

    if settings.migrate and part.edge is not None:
        settings = _after_migrations(settings, part)

    async def announce(app: App) -> None:
        if part.edge is None:
            await app.offer_setup()
        part.say_ready()

    try:
        code = run_until_signal(settings, announce, heed_stdin=True, part=part)
    except BroadaxeError as error:
        print(f"broadaxe: {error.message}", file=sys.stderr)
        code = 2 if isinstance(error, ConfigurationError) else 1
    sys.exit(code)


def _after_migrations(settings: Settings, edge: Part) -> Settings:
    """Waits until the engine process has brought the schema up to date; if it cannot, that ends this process too."""
    ready_file = replace(edge, edge=None).ready_file
    while not ready_file.exists():
        time.sleep(LOOK_EVERY_S)
    return replace(settings, migrate=False)


if __name__ == "__main__":
    main()
