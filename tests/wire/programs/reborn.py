"""A worker that is there again at once when it was killed: forked from a process that has imported everything."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable


def keep_alive(run: Callable[[], None]) -> None:
    """Runs `run` in a process group of its own, anew whenever it was killed. The group ends with this process."""
    while True:
        of_child, of_parent = os.pipe()
        child = os.fork()
        if child == 0:
            os.setpgrp()
            os.close(of_parent)
            threading.Thread(target=_end_with, args=(of_child,), daemon=True).start()
            run()
            sys.exit()
        os.close(of_child)
        _, status = os.waitpid(child, 0)
        os.close(of_parent)
        if not os.WIFSIGNALED(status):
            sys.exit(os.waitstatus_to_exitcode(status))


def _end_with(pipe: int) -> None:
    os.read(pipe, 1)
    os.killpg(0, signal.SIGKILL)
