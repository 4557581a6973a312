"""Shifts this interpreter's wall clock by the seconds in the file that CHAOS_CLOCK names.

The interpreter imports a module of this name by itself when its directory is on the path, so the engine under test runs
unchanged. libfaketime would shift more than the wall clock, and sleeps with it.
"""

import os
import time
from pathlib import Path

LOOK_EVERY_S = 0.2


def _shift(path: Path) -> None:
    real_time_ns, real_time = time.time_ns, time.time
    looked_at, offset_s = -1.0, 0

    def offset() -> int:
        nonlocal looked_at, offset_s
        now = time.monotonic()
        if now - looked_at > LOOK_EVERY_S:
            looked_at, offset_s = now, int(path.read_text() or 0)
        return offset_s

    time.time_ns = lambda: real_time_ns() + offset() * 1_000_000_000
    time.time = lambda: real_time() + offset()


if "CHAOS_CLOCK" in os.environ:
    _shift(Path(os.environ["CHAOS_CLOCK"]))
