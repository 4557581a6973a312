"""A PostgreSQL server that is not the embedded one: made, started, stopped and killed by hand.

Owns its processes and nothing else: what its directory holds stays. As root it runs as another account, because
PostgreSQL refuses to be root.
"""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

ACCOUNTS: Final = ("postgres", "nobody")
WITHIN_S: Final = 120.0


class ExternalPostgres:
    """The server of one data directory, with the programs in `bin_dir`. Its superuser is `postgres`, with trust."""

    def __init__(self, bin_dir: Path, data: Path) -> None:
        self._bin = bin_dir
        self.data = data
        self.port = _free_port()
        self._identity: dict[str, Any] = {}
        if os.geteuid() == 0:
            entry = next(entry for entry in pwd.getpwall() if entry.pw_name in ACCOUNTS)
            self._identity = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}

    def dsn(self, database: str = "postgres") -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def create(self, settings: Mapping[str, str] | None = None) -> None:
        """Makes the cluster; `settings` go into postgresql.conf."""
        self.own(self.data)
        self.run("initdb", "-D", self.data, "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8")
        self.configure(settings or {})

    def configure(self, settings: Mapping[str, str]) -> None:
        lines = "".join(f"{name} = '{value}'\n" for name, value in settings.items())
        with (self.data / "postgresql.conf").open("a") as file:
            file.write(lines)

    def own(self, directory: Path) -> Path:
        """A directory, made when missing, that the server may write to."""
        directory.mkdir(parents=True, exist_ok=True)
        directory.chmod(0o700)
        if self._identity:
            os.chown(directory, self._identity["user"], self._identity["group"])
        return directory

    def start(self) -> None:
        """Returns when it accepts connections, recovery included."""
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories="
        self.run("pg_ctl", "-D", self.data, "-l", self.data / "server.log", "-o", options, "-w", "-t", "120", "start")

    def stop(self) -> None:
        if (self.data / "postmaster.pid").exists():
            self.run("pg_ctl", "-D", self.data, "-m", "fast", "-w", "stop")

    def lose(self) -> None:
        """The machine burns: the server is gone at once, and with it everything in its directory."""
        self.run("pg_ctl", "-D", self.data, "-m", "immediate", "-w", "stop")
        shutil.rmtree(self.data)

    def shell(self, script: str, **variables: object) -> str:
        """Runs lines of bash as the server's account, with its programs on the path and its address as libpq has it."""
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=WITHIN_S,
            cwd="/",
            env=self.environment() | {name: str(value) for name, value in variables.items()},
            **self._identity,
        )
        assert done.returncode == 0, f"{script}\n{done.stdout}"
        return done.stdout

    def service(self, script: str, **variables: object) -> subprocess.Popen[bytes]:
        """The same in the background, in a process group of its own; the caller ends it."""
        return subprocess.Popen(
            ["bash", "-euo", "pipefail", "-c", script],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            env=self.environment() | {name: str(value) for name, value in variables.items()},
            start_new_session=True,
            **self._identity,
        )

    def environment(self) -> dict[str, str]:
        path = f"{self._bin}{os.pathsep}{os.environ.get('PATH', '')}"
        return {"PATH": path, "LC_ALL": "C", "PGHOST": "127.0.0.1", "PGPORT": str(self.port), "PGUSER": "postgres"}

    def run(self, program: str, *arguments: object, **more: Any) -> str:
        """Runs one of the server's programs as its account and returns what it printed. AssertionError if it fails."""
        done = subprocess.run(
            [str(self._bin / program), *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            # What it starts would inherit a pipe and keep it open.
            stdout=subprocess.DEVNULL if program == "pg_ctl" else subprocess.PIPE,
            stderr=subprocess.DEVNULL if program == "pg_ctl" else subprocess.STDOUT,
            text=True,
            timeout=WITHIN_S,
            cwd="/",
            env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C"},
            **self._identity,
            **more,
        )
        log = self.data / "server.log"
        said = done.stdout or (log.read_text()[-2000:] if log.exists() else "")
        assert done.returncode == 0, f"{program} failed: {said}"
        return done.stdout or ""


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
