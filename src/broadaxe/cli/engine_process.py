"""One engine in this process, from start to the signal that stops it.

SIGTERM and the first Ctrl-C stop in order and end with exit code 0, also while the engine is still starting; a second
Ctrl-C ends at once.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import click

from broadaxe.config import Settings

if TYPE_CHECKING:
    from broadaxe.app import App

__all__ = ["run_until_signal"]


def run_until_signal(settings: Settings, announce: Callable[[App], Awaitable[None]]) -> int:
    """Start an engine, call `announce` once it is ready, stop it on a signal. Returns the exit code."""
    try:
        import uvloop
    except ImportError:
        return asyncio.run(_until_signal(settings, announce))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_until_signal(settings, announce))


async def _until_signal(settings: Settings, announce: Callable[[App], Awaitable[None]]) -> int:
    stop = asyncio.Event()
    _stop_on_signals(stop)
    # Imported here because it takes a while, and a signal during that while shall be heeded.
    from broadaxe.app import App

    starting = asyncio.create_task(App.start(settings))
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
    if not starting.done():
        # Told to stop before it was up: `start` cleans up after itself when it is cancelled.
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
        return 0
    stopping.cancel()
    app = await starting
    try:
        if not stop.is_set():
            await announce(app)
        await app.run_until(stop)
    finally:
        await app.stop()
    return 0


def _stop_on_signals(stop: asyncio.Event) -> None:
    def heed(number: signal.Signals) -> None:
        if stop.is_set() and number is signal.SIGINT:
            click.echo("broadaxe: stopped at once", err=True)
            os._exit(130)
        if not stop.is_set():
            click.echo("broadaxe: stopping (Ctrl-C again to stop at once)", err=True)
        stop.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, heed, number)
