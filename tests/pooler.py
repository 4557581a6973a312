"""A real PgBouncer before the tests' PostgreSQL."""

from __future__ import annotations

import asyncio
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, unquote, urlsplit

from broadaxe.storage.embedded import EmbeddedPostgres, postgres_bin_dir

START_WITHIN_S: Final = 20.0

CONFIG: Final = """\
[databases]
* = host={host} port={port} user='{user}'{password}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {listen_port}
unix_socket_dir =
auth_type = any
pool_mode = {mode}
default_pool_size = {size}
server_round_robin = 1
"""


@asynccontextmanager
async def pooler(
    dsn: str,
    mode: str,
    directory: Path,
    *,
    size: int = 30,
    certificate: tuple[Path, Path] | None = None,
    clients_of: Path | None = None,
) -> AsyncIterator[str]:
    """The same database through PgBouncer: `mode` is `session`, `transaction` or `statement`. With a certificate and
    its key it speaks TLS and nothing else; with `clients_of`, only with those who have a certificate of that
    authority."""
    port = _free_port()
    process, log = _started(dsn, mode, directory, size, port, certificate, clients_of)
    try:
        async with asyncio.timeout(START_WITHIN_S):
            while not await _answers(port):
                assert process.poll() is None, _text(log)
                await asyncio.sleep(0.02)
        parts = urlsplit(dsn)
        yield f"postgresql://{parts.username}@127.0.0.1:{port}{parts.path}"
    finally:
        process.terminate()
        await asyncio.to_thread(process.wait, 10)


def _started(
    dsn: str,
    mode: str,
    directory: Path,
    size: int,
    port: int,
    certificate: tuple[Path, Path] | None,
    clients_of: Path | None,
) -> tuple[subprocess.Popen[bytes], Path]:
    program = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
    assert program is not None, "this test needs PgBouncer; on Debian and Ubuntu: make system-packages"
    parts = urlsplit(dsn)
    query = parse_qs(parts.query)
    directory.mkdir()
    # It refuses to run as root, as PostgreSQL does, and has to reach the same socket.
    account = EmbeddedPostgres(directory, postgres_bin_dir())
    # It cannot read an empty one.
    password = unquote(parts.password or "").replace("'", "''")
    config = directory / "pgbouncer.ini"
    config.write_text(
        CONFIG.format(
            host=query["host"][0] if "host" in query else parts.hostname,
            port=query["port"][0] if "port" in query else parts.port or 5432,
            user=unquote(parts.username or "").replace("'", "''"),
            password=f" password='{password}'" if password else "",
            listen_port=port,
            mode=mode,
            size=size,
        )
    )
    account._give(config)
    if certificate is not None:
        chain, key = certificate
        account._give(chain)
        account._give(key)
        with config.open("a") as lines:
            asked = "require" if clients_of is None else f"verify-full\nclient_tls_ca_file = {clients_of}"
            lines.write(f"client_tls_sslmode = {asked}\nclient_tls_cert_file = {chain}\nclient_tls_key_file = {key}\n")
    user, group, extra_groups = account._identity()
    log = directory / "pgbouncer.log"
    with log.open("wb") as out:
        command = account._as_account(program, str(config))
        return subprocess.Popen(command, stdout=out, stderr=out, user=user, group=group, extra_groups=extra_groups), log


async def _answers(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


def _text(log: Path) -> str:
    return log.read_text()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
