"""The programs on the TypeScript SDK, in a Node process that a test asks to play one scenario after another."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from concurrent.futures import Future
from pathlib import Path
from typing import IO, Any, Final

from wirekit.engine_process import EngineProcess
from wirekit.patience import PATIENCE_S

HOME: Final = Path(__file__).parent.parent.parent / "sdk_typescript"
PROGRAMS: Final = HOME / "build"
READY_WITHIN_S: Final = 2 * PATIENCE_S
PLAY_WITHIN_S: Final = PATIENCE_S
END_WITHIN_S: Final = PATIENCE_S


class TypeScriptProgram:
    """One process with a worker and a client. Scenarios may be played at the same time."""

    def __init__(self, engine: EngineProcess, directory: Path, namespace: str = "") -> None:
        check_built()
        self._log_path = directory / "typescript.log"
        self._answers: dict[int, Future[Any]] = {0: Future()}
        self._next_id = 1
        with self._log_path.open("ab") as log:
            self._process = subprocess.Popen(
                [node(), PROGRAMS / "program.js"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                # The SDK reads a configuration file of the directory it is started in.
                cwd=directory,
                env=engine.worker_environment(namespace),
                text=True,
                start_new_session=True,
            )
        assert self._process.stdout is not None
        self._reader = threading.Thread(target=self._read, args=(self._process.stdout,), daemon=True)
        self._reader.start()

    async def ready(self) -> None:
        """Waits until its worker is registered."""
        await asyncio.wait_for(asyncio.wrap_future(self._answers[0]), READY_WITHIN_S)

    async def play(self, scenario: str, **args: Any) -> Any:
        """What the scenario reports. Raises AssertionError with what it threw."""
        id, self._next_id = self._next_id, self._next_id + 1
        future = self._answers[id] = Future()
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"id": id, "scenario": scenario, "args": args}) + "\n")
        self._process.stdin.flush()
        try:
            return await asyncio.wait_for(asyncio.wrap_future(future), PLAY_WITHIN_S)
        except TimeoutError:
            raise AssertionError(f"{scenario} did not end within {PLAY_WITHIN_S:g} s; the log:\n{self.log()}") from None

    def terminate(self) -> None:
        self._process.send_signal(signal.SIGTERM)

    async def ended(self) -> int:
        return await asyncio.to_thread(self._process.wait, END_WITHIN_S)

    def dispose(self) -> None:
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(END_WITHIN_S)
        self._reader.join(10)
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()

    def log(self) -> str:
        return self._log_path.read_text(errors="replace")[-20_000:]

    def _read(self, output: IO[str]) -> None:
        for line in output:
            answer = json.loads(line)
            future = self._answers[answer["id"]]
            if "error" in answer:
                future.set_exception(AssertionError(answer["error"]))
            else:
                future.set_result(answer["result"])
        for future in self._answers.values():
            if not future.done():
                future.set_exception(AssertionError(f"the program ended; its log:\n{self.log()}"))


def node() -> Path:
    """The Node of this environment, else that of the system."""
    own = Path(sys.executable).with_name("node")
    found = str(own) if own.exists() else shutil.which("node")
    if found is None:
        raise AssertionError("there is no Node here; `make setup` brings one along")
    return Path(found)


def check_built() -> None:
    """The programs are compiled by make, because a test must not install packages."""
    built = PROGRAMS / "program.js"
    sources = [*HOME.glob("src/*.ts"), HOME / "package-lock.json"]
    if not built.exists() or built.stat().st_mtime < max(source.stat().st_mtime for source in sources):
        raise AssertionError(f"the TypeScript programs in {HOME} are not built: run `make sdk-typescript`")
