"""What the embedded PostgreSQL needs of the operating system, and how each gives it.

Owns the account the server runs as, the form of its command line, its environment, and how it is told to stop. Knows
nothing of clusters and locks, which are `embedded.py`'s.

Linux is what we run. macOS takes the same way without what only Linux has: capabilities, and being told when a process
ends. Windows was written by the documentation and not run by us yet: the server listens on a port of the loopback
address, is stopped through `pg_ctl`, and refuses, as PostgreSQL does, to run for an administrator.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import psutil

from broadaxe.errors import ConfigurationError

__all__ = [
    "IS_ON_TCP",
    "Account",
    "Stop",
    "account_for",
    "environment",
    "free_port",
    "give",
    "is_ours",
    "is_root",
    "listening",
    "passage_capability",
    "program",
    "stop",
]

#: How a server is stopped: all is flushed; it recovers at the next start; it is not even told.
Stop = Literal["fast", "immediate", "kill"]

#: Whether the server is reached through a port, because Python has no sockets of files here.
IS_ON_TCP: Final = sys.platform == "win32"

CAP_DAC_OVERRIDE: Final = 1
CAP_DAC_READ_SEARCH: Final = 2

STOP_TIMEOUT_S: Final = 30.0
#: What programs on Windows do not start without.
INHERITED: Final = ("PATH", "LD_LIBRARY_PATH", "TMPDIR", "SYSTEMROOT", "SYSTEMDRIVE", "TEMP", "TMP", "COMSPEC")


@dataclass(frozen=True, slots=True)
class Account:
    """The operating system account the server runs as, and how to become it."""

    uid: int
    gid: int
    switch: bool
    """True when we are root and have to step down."""


def environment() -> dict[str, str]:
    """What the server sees of our environment: PGDATA, PGPORT and the like must not reach it."""
    kept = {name: value for name, value in os.environ.items() if name.upper() in INHERITED}
    return {**kept, "LC_ALL": "C", "TZ": "UTC"}


def program(bin_dir: Path, name: str) -> Path:
    """The file of one of PostgreSQL's programs."""
    return bin_dir / (f"{name}.exe" if sys.platform == "win32" else name)


def listening(socket_dir: Path, port: int) -> tuple[str, ...]:
    """The part of the command line that says where the server listens."""
    if IS_ON_TCP:
        return ("-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-p", str(port))
    return ("-k", str(socket_dir))


def free_port() -> int:
    """A port of the loopback address that nobody listens on."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if sys.platform == "win32":

    def is_root() -> bool:
        return False

    def is_ours(status: os.stat_result) -> bool:
        return True

    def account_for(cluster: Path) -> Account:
        return Account(uid=0, gid=0, switch=False)

    def give(path: Path, account: Account) -> None:
        raise AssertionError("nobody steps down on Windows")

    def passage_capability() -> str | None:
        return None

    def stop(bin_dir: Path, pid: int, how: Stop) -> None:
        if how == "kill":
            with contextlib.suppress(psutil.Error):
                psutil.Process(pid).kill()
            return
        # There are no signals; the server listens for their names on a pipe that pg_ctl knows.
        name = {"fast": "INT", "immediate": "QUIT"}[how]
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            subprocess.run(
                [str(program(bin_dir, "pg_ctl")), "kill", name, str(pid)],
                check=False,
                capture_output=True,
                timeout=STOP_TIMEOUT_S,
                env=environment(),
            )

else:
    SIGNALS: Final = {"fast": signal.SIGINT, "immediate": signal.SIGQUIT, "kill": signal.SIGKILL}

    def is_root() -> bool:
        return os.geteuid() == 0

    def is_ours(status: os.stat_result) -> bool:
        """Whether the file belongs to the account we run as."""
        return status.st_uid == os.geteuid()

    def account_for(cluster: Path) -> Account:
        """Who the server runs as: we ourselves, or whom root steps down to. Raises ConfigurationError."""
        if not is_root():
            return Account(uid=os.geteuid(), gid=os.getegid(), switch=False)
        import pwd  # Needed by root alone.

        if cluster.exists() and cluster.stat().st_uid != 0:
            status = cluster.stat()
            return Account(uid=status.st_uid, gid=status.st_gid, switch=True)
        for name in ("broadaxe", "postgres", "nobody"):
            with contextlib.suppress(KeyError):
                entry = pwd.getpwnam(name)
                return Account(uid=entry.pw_uid, gid=entry.pw_gid, switch=True)
        raise ConfigurationError(
            "PostgreSQL cannot run as root and this system has no account `nobody` to run it as. "
            "Run Broadaxe as an ordinary user, or give a server of your own with --database-url."
        )

    def give(path: Path, account: Account) -> None:
        """Hand a file or directory to that account."""
        os.chown(path, account.uid, account.gid)

    def passage_capability() -> str | None:
        """The capability of ours that lets a process pass through closed directories; the weaker one if we have both.

        None also where there are no capabilities, as on macOS.
        """
        try:
            status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
        except OSError:
            return None
        match = re.search(r"^CapPrm:\s*([0-9a-fA-F]+)", status, re.MULTILINE)
        permitted = int(match[1], 16) if match is not None else 0
        if permitted >> CAP_DAC_READ_SEARCH & 1:
            return "dac_read_search"
        return "dac_override" if permitted >> CAP_DAC_OVERRIDE & 1 else None

    def stop(bin_dir: Path, pid: int, how: Stop) -> None:
        """Tell a server to stop; returns before it has. A server that is gone is no error."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, SIGNALS[how])
