"""`broadaxe dev` as a script uses it: ready when the env file appears, the same after a kill, gone on SIGTERM."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import pty
import re
import signal
import stat
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import psutil
import pytest

from broadaxe.cli import env_file

PATIENCE_S = 90.0
SDK_VARIABLES = {
    "HATCHET_CLIENT_TOKEN",
    "HATCHET_CLIENT_HOST_PORT",
    "HATCHET_CLIENT_SERVER_URL",
    "HATCHET_CLIENT_API_URL",
    "HATCHET_CLIENT_TLS_STRATEGY",
}
DATABASE_VARIABLE = "BROADAXE_ENGINE_DATABASE_URL"


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "broadaxe.cli.main", *map(str, arguments)]


def environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("BROADAXE_")}


@contextlib.contextmanager
def dev(directory: Path, *flags: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, str], str]]:
    """A ready engine, what it wrote into the env file, and what it printed until it was ready."""
    target = directory / "engine.env"
    process = subprocess.Popen(
        command(
            *("dev", "--data-dir", directory / "data", "--grpc-port", "0", "--http-port", "0"),
            *("--env-file", target, *flags),
        ),
        stdout=subprocess.PIPE,
        stderr=(directory / "stderr.log").open("ab"),
        text=True,
        env=environment(),
    )
    watchdog = threading.Timer(PATIENCE_S, process.kill)
    watchdog.start()
    try:
        assert process.stdout is not None
        printed: list[str] = []
        for line in process.stdout:
            printed.append(line)
            if line.startswith("Stop with"):
                break
        # It watches over the start alone: what the tests do then has bounds of its own.
        watchdog.cancel()
        values = env_file.read(target)
        assert values is not None, (directory / "stderr.log").read_text()
        yield process, values, "".join(printed)
    finally:
        watchdog.cancel()
        if process.poll() is None:
            process.terminate()
            process.wait(PATIENCE_S)
        assert process.stdout is not None
        process.stdout.close()


def get(url: str, token: str | None = None) -> tuple[int, bytes]:
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"} if token else {})
    with urllib.request.urlopen(request, timeout=30) as response:
        return response.status, response.read()


def workers(values: dict[str, str], token: str) -> int:
    """The status of a call that only a valid token may make."""
    payload = token.split(".")[1]
    tenant = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["sub"]
    return get(f"{values['HATCHET_CLIENT_SERVER_URL']}/api/v1/tenants/{tenant}/worker", token)[0]


def postgres_of(directory: Path) -> list[psutil.Process]:
    cluster = str((directory / "data" / "postgres" / "cluster").resolve())
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if cluster in process.cmdline():
                found.append(process)
    return found


@dataclass(frozen=True)
class Started:
    """An engine for all tests that leave it as it is."""

    process: subprocess.Popen[str]
    data_dir: Path
    values: dict[str, str]
    """What it wrote into the env file."""
    printed: str
    """Until it was ready."""


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Started]:
    directory = tmp_path_factory.mktemp("started")
    with dev(directory, "--extra-database", "rag_chat") as (process, values, printed):
        yield Started(process, directory / "data", values, printed)


@pytest.fixture
def running(started: Started) -> tuple[Path, dict[str, str]]:
    """Its data directory, and what it wrote into the env file."""
    return started.data_dir, started.values


def test_env_file_says_how_to_connect_and_sigterm_ends_everything_in_order(tmp_path: Path) -> None:
    with dev(tmp_path) as (process, values, printed):
        assert set(values) == {*SDK_VARIABLES, DATABASE_VARIABLE}
        assert values["HATCHET_CLIENT_TLS_STRATEGY"] == "none"
        assert stat.S_IMODE((tmp_path / "engine.env").stat().st_mode) == 0o600
        assert f"set -a; source {tmp_path / 'engine.env'}; set +a" in printed
        assert get(values["HATCHET_CLIENT_SERVER_URL"] + "/api/ready")[0] == 200
        assert len(postgres_of(tmp_path)) == 1
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0
    assert postgres_of(tmp_path) == []


def test_no_secret_is_printed_where_others_may_read_it(started: Started) -> None:
    link = (started.data_dir / "dashboard.url").read_text().strip()
    for secret in (started.values["HATCHET_CLIENT_TOKEN"], link.partition("key=")[2], "Axe-"):
        assert secret not in started.printed
    assert f"(let in by the link in {started.data_dir / 'dashboard.url'})" in started.printed
    for name in ("dashboard.url", "dev.json", "engine.lock"):
        assert stat.S_IMODE((started.data_dir / name).stat().st_mode) == 0o600, name


def test_a_terminal_shows_the_link_and_the_token(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    arguments = ("dev", "--data-dir", tmp_path / "data", "--grpc-port", "0", "--http-port", "0")
    process = subprocess.Popen(command(*arguments), stdout=theirs, stderr=subprocess.DEVNULL, env=environment())
    os.close(theirs)
    watchdog = threading.Timer(PATIENCE_S, process.kill)
    watchdog.start()
    try:
        with os.fdopen(ours, encoding="utf-8", errors="replace") as terminal:
            printed = ""
            for line in terminal:
                printed += line
                if line.startswith("Stop with"):
                    break
            link = (tmp_path / "data" / "dashboard.url").read_text().strip()
            assert f"dashboard  {link}" in printed
            assert re.search(r"export HATCHET_CLIENT_TOKEN=ey[\w-]{20,}\.[\w-]{20,}\.[\w-]{20,}", printed)
            process.terminate()
            assert process.wait(PATIENCE_S) == 0
    finally:
        watchdog.cancel()
        process.kill()


def test_one_click_on_the_link_is_enough_also_after_a_restart(tmp_path: Path) -> None:
    """Who did not click is let in nowhere, and other accounts of the machine are nobody special."""
    links = []
    for _ in range(2):
        with dev(tmp_path) as (_, values, _):
            base = values["HATCHET_CLIENT_SERVER_URL"]
            with pytest.raises(urllib.error.HTTPError, match="403"):
                get(f"{base}/api/v1/users/current")
            link = (tmp_path / "data" / "dashboard.url").read_text().strip()
            browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
            with browser.open(link, timeout=30) as page:
                assert page.status == 200 and page.url == f"{base}/"
            with browser.open(f"{base}/api/v1/users/current", timeout=30) as answer:
                assert json.load(answer)["email"] == "admin@example.com"
            links.append(link.partition("/enter")[2])
    assert links[0] == links[1]


def test_without_a_login_everybody_on_the_machine_is_let_in(tmp_path: Path) -> None:
    with dev(tmp_path, "--no-login") as (_, values, _):
        base = values["HATCHET_CLIENT_SERVER_URL"]
        assert get(f"{base}/api/v1/users/current")[0] == 200
        assert (tmp_path / "data" / "dashboard.url").read_text().strip() == base


def test_ctrl_c_stops_with_exit_code_0(tmp_path: Path) -> None:
    with dev(tmp_path) as (process, _, _):
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_S) == 0


def test_sigterm_during_the_start_stops_with_exit_code_0_and_leaves_no_server(tmp_path: Path) -> None:
    process = subprocess.Popen(
        command("dev", "--data-dir", tmp_path / "data", "--grpc-port", "0", "--http-port", "0"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment(),
    )
    # The lock is taken after the signal handlers are in place, and long before the first database exists.
    lock = tmp_path / "data" / "engine.lock"
    deadline = time.monotonic() + PATIENCE_S
    while not lock.exists() and time.monotonic() < deadline:
        assert process.poll() is None
        time.sleep(0.005)
    process.terminate()
    assert process.wait(PATIENCE_S) == 0
    assert postgres_of(tmp_path) == []


def test_after_kill_the_next_start_attaches_and_old_tokens_still_work(tmp_path: Path) -> None:
    with dev(tmp_path) as (process, before, _):
        server = postgres_of(tmp_path)[0].pid
        process.kill()
        process.wait(PATIENCE_S)
    assert [found.pid for found in postgres_of(tmp_path)] == [server]
    with dev(tmp_path) as (_, after, _):
        assert [found.pid for found in postgres_of(tmp_path)] == [server]
        assert workers(after, before["HATCHET_CLIENT_TOKEN"]) == 200
    assert postgres_of(tmp_path) == []


def test_second_engine_on_the_same_data_is_refused_by_the_first_ones_process_id(started: Started) -> None:
    second = broadaxe("dev", "--data-dir", started.data_dir, "--grpc-port", "0", "--http-port", "0")
    assert second.returncode == 2
    assert f"process {started.process.pid}" in second.stderr
    assert started.process.poll() is None


def test_shell_that_sources_the_env_file_gets_every_value(running: tuple[Path, dict[str, str]]) -> None:
    names = [*SDK_VARIABLES, DATABASE_VARIABLE]
    script = '. "$1"; ' + "".join(f'printf "%s\\n" "${name}"; ' for name in names)
    done = subprocess.run(
        ["sh", "-c", script, "sh", running[0].parent / "engine.env"],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    assert (done.stdout.splitlines(), done.stderr) == ([running[1][name] for name in names], "")


async def test_env_file_names_the_database_that_applications_enqueue_in(running: tuple[Path, dict[str, str]]) -> None:
    connection = await asyncpg.connect(running[1][DATABASE_VARIABLE])
    assert await connection.fetchval("select slug from broadaxe.tenant") == "dev"
    await connection.close()


def test_engine_that_others_can_reach_keeps_its_database_to_itself(tmp_path: Path) -> None:
    with dev(tmp_path, "--host", "0.0.0.0") as (_, values, _):
        assert set(values) == SDK_VARIABLES


def test_what_is_announced_and_logged_into_one_stream_is_for_people(tmp_path: Path) -> None:
    """A new database is no news; that a killed one is recovered is, but not as JSON amid what people read."""
    together = tmp_path / "all.log"
    start = ("dev", "--data-dir", tmp_path / "data", "--grpc-port", "0", "--http-port", "0")
    lines: list[list[str]] = []
    for last_signal in (signal.SIGKILL, signal.SIGTERM):
        together.write_text("")
        with together.open("ab") as stream:
            process = subprocess.Popen(command(*start), stdout=stream, stderr=stream, env=environment())
        deadline = time.monotonic() + PATIENCE_S
        while "Stop with" not in together.read_text():
            assert process.poll() is None and time.monotonic() < deadline, together.read_text()
            time.sleep(0.02)
        lines.append(together.read_text().splitlines())
        if last_signal == signal.SIGKILL:
            for server in postgres_of(tmp_path):
                server.kill()
        process.send_signal(last_signal)
        process.wait(PATIENCE_S)
    assert next(line for line in lines[0] if line).startswith("Broadaxe is ready")
    assert "postgres_recovers" in "".join(lines[1])
    assert not [line for line in [*lines[0], *lines[1]] if line.startswith("{")]


async def test_extra_database_is_created_and_its_url_is_handed_over(started: Started) -> None:
    connection = await asyncpg.connect(started.values["BROADAXE_DATABASE_URL_RAG_CHAT"])
    assert await connection.fetchval("select current_database()") == "rag_chat"
    await connection.close()


def broadaxe(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*arguments), capture_output=True, text=True, timeout=PATIENCE_S, env=environment())


def test_doctor_knows_the_engine_that_holds_its_own_ports(running: tuple[Path, dict[str, str]]) -> None:
    data_dir, values = running
    grpc_port = values["HATCHET_CLIENT_HOST_PORT"].rpartition(":")[2]
    http_port = values["HATCHET_CLIENT_SERVER_URL"].rpartition(":")[2]
    done = broadaxe("doctor", "--data-dir", data_dir, "--grpc-port", grpc_port, "--http-port", http_port)
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("used by the engine of this data directory") == 2
    assert "up to date" in done.stdout
    assert "0 waiting, 0 refused" in done.stdout


def test_token_is_issued_listed_rotated_and_revoked_beside_a_running_engine(
    running: tuple[Path, dict[str, str]],
) -> None:
    data_dir, values = running
    created = broadaxe("token", "create", "--name", "billing workers", "--expires-in", "1d", "--data-dir", data_dir)
    assert created.returncode == 0, created.stderr
    token = created.stdout.strip()
    assert workers(values, token) == 200
    listed = broadaxe("token", "list", "--data-dir", data_dir)
    line = next(line for line in listed.stdout.splitlines() if line.endswith("billing workers"))
    assert token not in listed.stdout
    old_id = line.split()[0]
    rotated = broadaxe("token", "rotate", old_id, "--overlap", "1h", "--data-dir", data_dir)
    assert rotated.returncode == 0, rotated.stderr
    assert f"the old one, {old_id}, counts until " in rotated.stderr
    assert workers(values, rotated.stdout.strip()) == workers(values, token) == 200
    lines = {line.split()[0]: line for line in broadaxe("token", "list", "--data-dir", data_dir).stdout.splitlines()}
    assert "  replaced, ends " in lines.pop(old_id)
    (new_id,) = (token_id for token_id, line in lines.items() if line.endswith("billing workers"))
    for token_id in (old_id, new_id):
        assert broadaxe("token", "revoke", token_id, "--data-dir", data_dir).returncode == 0
    assert "billing workers" not in broadaxe("token", "list", "--data-dir", data_dir).stdout


def test_migrate_finds_the_schema_of_a_running_engine_up_to_date(running: tuple[Path, dict[str, str]]) -> None:
    data_dir, _ = running
    done = broadaxe("migrate", "--check", "--data-dir", data_dir)
    assert (done.returncode, done.stdout.strip()) == (0, "the schema is up to date")
