"""Fixtures of the SDK of 2025: its worker, and a program that calls it on the tests' behalf."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from wirekit import EngineProcess, Rest, Stage, WorkerProcess

WIRE: Final = Path(__file__).parent.parent
ENVIRONMENT: Final = WIRE.parent.parent / ".venv-sdk-0.47"
ANSWER_WITHIN_S: Final = 60.0
PROGRAM: Final = "sdk047.worker"


class CallFailed(Exception):
    """What the SDK raised: the exception's type and its text."""

    def __init__(self, type_: str, text: str) -> None:
        super().__init__(f"{type_}: {text}")
        self.type = type_
        self.text = text


class Caller:
    """A process with the old SDK in it. Calls are answered one after another."""

    def __init__(self, python: str, environment: dict[str, str], directory: Path, style: str) -> None:
        with (directory / "caller.log").open("ab") as log:
            self._process = subprocess.Popen(
                [python, "-m", "sdk047.caller", style],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=directory,
                env=environment,
                text=True,
                start_new_session=True,
            )

    async def __call__(self, call: str, **arguments: Any) -> Any:
        """Calls a function of `calls.py` and returns what it returned; raises `CallFailed` if it raised."""
        asking = asyncio.create_task(asyncio.to_thread(self._ask, call, arguments))
        done, _ = await asyncio.wait([asking], timeout=ANSWER_WITHIN_S)
        if not done:
            self.close()  # which also frees the thread
        return await asking

    def _ask(self, call: str, arguments: dict[str, Any]) -> Any:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps({"call": call, "with": arguments}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, f"no answer to {call} within {ANSWER_WITHIN_S:g} s"
        answer = json.loads(line)
        if "error" in answer:
            raise CallFailed(answer["error"], answer["text"])
        return answer["result"]

    def close(self) -> None:
        self._process.kill()
        self._process.wait(10)


@pytest.fixture(scope="session")
def old_python() -> str:
    """The interpreter that has the SDK of 2025."""
    python = os.environ.get("BROADAXE_SDK_047_PYTHON") or str(ENVIRONMENT / "bin" / "python")
    assert Path(python).exists(), f"there is no {python}; `make setup` creates it"
    return python


@pytest.fixture(scope="session")
def old_environment(shared_engine: EngineProcess, stage: Stage) -> dict[str, str]:
    """What a caller finds in its environment."""
    return environment(shared_engine) | {"WIRE_STAGE_PORT": str(stage.port)}


def environment(engine: EngineProcess, namespace: str = "") -> dict[str, str]:
    """Addresses come from the token alone: that is the only way this SDK finds the REST API."""
    variables = engine.worker_environment(namespace)
    for name in ("HATCHET_CLIENT_HOST_PORT", "HATCHET_CLIENT_SERVER_URL", "HATCHET_CLIENT_API_URL"):
        variables.pop(name, None)
    return variables | {"PYTHONPATH": os.pathsep.join(map(str, (WIRE / "wirekit" / "swift", WIRE)))}


@pytest.fixture(scope="session")
def _old_worker(
    shared_engine: EngineProcess, stage: Stage, old_python: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    worker = WorkerProcess(
        shared_engine,
        stage,
        tmp_path_factory.mktemp("old"),
        name="old",
        program=PROGRAM,
        python=old_python,
        environment=environment(shared_engine),
    )

    async def ready() -> str:
        async with Rest(shared_engine.url, shared_engine.token, shared_engine.client().tenant_id) as rest:
            return await worker.ready(rest)

    yield asyncio.run(ready())
    asyncio.run(worker.dispose())


@pytest.fixture(scope="session")
def _caller(
    old_environment: dict[str, str], old_python: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Caller]:
    caller = Caller(old_python, old_environment, tmp_path_factory.mktemp("caller"), "asyncio")
    yield caller
    caller.close()


@pytest.fixture
def old(_caller: Caller, _old_worker: str) -> Caller:
    """The old SDK as a caller with asyncio, with a worker of the same SDK there to serve `workflows.py`."""
    return _caller


@pytest.fixture(scope="session")
def plain(
    old_environment: dict[str, str], old_python: str, _old_worker: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Caller]:
    """The same as a script without asyncio."""
    caller = Caller(old_python, old_environment, tmp_path_factory.mktemp("plain"), "plain")
    yield caller
    caller.close()
