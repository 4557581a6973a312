"""What a stranger does: installs the wheel into an empty environment, without Node and without a checkout, starts an
engine, runs a task through the official SDK, opens the console, backs up, restores elsewhere, comes with the data of
the version before, and takes it all away again.

Needs the package index, like `make setup`; the pages must be built.
"""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import os
import re
import signal
import subprocess
import sys
import tarfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pytest

from broadaxe.storage.embedded import EmbeddedPostgres, postgres_bin_dir

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 240
#: Two builds, an environment and forty packages from the index come before the first test.
pytestmark = pytest.mark.timeout(1200)
RECORDS = sorted((ROOT / "tests" / "upgrade").glob("*.sql.gz"))

#: The first page of the quickstart, with the SDK: started with what `--env-file` holds.
PROGRAM = """
from hatchet_sdk import Context, Hatchet
from pydantic import BaseModel

class Name(BaseModel):
    name: str

hatchet = Hatchet()

@hatchet.task(name="greet", input_validator=Name)
def greet(input: Name, ctx: Context) -> dict[str, str]:
    return {"greeting": f"Hello, {input.name}!"}

if __name__ == "__main__":
    import sys
    if len(sys.argv) > 1:
        print(greet.run(Name(name="stranger"))["greeting"])
    else:
        worker = hatchet.worker("stranger", workflows=[greet])
        print("registered", flush=True)
        worker.start()
"""


@dataclass(frozen=True)
class Installed:
    """An environment that has Broadaxe and nothing else."""

    python: Path
    home: Path

    def broadaxe(self, *arguments: str) -> list[str]:
        return [str(self.python.with_name("broadaxe")), *arguments]

    def run(self, *arguments: str) -> str:
        done = subprocess.run(
            self.broadaxe(*arguments),
            cwd=self.home,
            env=self.environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def environment(self) -> dict[str, str]:
        """Nothing of ours: no checkout on the path, no setting of Broadaxe's or the SDK's."""
        kept = ("HOME", "LANG", "TMPDIR", "PATH")
        return {name: os.environ[name] for name in kept if name in os.environ}


def _build(*arguments: str, cwd: Path, into: Path) -> Path:
    command = [sys.executable, "-m", "hatchling", "build", "-d", str(into), *arguments]
    built = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, timeout=PATIENCE_S)
    assert built.returncode == 0, built.stderr
    (file,) = into.iterdir()
    return file


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    directory = tmp_path_factory.mktemp("stranger")
    source = _build("-t", "sdist", cwd=ROOT, into=directory / "sdist")
    with tarfile.open(source) as archive:
        archive.extractall(directory / "unpacked", filter="data")
    (unpacked,) = (directory / "unpacked").iterdir()
    wheel = _build("-t", "wheel", cwd=unpacked, into=directory / "wheel")
    # From inside a source distribution there is no repository, so the version comes from the file that travels with it.
    assert wheel.name.split("-")[1] == source.name.removeprefix("broadaxe-").removesuffix(".tar.gz")
    environment = directory / "venv"
    subprocess.run([sys.executable, "-m", "venv", environment], check=True, timeout=PATIENCE_S)
    python = environment / "bin" / "python"
    pip = [str(python), "-m", "pip", "--disable-pip-version-check", "--quiet", "install"]
    pinned = ["--require-hashes", "--no-deps", "-r", str(ROOT / "requirements" / "base.txt")]
    subprocess.run([*pip, *pinned], check=True, timeout=PATIENCE_S)
    subprocess.run([*pip, "--no-deps", str(wheel)], check=True, timeout=PATIENCE_S)
    return Installed(python, directory)


@dataclass(frozen=True)
class Engine:
    variables: dict[str, str]
    data_dir: Path
    stranger: Installed

    @property
    def url(self) -> str:
        return self.variables["HATCHET_CLIENT_API_URL"]

    async def sdk(self, *arguments: str) -> asyncio.subprocess.Process:
        """The program with the SDK, which lives in an environment of its own."""
        program = self.stranger.home / "hello.py"
        program.write_text(PROGRAM)
        environment = self.stranger.environment() | self.variables
        return await asyncio.create_subprocess_exec(
            sys.executable, str(program), *arguments, env=environment, stdout=asyncio.subprocess.PIPE
        )


@pytest.fixture
def engine(installed: Installed, tmp_path: Path) -> Iterator[Engine]:
    with running(installed, tmp_path / "data") as found:
        yield found


@contextmanager
def running(installed: Installed, data_dir: Path) -> Iterator[Engine]:
    place = data_dir.parent
    env_file = place / f"{data_dir.name}.env"
    command = installed.broadaxe(
        *("dev", "--data-dir", str(data_dir), "--grpc-port", "0", "--http-port", "0"),
        *("--env-file", str(env_file)),
    )
    errors = place / f"{data_dir.name}.log"
    with errors.open("w") as log:
        process = subprocess.Popen(
            command, cwd=place, env=installed.environment(), stdout=subprocess.PIPE, stderr=log, text=True
        )
        try:
            assert process.stdout is not None
            for _ in process.stdout:
                if env_file.exists():
                    break
            assert env_file.exists(), errors.read_text()
            lines = (line.split("=", 1) for line in env_file.read_text().splitlines() if "=" in line)
            yield Engine({name: value.strip('"') for name, value in lines}, data_dir, installed)
        finally:
            process.send_signal(signal.SIGINT)
            assert process.wait(PATIENCE_S) in (0, 130)


def test_it_says_what_it_was_built_from(installed: Installed) -> None:
    assert re.fullmatch(r"broadaxe \S+ \(commit [0-9a-f]{12}\)\n", installed.run("--version"))


def test_its_check_of_the_machine_finds_nothing(installed: Installed) -> None:
    assert "OK" in installed.run("doctor")


async def greeted(engine: Engine) -> None:
    """A worker registers, runs one task for a caller and goes."""
    worker = await engine.sdk()
    try:
        assert worker.stdout is not None
        while b"registered" not in await asyncio.wait_for(worker.stdout.readline(), PATIENCE_S):
            assert worker.returncode is None
        caller = await engine.sdk("run")
        out, _ = await asyncio.wait_for(caller.communicate(), PATIENCE_S)
    finally:
        worker.terminate()
        await worker.wait()
    assert out.decode().strip().endswith("Hello, stranger!")


async def test_a_task_runs_the_console_opens_and_it_all_comes_back_elsewhere(engine: Engine, tmp_path: Path) -> None:
    await greeted(engine)
    page = await asyncio.to_thread(_read, engine.url + "/")
    script = re.search(r'src="(/assets/[^"]+\.js)"', page)
    assert script is not None, page
    assert await asyncio.to_thread(_read, engine.url + script[1])
    assert "Quickstart" in await asyncio.to_thread(_read, engine.url + "/docs/")

    file, elsewhere = tmp_path / "all.broadaxe", tmp_path / "elsewhere"
    await asyncio.to_thread(engine.stranger.run, "backup", str(file), "--data-dir", str(engine.data_dir))
    await asyncio.to_thread(engine.stranger.run, "restore", str(file), "--data-dir", str(elsewhere))
    with running(engine.stranger, elsewhere) as restored:
        assert restored.variables["HATCHET_CLIENT_API_URL"] != engine.url
        assert await asyncio.to_thread(_runs, restored) == await asyncio.to_thread(_runs, engine) == ["greet COMPLETED"]
        await greeted(restored)
        assert len(await asyncio.to_thread(_runs, restored)) == 2


async def test_the_data_of_the_version_before_is_taken_over(installed: Installed, tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    data_dir.mkdir()
    (record,) = RECORDS
    async with await EmbeddedPostgres.start(data_dir / "postgres") as server:
        psql = [
            postgres_bin_dir() / "psql",
            "--no-psqlrc",
            "--quiet",
            "--set=ON_ERROR_STOP=1",
            f"--dbname={server.dsn}",
        ]
        script = gzip.decompress(record.read_bytes())
        await asyncio.to_thread(subprocess.run, psql, input=script, check=True, stdout=subprocess.DEVNULL)
        connection = await asyncpg.connect(server.dsn)
        before = await connection.fetchval("select count(*) from broadaxe.run")
        await connection.close()
    assert before > 0
    lacking = await asyncio.to_thread(installed.run, "migrate", "--status", "--data-dir", str(data_dir))
    assert re.search(r"^missing ", lacking, re.MULTILINE)
    with running(installed, data_dir) as engine:
        await greeted(engine)
    status = await asyncio.to_thread(installed.run, "migrate", "--status", "--data-dir", str(data_dir))
    assert re.search(r"^missing ", status, re.MULTILINE) is None
    assert re.match(r"20\d\d-\d\d-\d\d \d\d:\d\d", status)
    async with await EmbeddedPostgres.start(data_dir / "postgres") as server:
        connection = await asyncpg.connect(server.dsn)
        assert await connection.fetchval("select count(*) from broadaxe.run") >= before + 1
        await connection.close()


def _runs(engine: Engine) -> list[str]:
    """The runs of the tenant, as the API lists them."""
    token = engine.variables["HATCHET_CLIENT_TOKEN"]
    claims = token.split(".")[1]
    tenant = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))["sub"]
    request = urllib.request.Request(
        f"{engine.url}/api/v1/stable/tenants/{tenant}/workflow-runs?since=2020-01-01T00:00:00Z&only_tasks=false",
        headers={"Authorization": f"Bearer {token}"},
    )
    with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
        rows = json.load(answer)["rows"]
    return [f"{row['workflowName']} {row['status']}" for row in rows]


def _read(url: str) -> str:
    with urllib.request.urlopen(url, timeout=PATIENCE_S) as answer:
        body: bytes = answer.read()
    return body.decode()
