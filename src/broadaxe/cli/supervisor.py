"""A small supervisor for one group of processes: start in order, restart what dies, stop all of them.

Owns the children: each runs in a process group of its own, so a Ctrl-C in the terminal reaches only the supervisor,
which then stops them in the reverse order of their start. A child that ends by itself, or is killed, is started again
after a pause that doubles up to a bound. Children write into log files, and the terminal gets one line per event; or
they write where the supervisor does.

Invariants: after `run` returns no child is left; children of a supervisor that was itself killed are found by the
record it leaves and ended by the next one before it starts its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final

from broadaxe import private_file, process_group
from broadaxe.errors import Unavailable

__all__ = ["TO_BE_CORRECTED", "Child", "Supervisor"]

STOP_PATIENCE_S: Final = 20.0
GROUP_PATIENCE_S: Final = 2.0
BACKOFF_FIRST_S: Final = 0.5
BACKOFF_MAX_S: Final = 10.0
HEALTHY_AFTER_S: Final = 30.0  # A child that lived this long starts its backoff afresh.
FIRST_STARTS_MAX: Final = 3
TO_BE_CORRECTED: Final = 2  # The exit code of a mistake that only a person can correct; trying again is of no use.
READY_TIMEOUT_S: Final = 90.0
POLL_S: Final = 0.1
LOG_BYTES_MAX: Final = 10_000_000

Say = Callable[[str, str], None]
"""Called with the child's name and one line about it."""


@dataclass(frozen=True, slots=True)
class Child:
    """A process of the group. `ready` is asked until it says yes; `environment` is asked at every start."""

    name: str
    command: Sequence[str]
    environment: Callable[[], Mapping[str, str]]
    ready: Callable[[], Awaitable[bool]]
    directory: Path
    hand_over: Callable[[], bytes] | None = None
    """Asked at every start for what the child reads. Its standard input then stays open for as long as we live, and a
    child that heeds that needs no record to be found by."""


@dataclass(slots=True)
class _Running:
    child: Child
    process: subprocess.Popen[bytes] | None = None
    starts: int = 0
    log_start_bytes: int = 0
    """Where in the log file the latest start begins."""
    was_ready: asyncio.Event = field(default_factory=asyncio.Event)


class Supervisor:
    """Runs groups of children one after the other: the next group starts when the one before is ready."""

    def __init__(
        self,
        groups: Sequence[Sequence[Child]],
        log_dir: Path | None,
        say: Say,
        *,
        pause_first_s: float = BACKOFF_FIRST_S,
        starts_together: bool = False,
    ) -> None:
        """Without `log_dir` children write where we do, and no record is kept of them. `starts_together`: no group
        waits for another; they stop one after the other all the same."""
        self._groups = [[_Running(child) for child in group] for group in groups]
        self._log_dir = log_dir
        self._record = None if log_dir is None else log_dir.parent / "processes.json"
        self._say = say
        self._pause_first_s = pause_first_s
        self._starts_together = starts_together
        self._at_once = asyncio.Event()
        self.first_failure: int | None = None
        """The exit code of a child that ended before it was ever ready, which ended the group."""

    def log_path(self, child: Child) -> Path:
        """Where a child's output goes, if there are log files."""
        assert self._log_dir is not None
        return self._log_dir / f"{child.name}.log"

    def stop_at_once(self) -> None:
        """Cut short the patience that children are stopped with."""
        self._at_once.set()

    async def run(self, stop: asyncio.Event, announce: Callable[[], None]) -> None:
        """Start everything, call `announce` when all are ready, keep it running until `stop`, then stop it all.

        Raises Unavailable when a child does not become ready; everything is stopped by then.
        """
        if self._log_dir is not None:
            self._log_dir.mkdir(parents=True, exist_ok=True)
        await self._end_leftovers()
        work = asyncio.create_task(self._start_and_keep(announce))
        told = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({work, told}, return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                await work
        finally:
            for task in (work, told):
                task.cancel()
            await asyncio.gather(work, told, return_exceptions=True)
            await self._stop_all()

    async def _start_and_keep(self, announce: Callable[[], None]) -> None:
        try:
            async with asyncio.TaskGroup() as keepers:
                together = [running for group in self._groups for running in group]
                for group in [together] if self._starts_together else self._groups:
                    for running in group:
                        keepers.create_task(self._keep(running), name=f"keep-{running.child.name}")
                    for running in group:
                        await running.was_ready.wait()
                announce()
        except* Unavailable as failures:
            raise failures.exceptions[0] from None

    async def _keep(self, running: _Running) -> None:
        """One child's life: start, wait for ready, wait for its end, pause, again."""
        name = running.child.name
        backoff_s = self._pause_first_s
        while True:
            started = time.monotonic()
            self._spawn(running)
            if await self._becomes_ready(running):
                self._say(
                    name, f"{'ready' if running.starts == 1 else 'ready again'} ({time.monotonic() - started:.1f} s)"
                )
                running.was_ready.set()
            code = await self._end_of(running)
            if not running.was_ready.is_set() and (code == TO_BE_CORRECTED or running.starts >= FIRST_STARTS_MAX):
                self.first_failure = code
                raise Unavailable(f"{name} does not start ({_ending(code)}). {self._last_words(running)}")
            if time.monotonic() - started >= HEALTHY_AFTER_S:
                backoff_s = self._pause_first_s
            self._say(name, f"{_ending(code)}; starting it again in {backoff_s:g} s")
            await asyncio.sleep(backoff_s)
            backoff_s = min(backoff_s * 2, BACKOFF_MAX_S)

    def _spawn(self, running: _Running) -> None:
        if self._log_dir is None:
            self._spawn_into(running, None)
        else:
            log = self.log_path(running.child)
            with contextlib.suppress(FileNotFoundError):
                if log.stat().st_size > LOG_BYTES_MAX:
                    log.replace(log.with_suffix(".log.1"))
            with os.fdopen(private_file.open_to_append(log), "ab") as sink:
                running.log_start_bytes = sink.tell()
                self._spawn_into(running, sink)
        running.starts += 1
        self._write_record()

    def _spawn_into(self, running: _Running, output: IO[bytes] | None) -> None:
        child = running.child
        running.process = process_group.spawn(
            child.command,
            output=output,
            directory=child.directory,
            environment=child.environment(),
            handed=None if child.hand_over is None else child.hand_over(),
        )

    async def _becomes_ready(self, running: _Running) -> bool:
        """False when it ended before it was ready."""
        deadline = time.monotonic() + READY_TIMEOUT_S
        while not await running.child.ready():
            if running.process is None or running.process.poll() is not None:
                return False
            if time.monotonic() >= deadline:
                if running.was_ready.is_set():
                    self._say(running.child.name, f"is not ready after {READY_TIMEOUT_S:.0f} s; see its log")
                    return False
                raise Unavailable(
                    f"{running.child.name} is not ready after {READY_TIMEOUT_S:.0f} s. {self._last_words(running)}"
                )
            await asyncio.sleep(POLL_S)
        return running.process is not None and running.process.poll() is None

    def _last_words(self, running: _Running) -> str:
        if self._log_dir is None:
            return "It says why above."
        log = self.log_path(running.child)
        return f"The end of {log}:\n{_tail(log, running.log_start_bytes)}"

    async def _end_of(self, running: _Running) -> int:
        process = running.process
        assert process is not None
        while process.poll() is None:  # noqa: ASYNC110 - the kernel tells us by the exit status, not by an Event
            await asyncio.sleep(POLL_S)
        code = process.returncode
        await _end_group(process.pid)
        return code

    async def _stop_all(self) -> None:
        for group in reversed(self._groups):
            await asyncio.gather(*(self._stop(running) for running in group))
        if self._record is not None:
            self._record.unlink(missing_ok=True)

    async def _stop(self, running: _Running) -> None:
        process = running.process
        if process is None or process.poll() is not None:
            return
        process_group.end(process.pid)
        deadline = time.monotonic() + STOP_PATIENCE_S
        while process.poll() is None:
            if time.monotonic() >= deadline or self._at_once.is_set():
                self._say(running.child.name, "did not stop in time and was killed")
                process_group.kill(process.pid)
                await asyncio.to_thread(process.wait, 10)
                break
            await asyncio.sleep(0.02)
        else:
            self._say(running.child.name, "stopped")
        await _end_group(process.pid)

    # Children of a supervisor that was killed ---------------------------------------------------------------------

    def _write_record(self) -> None:
        if self._record is None:
            return
        import psutil

        record: dict[str, float] = {}
        for group in self._groups:
            for running in group:
                if running.process is not None and running.process.poll() is None:
                    with contextlib.suppress(psutil.Error):
                        record[str(running.process.pid)] = psutil.Process(running.process.pid).create_time()
        new = self._record.with_suffix(".new")
        new.write_text(json.dumps(record), encoding="ascii")
        new.replace(self._record)

    async def _end_leftovers(self) -> None:
        if self._record is None:
            return
        import psutil

        try:
            record = json.loads(self._record.read_text(encoding="ascii"))
            known = {int(pid): float(created) for pid, created in record.items()}
        except (OSError, ValueError, AttributeError):
            return
        left: list[psutil.Process] = []
        for pid, created in known.items():
            with contextlib.suppress(psutil.Error):
                process = psutil.Process(pid)
                # The time it was created tells it apart from a stranger that got the same number.
                if abs(process.create_time() - created) < 0.01:
                    left.append(process)
                    process_group.end(pid)
        if left:
            self._say("demo", f"ending {len(left)} processes that an earlier demo left behind")
            _, stubborn = await asyncio.to_thread(psutil.wait_procs, left, STOP_PATIENCE_S)
            for process in stubborn:
                process_group.kill(process.pid)
        self._record.unlink(missing_ok=True)


async def _end_group(leader_pid: int) -> None:
    """End what a child that is gone had started: it must not outlive it and hold a port.

    It gets a moment for itself, because Python's resource tracker is one of them and takes shared memory back then.
    """
    process_group.end(leader_pid)
    deadline = time.monotonic() + GROUP_PATIENCE_S
    while process_group.is_alive(leader_pid) and time.monotonic() < deadline:  # noqa: ASYNC110 - the kernel has no Event for it
        await asyncio.sleep(POLL_S)
    process_group.kill(leader_pid)


def _ending(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"


def _tail(path: Path, start_bytes: int, lines_max: int = 12) -> str:
    """The end of a log, of what was written from `start_bytes` on: earlier starts would only mislead."""
    try:
        with path.open("rb") as file:
            file.seek(max(start_bytes, path.stat().st_size - 8192))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return "    (no log)"
    return "\n".join("    " + line for line in text.splitlines()[-lines_max:]) or "    (the log is empty)"
