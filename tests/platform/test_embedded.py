"""`broadaxe-embedded` as the SDKs use it: ready when the handshake appears, gone when its owner is."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import tomllib
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import asyncpg
import psutil
import pytest

PATIENCE_S = 90.0
ROOT = Path(__file__).parent.parent.parent
#: What Go-style programs and the SDKs write: one dash.
HANDSHAKE_KEYS = {"token", "tenant_id", "grpc_address", "api_url"}


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The console script as an installer makes it from pyproject.toml."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        module, _, function = tomllib.load(file)["project"]["scripts"]["broadaxe-embedded"].partition(":")
    script = tmp_path_factory.mktemp("bin") / "broadaxe-embedded"
    script.write_text(f"#!{sys.executable}\nfrom {module} import {function}\n{function}()\n")
    script.chmod(0o755)
    return script


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One data directory for the module: making a fresh cluster takes longer than everything else here."""
    return tmp_path_factory.mktemp("embedded") / "data"


def environment(**more: str) -> dict[str, str]:
    foreign = ("BROADAXE_", "HATCHET_")
    return {name: value for name, value in os.environ.items() if not name.startswith(foreign)} | more


class Owner:
    """Stands for an SDK: holds the engine's standard input."""

    def __init__(self, program: Path, handshake: Path, *options: str | Path, stdin: int = subprocess.PIPE) -> None:
        self.handshake = handshake
        self._log = handshake.with_suffix(".log")
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [program, "-handshake-file", handshake, *map(str, options)],
                stdin=stdin,
                stdout=subprocess.DEVNULL,
                stderr=log,
                env=environment(),
            )

    def connection(self) -> dict[str, str]:
        """What the handshake says, once it is there."""
        until(lambda: self.handshake.exists() or self.process.poll() is not None, "the handshake appears")
        assert self.handshake.exists(), self.log()
        found: dict[str, str] = json.loads(self.handshake.read_text())
        return found

    def let_go(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()

    def ended(self) -> int:
        return self.process.wait(PATIENCE_S)

    def log(self) -> str:
        return self._log.read_text()


@contextlib.contextmanager
def owned(program: Path, directory: Path, *options: str | Path, stdin: int = subprocess.PIPE) -> Iterator[Owner]:
    owner = Owner(program, directory / "handshake.json", *options, stdin=stdin)
    try:
        yield owner
    finally:
        if owner.process.poll() is None:
            owner.process.terminate()
            owner.process.wait(PATIENCE_S)
        if owner.process.stdin is not None:
            owner.process.stdin.close()


def until(holds: Callable[[], Any], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def postgres_of(data_dir: Path) -> list[psutil.Process]:
    cluster = str((data_dir / "postgres" / "cluster").resolve())
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if cluster in process.cmdline():
                found.append(process)
    return found


def is_answered(connection: dict[str, str]) -> bool:
    request = urllib.request.Request(
        f"{connection['api_url']}/api/v1/tenants/{connection['tenant_id']}/worker",
        headers={"Authorization": f"Bearer {connection['token']}"},
    )
    with urllib.request.urlopen(request, timeout=30) as response:
        return bool(response.status == 200)


def refused(program: Path, *options: str | Path) -> str:
    """What it says when it does not start."""
    reading, writing = os.pipe()
    try:
        done = subprocess.run(
            [program, *map(str, options)],
            stdin=reading,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            env=environment(),
        )
    finally:
        os.close(reading)
        os.close(writing)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    return done.stderr


OWNER = """
import subprocess, sys, time
from hatchet_sdk import Context, EmptyModel, Hatchet, TriggerWorkflowOptions

started = time.monotonic()
hatchet = Hatchet.from_embedded()
ready_s = time.monotonic() - started

@hatchet.task(name="embedded-echo")
def echo(input: EmptyModel, ctx: Context) -> dict[str, str]:
    return {"said": str(ctx.additional_metadata["say"])}


def work() -> None:
    hatchet.worker("embedded-worker", workflows=[echo]).start()

def own() -> None:
    # A child process finds the engine of this one through the environment, as the SDK arranges it.
    worker = subprocess.Popen([sys.executable, __file__, "worker"])
    deadline = time.monotonic() + 60
    while True:
        try:
            ref = echo.run_no_wait(options=TriggerWorkflowOptions(additional_metadata={"say": "axe"}))
            break
        except Exception:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
    print("result", ref.result())
    print("ready_s", ready_s)
    worker.terminate()
    worker.wait(30)
    hatchet.stop_embedded()
    print("stopped")


if __name__ == "__main__":
    work() if sys.argv[1:] == ["worker"] else own()
"""


def test_from_embedded_of_the_python_sdk_runs_a_task_and_stops_the_engine(
    program: Path, data_dir: Path, tmp_path: Path
) -> None:
    (tmp_path / "owner.py").write_text(OWNER)
    done = subprocess.run(
        [sys.executable, "owner.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        env=environment(
            HATCHET_CLIENT_EMBEDDED_BINARY_PATH=str(program), HATCHET_CLIENT_EMBEDDED_POSTGRES_DATA_DIR=str(data_dir)
        ),
    )
    assert done.returncode == 0, done.stderr
    assert "'said': 'axe'" in done.stdout
    assert "stopped" in done.stdout
    assert postgres_of(data_dir) == []


def test_handshake_says_how_to_connect_and_the_end_of_stdin_ends_everything(
    program: Path, data_dir: Path, tmp_path: Path
) -> None:
    with owned(program, tmp_path, "-postgres-data-dir", data_dir) as owner:
        connection = owner.connection()
        assert set(connection) == HANDSHAKE_KEYS
        assert owner.handshake.stat().st_mode & 0o777 == 0o600
        assert is_answered(connection)
        assert len(postgres_of(data_dir)) == 1
        owner.let_go()
        assert owner.ended() == 0
    assert postgres_of(data_dir) == []
    assert owner.log() == ""


def test_ctrl_c_is_left_to_the_owner(program: Path, data_dir: Path, tmp_path: Path) -> None:
    with owned(program, tmp_path, "-postgres-data-dir", data_dir) as owner:
        connection = owner.connection()
        owner.process.send_signal(signal.SIGINT)
        assert is_answered(connection)
        owner.process.send_signal(signal.SIGTERM)
        assert owner.ended() == 0


def test_engine_ends_with_a_killed_owner_and_the_next_one_gets_the_directory(
    program: Path, data_dir: Path, tmp_path: Path
) -> None:
    # An owner of its own, because what counts is that the kernel closes the pipe.
    reading, writing = os.pipe()
    holder = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], pass_fds=[writing])
    os.close(writing)
    with owned(program, tmp_path, "-postgres-data-dir", data_dir, stdin=reading) as first:
        os.close(reading)
        first.connection()
        holder.kill()
        holder.wait()
        (tmp_path / "next").mkdir()
        with owned(program, tmp_path / "next", "-postgres-data-dir", data_dir) as second:
            assert is_answered(second.connection())
        assert first.ended() == 0


def test_owner_that_is_gone_before_the_engine_is_up_leaves_nothing(
    program: Path, data_dir: Path, tmp_path: Path
) -> None:
    with owned(program, tmp_path, "-postgres-data-dir", data_dir, stdin=subprocess.DEVNULL) as owner:
        assert owner.ended() == 0
    assert not owner.handshake.exists()
    assert postgres_of(data_dir) == []


def test_ports_are_the_ones_asked_for_and_no_api_means_grpc_only(program: Path, data_dir: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        grpc_port, api_port = one.getsockname()[1], other.getsockname()[1]
    with owned(
        program, tmp_path, "-postgres-data-dir", data_dir, f"-grpc-port={grpc_port}", "-api-port", api_port, "-no-api"
    ) as owner:
        connection = owner.connection()
        assert connection["grpc_address"] == f"127.0.0.1:{grpc_port}"
        assert connection["api_url"] == ""
        socket.create_connection(("127.0.0.1", grpc_port), 10).close()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", api_port), 10)


@pytest.fixture
async def empty_database(postgres: str) -> AsyncIterator[str]:
    name = f"embedded_{uuid4().hex}"
    connection = await asyncpg.connect(postgres)
    try:
        await connection.execute(f"create database {name}")
        yield urlunsplit(urlsplit(postgres)._replace(path=f"/{name}"))
        await connection.execute(f"drop database {name} with (force)")
    finally:
        await connection.close()


def test_own_database_gets_its_schema_unless_told_otherwise(program: Path, tmp_path: Path, empty_database: str) -> None:
    options = ("-database-url", empty_database, "-postgres-data-dir", tmp_path / "state")
    said = refused(program, "-handshake-file", tmp_path / "none.json", "-no-migrations", *options)
    assert "migration" in said
    with owned(program, tmp_path, *options) as owner:
        assert is_answered(owner.connection())


def test_unknown_option_is_named_as_it_was_written(program: Path) -> None:
    done = subprocess.run(
        [program, "-handshake-file", "x", "-foo", "1"], capture_output=True, text=True, timeout=PATIENCE_S
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "Usage: broadaxe-embedded [OPTIONS]" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("Error: No such option '-foo'.")
    close = subprocess.run([program, "-handshake-fil=x"], capture_output=True, text=True, timeout=PATIENCE_S)
    assert "No such option '-handshake-fil'" in close.stderr and "'-handshake-file'" in close.stderr


def test_token_of_an_earlier_start_is_removed(program: Path, data_dir: Path, tmp_path: Path) -> None:
    """Each start has ports of its own, so each needs a token of its own."""
    tokens = []
    for number in range(2):
        directory = tmp_path / str(number)
        directory.mkdir()
        with owned(program, directory, "-postgres-data-dir", data_dir) as owner:
            connection = owner.connection()
            tokens.append(connection["token"])
            assert is_answered(connection)
            listed = subprocess.run(
                [sys.executable, "-m", "broadaxe", "token", "list", "--data-dir", data_dir],
                capture_output=True,
                text=True,
                timeout=PATIENCE_S,
                env=environment(),
            )
            assert len(listed.stdout.splitlines()) == 1, listed
            owner.let_go()
            assert owner.ended() == 0
    assert tokens[0] != tokens[1]


def test_message_broker_is_refused_by_name(program: Path, tmp_path: Path) -> None:
    said = refused(program, "-handshake-file", tmp_path / "h.json", "-rabbitmq-url", "amqp://localhost")
    assert "-rabbitmq-url" in said
    assert "message broker" in said


@pytest.mark.parametrize("option", ["-grpc-port", "-api-port", "-log-level", "-database-url"])
def test_bad_value_names_what_was_given(program: Path, tmp_path: Path, option: str) -> None:
    said = refused(program, "-handshake-file", tmp_path / "h.json", option, "many")
    assert len(said.splitlines()) == 1
    assert f"broadaxe: {option}: " in said
    assert not (tmp_path / "h.json").exists()
