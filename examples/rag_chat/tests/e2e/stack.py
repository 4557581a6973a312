"""The whole chat as a person starts it: engine, worker and edge, each a process that can be killed and restarted."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx

#: How long anything may take: a bound on hanging, not a wait.
PATIENCE_S = 90.0


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def engine_command() -> list[str]:
    given = os.environ.get("RAG_CHAT_TEST_ENGINE")
    if given:
        return shlex.split(given)
    beside = Path(sys.executable).with_name("broadaxe")
    found = str(beside) if beside.exists() else shutil.which("broadaxe")
    assert found, "no engine: install broadaxe into this environment, or set RAG_CHAT_TEST_ENGINE to its command"
    return [found]


class Program:
    """A process in a group of its own, so that a kill takes its children along, as pulling the plug would."""

    def __init__(self, command: list[str], env: dict[str, str], log: Path) -> None:
        self.log = log
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                command, env=env, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
            )

    def kill(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(PATIENCE_S)

    def signal(self, number: signal.Signals) -> None:
        os.killpg(self.process.pid, number)

    def stop(self) -> int:
        """Ask it to stop; returns its exit code, after a kill when it does not listen."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"{self.log.name} did not stop on SIGTERM:\n{self.said()}") from None

    def said(self) -> str:
        return self.log.read_text(errors="replace")[-4_000:]


class Stack:
    def __init__(self, folder: Path, database_url: str) -> None:
        self.folder = folder
        self.site_port = free_port()
        self.model_port = free_port()
        self.api_port = free_port()
        self.engine_http_port = free_port()
        self._grpc_port = free_port()
        self._database_url = database_url
        self._env_file = folder / "engine.env"
        self._programs: dict[str, Program] = {}

    @property
    def chat_url(self) -> str:
        return f"http://127.0.0.1:{self.api_port}"

    @property
    def engine_url(self) -> str:
        return f"http://127.0.0.1:{self.engine_http_port}"

    @property
    def docs_url(self) -> str:
        return f"{self.engine_url}/docs/"

    def engine_env(self) -> dict[str, str]:
        lines = self._env_file.read_text().splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line)

    def start_engine(self) -> None:
        ports = ["--grpc-port", str(self._grpc_port), "--http-port", str(self.engine_http_port)]
        where = ["--data-dir", str(self.folder / "engine"), "--env-file", str(self._env_file)]
        self._env_file.unlink(missing_ok=True)
        self._start("engine", [*engine_command(), "dev", *where, *ports], {})
        self._wait_for("engine", self._env_file.exists)

    def start_worker(self) -> None:
        self._start("worker", [sys.executable, "-m", "rag_chat.worker"], self._chat_env())

    def start_edge(self) -> None:
        self._start("edge", [sys.executable, "-m", "rag_chat.api"], self._chat_env())
        self._wait_for("edge", self._edge_is_healthy)

    def kill(self, name: str) -> None:
        self._programs.pop(name).kill()

    def freeze(self, name: str) -> None:
        """It keeps its connections and does nothing any more, until it is thawed or killed."""
        self._programs[name].signal(signal.SIGSTOP)

    def thaw(self, name: str) -> None:
        self._programs[name].signal(signal.SIGCONT)

    def stop(self, name: str) -> int:
        return self._programs.pop(name).stop()

    def said(self, name: str) -> str:
        return self._programs[name].said()

    def close(self) -> None:
        # That edge and worker stop when asked has a test of its own; the engine has a database to stop.
        for name in ("edge", "worker"):
            if name in self._programs:
                self.kill(name)
        if "engine" in self._programs:
            try:
                self.stop("engine")
            except AssertionError as error:
                print(error)

    def _chat_env(self) -> dict[str, str]:
        allowed = [f"127.0.0.1:{port}" for port in (self.site_port, self.engine_http_port)]
        return self.engine_env() | {
            "RAG_CHAT_DATABASE_URL": self._database_url,
            "RAG_CHAT_PORT": str(self.api_port),
            "RAG_CHAT_DASHBOARD_URL": self.engine_url,
            "RAG_CHAT_DEFAULT_URL": self.docs_url,
            "RAG_CHAT_ALLOWED_PRIVATE_HOSTS": ",".join(allowed),
            "RAG_CHAT_FRESH_FOR_S": "0",
            # The same answers, whether or not weights are installed where the tests run.
            "RAG_CHAT_EMBEDDING_DIR": "off",
            # As if nobody had said where a model is: with none there, answers are to come without waiting for one.
            "OLLAMA_HOST": f"127.0.0.1:{self.model_port}",
        }

    def _start(self, name: str, command: list[str], env: dict[str, str]) -> None:
        source = str(Path(__file__).parents[2] / "src")
        inherited = {
            key: value for key, value in os.environ.items() if not key.startswith(("HATCHET_", "OPENAI_", "OLLAMA_"))
        }
        self._programs[name] = Program(
            command, inherited | {"PYTHONPATH": source, "PYTHONUNBUFFERED": "1"} | env, self.folder / f"{name}.log"
        )

    def _edge_is_healthy(self) -> bool:
        try:
            return httpx.get(f"{self.chat_url}/health", timeout=2).status_code == 200
        except httpx.HTTPError:
            return False

    def _wait_for(self, name: str, ready: object) -> None:
        """Wait until a program says it is ready; its own words explain why it is not."""
        assert callable(ready)
        program = self._programs[name]
        deadline = time.monotonic() + PATIENCE_S
        while not ready():
            assert program.process.poll() is None, f"{name} ended:\n{program.said()}"
            assert time.monotonic() < deadline, f"{name} was not ready in {PATIENCE_S:g} s:\n{program.said()}"
            time.sleep(0.05)
