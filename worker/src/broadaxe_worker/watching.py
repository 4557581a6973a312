"""Names what blocks the worker's loop.

A task that computes, or waits without `await`, holds up every other async task of its worker. The session goes on
meanwhile (it has threads of its own), so the engine does not take the worker for dead; but people should hear of it,
and where it stands.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import time
import traceback
from types import FrameType
from typing import Final

__all__ = ["LoopWatch"]

LOOK_EVERY_S: Final = 0.5
STACK_LINES_MAX: Final = 12

_log = logging.getLogger("broadaxe_worker")


class LoopWatch:
    """Made on the loop's thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop, blocked_after_s: float) -> None:
        self._loop = loop
        self._blocked_after_s = blocked_after_s
        self._thread_id = threading.get_ident()
        self._turned_at_s = time.monotonic()
        self._is_asked = False
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="broadaxe-loop-watch", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._ended.set()

    def _watch(self) -> None:
        was_named = False
        while not self._ended.wait(min(LOOK_EVERY_S, self._blocked_after_s / 2)):
            if not self._is_asked:
                self._is_asked = True
                was_named = False
                self._turned_at_s = time.monotonic()
                try:
                    self._loop.call_soon_threadsafe(self._turned)
                except RuntimeError:  # the loop is closed
                    return
            blocked_s = time.monotonic() - self._turned_at_s
            if blocked_s >= self._blocked_after_s and not was_named:
                was_named = True
                frame = sys._current_frames().get(self._thread_id)
                _log.warning(
                    "the worker's event loop has been blocked for %.1f s; other async tasks wait. Make the task a "
                    "plain `def`, or move what blocks into asyncio.to_thread. It stands here:\n%s",
                    blocked_s,
                    _stack(frame),
                )

    def _turned(self) -> None:
        self._is_asked = False


def _stack(frame: FrameType | None) -> str:
    if frame is None:
        return "  (the thread has ended)"
    return "".join(traceback.format_stack(frame)[-STACK_LINES_MAX:]).rstrip()
