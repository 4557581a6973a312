"""`broadaxe serve --edges N`: one node in several processes, and what looks after them.

This process starts an engine process and N edges, which listen on the same ports, and starts again what dies; it does
nothing else, so it has nothing to die of. Edges outlive the engine process: their clients stay connected, and wait.
When this process dies, whatever of, all of them stop in order.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pickle
import signal
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

import click
import structlog

from broadaxe import shared_ports
from broadaxe.cli import ports
from broadaxe.cli.stop_signals import on_signals
from broadaxe.cli.supervisor import TO_BE_CORRECTED, Child, Supervisor
from broadaxe.config import Settings
from broadaxe.errors import ConfigurationError, Unavailable
from broadaxe.parts import Part
from broadaxe.storage.ids import new_id

__all__ = ["run_with_edges"]

#: The pause before a part that died is started again, the first time; it doubles.
PAUSE_FIRST_S: Final = 0.05

_log = structlog.get_logger(__name__)


def run_with_edges(settings: Settings, announce: Callable[[Settings], None]) -> int:
    """Runs until a signal says stop, and returns the exit code. The ports in the settings are free ones."""
    if not shared_ports.are_there():
        raise ConfigurationError(
            "--edges needs several processes on one port, which this system does not have; leave it out",
            field="--edges",
        )
    with contextlib.ExitStack() as stack:
        # Nobody else gets them while an edge is away.
        stack.enter_context(ports.kept(settings.host, (settings.grpc_port, settings.http_port)))
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="broadaxe-")))
        return asyncio.run(_run(settings, directory, announce))


async def _run(settings: Settings, directory: Path, announce: Callable[[Settings], None]) -> int:
    engine = Part(directory, new_id())
    edges = [replace(engine, edge=number) for number in range(1, settings.edges + 1)]
    supervisor = Supervisor(
        [[_child(settings, engine)], [_child(settings, edge) for edge in edges]],
        None,
        _say,
        pause_first_s=PAUSE_FIRST_S,
        starts_together=True,
    )
    stop = asyncio.Event()

    def heed(number: signal.Signals) -> None:
        if stop.is_set() and number is signal.SIGINT:
            click.echo("broadaxe: stopped at once", err=True)
            supervisor.stop_at_once()
        elif not stop.is_set():
            click.echo("broadaxe: stopping (Ctrl-C again to stop at once)", err=True)
        stop.set()

    on_signals((signal.SIGINT, signal.SIGTERM), heed)
    try:
        await supervisor.run(stop, lambda: announce(settings))
    except Unavailable:
        if supervisor.first_failure is None:
            raise
        # It has said why.
        return TO_BE_CORRECTED if supervisor.first_failure == TO_BE_CORRECTED else 1
    return 0


def _child(settings: Settings, part: Part) -> Child:
    async def ready() -> bool:
        return part.ready_file.exists()

    def hand_over() -> bytes:
        part.ready_file.unlink(missing_ok=True)
        return pickle.dumps((settings, part))

    return Child(
        part.name,
        (sys.executable, "-m", "broadaxe.cli.part", part.name),
        lambda: os.environ,
        ready,
        Path.cwd(),
        hand_over,
    )


def _say(name: str, line: str) -> None:
    is_trouble = "starting it again" in line or "killed" in line or "not ready" in line
    (_log.warning if is_trouble else _log.debug)(line, process=name)
