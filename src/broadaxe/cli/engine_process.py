"""One engine in this process, from start to the signal that stops it.

SIGTERM and the first Ctrl-C stop in order and end with exit code 0, also while the engine is still starting; a second
Ctrl-C ends at once. An engine that belongs to another program ends in the same way when its standard input closes,
which happens whatever that program dies of; the terminal's Ctrl-C it leaves to that program, which still needs it.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import sys
import threading
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

import click

from broadaxe.cli.stop_signals import on_signals
from broadaxe.config import Settings
from broadaxe.parts import Part

if TYPE_CHECKING:
    from broadaxe.app import App

__all__ = ["run_until_signal"]

STDIN_BYTES: Final = 4096
#: So many objects are made, and not freed by their counts, before Python looks for garbage. Whatever waits or runs is
#: looked through again and again by then, and 700, Python's own, would take a twentieth of a busy engine's time.
GARBAGE_AFTER: Final = 10_000


def run_until_signal(
    settings: Settings,
    announce: Callable[[App], Awaitable[None]],
    *,
    heed_stdin: bool = False,
    part: Part | None = None,
) -> int:
    """Start an engine, or a part of one, call `announce` once it is ready, stop it on a signal. Returns the exit code.

    With `heed_stdin` the end of standard input stops it too, and Ctrl-C does so only if standard input is a terminal.
    """
    gc.set_threshold(GARBAGE_AFTER, *gc.get_threshold()[1:])
    try:
        import uvloop
    except ImportError:
        return asyncio.run(_until_signal(settings, announce, heed_stdin, part))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_until_signal(settings, announce, heed_stdin, part))


async def _until_signal(
    settings: Settings, announce: Callable[[App], Awaitable[None]], heed_stdin: bool, part: Part | None
) -> int:
    stop = asyncio.Event()
    is_owned = heed_stdin and not sys.stdin.isatty()
    _stop_on_signals(stop, (signal.SIGTERM,) if is_owned else (signal.SIGINT, signal.SIGTERM))
    if heed_stdin:
        _stop_with_stdin(stop)
    starting = asyncio.create_task(_started(settings, part))
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


async def _started(settings: Settings, part: Part | None) -> App:
    """An engine, whose code is imported while its database comes up: each takes about a second the first time."""
    from broadaxe.database import Database

    database = Database(settings)
    try:
        # In a thread, so that the database and signals are attended to.
        importing = asyncio.create_task(asyncio.to_thread(_import_engine))
        opening = asyncio.create_task(database.ready())
        await asyncio.wait({importing, opening}, return_when=asyncio.FIRST_EXCEPTION)
        await opening
        engine = await importing
    except BaseException:
        await database.close()
        raise
    return await engine.start(settings, database, part)


def _import_engine() -> type[App]:
    from broadaxe.importing import kept

    with kept():
        from broadaxe.app import App
    return App


def _stop_on_signals(stop: asyncio.Event, numbers: tuple[signal.Signals, ...]) -> None:
    def heed(number: signal.Signals) -> None:
        if stop.is_set() and number is signal.SIGINT:
            click.echo("broadaxe: stopped at once", err=True)
            os._exit(130)
        if not stop.is_set() and signal.SIGINT in numbers:
            click.echo("broadaxe: stopping (Ctrl-C again to stop at once)", err=True)
        stop.set()

    on_signals(numbers, heed)


def _stop_with_stdin(stop: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()

    def read_to_the_end() -> None:
        with contextlib.suppress(OSError):
            while os.read(sys.stdin.fileno(), STDIN_BYTES):
                pass
        # The loop may be gone: the engine can end for other reasons too.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(stop.set)

    # A thread, because standard input can be anything: a pipe, a terminal, a file, which event loops treat differently.
    threading.Thread(target=read_to_the_end, name="stdin", daemon=True).start()
