"""Several workers side by side, for tasks that keep the processor busy: one process each, watched by this one.

The first begins alone; the others follow once the engine has welcomed it, so that what the user has to correct is said
once. A process that ends is replaced. SIGTERM or Ctrl-C is passed on, and the workers stop as one alone would; a
process whose watcher dies stops as well.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from broadaxe_worker.worker import Worker

__all__ = ["PROCESSES_MAX", "Start", "run_processes"]

PROCESSES_MAX: Final = 256
AGAIN_MIN_S: Final = 0.5
AGAIN_MAX_S: Final = 30.0
#: A process that lived so long has not failed at its beginning.
LIVED_S: Final = 60.0

_log = logging.getLogger("broadaxe_worker")

#: Runs a worker with these arguments and returns its exit code; `begun` hears of the worker before it starts.
Start = Callable[[Sequence[str], Callable[["Worker"], None]], int]


@dataclass(slots=True)
class _Place:
    """One of the processes, and whoever comes after it."""

    number: int
    process: SpawnProcess | None = None
    began_at_s: float = 0.0
    again_at_s: float = 0.0
    delay_s: float = AGAIN_MIN_S


def run_processes(start: Start, arguments: Sequence[str], count: int) -> int:
    """Runs `count` workers until told to stop; the exit code is that of a worker alone.

    `start` must be importable by its name.
    """
    context = multiprocessing.get_context("spawn")
    heard, tell = context.Pipe(duplex=False)
    stops: list[int] = []

    def stop(number: int, _: Any) -> None:
        stops.append(number)
        tell.send_bytes(b"stop")

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    places = [_Place(number) for number in range(1, count + 1)]
    try:
        welcomed, is_welcome = context.Pipe(duplex=False)
        _begin(places[0], context.Process(target=_run, args=(start, list(arguments), is_welcome)))
        is_welcome.close()
        code = _first(places[0], welcomed, heard, stops)
        if code is not None:
            return code
        _watch(places, lambda: context.Process(target=_run, args=(start, list(arguments), None)), heard, stops)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return 0


def _first(place: _Place, welcomed: Connection, heard: Connection, stops: Sequence[int]) -> int | None:
    """Waits for the welcome of the first worker. Its exit code if it ends before; None once it is there."""
    assert place.process is not None
    waited_for: list[Any] = [place.process.sentinel, welcomed, heard]
    while True:
        ready = wait(waited_for)
        if heard in ready:
            heard.recv_bytes()
            _pass_on([place], stops)
        elif place.process.sentinel in ready:
            place.process.join()
            return place.process.exitcode or 0
        else:
            return None


def _watch(places: Sequence[_Place], make: Callable[[], SpawnProcess], heard: Connection, stops: Sequence[int]) -> None:
    """Keeps every place taken until it is told to stop and all have ended."""
    while True:
        now_s = time.monotonic()
        for place in places:
            if place.process is not None and not place.process.is_alive():
                _ended(place, now_s, len(places), is_stopping=bool(stops))
            if place.process is None and not stops and place.again_at_s <= now_s:
                _begin(place, make())
        running = [place.process for place in places if place.process is not None]
        if stops and not running:
            return
        later = [place.again_at_s - now_s for place in places if place.process is None and not stops]
        ready = wait([heard, *(process.sentinel for process in running)], timeout=min(later, default=None))
        if heard in ready:
            heard.recv_bytes()
            _pass_on(places, stops)


def _begin(place: _Place, process: SpawnProcess) -> None:
    process.start()
    place.process, place.began_at_s = process, time.monotonic()


def _ended(place: _Place, now_s: float, count: int, *, is_stopping: bool) -> None:
    assert place.process is not None
    code = place.process.exitcode
    place.process.join()
    place.process = None
    if is_stopping:
        return
    if code == 0 or now_s - place.began_at_s > LIVED_S:
        place.delay_s = AGAIN_MIN_S
    place.again_at_s = now_s + place.delay_s
    place.delay_s = min(AGAIN_MAX_S, place.delay_s * 2)
    _log.warning("process %d of %d ended with %s; another takes its place", place.number, count, code)


def _pass_on(places: Sequence[_Place], stops: Sequence[int]) -> None:
    if os.name == "nt" and len(stops) == 1:
        # Ctrl-C has reached the workers, which are of the same console; to end them from here would be at once.
        return
    for place in places:
        if place.process is not None:
            place.process.terminate()


def _run(start: Start, arguments: Sequence[str], is_welcome: Connection | None) -> None:
    """A process of its own begins here."""
    if os.name != "nt":
        # Ctrl-C is for the watcher, which passes it on; heard twice it would end the worker at once.
        os.setpgid(0, 0)

    def begun(worker: Worker) -> None:
        threading.Thread(target=_follow_parent, args=(worker,), daemon=True).start()
        if is_welcome is not None:
            threading.Thread(target=_say_welcome, args=(worker, is_welcome), daemon=True).start()

    raise SystemExit(start(arguments, begun))


def _say_welcome(worker: Worker, is_welcome: Connection) -> None:
    worker.is_ready.wait()
    is_welcome.send_bytes(b"welcome")


def _follow_parent(worker: Worker) -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        worker.stop()
