"""PostgreSQL servers that a test may set up as it likes: on TCP with TLS, with replicas, with its own rules of access.

They run from the embedded programs, on loopback, and wait for no disk.
"""

from __future__ import annotations

import asyncio
import socket
import subprocess
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlencode

from broadaxe.storage.embedded import EmbeddedPostgres, postgres_bin_dir

START_WITHIN_S: Final = 60.0
OWNER: Final = "owner"
PASSWORD: Final = "of the owner"

CONFIG: Final = """\
listen_addresses = '127.0.0.1'
port = {port}
unix_socket_directories = ''
fsync = off
full_page_writes = off
max_connections = 60
shared_buffers = 16MB
min_wal_size = 32MB
max_wal_size = 128MB
"""


@dataclass(frozen=True, slots=True)
class OwnPostgres:
    port: int
    directory: Path

    @property
    def pid(self) -> int:
        """Of the postmaster, by its own word."""
        return int((self.directory / "cluster" / "postmaster.pid").read_text().split()[0])

    def url(
        self, database: str = "postgres", user: str = OWNER, password: str | None = PASSWORD, **parameters: str
    ) -> str:
        """A URL of the server; without `password` it has none."""
        login = quote(user, safe="") + ("" if password is None else ":" + quote(password, safe=""))
        query = f"?{urlencode(parameters)}" if parameters else ""
        return f"postgresql://{login}@127.0.0.1:{self.port}/{database}{query}"


@asynccontextmanager
async def own_postgres(
    directory: Path, *, settings: Iterable[str] = (), access: Iterable[str] = (), files: Iterable[Path] = ()
) -> AsyncIterator[OwnPostgres]:
    """A new server with further lines of postgresql.conf and pg_hba.conf; `files` are given to its account."""
    server, account = _new(directory)
    await asyncio.to_thread(_initialise, account, server, settings, access, files)
    async with _running(account, server):
        yield server


@asynccontextmanager
async def replica_of(primary: OwnPostgres, directory: Path) -> AsyncIterator[OwnPostgres]:
    """A streaming replica, made by pg_basebackup."""
    server, account = _new(directory)
    await asyncio.to_thread(_copy, account, server, primary)
    async with _running(account, server):
        yield server


def _new(directory: Path) -> tuple[OwnPostgres, EmbeddedPostgres]:
    directory.mkdir(mode=0o711)
    # PostgreSQL refuses to run as root; the second knows under which account, and how that passes our directories.
    return OwnPostgres(_free_port(), directory), EmbeddedPostgres(directory, postgres_bin_dir())


def _initialise(
    account: EmbeddedPostgres,
    server: OwnPostgres,
    settings: Iterable[str],
    access: Iterable[str],
    files: Iterable[Path],
) -> None:
    data, secret = server.directory / "cluster", server.directory / "password"
    data.mkdir(mode=0o700)
    secret.write_text(PASSWORD)
    for path in (data, secret, *files):
        account._give(path)
    _run(
        account,
        *("initdb", f"--pgdata={data}", f"--username={OWNER}", f"--pwfile={secret}", "--auth=scram-sha-256"),
        *("--encoding=UTF8", "--locale=C", "--set=scram_iterations=1", "--no-sync", "--no-instructions"),
    )
    lines = list(access)
    if lines:
        (data / "pg_hba.conf").write_text("\n".join(lines) + "\n")
    with (data / "postgresql.conf").open("a") as config:
        config.write(CONFIG.format(port=server.port) + "\n".join(settings) + "\n")


def _copy(account: EmbeddedPostgres, server: OwnPostgres, primary: OwnPostgres) -> None:
    data = server.directory / "cluster"
    data.mkdir(mode=0o700)
    account._give(data)
    # Not the password's place in life, but a process of this test's own.
    source = f"host=127.0.0.1 port={primary.port} user={OWNER} password='{PASSWORD}'"
    _run(
        account,
        *("pg_basebackup", f"--pgdata={data}", f"--dbname={source}", "--checkpoint=fast", "--no-sync"),
        *("--write-recovery-conf", "--wal-method=stream"),
    )
    with (data / "postgresql.conf").open("a") as config:
        config.write(f"port = {server.port}\n")


def _run(account: EmbeddedPostgres, program: str, *arguments: str) -> None:
    user, group, extra_groups = account._identity()
    done = subprocess.run(
        account._as_account(str(account._bin_dir / program), *arguments),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        user=user,
        group=group,
        extra_groups=extra_groups,
        timeout=START_WITHIN_S,
    )
    assert done.returncode == 0, done.stdout


@asynccontextmanager
async def _running(account: EmbeddedPostgres, server: OwnPostgres) -> AsyncIterator[None]:
    process, log = _spawned(account, server)
    try:
        async with asyncio.timeout(START_WITHIN_S):
            while not _is_ready(server):
                assert process.poll() is None, _text(log)
                await asyncio.sleep(0.02)
        yield
    finally:
        # SIGINT: at once, and in order.
        process.send_signal(2)
        await asyncio.to_thread(process.wait, START_WITHIN_S)


def _spawned(account: EmbeddedPostgres, server: OwnPostgres) -> tuple[subprocess.Popen[bytes], Path]:
    log = server.directory / "postgres.log"
    user, group, extra_groups = account._identity()
    command = account._as_account(str(account._bin_dir / "postgres"), "-D", str(server.directory / "cluster"))
    with log.open("wb") as out:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            user=user,
            group=group,
            extra_groups=extra_groups,
        ), log


def _is_ready(server: OwnPostgres) -> bool:
    """The server's own word, which it writes into its file of its process."""
    try:
        lines = (server.directory / "cluster" / "postmaster.pid").read_text().splitlines()
    except OSError:
        return False
    return len(lines) > 7 and lines[7].strip() in ("ready", "standby")


def _text(log: Path) -> str:
    return log.read_text()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
