"""A real engine: `broadaxe dev` in a process of its own, which tests may stop, kill and start again."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from hatchet_sdk import ClientConfig, Hatchet
from hatchet_sdk.config import ClientTLSConfig

from wirekit.patience import PATIENCE_S

START_WITHIN_S: Final = 2 * PATIENCE_S
STOP_WITHIN_S: Final = PATIENCE_S


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class EngineProcess:
    """Keeps its ports and its data over restarts, as an engine in production does."""

    def __init__(
        self,
        directory: Path,
        database_url: str | None = None,
        flags: tuple[str, ...] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Without `database_url` the engine brings its own database along.

        `flags` are further ones of `dev`, `environment` further variables.
        """
        self._environment = dict(environment or {})
        self._flags = flags
        self._database_url = database_url
        self.data_dir = directory / "data"
        self._env_file = directory / "engine.env"
        self._log_path = directory / "engine.log"
        self._grpc_port = free_port()
        self._http_port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self.env: dict[str, str] = {}
        """What a worker or client needs in its environment."""

    async def start(self) -> None:
        self._env_file.unlink(missing_ok=True)
        arguments = ["dev", "--data-dir", str(self.data_dir), "--env-file", str(self._env_file)]
        arguments += ["--grpc-port", str(self._grpc_port), "--http-port", str(self._http_port)]
        if self._database_url is not None:
            arguments += ["--database-url", self._database_url]
        arguments += self._flags
        self._process = self._spawn(arguments)
        deadline = time.monotonic() + START_WITHIN_S
        # The file is the command's own signal that it is ready; it comes in one piece.
        while not self._env_file.exists():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"the engine did not start:\n{self.log()}")
            await asyncio.sleep(0.02)
        lines = self._env_file.read_text().splitlines()
        self.env = dict(line.split("=", 1) for line in lines if "=" in line)

    def _spawn(self, arguments: list[str]) -> subprocess.Popen[bytes]:
        with self._log_path.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "broadaxe.cli.main", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env=os.environ | self._environment,
            )

    async def stop(self) -> int:
        """SIGTERM; returns the exit code."""
        return await self._end(signal.SIGTERM)

    async def kill(self) -> None:
        """SIGKILL. The engine gets no chance to say anything to anyone."""
        await self._end(signal.SIGKILL)

    def pause(self) -> None:
        """SIGSTOP: the process stands still until `resume`."""
        assert self._process is not None, "the engine does not run"
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT, whether or not it was paused."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)

    async def _end(self, number: signal.Signals) -> int:
        process = self._process
        assert process is not None, "the engine does not run"
        process.send_signal(number)
        code = await asyncio.to_thread(process.wait, STOP_WITHIN_S)
        self._process = None
        return code

    async def dispose(self) -> None:
        """Ends everything and removes the data."""
        if self._process is None and self.data_dir.exists() and self._database_url is None:
            # A killed engine leaves its database running; one that starts and stops in order takes it down.
            await self.start()
        if self._process is not None:
            await self.stop()
        shutil.rmtree(self.data_dir, ignore_errors=True)

    def log(self) -> str:
        return self._log_path.read_text(errors="replace")[-20_000:] if self._log_path.exists() else ""

    @property
    def dashboard_link(self) -> str:
        """Opening it lets a browser in."""
        return (self.data_dir / "dashboard.url").read_text().strip()

    @property
    def address(self) -> str:
        return self.env["HATCHET_CLIENT_HOST_PORT"]

    @property
    def url(self) -> str:
        return self.env["HATCHET_CLIENT_SERVER_URL"]

    @property
    def token(self) -> str:
        return self.env["HATCHET_CLIENT_TOKEN"]

    def client(self, namespace: str = "", *, token: str | None = None) -> Hatchet:
        """An SDK client of this engine."""
        return Hatchet(
            config=ClientConfig(
                token=token or self.token,
                host_port=self.address,
                server_url=self.url,
                namespace=namespace,
                tls_config=ClientTLSConfig(strategy="none"),
            )
        )

    def worker_environment(self, namespace: str) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("HATCHET_")}
        return inherited | self.env | {"HATCHET_CLIENT_NAMESPACE": namespace}
