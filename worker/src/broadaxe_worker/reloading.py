"""Starts a worker again when its code changes, for development.

The worker is a process of its own, told to stop and started anew: nothing of the old code is left. What is looked at
are the modification times of the Python files below the present directory, twice a second.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

__all__ = ["reload_on_change"]

LOOK_EVERY_S: Final = 0.5
FILES_MAX: Final = 20_000
#: How long the worker may take to stop before it is killed.
STOP_S: Final = 10.0
_PASSED_OVER: Final = {"node_modules", "site-packages", "__pycache__", "build", "dist"}

_log = logging.getLogger("broadaxe_worker")


def reload_on_change(arguments: Sequence[str]) -> int:
    """Returns the exit code once it is interrupted."""
    stops: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: stops.append(number))
    root = Path.cwd()
    try:
        while not stops:
            before = snapshot(root)
            worker = subprocess.Popen([sys.executable, "-m", "broadaxe_worker", *arguments])
            has_said = False
            while not stops and (changed := _first_change(before, snapshot(root))) is None:
                if worker.poll() is not None and not has_said:
                    has_said = True
                    _log.warning("the worker ended with %d; it starts again after the next change", worker.returncode)
                time.sleep(LOOK_EVERY_S)
            if not stops:
                _log.info("%s has changed; starting again", changed)
            _end(worker)
    except KeyboardInterrupt:
        # The worker is of the same process group and has heard it as well.
        _end(worker)
        return 130
    return 0


def snapshot(root: Path) -> dict[str, int]:
    """Modification times of the Python files below `root`, at most `FILES_MAX` of them."""
    found: dict[str, int] = {}
    for directory, names, files in os.walk(root):
        names[:] = [each for each in names if not each.startswith(".") and each not in _PASSED_OVER]
        for name in files:
            if name.endswith(".py") and len(found) < FILES_MAX:
                path = os.path.join(directory, name)  # noqa: PTH118 thousands of them, twice a second
                try:
                    found[path] = os.stat(path).st_mtime_ns  # noqa: PTH116
                except OSError:
                    continue
    return found


def _first_change(before: dict[str, int], now: dict[str, int]) -> str | None:
    if before == now:
        return None
    return next(path for path in sorted(before.keys() | now.keys()) if before.get(path) != now.get(path))


def _end(worker: subprocess.Popen[bytes]) -> None:
    if worker.poll() is None:
        worker.terminate()
        try:
            worker.wait(STOP_S)
        except subprocess.TimeoutExpired:
            worker.kill()
            worker.wait()
