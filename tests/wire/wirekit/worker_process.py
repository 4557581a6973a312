"""A real SDK worker in a process group of its own."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Protocol

import psutil

from wirekit.engine_process import EngineProcess
from wirekit.patience import PATIENCE_S, eventually
from wirekit.rest import Rest
from wirekit.stage import Stage

HOME: Final = Path(__file__).parent.parent
SESSION_WORKER: Final = HOME.parent.parent / "worker" / "src"
AGENTS: Final = HOME.parent.parent / "integrations" / "pydantic_ai" / "src"
#: What programs on the SDK import beside it: their own modules, and what lets them start sooner.
PYTHONPATH: Final = os.pathsep.join(map(str, (HOME / "wirekit" / "swift", HOME, SESSION_WORKER, AGENTS)))
#: What the workers of tests run on that do not say: `official`, or `session` for the whole suite on our own.
RUNTIME: Final = os.environ.get("WIRE_RUNTIME", "official")
END_WITHIN_S: Final = PATIENCE_S


class WorkerProcess:
    """One worker that offers the workflows of `program` (a module beside `gallery`), under a namespace."""

    def __init__(
        self,
        engine: EngineProcess,
        stage: Stage,
        directory: Path,
        *,
        name: str,
        namespace: str = "",
        slots: int = 100,
        labels: Mapping[str, str] | None = None,
        program: str = "gallery",
        python: str = sys.executable,
        environment: Mapping[str, str] | None = None,
        runtime: str | None = None,
    ) -> None:
        """`python` and `environment` are for workers that need another SDK than the tests do, `runtime` says whether
        the program is run by the SDK's worker (`official`) or by ours (`session`), which knows no other SDK."""
        if runtime is None:
            runtime = RUNTIME if python == sys.executable else "official"
        self.name = name if not namespace else f"{namespace}_{name}"
        """As the engine knows it."""
        self._engine = engine
        self._log_path = directory / f"worker-{self.name}.log"
        arguments = ["--name", name, "--slots", str(slots)]
        for key, value in (labels or {}).items():
            arguments += ["--label", f"{key}={value}"]
        module = ("on_session", program) if runtime == "session" else (program,)
        with self._log_path.open("ab") as log:
            self._process = subprocess.Popen(
                [python, "-m", *module, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # The SDK reads .env files of the directory it is started in.
                cwd=directory,
                env=dict(environment or engine.worker_environment(namespace))
                | {"WIRE_STAGE_PORT": str(stage.port), "PYTHONPATH": PYTHONPATH},
                start_new_session=True,
            )

    async def ready(self, rest: Rest) -> str:
        """Waits until the engine knows the worker and has its stream; returns its id."""

        async def find() -> str | None:
            if self._process.poll() is not None:
                raise AssertionError(f"worker {self.name} ended with {self._process.returncode}:\n{self.log()}")
            return next(
                (
                    row["metadata"]["id"]
                    for row in await rest.workers()
                    if row["name"] == self.name and is_listening(row)
                ),
                None,
            )

        found = await eventually(find, what=f"worker {self.name} listens", within_s=2 * PATIENCE_S)
        assert found is not None
        return found

    def terminate(self) -> None:
        """SIGTERM to the main process, as a supervisor does."""
        self._process.terminate()

    async def ended(self, within_s: float = END_WITHIN_S) -> int:
        return await asyncio.to_thread(self._process.wait, within_s)

    async def kill(self) -> None:
        """SIGKILL to the worker and the processes it made."""
        os.killpg(self._process.pid, signal.SIGKILL)
        await self.ended()

    def kill_reborn(self) -> None:
        """SIGKILL to the worker that the process keeps alive (`programs/reborn.py`), which starts another."""
        (child,) = psutil.Process(self._process.pid).children()
        os.killpg(child.pid, signal.SIGKILL)

    async def dispose(self) -> None:
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return
        await self.ended()

    def log(self) -> str:
        return self._log_path.read_text(errors="replace")[-20_000:]


class StartWorker(Protocol):
    """Starts a worker of the shared engine, or of `engine`, and waits until it listens. It ends with the test."""

    async def __call__(
        self,
        name: str = "worker",
        *,
        namespace: str = "",
        slots: int = 100,
        labels: Mapping[str, str] | None = None,
        engine: EngineProcess | None = None,
        program: str = "gallery",
        python: str = sys.executable,
        environment: Mapping[str, str] | None = None,
        runtime: str | None = None,
    ) -> tuple[WorkerProcess, str]: ...


def is_listening(row: Mapping[str, object]) -> bool:
    return row["status"] == "ACTIVE" and row.get("lastListenerEstablished") is not None
