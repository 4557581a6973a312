"""A child and all that it starts, as one thing that can be told to end.

On POSIX it is a process group, apart from the terminal's, so that Ctrl-C reaches only us. Windows has nothing that
outlives its leader and can still be named: there we take the leader and who descends from it at that moment, `end`
cannot be heeded but ends at once, and what a leader that is gone had started is not found.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Final

__all__ = ["APART", "end", "is_alive", "kill", "spawn"]


def spawn(
    command: Sequence[str], *, output: IO[bytes], directory: Path, environment: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    """Starts the leader of a group; its output goes into the file, and it reads nothing."""
    return subprocess.Popen(
        list(command),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        cwd=directory,
        env=dict(environment),
        start_new_session=True,
        creationflags=APART,
    )


if sys.platform == "win32":
    #: What keeps a child out of the reach of Ctrl-C; elsewhere that is `start_new_session`.
    APART: Final = subprocess.CREATE_NEW_PROCESS_GROUP

    def end(leader_pid: int) -> None:
        kill(leader_pid)

    def kill(leader_pid: int) -> None:
        import psutil

        with contextlib.suppress(psutil.Error):
            leader = psutil.Process(leader_pid)
            for process in (leader, *leader.children(recursive=True)):
                with contextlib.suppress(psutil.Error):
                    process.kill()

    def is_alive(leader_pid: int) -> bool:
        import psutil

        return psutil.pid_exists(leader_pid)

else:
    APART: Final = 0

    def end(leader_pid: int) -> None:
        """Ask all of the group to end."""
        _signal(leader_pid, signal.SIGTERM)

    def kill(leader_pid: int) -> None:
        """End all of the group at once."""
        _signal(leader_pid, signal.SIGKILL)

    def is_alive(leader_pid: int) -> bool:
        """Whether anybody of the group is left."""
        try:
            os.killpg(leader_pid, 0)
        except (ProcessLookupError, PermissionError):
            return False
        return True

    def _signal(leader_pid: int, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(leader_pid, number)
