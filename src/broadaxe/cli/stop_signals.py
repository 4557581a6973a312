"""Signals by which people and service managers end a program, handed to its event loop."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable, Iterable

__all__ = ["on_signals"]


def on_signals(numbers: Iterable[signal.Signals], heed: Callable[[signal.Signals], None]) -> None:
    """Calls `heed` in the running loop whenever one of them comes. To be called in the main thread."""
    loop = asyncio.get_running_loop()
    for number in numbers:
        if sys.platform == "win32":
            # Loops there take no signals. The interpreter does, and it wakes the loop of the main thread.
            signal.signal(number, lambda came, _: _tell(loop, heed, signal.Signals(came)))
        else:
            loop.add_signal_handler(number, heed, number)


def _tell(loop: asyncio.AbstractEventLoop, heed: Callable[[signal.Signals], None], number: signal.Signals) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(heed, number)
