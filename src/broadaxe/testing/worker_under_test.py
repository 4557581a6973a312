"""A worker on a thread of the test's process, which tests can kill."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from broadaxe.testing import loops

if TYPE_CHECKING:
    from hatchet_sdk import Hatchet

__all__ = ["WorkerUnderTest"]

_STOP_S: Final = 10.0
_LOOK_EVERY_S: Final = 0.1


class WorkerUnderTest:
    """Runs workflows of the official SDK with `broadaxe-worker`, on a thread and an event loop of its own."""

    def __init__(self, hatchet: Hatchet, workflows: Sequence[Any], *, name: str, slots: int, **options: Any) -> None:
        self.name = name
        self._worker = _worker_class()(hatchet, name, workflows=workflows, slots=slots, stop_limit_s=_STOP_S, **options)
        self._loop = asyncio.new_event_loop()
        self._running: asyncio.Task[bool] | None = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=f"worker {name}", daemon=True)
        self._thread.start()

    def wait_until_ready(self) -> None:
        """Returns once the engine may give it tasks. Raises what kept it from that."""
        while not self._worker.is_ready.wait(_LOOK_EVERY_S):
            if not self._thread.is_alive():
                self._tell()
                raise RuntimeError(f"the worker {self.name} has ended")

    def stop(self) -> None:
        """It takes nothing more, finishes what runs, and leaves."""
        self._worker.stop()
        self._thread.join()
        self._tell()

    def kill(self) -> None:
        """It is gone at once, with everything it was doing; the engine is not told."""
        with contextlib.suppress(RuntimeError):  # its loop is closed: it has ended already
            self._loop.call_soon_threadsafe(self._cancel)
        self._thread.join()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._serve())
        except asyncio.CancelledError:
            pass
        except BaseException as error:
            self._error = error
        finally:
            loops.close(self._loop)

    async def _serve(self) -> None:
        self._running = asyncio.ensure_future(self._worker.run())
        await self._running

    def _cancel(self) -> None:
        if self._running is not None:
            self._running.cancel()

    def _tell(self) -> None:
        error, self._error = self._error, None
        if error is not None:
            raise error


def _worker_class() -> Any:
    # A distribution of its own, which only tests need.
    try:
        return importlib.import_module("broadaxe_worker").Worker
    except ImportError:
        raise RuntimeError("tests run workflows with broadaxe-worker: pip install broadaxe-worker") from None
