"""An example worker for newcomers: a program on the official SDK that an engine on somebody's machine offers to run.

Owns the program and its process, one per engine. The SDK is the user's choice and never ours: the program runs in an
interpreter of its own, and only if the SDK is installed where the engine is. It is offered by `broadaxe dev` that
listens on this machine only; what is run is the text below and nothing that anybody sent. The process ends after
`LIFE_S`, and with the engine, however that ends: the program reads its standard input, which the engine holds, until
there is nobody.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import Awaitable, Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

import structlog

from broadaxe.errors import FailedPrecondition

__all__ = ["LIFE_S", "SDK_VERSION", "ExampleWorker"]

#: The one that the documentation and the tests use.
SDK_VERSION: Final = "1.43.1"
WORKFLOW_NAME: Final = "example"
STOP_WITHIN_S: Final = 5.0
#: It has shown what there is to see long before.
LIFE_S: Final = 24 * 3600

_log = structlog.get_logger(__name__)

PROGRAM: Final = '''\
"""The example of Broadaxe: a workflow of three tasks, one of which fails at first. Yours to copy from."""

import os
import signal
import sys
import threading
import time

from hatchet_sdk import Context, EmptyModel, Hatchet

hatchet = Hatchet()
example = hatchet.workflow(name="example", description="What Broadaxe shows to newcomers")


@example.task()
def fetch(input: EmptyModel, ctx: Context) -> dict[str, list[int]]:
    ctx.log("fetching three numbers")
    # So that there is something to watch.
    time.sleep(0.5)
    return {"numbers": [3, 1, 2]}


@example.task(parents=[fetch], retries=2)
def check(input: EmptyModel, ctx: Context) -> dict[str, bool]:
    if ctx.retry_count == 0:
        raise RuntimeError("the first attempt always fails, so that you see one that is tried again")
    ctx.log(f"attempt {ctx.retry_count + 1} is the one")
    return {"checked": True}


@example.task(parents=[fetch, check])
def report(input: EmptyModel, ctx: Context) -> dict[str, int]:
    numbers = ctx.task_output(fetch)["numbers"]
    ctx.log(f"adding {numbers}")
    return {"sum": sum(numbers)}


def end_with_the_engine() -> None:
    sys.stdin.buffer.read()
    os.killpg(os.getpgid(0), signal.SIGKILL)


if __name__ == "__main__":
    threading.Thread(target=end_with_the_engine, daemon=True).start()
    worker = hatchet.worker("example-worker", slots=5)
    worker.register_workflows([example])
    example.run(wait_for_result=False)
    worker.start()
'''


class ExampleWorker:
    """The program above as a process. `start` it as often as you like, `stop` it with the engine."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / "example.py"
        self._process: asyncio.subprocess.Process | None = None
        self._tenant_id = ""
        self._starting = asyncio.Lock()

    @property
    def problem(self) -> str | None:
        """Why it cannot be run here, in words for people; None if it can."""
        if not hasattr(os, "killpg"):
            return "the example runs on Linux and macOS only"
        try:
            found = version("hatchet-sdk")
        except PackageNotFoundError:
            return (
                f"the SDK is not installed where the engine runs: pip install hatchet-sdk=={SDK_VERSION} "
                f"for {sys.executable}"
            )
        if found.split(".")[0] != SDK_VERSION.split(".")[0]:
            return f"hatchet-sdk {found} is installed where the engine runs, and the example is for {SDK_VERSION}"
        return None

    @property
    def _is_running(self) -> bool:
        return self._process is not None and self._process.returncode is None

    def is_running_for(self, tenant_id: str) -> bool:
        return self._is_running and self._tenant_id == tenant_id

    async def start(self, tenant_id: str, environment: Callable[[], Awaitable[Mapping[str, str]]]) -> None:
        """Starts it with what an SDK needs to connect to the tenant, which is asked for only if it is started: it holds
        a token. Does nothing while it runs for the tenant.

        Raises FailedPrecondition if it cannot be run here, or runs for another tenant.
        """
        async with self._starting:
            if self.is_running_for(tenant_id):
                return
            if self._is_running:
                raise FailedPrecondition("the example runs for another tenant of this engine already")
            problem = self.problem
            if problem is not None:
                raise FailedPrecondition(problem)
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.write_text(PROGRAM)
            given = await environment()
            self._tenant_id = tenant_id
            # Nothing else of our environment: it may hold secrets that are none of the example's business.
            inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                str(self._path),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
                env={**inherited, **given},
                start_new_session=True,
            )
            asyncio.get_running_loop().call_later(LIFE_S, self._let_go, self._process)
            _log.info("the example worker was started", path=str(self._path), pid=self._process.pid)

    @staticmethod
    def _let_go(process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None
        process.stdin.close()

    async def stop(self) -> None:
        process = self._process
        if process is None or process.returncode is not None:
            return
        self._let_go(process)
        try:
            await asyncio.wait_for(process.wait(), STOP_WITHIN_S)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
