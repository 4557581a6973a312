"""The demo's supervisor with real children: order, restart, clean stop, and children left by a killed one."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import psutil
import pytest

from broadaxe.cli import supervisor as module
from broadaxe.cli.supervisor import Child, Supervisor
from broadaxe.errors import Unavailable

PATIENCE_S = 60.0

# A child that tells it is up by a file with its process id, and ends in order on SIGTERM.
OBEDIENT = """
import os, pathlib, signal, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
mark = pathlib.Path(sys.argv[1])
mark.with_suffix(".new").write_text(str(os.getpid()))
mark.with_suffix(".new").replace(mark)
print("up", flush=True)
while True:
    signal.pause()
"""

STUBBORN = OBEDIENT.replace("lambda *_: sys.exit(0)", "signal.SIG_IGN")


class Marked:
    """A child and the file it marks its start with."""

    def __init__(self, directory: Path, name: str, code: str = OBEDIENT) -> None:
        self.mark = directory / f"{name}.pid"
        self.child = Child(
            name=name,
            command=(sys.executable, "-c", code, str(self.mark)),
            environment=lambda: dict(os.environ),
            ready=self._is_up,
            directory=directory,
        )

    @property
    def pid(self) -> int:
        return int(self.mark.read_text())

    async def _is_up(self) -> bool:
        return self.mark.exists() and psutil.pid_exists(self.pid)


class Lines:
    """What the supervisor said, and a way to wait for it."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self._changed = asyncio.Condition()
        self._tasks: set[asyncio.Task[None]] = set()

    def __call__(self, name: str, line: str) -> None:
        self.said.append(f"{name}: {line}")
        task = asyncio.get_running_loop().create_task(self._notify())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def wait_for(self, words: str) -> None:
        async with asyncio.timeout(PATIENCE_S), self._changed:
            await self._changed.wait_for(lambda: any(words in line for line in self.said))


async def supervised(supervisor: Supervisor, during: Callable[[asyncio.Event], Awaitable[None]]) -> None:
    """Run the supervisor; once all is ready do `during`, then stop."""
    stop, ready = asyncio.Event(), asyncio.Event()
    running = asyncio.create_task(supervisor.run(stop, ready.set))
    waiting = asyncio.create_task(ready.wait())
    try:
        async with asyncio.timeout(PATIENCE_S):
            await asyncio.wait({running, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if ready.is_set():
            await during(stop)
        stop.set()
        await running
    finally:
        waiting.cancel()
        stop.set()
        await asyncio.gather(running, return_exceptions=True)


async def nothing(_stop: asyncio.Event) -> None:
    """There is nothing to do while it runs."""


async def test_second_group_starts_after_the_first_is_ready_and_stops_before_it(tmp_path: Path) -> None:
    first, second = Marked(tmp_path, "first"), Marked(tmp_path, "second")
    lines = Lines()
    await supervised(Supervisor([[first.child], [second.child]], tmp_path / "logs", lines), nothing)
    assert [line.split(" (")[0] for line in lines.said] == [
        "first: ready",
        "second: ready",
        "second: stopped",
        "first: stopped",
    ]
    assert not psutil.pid_exists(first.pid)
    assert not psutil.pid_exists(second.pid)


async def test_killed_child_is_started_again_and_the_reason_is_said(tmp_path: Path) -> None:
    worker = Marked(tmp_path, "worker")
    lines = Lines()
    killed: list[int] = []

    async def kill(_stop: asyncio.Event) -> None:
        killed.append(worker.pid)
        os.kill(worker.pid, signal.SIGKILL)
        await lines.wait_for("ready again")

    await supervised(Supervisor([[worker.child]], tmp_path / "logs", lines), kill)
    assert any("ended by SIGKILL; starting it again" in line for line in lines.said)
    assert worker.pid != killed[0]
    assert not psutil.pid_exists(worker.pid)


async def test_child_that_ignores_sigterm_is_killed_when_stopping_at_once(tmp_path: Path) -> None:
    stubborn = Marked(tmp_path, "stubborn", STUBBORN)
    lines = Lines()
    supervisor = Supervisor([[stubborn.child]], tmp_path / "logs", lines)

    async def at_once(_stop: asyncio.Event) -> None:
        supervisor.stop_at_once()

    await supervised(supervisor, at_once)
    assert "stubborn: did not stop in time and was killed" in lines.said
    assert not psutil.pid_exists(stubborn.pid)


async def test_child_that_never_starts_ends_the_run_with_its_last_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BACKOFF_FIRST_S", 0.01)
    good = Marked(tmp_path, "good")
    broken = Marked(tmp_path, "broken", "import sys; sys.exit('no such table: opinions')")
    with pytest.raises(Unavailable, match="no such table: opinions"):
        await supervised(Supervisor([[good.child], [broken.child]], tmp_path / "logs", Lines()), nothing)
    assert not psutil.pid_exists(good.pid)


async def test_child_that_needs_a_persons_hand_is_not_tried_again_and_only_its_latest_words_are_told(
    tmp_path: Path,
) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "wrong.log").write_text("the words of an earlier start\n")
    wrong = Marked(tmp_path, "wrong", "import sys; print('choose another port', file=sys.stderr); sys.exit(2)")
    lines = Lines()
    with pytest.raises(Unavailable) as failure:
        await supervised(Supervisor([[wrong.child]], tmp_path / "logs", lines), nothing)
    assert "choose another port" in failure.value.message
    assert "earlier start" not in failure.value.message
    assert lines.said == []


async def test_what_a_killed_child_had_started_may_clean_up_before_it_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BACKOFF_FIRST_S", 0.01)
    cleaned = tmp_path / "cleaned"
    helper = (
        "import pathlib, signal, sys\n"
        f"signal.signal(signal.SIGTERM, lambda *_: (pathlib.Path({str(cleaned)!r}).touch(), sys.exit(0)))\n"
        "print('up', flush=True)\n"
        "while True: signal.pause()\n"
    )
    start = (
        "import subprocess, sys\n"
        f"subprocess.Popen([sys.executable, '-c', {helper!r}], stdout=subprocess.PIPE).stdout.readline()\n"
    )
    parent = Marked(tmp_path, "parent", start + OBEDIENT)
    lines = Lines()

    async def kill(_stop: asyncio.Event) -> None:
        os.kill(parent.pid, signal.SIGKILL)
        await lines.wait_for("parent: ready again")

    await supervised(Supervisor([[parent.child]], tmp_path / "logs", lines), kill)
    assert cleaned.exists()


@pytest.fixture
def orphan(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A child of a supervisor that was killed: it runs, and the record names it."""
    mark = tmp_path / "orphan.pid"
    process = subprocess.Popen(
        [sys.executable, "-c", OBEDIENT, str(mark)], stdout=subprocess.PIPE, start_new_session=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"up\n"
    created = psutil.Process(process.pid).create_time()
    (tmp_path / "processes.json").write_text(f'{{"{process.pid}": {created!r}, "{os.getpid()}": 1.0}}')
    yield process
    process.stdout.close()
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    process.wait()


async def test_children_of_a_killed_supervisor_are_ended_first_and_strangers_are_not(
    tmp_path: Path, orphan: subprocess.Popen[bytes]
) -> None:
    # The record also names this test's own process id, with another time of creation: a stranger by now.
    worker = Marked(tmp_path, "worker")
    await supervised(Supervisor([[worker.child]], tmp_path / "logs", Lines()), nothing)
    assert orphan.wait(PATIENCE_S) == 0


async def test_output_of_children_goes_to_their_logs(tmp_path: Path) -> None:
    worker = Marked(tmp_path, "worker")
    supervisor = Supervisor([[worker.child]], tmp_path / "logs", Lines())
    await supervised(supervisor, nothing)
    assert supervisor.log_path(worker.child).read_text() == "up\n"
