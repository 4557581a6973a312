"""The pages for people who come from another system: their programs run, against a real engine and a real worker.

The Python blocks of such a page are one file, in pieces. It is written down, started as a worker, and its functions are
called as a reader would call them. What the page shows of the other system is marked and only compiled (`test_code`).
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hatchet_sdk import IdempotencyCollisionError

from broadaxe.example import SDK_VERSION

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "wire"))

from wirekit import EngineProcess, Rest, Stage, WorkerProcess, eventually  # noqa: E402 the path to it has only now been laid


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineProcess]:
    engine = EngineProcess(tmp_path_factory.mktemp("engine"))
    asyncio.run(engine.start())
    yield engine
    asyncio.run(engine.dispose())


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    stage = Stage()
    yield stage
    stage.close()


Serve = Callable[[str, str], ModuleType]


@pytest.fixture
def serve(
    engine: EngineProcess, stage: Stage, docs: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Serve]:
    """The program of a page, as a module, with its worker (of the name the page gives it) up and listening."""
    started: list[WorkerProcess] = []

    def start(page: str, worker_name: str) -> ModuleType:
        name = page.replace("-", "_")
        path = tmp_path / f"{name}.py"
        blocks = [block.text for block in docs[page].fences if block.language == "python" and not block.mark]
        path.write_text("\n\n".join(blocks), encoding="utf-8")
        worker = WorkerProcess(engine, stage, tmp_path, name=worker_name, program=name)
        started.append(worker)

        async def ready() -> None:
            async with Rest(engine.url, engine.token, engine.client().tenant_id) as rest:
                await worker.ready(rest)

        asyncio.run(ready())
        for variable, value in engine.env.items():
            monkeypatch.setenv(variable, value)
        return module_at(path)

    yield start
    for worker in started:
        asyncio.run(worker.dispose())


def module_at(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # The SDK looks annotations up in the module of the function.
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


def output(text: str, engine: EngineProcess) -> str:
    """What a command of ours says, run beside the engine on its data directory."""
    words = [sys.executable, "-m", "broadaxe", *text.split(), "--data-dir", str(engine.data_dir)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_from_hatchet_scheduled_runs_are_brought(serve: Serve, engine: EngineProcess) -> None:
    module = serve("coming-from-hatchet", "mover")
    output("tenant create Elsewhere", engine)
    addresses = f"--public-url {engine.url} --public-grpc {engine.address}"
    token = output(f"token create --tenant elsewhere --name old {addresses}", engine)
    old, new = engine.client(token=token), engine.client()
    old._client.admin.put_workflow(module.remind.to_proto())
    far = datetime.now(UTC) + timedelta(days=300)
    old.scheduled.create("remind", far, {}, {"customer": "ada"})
    report = json.loads(output(f"import --from-token {token} --token {engine.token} --yes --json", engine))
    assert {row["kind"]: row["moved"] for row in report["kinds"] if row["moved"]} == {"scheduled runs": 1}
    (row,) = new.scheduled.list().rows or []
    assert row.additional_metadata is not None and row.additional_metadata["customer"] == "ada"
    assert abs(row.trigger_at - far) < timedelta(seconds=1)
    assert module.remind.run() == {"reminded": "yes"}


def test_from_hatchet_the_crons_tick_where_the_variable_says(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    module = serve("coming-from-hatchet", "mover")
    assert module.crons == []
    monkeypatch.setenv("OWNS_CRONS", "yes")
    assert list(module_at(Path(module.__file__ or "")).tidy.to_proto().cron_triggers) == ["0 3 * * *"]


def test_from_celery(serve: Serve) -> None:
    module = serve("coming-from-celery", "shop")
    assert module.make_gallery(["cat", "dog", "elk"]) == 3
    assert module.make_gallery([]) == 0
    assert module.resize.mock_run(module.Image(name="fox")) == {"name": "fox", "width": 640}
    outputs = module.report.run()
    assert outputs["render"] == {"text": "3 rows"}
    crons = module.hatchet.cron.list().rows or []
    assert [(row.workflow_name, row.cron) for row in crons] == [("publish", "0 3 * * *")]


def test_from_temporal(serve: Serve, engine: EngineProcess) -> None:
    module = serve("coming-from-temporal", "fulfilment")
    late = module.fulfil.run(module.Order(order_id="late", patience=timedelta(milliseconds=50)))
    assert late == {"state": "refunded"}

    order = module.Order(order_id="o-17")
    run = module.fulfil.run(order, wait_for_result=False)
    with pytest.raises(IdempotencyCollisionError):
        module.fulfil.run(order, wait_for_result=False)

    async def approved() -> None:
        # An event counts once the task waits for it; one that nobody waits for does no harm.
        async with Rest(engine.url, engine.token, engine.client().tenant_id) as rest:

            async def status() -> str:
                await asyncio.to_thread(module.approve, "o-16")
                await asyncio.to_thread(module.approve, "o-17")
                return await rest.status(run.workflow_run_id)

            await eventually(status, until=lambda seen: seen == "COMPLETED", what="the approval is heard")

    asyncio.run(approved())
    assert run.result() == {"state": "payment of o-17"}


def test_from_airflow(serve: Serve) -> None:
    module = serve("coming-from-airflow", "pipelines")
    workday, holiday = module.backfill(["2026-12-24", "2026-12-25"])
    done = module.hatchet.runs.get_run_ref(workday).result()
    assert (done["extract"]["day"], done["report"]) == ("2026-12-24", {"text": "15 loaded"})
    skipped = module.hatchet.runs.get_run_ref(holiday).result()
    assert (skipped["load_all"], skipped["report"]) == ({"sum": 0}, {"skipped": True})


def test_from_dbos(serve: Serve) -> None:
    module = serve("coming-from-dbos", "indexer")
    document = module.Document(url="https://example.com/a", pause=timedelta(milliseconds=20))
    run_id = module.start(document)
    assert module.start(document) == run_id
    assert module.length(run_id) == len("text of https://example.com/a")


def test_every_page_for_newcomers_is_run_here(docs: dict[str, Any]) -> None:
    source = Path(__file__).read_text(encoding="utf-8")
    pages = [name for name in docs if name.startswith("coming-from-")]
    assert len(pages) >= 5
    assert all(f'serve("{name}", ' in source for name in pages)


def test_the_sdk_versions_that_pages_name_are_those_the_tests_install(
    root: Path, docs: dict[str, Any], pages: list[Any]
) -> None:
    project = tomllib.loads((root / "pyproject.toml").read_text())
    pinned = next(line for line in project["dependency-groups"]["dev"] if line.startswith("hatchet-sdk"))
    older = (root / "requirements" / "sdk-0.47.in").read_text()
    script = json.loads((root / "tests" / "sdk_typescript" / "package.json").read_text())["dependencies"]
    today, of_2025 = pinned.split("==")[1], re.findall(r"^hatchet-sdk==(\S+)$", older, re.MULTILINE)[0]
    typescript = script["@hatchet-dev/typescript-sdk"]
    assert today == SDK_VERSION, "what the console tells people to install"
    assert f"| Python | {today} and {of_2025} |" in docs["coming-from-hatchet"].text
    assert f"| TypeScript | {typescript} |" in docs["coming-from-hatchet"].text
    for version in (
        f"`hatchet-sdk` | {today} |",
        f"`hatchet-sdk` | {of_2025} |",
        f"`@hatchet-dev/typescript-sdk` | {typescript} |",
    ):
        assert version in docs["compatibility"].text
    readme = (root / "README.md").read_text(encoding="utf-8")
    assert f"the Python SDKs {today} and {of_2025} and the TypeScript SDK {typescript}" in " ".join(readme.split())
    for page in pages:
        assert set(re.findall(r"hatchet-sdk==([0-9.]+[0-9])", page.text)) <= {today, of_2025}, page.name
