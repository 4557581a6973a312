"""The arena: PostgreSQL, an engine, workers and callers as processes, with a line between any two that may fail.

    callers, workers --(WORKER_LINE)--> engine --(DATABASE_LINE)--> PostgreSQL

Every fault strikes here, and here is written down when the engine could not be there for anybody.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, urlsplit, urlunsplit

from broadaxe.storage.embedded import EmbeddedPostgres
from tests.chaos.checker import Span
from tests.chaos.plan import CLOCK_JUMP_S, Blow, Call, Fault, Weather, call_to_json
from tests.chaos.proxy import Proxy
from tests.chaos.tables import end_backends, live_runs

ROOT: Final = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "wire")]

from wirekit import EngineProcess, Rest, eventually  # noqa: E402 the path to it has only now been laid

WORKERS: Final = 2
END_WITHIN_S: Final = 30.0


class Arena:
    """One scenario's processes. With `database` they use a server that is not ours, and the server is not struck.

    `before` is the root of another version's source tree: the engine begins as that one, on its schema.
    """

    def __init__(self, directory: Path, database: str | None = None, before: Path | None = None) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._sources = (before or ROOT) / "src"
        self._directory = directory
        self._dsn = database
        self._server: EmbeddedPostgres | None = None
        self._clock = directory / "clock"
        self._workers: dict[str, subprocess.Popen[bytes]] = {}
        self._started = 0
        self._caller: subprocess.Popen[bytes] | None = None
        self.killed: dict[str, float] = {}
        self.away: list[Span] = []
        self.cuts: list[Span] = []

    @property
    def dsn(self) -> str:
        """The database itself, past the line to it."""
        assert self._dsn is not None
        return self._dsn

    async def start(self) -> None:
        if self._dsn is None:
            self._server = await EmbeddedPostgres.start(self._directory / "postgres")
            self._dsn = self._server.dsn
            await self._migrate("all" if self._sources == ROOT / "src" else None)
        self._database_line = Proxy(_socket_of(self.dsn))
        await self._database_line.start()
        self._clock.write_text("0")
        self._engine = self._new_engine(self._directory)
        await self._engine.start()
        self._worker_line = Proxy(int(self._engine.address.rpartition(":")[2]))
        await self._worker_line.start()
        for _ in range(WORKERS):
            self._start_worker()
        await self._until_workers_listen()

    async def stop(self) -> None:
        for process in (*self._workers.values(), self._caller):
            if process is not None:
                await _kill_group(process)
        # What a failed start did not bring up needs no end.
        with suppress(AttributeError):
            self._engine.resume()
            await self._engine.dispose()
            await self._worker_line.stop()
        with suppress(AttributeError):
            await self._database_line.stop()
        if self._server is not None:
            await self._server.stop()

    # Load -----------------------------------------------------------------------------------------------------------

    async def call(self, calls: Sequence[Call]) -> None:
        """Starts a process that makes these calls; returns when it begins with them."""
        journal = self._directory / "calls.jsonl"
        # Not through a pipe: the proxies stand still while this process waits for a reader.
        planned = self._directory / "planned.jsonl"
        planned.write_text("".join(json.dumps(call_to_json(call)) + "\n" for call in calls))
        arguments = ("--calls", str(planned), "--journal", str(journal))
        self._caller = self._python("caller", "tests.chaos.caller", *arguments)

        async def has_begun() -> bool:
            return journal.exists() and journal.stat().st_size > 0

        await eventually(has_begun, what="callers call", within_s=90)

    async def until_drained(self, within_s: float) -> None:
        """Until every run has ended and the callers have been told, or the time is over."""
        assert self._caller is not None
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            if self._caller.poll() is not None and await live_runs(self.dsn) == 0:
                return
            await asyncio.sleep(0.25)

    def journals(self) -> tuple[list[Path], list[Path]]:
        """Those of callers and those of workers."""
        return list(self._directory.glob("calls.jsonl")), list(self._directory.glob("worker-*.jsonl"))

    def logs(self) -> str:
        return "\n".join(f"{path}:\n{path.read_text()[-1500:]}" for path in sorted(self._directory.glob("*.log")))

    # Faults ---------------------------------------------------------------------------------------------------------

    async def strike(self, blow: Blow) -> None:
        """Returns when the fault is over."""
        since = time.time()
        match blow.fault:
            case Fault.ENGINE_KILLED:
                await self._engine.kill()
                await self._engine.start()
            case Fault.ENGINE_STOPPED:
                await self._engine.stop()
                await self._engine.start()
            case Fault.ENGINE_PAUSED:
                self._engine.pause()
                await asyncio.sleep(blow.for_s)
                self._engine.resume()
            case Fault.WORKER_KILLED:
                await self._replace_worker()
                return
            case Fault.SERVER_KILLED:
                os.kill(self._own_server().pid, signal.SIGKILL)
                await self._until_server_answers()
            case Fault.SERVER_RESTARTED:
                await self._own_server().stop()
                await asyncio.sleep(blow.for_s)
                self._server = await EmbeddedPostgres.start(self._directory / "postgres")
            case Fault.BACKENDS_ENDED:
                await end_backends(self.dsn)
            case Fault.DATABASE_LINE:
                await _endure(self._database_line, blow)
            case Fault.WORKER_LINE:
                await _endure(self._worker_line, blow)
                if blow.weather.cuts:
                    self.cuts.append(Span(since, time.time()))
                return
            case Fault.CLOCK_AHEAD:
                self._clock.write_text(str(CLOCK_JUMP_S))
                await asyncio.sleep(blow.for_s)
                self._clock.write_text("0")
            case Fault.ENGINE_UPGRADED:
                await self._upgrade()
        await self._until_served()
        self.away.append(Span(since, time.time()))

    async def _upgrade(self) -> None:
        """As deployments do it: who connects from now on meets the new engine, which waits for the old one's leases."""
        self._sources = ROOT / "src"
        await self._migrate("pre")
        newer = self._new_engine(self._directory / "newer")
        await newer.start()
        self._worker_line.lead_to(int(newer.address.rpartition(":")[2]))
        older, self._engine = self._engine, newer
        code = await older.stop()
        assert code == 0, f"the old engine ended with {code}:\n{older.log()}"
        await self._migrate("post")

    async def _migrate(self, phase: str | None) -> None:
        """With the code that the engine is to have. Versions before phases know none."""
        words = ["migrate", "--database-url", self.dsn, *(("--phase", phase) if phase else ())]
        done = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-m", "broadaxe.cli.main", *words],
            env=os.environ | {"PYTHONPATH": _python_path(self._sources)},
            capture_output=True,
            text=True,
            timeout=END_WITHIN_S * 4,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def _new_engine(self, directory: Path) -> EngineProcess:
        directory.mkdir(exist_ok=True)
        shift = Path(__file__).parent / "clock_shift"
        return EngineProcess(
            directory,
            _through(self.dsn, self._database_line.port),
            environment={"CHAOS_CLOCK": str(self._clock), "PYTHONPATH": _python_path(shift, self._sources)},
        )

    def _own_server(self) -> EmbeddedPostgres:
        assert self._server is not None, "the server is not ours to strike"
        return self._server

    async def _until_server_answers(self) -> None:
        async def answers() -> bool:
            return await live_runs(self.dsn) is not None

        await eventually(answers, what="PostgreSQL answers again", within_s=60)

    async def _until_served(self) -> None:
        """Until the engine answers a call that needs its tenant and its database."""

        async def serves() -> bool:
            try:
                async with self._rest() as rest:
                    await rest.workers()
                    return True
            except Exception:
                return False

        await eventually(serves, what="the engine serves again", within_s=60)

    # Processes ------------------------------------------------------------------------------------------------------

    def _start_worker(self) -> None:
        name = f"w{self._started}"
        self._started += 1
        journal = self._directory / f"worker-{name}.jsonl"
        journal.touch()
        self._workers[name] = self._python(
            f"worker-{name}", "tests.chaos.worker", "--name", name, "--journal", str(journal)
        )

    async def _replace_worker(self) -> None:
        """Kills the oldest one; which tasks that hits is a matter of chance anyway."""
        name = next(iter(self._workers))
        await _kill_group(self._workers.pop(name))
        self.killed[name] = time.time()
        self._start_worker()

    async def _until_workers_listen(self) -> None:
        async with self._rest() as rest:

            async def listening() -> set[str]:
                return {row["name"] for row in await rest.workers() if row["status"] == "ACTIVE"}

            await eventually(
                listening, until=lambda names: names >= self._workers.keys(), what="workers listen", within_s=90
            )

    def _rest(self) -> Rest:
        return Rest(self._engine.url, self._engine.token, self._engine.client().tenant_id)

    def _python(self, name: str, module: str, *arguments: str) -> subprocess.Popen[bytes]:
        environment = self._engine.worker_environment("") | {
            "HATCHET_CLIENT_HOST_PORT": f"127.0.0.1:{self._worker_line.port}",
            "HATCHET_CLIENT_TLS_STRATEGY": "none",
            "PYTHONPATH": _python_path(ROOT),
        }
        if name == "caller":
            environment["HATCHET_CLIENT_TENACITY_MAX_ATTEMPTS"] = "0"
        with (self._directory / f"{name}.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # The SDK reads .env files of the directory it is started in.
                cwd=self._directory,
                env=environment,
                start_new_session=True,
            )


async def _endure(line: Proxy, blow: Blow) -> None:
    line.become(blow.weather)
    await asyncio.sleep(blow.for_s)
    line.become(Weather.CALM)
    if blow.weather.cuts:
        line.reset()


async def _kill_group(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    await asyncio.to_thread(process.wait, END_WITHIN_S)


def _python_path(*first: Path) -> str:
    return os.pathsep.join(filter(None, (*map(str, first), os.environ.get("PYTHONPATH"))))


def _socket_of(dsn: str) -> str:
    """The path of the server's socket: an embedded server has no other way in."""
    query = parse_qs(urlsplit(dsn).query)
    return f"{query['host'][0]}/.s.PGSQL.{query.get('port', ['5432'])[0]}"


def _through(dsn: str, port: int) -> str:
    """The same database, over a port of this machine."""
    parts = urlsplit(dsn)
    netloc = f"{parts.netloc.rpartition('@')[0]}@127.0.0.1:{port}"
    return urlunsplit(parts._replace(netloc=netloc, query=""))
