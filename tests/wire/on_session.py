"""Runs a worker's program on the session instead of the official protocol: `python -m on_session PROGRAM ...`.

The program is the same, down to `hatchet.worker(...).start()`; only what that does is another.
"""

from __future__ import annotations

import runpy
import sys
from typing import Any

from broadaxe_worker import Worker
from hatchet_sdk.worker.worker import Worker as OfficialWorker


def start(official: OfficialWorker, options: Any = None) -> None:
    Worker.of(official).start()


if __name__ == "__main__":
    OfficialWorker.start = start  # type: ignore[method-assign]
    sys.argv = sys.argv[1:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
