"""Runs Broadaxe and its peers one after another, several rounds of all, and prints the tables of docs/benchmarks.md.

    make bench-peers                                     everything, about five minutes
    make bench-peers PEERS_ARGS="--only broadaxe-lean,rq --rounds 1"

Owns the processes: for each system and round a service on an empty directory, one worker process, one driver process;
all are gone before the next system starts. What is asked and how it is timed is in `probe.py`; how each system is set
up is in `systems/`. This file runs in the checkout's `.venv`, the peers in `.venv-peers`.

Other programs on the machine spoil a measurement, so the CPU that they use meanwhile is measured too. When they used
more than `--others-max` of the machine, the measurement is made again, a few times at most, and the quietest attempt
counts. Which attempt counts never depends on its figures.

Refuses to compare across runs: a table is always one run on one machine, with the order A B C A B C, so that a slow
minute of the machine hits all alike. Nothing here decides a test.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import platform
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import psutil

from broadaxe.storage.embedded import EmbeddedPostgres, postgres_version

HERE: Final = Path(__file__).parent
ROOT: Final = HERE.parent.parent
OURS: Final = ROOT / ".venv" / "bin" / "python"
THEIRS: Final = ROOT / ".venv-peers" / "bin" / "python"

DRIVE_TIMEOUT_S: Final = 90.0
STOP_TIMEOUT_S: Final = 15.0
FSYNC_PROBES: Final = 200

REDIS_AS_PACKAGED: Final = ("--save", "3600 1 300 100 60 10000", "--appendonly", "no")
"""Debian's own settings: snapshots now and then, the last minutes are lost in a crash."""

REDIS_EVERY_COMMAND: Final = ("--save", "", "--appendonly", "yes", "--appendfsync", "always")


@dataclass(frozen=True, slots=True)
class Service:
    """What a system needs to run, ready for use."""

    pids: dict[str, int]
    env: dict[str, str]
    ready_after_s: float


Start = Callable[[Path], AbstractAsyncContextManager[Service]]


@dataclass(frozen=True, slots=True)
class System:
    name: str
    title: str
    program: str
    start: Start
    python: Path
    tasks: int
    """Per throughput figure; fewer for the slow ones, so that a round of all stays short."""
    loses: str
    """Which accepted tasks are gone when the machine loses power, by the system's documentation."""
    env: dict[str, str] = field(default_factory=dict)


# Services ------------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def postgres(folder: Path) -> AsyncIterator[Service]:
    """The PostgreSQL that Broadaxe brings along, with the same settings."""
    started = time.perf_counter()
    async with await EmbeddedPostgres.start(folder / "postgres") as server:
        ready_after_s = time.perf_counter() - started
        yield Service({"postgres": server.pid}, {"PEERS_POSTGRES": server.dsn}, ready_after_s)


def redis(settings: tuple[str, ...]) -> Start:
    @asynccontextmanager
    async def start(folder: Path) -> AsyncIterator[Service]:
        socket = folder / "redis.sock"
        started = time.perf_counter()
        command = ["redis-server", "--port", "0", "--unixsocket", str(socket), "--dir", str(folder), *settings]
        async with process([*command, "--loglevel", "warning"], {}, folder) as server:
            while not await answers_ping(socket):
                if server.returncode is not None:
                    raise SystemExit(f"redis-server ended with code {server.returncode}")
                await asyncio.sleep(0.002)
            yield Service({"redis": server.pid}, {"PEERS_REDIS": str(socket)}, time.perf_counter() - started)

    return start


async def answers_ping(socket: Path) -> bool:
    try:
        reader, writer = await asyncio.open_unix_connection(str(socket))
    except OSError:
        return False
    writer.write(b"PING\r\n")
    answer = await reader.readline()
    writer.close()
    return answer.startswith(b"+PONG")


@asynccontextmanager
async def broadaxe(folder: Path) -> AsyncIterator[Service]:
    data, env_file = folder / "data", folder / "hatchet.env"
    command = [
        str(OURS.with_name("broadaxe")), "dev", "--data-dir", str(data), "--grpc-port", "0", "--http-port", "0",
        "--env-file", str(env_file), "--log-level", "warning",
    ]  # fmt: skip
    started = time.perf_counter()
    async with process(command, {}, folder) as engine:
        while not env_file.exists():
            if engine.returncode is not None:
                raise SystemExit(f"the engine ended with code {engine.returncode}; run `broadaxe dev` to see why")
            await asyncio.sleep(0.005)
        ready_after_s = time.perf_counter() - started
        env = dict(line.split("=", 1) for line in env_file.read_text().splitlines() if "=" in line)
        pidfile = (data / "postgres" / "cluster" / "postmaster.pid").read_text().splitlines()
        password = (data / "postgres" / "password").read_text().strip()
        env["PEERS_POSTGRES"] = f"postgresql://broadaxe:{quote(password)}@/broadaxe?host={quote(pidfile[4])}"
        env["PEERS_UNFINISHED"] = "select count(*) from broadaxe.run where finished_at is null"
        yield Service({"engine": engine.pid, "postgres": int(pidfile[0])}, env, ready_after_s)


NOTHING: Final = "nothing"
SINCE_SNAPSHOT: Final = "what came after the last snapshot: up to an hour, a minute when busy"

SYSTEMS: Final = (
    System("broadaxe-sdk", "Broadaxe, official hatchet-sdk", "broadaxe_sdk.py", broadaxe, OURS, 600, NOTHING),
    System(
        "broadaxe-worker", "Broadaxe, hatchet-sdk on broadaxe-worker", "broadaxe_sdk.py", broadaxe, OURS, 2000,
        NOTHING, {"PEERS_VARIANT": "session"},
    ),
    System("broadaxe-lean", "Broadaxe, lean wire client", "broadaxe_lean.py", broadaxe, OURS, 2000, NOTHING),
    System(
        "celery", "Celery, Redis as packaged", "celery_redis.py", redis(REDIS_AS_PACKAGED), THEIRS, 1500,
        SINCE_SNAPSHOT,
    ),
    System(
        "celery-durable", "Celery, acks_late, Redis fsync always", "celery_redis.py", redis(REDIS_EVERY_COMMAND),
        THEIRS, 800, NOTHING, {"PEERS_VARIANT": "durable"},
    ),
    System(
        "dramatiq", "Dramatiq, Redis as packaged", "dramatiq_redis.py", redis(REDIS_AS_PACKAGED), THEIRS, 2000,
        SINCE_SNAPSHOT,
    ),
    System(
        "rq", "RQ SimpleWorker, Redis as packaged", "rq_redis.py", redis(REDIS_AS_PACKAGED), THEIRS, 500,
        SINCE_SNAPSHOT,
    ),
    System("procrastinate", "Procrastinate", "procrastinate_postgres.py", postgres, THEIRS, 600, NOTHING),
    System("pgqueuer", "PGQueuer", "pgqueuer_postgres.py", postgres, THEIRS, 2000, NOTHING),
    System("dbos", "DBOS queue", "dbos_postgres.py", postgres, THEIRS, 300, NOTHING),
    System(
        "dbos-quick", "DBOS queue, polling every 10 ms", "dbos_postgres.py", postgres, THEIRS, 300, NOTHING,
        {"PEERS_VARIANT": "quick"},
    ),
)  # fmt: skip

OURS_NAMES: Final = ("broadaxe-sdk", "broadaxe-worker", "broadaxe-lean")


# One round of one system ---------------------------------------------------------------------------------------------


@asynccontextmanager
async def process(command: list[str], env: dict[str, str], folder: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """A process group of its own, gone afterwards. What it says goes to a file that is shown when something fails."""
    with (folder / f"{Path(command[0]).name}-{time.monotonic_ns()}.log").open("wb") as log:
        started = await asyncio.create_subprocess_exec(
            *command, env=os.environ | env, stdout=log, stderr=subprocess.STDOUT, start_new_session=True, cwd=folder
        )
    try:
        yield started
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(started.pid, signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(started.wait(), STOP_TIMEOUT_S)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(started.pid, signal.SIGKILL)
        await started.wait()


async def measure(system: System, folder: Path, scale: float) -> dict[str, Any]:
    """Starts everything from nothing, asks the driver for its answers, stops everything."""
    started_ns = time.monotonic_ns()
    program = [str(system.python), str(HERE / "systems" / system.program)]
    async with system.start(folder) as service:
        env = system.env | service.env
        env |= {"PEERS_STAMPS": str(folder / "stamps"), "PEERS_READY": str(folder / "ready")}
        async with process([*program, "worker"], env, folder) as worker:
            roles = {**service.pids, "worker": worker.pid}
            env["PEERS_PIDS"] = ",".join(f"{role}={pid}" for role, pid in roles.items())
            driver = await asyncio.create_subprocess_exec(
                *program, "drive", "--tasks", str(max(1, int(system.tasks * scale))),
                env=os.environ | env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=folder,
            )  # fmt: skip
            try:
                said, complained = await asyncio.wait_for(driver.communicate(), DRIVE_TIMEOUT_S)
            except TimeoutError:
                raise SystemExit(f"{system.name}: the driver did not end in {DRIVE_TIMEOUT_S:.0f} s") from None
            finally:
                if driver.returncode is None:
                    driver.kill()
                    await driver.wait()
            if driver.returncode != 0:
                print(complained.decode(errors="replace")[-4000:], file=sys.stderr)
                show_logs(folder)
                raise SystemExit(f"{system.name}: the driver ended with code {driver.returncode}")
    answers: dict[str, Any] = json.loads(said)
    answers["service_ready_s"] = service.ready_after_s
    answers["first_task_s"] = (answers.pop("first_task_at_ns") - started_ns) / 1e9
    return answers


def show_logs(folder: Path) -> None:
    for log in folder.glob("*.log"):
        print(f"--- {log.name}\n{log.read_text(errors='replace')[-4000:]}", file=sys.stderr)


def busy_s() -> tuple[float, float]:
    """CPU seconds used so far on the whole machine, and by this process and the children it has collected."""
    machine, own = psutil.cpu_times(), os.times()
    busy = machine.user + machine.nice + machine.system + machine.irq + machine.softirq
    return busy, own.user + own.system + own.children_user + own.children_system


async def measure_quietly(system: System, scale: float, attempts: int, others_max: float) -> dict[str, Any]:
    """The attempt that other programs disturbed least; the first one that they hardly disturbed ends it."""
    made: list[dict[str, Any]] = []
    while len(made) < attempts and (not made or made[-1]["others"] > others_max):
        with tempfile.TemporaryDirectory(prefix="peers-", ignore_cleanup_errors=True) as folder:
            before, (all_before_s, ours_before_s) = time.monotonic(), busy_s()
            answers = await measure(system, Path(folder), scale)
        taken_s, (all_after_s, ours_after_s) = time.monotonic() - before, busy_s()
        others_s = (all_after_s - all_before_s) - (ours_after_s - ours_before_s)
        answers["others"] = max(0.0, others_s / taken_s / (os.cpu_count() or 1))
        made.append(answers)
        print(f"{system.name}: {taken_s:.1f} s, others used {answers['others']:.0%} of the machine", file=sys.stderr)
    return min(made, key=lambda answers: float(answers["others"]))


async def run(
    systems: Iterable[System], rounds: int, scale: float, attempts: int, others_max: float
) -> dict[str, list[dict[str, Any]]]:
    """Every system once per round. SIGTERM and Ctrl-C end it early, with what has been measured until then."""
    systems = tuple(systems)
    results: dict[str, list[dict[str, Any]]] = {system.name: [] for system in systems}
    this = asyncio.current_task()
    assert this is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, this.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        for _ in range(rounds):
            for system in systems:
                results[system.name].append(await measure_quietly(system, scale, attempts, others_max))
    return results


# The tables ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Figure:
    title: str
    unit: str
    of_round: Callable[[dict[str, Any]], float | None]
    more_is_better: bool = False


def percentile(values: list[float], share: float) -> float | None:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))] if values else None


def rate(answers: dict[str, Any], how: str) -> float | None:
    return answers[how]["tasks"] / answers[how]["elapsed_s"] if answers[how] else None


def cpu_per_thousand(answers: dict[str, Any], how: str) -> float | None:
    return sum(answers[how]["cpu_s"].values()) / answers[how]["tasks"] * 1000 if answers[how] else None


FIGURES: Final = (
    Figure("start latency p50", "ms", lambda a: percentile(a["start_ms"], 0.50)),
    Figure("start latency p95", "ms", lambda a: percentile(a["start_ms"], 0.95)),
    Figure("enqueue accepted p50", "ms", lambda a: percentile(a["accepted_ms"], 0.50)),
    Figure("round trip to the result p50", "ms", lambda a: percentile(a["round_trip_ms"], 0.50)),
    Figure("no-op tasks, single enqueues", "per s", lambda a: rate(a, "singles"), True),
    Figure("no-op tasks, bulk enqueue", "per s", lambda a: rate(a, "bulk"), True),
    Figure("CPU per 1,000 tasks, single enqueues", "s", lambda a: cpu_per_thousand(a, "singles")),
    Figure("CPU per 1,000 tasks, bulk enqueue", "s", lambda a: cpu_per_thousand(a, "bulk")),
    Figure("service ready, from an empty directory", "s", lambda a: a["service_ready_s"]),
    Figure("first task running, from nothing", "s", lambda a: a["first_task_s"]),
)


SUMMARY: Final = (
    ("start p50", "ms", "start latency p50"),
    ("start p95", "ms", "start latency p95"),
    ("round trip p50", "ms", "round trip to the result p50"),
    ("singles", "tasks/s", "no-op tasks, single enqueues"),
    ("bulk", "tasks/s", "no-op tasks, bulk enqueue"),
    ("CPU, singles", "s per 1,000", "CPU per 1,000 tasks, single enqueues"),
    ("CPU, bulk", "s per 1,000", "CPU per 1,000 tasks, bulk enqueue"),
    ("first task", "s", "first task running, from nothing"),
)


def summary(results: dict[str, list[dict[str, Any]]], systems: Iterable[System]) -> str:
    """Everything on one page: medians, the least and the greatest, and how much others disturbed."""
    by_title = {figure.title: figure for figure in FIGURES}
    lines = ["", "| system | " + " | ".join(f"{short}, {unit}" for short, unit, _ in SUMMARY) + " |"]
    lines[-1] += " others used |"
    lines.append("|---|" + "--:|" * (len(SUMMARY) + 1))
    for system in systems:
        row = f"| {system.title} |"
        for _, _, title in SUMMARY:
            values = [value for each in results[system.name] if (value := by_title[title].of_round(each)) is not None]
            row += f" {spread(values)} |" if values else " - |"
        others = [float(each["others"]) for each in results[system.name]]
        lines.append(row + (f" {min(others):.0%} to {max(others):.0%} |" if others else " - |"))
    return "\n".join(lines)


def tables(results: dict[str, list[dict[str, Any]]], systems: Iterable[System]) -> str:
    systems = tuple(systems)
    compared_to = [name for name in OURS_NAMES if name in results]
    lines: list[str] = []
    for figure in FIGURES:
        medians = {
            name: statistics.median(values)
            for name, rounds in results.items()
            if (values := [value for each in rounds if (value := figure.of_round(each)) is not None])
        }
        better = "more is better" if figure.more_is_better else "less is better"
        ratios = "".join(f" to {name} |" for name in compared_to)
        lines += ["", f"**{figure.title}** ({figure.unit}, {better})", ""]
        lines += [f"| system | median | min | max |{ratios}", "|---|--:|--:|--:|" + "--:|" * len(compared_to)]
        by_merit = sorted(systems, key=lambda s: medians.get(s.name, float("inf")) * (1, -1)[figure.more_is_better])
        for system in by_merit:
            if system.name not in medians:
                continue
            values = [value for each in results[system.name] if (value := figure.of_round(each)) is not None]
            row = f"| {system.title} | {number(medians[system.name])} | {number(min(values))} | {number(max(values))} |"
            for name in compared_to:
                row += f" {medians[system.name] / medians[name]:.2f} |" if name in medians else " |"
            lines.append(row)
        without = [system.title for system in systems if system.name not in medians]
        if without:
            lines += ["", f"Not offered by: {'; '.join(without)}."]
    return "\n".join(lines)


def cpu_by_role(results: dict[str, list[dict[str, Any]]], systems: Iterable[System]) -> str:
    """Where the CPU time of the single enqueues went."""
    roles = ("driver", "engine", "redis", "postgres", "worker")
    lines = ["", "**CPU per 1,000 tasks by process, single enqueues** (s, medians)", ""]
    lines += [f"| system | {' | '.join(roles)} |", "|---|" + "--:|" * len(roles)]
    for system in systems:
        row = f"| {system.title} |"
        for role in roles:
            values = [
                each["singles"]["cpu_s"][role] / each["singles"]["tasks"] * 1000
                for each in results[system.name]
                if role in each["singles"]["cpu_s"]
            ]
            row += f" {number(statistics.median(values))} |" if values else " |"
        lines.append(row)
    return "\n".join(lines)


def spread(values: list[float]) -> str:
    return f"{number(statistics.median(values))} ({number(min(values))} to {number(max(values))})"


def number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def fsync_ms() -> float:
    """The median time of a small append made durable, where the systems keep their data."""
    taken: list[float] = []
    with tempfile.NamedTemporaryFile(prefix="peers-fsync-") as file:
        for _ in range(FSYNC_PROBES):
            before = time.perf_counter()
            file.write(b"x" * 4096)
            file.flush()
            os.fdatasync(file.fileno())
            taken.append((time.perf_counter() - before) * 1e3)
    return statistics.median(taken)


def machine() -> str:
    redis_said = subprocess.run(["redis-server", "--version"], capture_output=True, text=True, check=True).stdout
    redis_version = next(word[2:] for word in redis_said.split() if word.startswith("v="))
    return (
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, "
        f"PostgreSQL {postgres_version()}, Redis {redis_version}, load {os.getloadavg()[0]:.1f}, "
        f"fdatasync of 4 KiB {fsync_ms():.2f} ms"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Measures Broadaxe beside other task systems and prints tables.")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of all systems [3]")
    parser.add_argument("--scale", type=float, default=1.0, help="multiplies the tasks per throughput figure [1]")
    parser.add_argument("--attempts", type=int, default=3, help="how often a disturbed measurement is made in all [3]")
    parser.add_argument("--others-max", type=float, default=0.1, help="what others may use of the machine [0.1]")
    parser.add_argument("--only", help=f"names, with commas, of: {', '.join(system.name for system in SYSTEMS)}")
    parser.add_argument("--json", type=Path, help="also writes everything measured to this file")
    given = parser.parse_args()
    wanted = given.only.split(",") if given.only else [system.name for system in SYSTEMS]
    unknown = set(wanted) - {system.name for system in SYSTEMS}
    if unknown:
        parser.error(f"--only: no system is called {', '.join(sorted(unknown))}")
    if shutil.which("redis-server") is None:
        parser.error("there is no redis-server here. Debian and Ubuntu: apt install redis-server")
    if not THEIRS.exists():
        parser.error("the peers are not installed; start this with `make bench-peers`")
    systems = [system for system in SYSTEMS if system.name in wanted]
    where = machine()
    started = time.monotonic()
    results = asyncio.run(run(systems, given.rounds, given.scale, given.attempts, given.others_max))
    rounds = [len(measured) for measured in results.values()]
    print(f"\n{where}; {min(rounds)} to {max(rounds)} rounds in {time.monotonic() - started:.0f} s")
    print(summary(results, systems))
    print(tables(results, systems))
    print(cpu_by_role(results, systems))
    print("\n**Lost when the power goes**, of the tasks that were accepted, by each system's documentation\n")
    print("| system | lost |\n|---|---|")
    for system in systems:
        print(f"| {system.title} | {system.loses} |")
    if given.json:
        given.json.write_text(json.dumps({"machine": where, "results": results}, indent=1))


if __name__ == "__main__":
    main()
