"""What people get wrong: one sentence that names it, exit code 2, and no stack trace."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from broadaxe_worker import Mistake, Worker, sdk
from broadaxe_worker.cli import main
from broadaxe_worker.finding import find
from hatchet_sdk import Context, EmptyModel, Hatchet

FINE = """
from hatchet_sdk import Context, EmptyModel, Hatchet

hatchet = Hatchet()
number = 5


@hatchet.task(name="greet")
async def greet(_: EmptyModel, ctx: Context) -> dict[str, str]:
    return {"text": "hello"}


@hatchet.task(name="part")
def part(_: EmptyModel, ctx: Context) -> dict[str, str]:
    return {}


empty = hatchet.workflow(name="empty")
several = [greet, part]
"""


@pytest.mark.parametrize(
    ("target", "sentence"),
    [
        ("fine", "write it as app.main:hatchet"),
        ("fine:", "write it as app.main:hatchet"),
        ("nowhere:hatchet", "there is no module nowhere in "),
        ("nowhere.deep:hatchet", "there is no module nowhere.deep in "),
        ("fine:nothing", "module fine has no nothing; it has empty, greet, hatchet, part"),
        ("fine:number", "fine:number is a int; name a Hatchet client"),
        ("fine:empty", "workflow empty has no tasks"),
        ("broken:hatchet", "module broken cannot be imported: ZeroDivisionError: division by zero (/"),
        ("needy:hatchet", "module needy cannot be imported: it needs no_such_package, which is not installed"),
        ("leaving:hatchet", "module leaving ends the program when it is imported (exit code 3)"),
        ("bare:hatchet", "no workflow is declared with bare:hatchet in what bare imports"),
    ],
)
def test_a_wrong_target_is_named(
    target: str, sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, text in {
        "fine": FINE,
        "broken": "x = 1 / 0",
        "needy": "import no_such_package",
        "leaving": "raise SystemExit(3)",
        "bare": "from hatchet_sdk import Hatchet\nhatchet = Hatchet()",
    }.items():
        (tmp_path / f"{name}.py").write_text(text)
    assert main([target]) == 2
    said = capsys.readouterr().err
    assert sentence in said and "Traceback" not in said


@pytest.mark.parametrize(
    "arguments",
    [
        ["--slots", "0"],
        ["--slots", "many"],
        ["--durable-slots", "-1"],
        ["--stop-limit", "soon"],
        ["--stop-limit", "-1"],
        ["--label", "region"],
        ["--log-level", "loud"],
        ["--processes", "0"],
        ["--processes", "all"],
        ["--reload", "--processes", "2"],
        ["--colour"],
    ],
    ids=" ".join,
)
def test_a_wrong_flag_is_named(arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "fine.py").write_text(FINE)
    assert main(["fine:hatchet", *arguments]) == 2
    said = capsys.readouterr().err
    assert arguments[0] in said and "Traceback" not in said


def test_what_is_wrong_is_said_once_however_many_processes_there_are(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("x = 1 / 0")
    ended = subprocess.run(
        [sys.executable, "-m", "broadaxe_worker", "broken:hatchet", "--processes", "3"],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        check=False,
    )
    assert ended.returncode == 2
    assert ended.stderr.count("module broken cannot be imported") == 1 and "Traceback" not in ended.stderr


def test_a_client_offers_what_is_declared_with_it(tmp_path: Path) -> None:
    # Beside it something that says of itself what it is only when it has been set up, like Django's settings.
    lazy = "class Lazy:\n    @property\n    def __class__(self):\n        raise RuntimeError\n\n\nlazy = Lazy()\n"
    (tmp_path / "other.py").write_text(FINE + lazy)
    (tmp_path / "fine.py").write_text(FINE.replace('empty = hatchet.workflow(name="empty")', "import other"))
    worker = find("fine:hatchet", slots=7)
    assert sorted(worker._program.tasks) == ["greet:greet", "part:part"]
    assert (worker._program.name, worker._program.slot_config) == ("fine", {"default": 7})
    assert sorted(find("fine:several")._program.tasks) == ["greet:greet", "part:part"]
    assert sorted(find("fine:part")._program.tasks) == ["part:part"]


def test_workflows_that_cannot_be_offered_together_are_refused() -> None:
    hatchet = Hatchet()

    async def greet(_: EmptyModel, ctx: Context) -> dict[str, str]:
        return {}

    one, two = hatchet.task(name="greet")(greet), hatchet.task(name="Greet")(greet)
    with pytest.raises(Mistake, match="two workflows are called"):
        Worker(hatchet, "w", workflows=[one, two])
    with pytest.raises(Mistake, match="there is no workflow to offer"):
        Worker(hatchet, "w", workflows=[])
    dag = hatchet.workflow(name="dag")
    task = dag.task(name="step")(greet)
    with pytest.raises(Mistake, match="step is a task of a workflow, so pass the workflow"):
        Worker(hatchet, "w", workflows=[task])
    assert Worker(hatchet, "w", workflows=[one, one])._program.workflows


def test_a_release_of_the_sdk_that_is_too_old_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sdk.metadata, "version", lambda _: "1.32.9")
    with pytest.raises(Mistake, match=r"hatchet-sdk 1.32.9 is older than 1.33.0"):
        sdk.check_version()


def test_a_release_that_nobody_tried_is_named(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sdk.metadata, "version", lambda _: "1.99.0")
    sdk.check_version()
    assert "hatchet-sdk 1.99.0 is newer than 1.43.1" in caplog.text


def test_a_token_that_is_none_is_told_without_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HATCHET_CLIENT_TOKEN", "sesame-opens-it")
    (tmp_path / "fine.py").write_text(FINE)
    assert main(["fine:hatchet"]) == 2
    said = capsys.readouterr().err
    assert "Token must be a valid JWT" in said and "sesame-opens" not in said
