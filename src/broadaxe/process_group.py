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
    command: Sequence[str],
    *,
    output: IO[bytes] | None,
    directory: Path,
    environment: Mapping[str, str],
    handed: bytes | None = None,
) -> subprocess.Popen[bytes]:
    """Starts the leader of a group. Its output goes into the file, or where ours goes. It reads what is handed to it
    (at most what a pipe holds) and then nothing, until this process has ended, whatever that died of."""
    process = subprocess.Popen(
        list(command),
        stdin=subprocess.DEVNULL if handed is None else subprocess.PIPE,
        stdout=output,
        stderr=output,
        cwd=directory,
        env=dict(environment),
        start_new_session=True,
        creationflags=APART,
    )
    if handed is not None:
        assert process.stdin is not None
        # It may have ended already; then its exit code says so.
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(handed)
            process.stdin.flush()
    return process


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
