"""The example worker: offered where it can run, started once, gone with the engine, and true to the documentation."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from broadaxe import example
from broadaxe.errors import FailedPrecondition
from broadaxe.example import ExampleWorker

ROOT = Path(__file__).resolve().parents[2]
PATIENT = "import sys\nsys.stdin.buffer.read()\n"


async def nothing() -> dict[str, str]:
    return {}


async def never() -> dict[str, str]:
    raise AssertionError("a token was made for nothing")


async def test_it_runs_once_for_one_tenant_and_ends_when_nobody_holds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(example, "PROGRAM", PATIENT)
    worker = ExampleWorker(tmp_path)
    assert not worker.is_running_for("one")
    await worker.start("one", nothing)
    first = worker._process
    await worker.start("one", never)
    assert worker._process is first
    assert worker.is_running_for("one") and not worker.is_running_for("other")
    with pytest.raises(FailedPrecondition, match="another tenant"):
        await worker.start("other", never)
    await worker.stop()
    assert first is not None and first.returncode == 0, "it was not killed: it ended by itself"
    await worker.stop()


async def test_it_ends_by_itself_before_its_token_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(example, "PROGRAM", PATIENT)
    monkeypatch.setattr(example, "LIFE_S", 0)
    worker = ExampleWorker(tmp_path)
    await worker.start("one", nothing)
    assert worker._process is not None
    assert await worker._process.wait() == 0
    assert not worker.is_running_for("one")


async def test_without_the_sdk_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(example, "version", missing)
    worker = ExampleWorker(tmp_path)
    with pytest.raises(FailedPrecondition, match=re.escape("pip install hatchet-sdk==1.43.1")):
        await worker.start("one", never)
    monkeypatch.setattr(example, "version", lambda _: "0.47.1")
    assert worker.problem is not None and "0.47.1 is installed" in worker.problem
    assert not (tmp_path / "example.py").exists()


def test_the_guide_of_the_dashboard_installs_the_versions_that_are_tested() -> None:
    guide = (ROOT / "web/dashboard/src/components/firstRun/languages.ts").read_text()
    told = (ROOT / "docs/compatibility.md").read_text()
    python, typescript = re.search(r"hatchet-sdk==([\d.]+)", guide), re.search(r"typescript-sdk@([\d.]+)", guide)
    assert python is not None and typescript is not None
    assert python[1] == example.SDK_VERSION
    assert f"| Python, `hatchet-sdk` | {python[1]} | run against" in told
    assert f"| TypeScript, `@hatchet-dev/typescript-sdk` | {typescript[1]} | run against" in told
