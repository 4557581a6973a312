"""The image as it is run: its entry point, as its user, with its health check, in the file system that buildah made.

`make test-image` builds it and says where it is in BROADAXE_IMAGE. There is no container engine: the process gets the
image's root by chroot in a mount namespace of its own, which needs root, and shares network and process ids with us.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

PATIENCE_S = 120

PROGRAM = """
from hatchet_sdk import Context, EmptyModel, Hatchet

hatchet = Hatchet()

@hatchet.task(name="from-outside")
def task(input: EmptyModel, ctx: Context) -> dict[str, str]:
    return {"answer": "from outside"}

if __name__ == "__main__":
    import sys
    if len(sys.argv) > 1:
        print(task.run()["answer"])
    else:
        worker = hatchet.worker("outside", workflows=[task])
        print("registered", flush=True)
        worker.start()
"""


@pytest.fixture(scope="module")
def place() -> Path:
    return Path(os.environ["BROADAXE_IMAGE"]).resolve()


@pytest.fixture(scope="module")
def config(place: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((place / "config.json").read_text())
    return found


def start(place: Path, config: dict[str, Any], words: list[str], **environment: str) -> subprocess.Popen[str]:
    """A process in the image. Its id is that of the command: everything before it is replaced."""
    root = str(place / "root")
    variables = [*config["Env"], *(f"{name}={value}" for name, value in environment.items())]
    script = 'mount --rbind /dev "$1/dev" && mount -t proc proc "$1/proc" && cd / && shift && exec "$@"'
    user, _, group = config["User"].partition(":")
    inside = ["chroot", f"--userspec={user}:{group}", "--groups=", root, "/usr/bin/env", "-i", *variables, *words]
    return subprocess.Popen(
        ["unshare", "--mount", "sh", "-c", script, "sh", root, *inside],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def free_ports() -> tuple[str, str]:
    with socket.socket() as one, socket.socket() as other:
        one.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        return str(one.getsockname()[1]), str(other.getsockname()[1])


def health(place: Path, config: dict[str, Any], port: str) -> int:
    kind, *words = config["Healthcheck"]["Test"]
    assert kind == "CMD"
    probe = start(place, config, words, BROADAXE_HTTP_PORT=port)
    probe.communicate(timeout=PATIENCE_S)
    return probe.returncode


@pytest.fixture(scope="module")
def engine(place: Path, config: dict[str, Any]) -> Iterator[tuple[subprocess.Popen[str], str, dict[str, str]]]:
    """`broadaxe dev` as the image runs it, its HTTP port, and what an SDK needs."""
    grpc, http = free_ports()
    data = dict(variable.split("=", 1) for variable in config["Env"])["BROADAXE_DATA_DIR"]
    words = [*config["Entrypoint"], "dev", "--env-file", f"{data}/sdk.env"]
    file = place / "root" / data.lstrip("/") / "sdk.env"
    file.unlink(missing_ok=True)
    process = start(place, config, words, BROADAXE_GRPC_PORT=grpc, BROADAXE_HTTP_PORT=http)
    deadline = time.monotonic() + PATIENCE_S
    while not file.exists():
        if process.poll() is not None:
            pytest.fail(process.stdout.read() if process.stdout else "it ended")
        assert time.monotonic() < deadline, "the engine does not become ready"
        time.sleep(0.1)
    values = dict(line.split("=", 1) for line in file.read_text().splitlines())
    yield process, http, values
    if process.poll() is None:
        process.terminate()
        process.communicate(timeout=PATIENCE_S)


def test_it_runs_a_task_from_outside_is_healthy_and_stops_in_order(
    engine: tuple[subprocess.Popen[str], str, dict[str, str]], place: Path, config: dict[str, Any], tmp_path: Path
) -> None:
    process, http, values = engine
    assert Path(f"/proc/{process.pid}/root").resolve() == place / "root"
    owner = Path(f"/proc/{process.pid}").stat()
    assert f"{owner.st_uid}:{owner.st_gid}" == config["User"] != "0:0"
    # As container engines do: it is asked again, and early answers are waited for until the application is there.
    deadline = time.monotonic() + PATIENCE_S
    while health(place, config, http) != 0:
        assert time.monotonic() < deadline, "it does not become healthy"
    assert health(place, config, "1") != 0, "an engine that does not answer is not healthy"
    program = tmp_path / "outside.py"
    program.write_text(PROGRAM)
    environment = {**os.environ, **values}
    worker = subprocess.Popen(
        [sys.executable, str(program)],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    try:
        assert worker.stdout is not None and worker.stdout.readline() == b"registered\n"
        answer = subprocess.run(
            [sys.executable, str(program), "run"],
            env=environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
        )
        assert answer.stdout.strip().endswith("from outside"), answer.stderr
    finally:
        worker.terminate()
        worker.wait(PATIENCE_S)
    process.send_signal(getattr(signal, config["StopSignal"]))
    output, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, output
    cluster = place / "root/var/lib/broadaxe/postgres/cluster"
    assert cluster.is_dir() and not (cluster / "postmaster.pid").exists(), "PostgreSQL was stopped, too"


def test_without_a_database_serve_says_what_it_needs(place: Path, config: dict[str, Any]) -> None:
    assert config["Cmd"] == ["serve"]
    process = start(place, config, [*config["Entrypoint"], *config["Cmd"]])
    output, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 2
    assert "BROADAXE_DATABASE_URL" in output
