"""`broadaxe-worker --processes`: several workers side by side, each in a process of its own, which ends with the
process that watches it."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

from broadaxe_worker import Worker
from gallery.cue import Cue
from hatchet_sdk import Context
from wirekit import EngineProcess, Rest, Stage, eventually
from wirekit.worker_process import is_listening

PROGRAM = """
import os

from gallery.cue import Cue, gate_now, tell_now
from hatchet_sdk import Context, Hatchet

hatchet = Hatchet()


@hatchet.task(name="counts", input_validator=Cue)
def counts(cue: Cue, ctx: Context) -> dict[str, int]:
    tell_now(cue, cue.text, pid=os.getpid())
    gate_now(cue, cue.text)
    return {"pid": os.getpid()}
"""


async def test_tasks_share_the_processes_and_one_that_dies_is_replaced(
    engine: EngineProcess, rest: Rest, stage: Stage, key: str, tmp_path: Path
) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    arguments = ["program:hatchet", "--processes", "2", "--slots", "1", "--name", "counting"]
    watcher = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "broadaxe_worker", *arguments),
        cwd=tmp_path,
        env=engine.worker_environment(key)
        | {"WIRE_STAGE_PORT": str(stage.port), "PYTHONPATH": os.pathsep.join(sys.path)},
        stderr=asyncio.subprocess.PIPE,
    )
    counts = engine.client(key).stubs.workflow(name="counts", input_validator=Cue)

    async def pids_of_two(text: str) -> set[int]:
        runs = [await counts.aio_run(Cue(key=key, text=text), wait_for_result=False) for _ in range(2)]
        told = await stage.heard(key, text, count=2)
        stage.open(key, text)
        for run in runs:
            await run.aio_result()
        return {signal.data["pid"] for signal in told}

    async def both_listen() -> bool:
        rows = [row for row in await rest.workers() if row["name"] == f"{key}_counting"]
        return sum(map(is_listening, rows)) == 2

    try:
        await eventually(both_listen, what="both workers listen")
        first = await pids_of_two("first")
        assert len(first) == 2 and watcher.pid not in first
        killed = min(first)
        os.kill(killed, signal.SIGKILL)
        second = await pids_of_two("second")
        assert len(second) == 2 and killed not in second and first - {killed} < second
        watcher.send_signal(signal.SIGTERM)
        _, said = await watcher.communicate()
        assert watcher.returncode == 0
        assert b"of 2 ended with -9; another takes its place" in said and b"Traceback" not in said
    finally:
        if watcher.returncode is None:
            watcher.kill()
            await watcher.wait()


async def test_a_worker_that_is_told_to_stop_before_it_has_started_stops(engine: EngineProcess, key: str) -> None:
    """As by a watcher that dies early."""
    hatchet = engine.client(key)

    async def nothing(cue: Cue, ctx: Context) -> dict[str, str]:
        return {}

    worker = Worker(hatchet, "early", workflows=[hatchet.task(name="nothing", input_validator=Cue)(nothing)])
    worker.stop()
    async with asyncio.timeout(60):
        assert await worker.run()
