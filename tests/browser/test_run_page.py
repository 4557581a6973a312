"""The page of a run as a person works with it: done again in part or whole, branched, its durable log read, taken along
as a file that is shown elsewhere."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio
from gallery.cue import Cue
from hatchet_sdk import Context, EmptyModel, Hatchet
from playwright.async_api import Page, expect
from wirekit import EngineProcess, Rest, Stage, WorkerProcess

from tests.browser.test_dashboard import started, status_of_run

ROOT = Path(__file__).resolve().parents[2]


async def choose(page: Page, item: str | re.Pattern[str]) -> None:
    """An entry of the menu of further acts."""
    await page.get_by_role("button", name="More", exact=True).click()
    await page.get_by_role("menuitem", name=item).click()


@pytest_asyncio.fixture(loop_scope="session")
async def durable(engine: EngineProcess, stage: Stage, tmp_path: Path) -> AsyncIterator[None]:
    """A worker of durable tasks."""
    worker = WorkerProcess(engine, stage, tmp_path, name="durable", program="programs.durable_worker")
    async with Rest(engine.url, engine.token, engine.client().tenant_id) as rest:
        await worker.ready(rest)
    yield
    await worker.dispose()


async def test_what_failed_is_replayed_with_what_comes_after_it_and_nothing_else(
    page: Page, hatchet: Hatchet, stage: Stage, key: str
) -> None:
    run_id = await started(hatchet, "diamond", Cue(key=key, fail=True))
    stage.open(key, "b")
    stage.open(key, "c")
    await page.goto(f"/runs/{run_id}")
    await expect(status_of_run(page)).to_have_text("Failed")
    error = page.get_by_role("region", name="Task b").get_by_role("region", name="Error")
    await expect(error).to_contain_text("In your code")
    await expect(error).to_contain_text(re.compile(r"gallery/plain\.py:\d+ in b"))
    await expect(error).not_to_contain_text("hatchet_error_metadata")
    await choose(page, re.compile("^Replay what failed"))
    # b failed, and d comes after it.
    await page.get_by_role("button", name="Replay 2 tasks").click()
    await expect(status_of_run(page)).to_have_text("Failed")
    await expect(page.get_by_role("combobox", name="Replay")).to_be_visible()
    rows = page.get_by_role("table", name="Tasks")
    await expect(rows.get_by_role("img", name=re.compile("^b .*failed after"))).to_be_visible()
    # It was done before and is kept: in this round it has no bar.
    await expect(rows.get_by_role("img", name="a did not run here")).to_be_visible()
    await page.get_by_role("combobox", name="Replay").select_option(index=0)
    await expect(rows.get_by_role("img", name=re.compile("^a .*ran"))).to_be_visible()
    # On a phone the bars stand below the names.
    await page.set_viewport_size({"width": 390, "height": 844})
    bars = await rows.get_by_role("img", name=re.compile("^a .*ran")).bounding_box()
    assert bars is not None and bars["width"] > 250


async def test_a_run_is_done_again_with_another_input_and_both_are_compared(
    page: Page, hatchet: Hatchet, stage: Stage, key: str
) -> None:
    first = await started(hatchet, "echo", Cue(key=key, text="before"))
    second = await started(hatchet, "echo", Cue(key=key, text="after", n=4))
    await page.goto(f"/runs/{second}")
    await expect(status_of_run(page)).to_have_text("Completed")
    await page.goto(f"/runs/{first}")
    await expect(status_of_run(page)).to_have_text("Completed")
    await choose(page, "Compare with…")
    await page.get_by_label("Id of another run").fill(second)
    await page.get_by_role("button", name="Compare", exact=True).click()
    given = page.get_by_role("region", name="Input")
    await expect(given.get_by_test_id("difference").filter(has_text="text")).to_contain_text('"before""after"')
    await expect(given.get_by_test_id("difference").filter(has_text=re.compile("^n"))).to_contain_text("04")
    await page.set_viewport_size({"width": 390, "height": 844})
    assert await page.evaluate("document.documentElement.scrollWidth") <= 390


async def test_the_durable_log_says_what_is_waited_for_and_a_branch_does_it_again(
    page: Page, hatchet: Hatchet, durable: None, stage: Stage, key: str
) -> None:
    run_id = await started(hatchet, "durable-either", Cue(key=key, n=3600))
    await stage.heard(key, "waiting")
    await page.goto(f"/runs/{run_id}")
    panel = page.get_by_test_id("task-panel")
    await panel.get_by_role("tab", name="Durable log").click()
    entry = panel.get_by_test_id("durable-entry")
    await expect(entry).to_contain_text("sleep of 1 h or event")
    await expect(entry).to_contain_text("waits until")
    await hatchet.event.aio_push(f"durable:{key}", {"n": 1})
    await expect(status_of_run(page)).to_have_text("Completed")
    await expect(entry).to_contain_text("done after")
    await panel.get_by_role("button", name="Branch from operation").first.click()
    await page.get_by_role("button", name="Branch", exact=True).click()
    await stage.heard(key, "waiting", count=2)
    await expect(status_of_run(page)).to_have_text("Running")
    await hatchet.event.aio_push(f"durable:{key}", {"n": 2})
    await expect(status_of_run(page)).to_have_text("Completed")


async def test_an_evicted_task_is_brought_back_to_a_worker(
    page: Page, hatchet: Hatchet, durable: None, stage: Stage, key: str
) -> None:
    run_id = await started(hatchet, "durable-sleeper", Cue(key=key, n=600))
    await page.goto(f"/runs/{run_id}")
    await page.get_by_test_id("task-panel").get_by_role("button", name="Restore…").click()
    await page.get_by_role("button", name="Restore it").click()
    told = await stage.heard(key, "invocation", count=2)
    assert [signal.data["count"] for signal in told] == [1, 2]
    await hatchet.runs.aio_cancel(run_id)
    await expect(status_of_run(page)).to_have_text("Cancelled")


async def test_what_a_task_streams_is_seen_while_it_runs(page: Page, hatchet: Hatchet, stage: Stage, key: str) -> None:
    run_id = await started(hatchet, "speak", Cue(key=key, n=3))
    await page.goto(f"/runs/{run_id}?tab=stream")
    stream = page.get_by_test_id("task-panel").get_by_role("region", name="Stream")
    await expect(stream).to_contain_text("probe")
    stage.open(key, "first")
    await expect(stream).to_contain_text("chunk 0chunk 1chunk 2")
    stage.open(key, "last")
    await expect(status_of_run(page)).to_have_text("Completed")


async def test_of_five_hundred_tasks_what_is_in_sight_is_drawn(page: Page, hatchet: Hatchet, key: str) -> None:
    """No worker offers them: what is looked at is the page."""
    workflow = hatchet.workflow(name=f"wide-{key}")

    def work(given: EmptyModel, ctx: Context) -> None: ...

    first = workflow.task(name="first")(work)
    middle = [workflow.task(name=f"middle-{number}", parents=[first])(work) for number in range(498)]
    workflow.task(name="last", parents=middle)(work)
    hatchet._client.admin.put_workflow(workflow.to_proto())
    run = await workflow.aio_run(wait_for_result=False)
    await page.goto(f"/runs/{run.workflow_run_id}")
    table = page.get_by_role("table", name="Tasks")
    await expect(table).to_have_attribute("aria-rowcount", "501")
    await expect(page.get_by_test_id("run-graph").get_by_test_id("step-card").first).to_be_visible()
    assert await page.get_by_test_id("task-row").count() < 60
    # The graph draws all once, before it knows how large it is in sight.
    await page.wait_for_function("document.querySelectorAll('[data-testid=step-card]').length < 60")
    assert await page.evaluate("document.querySelectorAll('*').length") < 1_500
    await hatchet.runs.aio_cancel(run.workflow_run_id)


async def test_a_run_is_taken_along_as_a_file_and_shown_without_an_engine(
    page: Page, hatchet: Hatchet, stage: Stage, key: str, tmp_path: Path
) -> None:
    run_id = await started(hatchet, "diamond", Cue(key=key, fail=True))
    stage.open(key, "b")
    stage.open(key, "c")
    await page.goto(f"/runs/{run_id}")
    await expect(status_of_run(page)).to_have_text("Failed")
    async with page.expect_download() as download:
        await choose(page, "Download as a file")
    file = tmp_path / "run.json"
    await (await download.value).save_as(file)
    assert json.loads(file.read_text())["run"]["run"]["metadata"]["id"] == run_id
    command = [sys.executable, "-m", "broadaxe.cli.main", "open", str(file), "--no-browser"]
    viewer = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
    assert viewer.stdout is not None
    try:
        said = (await viewer.stdout.readline()).decode()
        address = re.search(r"http://127\.0\.0\.1:\d+/", said)
        assert address is not None, said
        await page.set_viewport_size({"width": 390, "height": 844})
        await page.goto(address[0])
        await expect(page.get_by_role("note")).to_contain_text("run.json")
        await expect(status_of_run(page)).to_have_text("Failed")
        await expect(page.get_by_test_id("step-list").get_by_test_id("step-card")).to_have_count(5)
        await expect(page.get_by_role("region", name="Error")).to_contain_text("b is broken")
        await expect(page.get_by_role("button", name="Replay", exact=True)).to_have_count(0)
        assert await page.evaluate("document.documentElement.scrollWidth") <= 390
    finally:
        viewer.terminate()
        await viewer.wait()


async def test_a_run_copied_as_a_command_runs_again(
    page: Page, engine: EngineProcess, hatchet: Hatchet, key: str, tmp_path: Path
) -> None:
    run_id = await started(hatchet, "echo", Cue(key=key, text="it's $HOME, `id` and %s\n"))
    await page.goto(f"/runs/{run_id}")
    await expect(status_of_run(page)).to_have_text("Completed")
    await choose(page, "Copy as CLI")
    text = await page.get_by_role("dialog").get_by_role("region", name="CLI").text_content()
    command = tmp_path / "broadaxe"
    command.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m broadaxe.cli.main "$@"\n')
    command.chmod(0o755)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("BROADAXE_", "HATCHET_"))}
    environment |= {"HATCHET_CLIENT_TOKEN": engine.token, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    again = await asyncio.create_subprocess_exec(
        *("sh", "-c", text or "false"), cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    output, told = await again.communicate()
    assert again.returncode == 0, told.decode()
    new_id = re.findall(r"run ([0-9a-f-]{36})", told.decode())[0]
    assert new_id != run_id
    async with Rest(engine.url, engine.token, hatchet.tenant_id) as rest:
        first, second = await rest.run(run_id), await rest.run(new_id)
    assert second["run"]["input"] == first["run"]["input"]
    assert json.loads(output) == second["run"]["output"]


async def test_a_task_copied_as_a_test_is_one(
    page: Page, engine: EngineProcess, hatchet: Hatchet, key: str, tmp_path: Path
) -> None:
    run_id = await started(hatchet, "guarded", Cue(key=key, n=7))
    await page.goto(f"/runs/{run_id}")
    await expect(status_of_run(page)).to_have_text("Completed")
    await choose(page, "Copy work as pytest")
    text = await page.get_by_role("dialog").get_by_role("region", name="pytest").text_content()
    (tmp_path / "test_copied.py").write_text(text or "")
    (tmp_path / "my_workflows.py").write_text(
        "from gallery import failures\n"
        "from hatchet_sdk import Hatchet\n"
        "offers = failures.workflows(Hatchet())\n"
        "guarded = next(offer for offer in offers if offer.name == 'guarded')\n"
        "work = next(task for task in guarded.tasks if task.name == 'work')\n"
    )
    outcome = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_copied.py"),
        cwd=tmp_path,
        env=os.environ
        | dict(engine.worker_environment(""))
        | {"PYTHONPATH": os.pathsep.join((str(ROOT / "tests" / "wire"), str(tmp_path)))},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    told, _ = await outcome.communicate()
    assert outcome.returncode == 0, told.decode()
