"""The PostgreSQL of a test run: one server in a directory that outlives it, and a database for each test process.

The first run makes the server and a template with the present schema; later ones find both, so a database costs some
tens of milliseconds. The server does not wait for the disk: what it holds need not outlive the machine.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import asyncpg
import psutil

from broadaxe.storage.connections import connect
from broadaxe.storage.embedded import EmbeddedPostgres
from broadaxe.storage.migrate import known_schema, migrate
from broadaxe.storage.statements import statement
from broadaxe.storage.tokens import IssuedToken, keep_token
from broadaxe.testing.recordings import Recording

__all__ = ["Server"]

#: With these off, making and dropping a database takes a tenth of the time.
_NO_WAIT: Final = ("fsync", "synchronous_commit", "full_page_writes")
#: Whoever makes or copies the template does so alone.
_LOCK: Final = 7_302_511_090
_PREFIX: Final = "test_"


class Server:
    """Use it with `async with`. `dsn` leads to the database of this process, which is dropped at the end."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._name = f"{_PREFIX}{os.getpid()}_{uuid4().hex[:12]}"
        self._postgres: EmbeddedPostgres
        self._main: asyncpg.Connection
        self.dsn = ""

    async def __aenter__(self) -> Server:
        self._postgres = await EmbeddedPostgres.start(self._directory)
        try:
            self._main = await connect(self._postgres.dsn)
            await self._main.execute("select pg_advisory_lock($1)", _LOCK)
            try:
                await self._drop_left_behind()
                await self._main.execute(f"create database {self._name} template {await self._template()} {_COPIED}")
            finally:
                await self._main.execute("select pg_advisory_unlock($1)", _LOCK)
        except BaseException:
            await self._postgres.stop()
            raise
        self.dsn = _with_database(self._postgres.dsn, self._name)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._main.execute(f"drop database if exists {self._name} with (force)")
        await self._main.close()
        await self._postgres.stop()

    async def let_in(self, tenant_id: str, token: IssuedToken) -> None:
        """Makes the tenant that the token is for."""
        connection = await connect(self.dsn)
        try:
            await connection.execute(statement("accounts/tenant_insert"), tenant_id, "Tests", "tests")
            await keep_token(connection, tenant_id, "tests", token)
        finally:
            await connection.close()

    async def set_away(self, is_away: bool) -> None:
        """The database takes nobody, and whoever was connected is cut off; or it is back."""
        await self._main.execute(f"alter database {self._name} allow_connections {not is_away}")
        if is_away:
            await self._main.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity where datname = $1", self._name
            )

    async def empty(self) -> None:
        """Deletes everything but the tenants and their tokens. No engine may have a tenant in memory."""
        connection = await connect(self.dsn)
        try:
            await connection.execute(statement("testing/empty"))
        finally:
            await connection.close()

    async def put_recording(self, tenant_id: str, task_id: str, recording: Recording) -> bool:
        """Gives a task that has not begun yet a recorded log, which is read when the tenant is loaded next. False when
        somebody has taken the task."""
        connection = await connect(self.dsn)
        try:
            put = statement("testing/put_recording")
            return await connection.fetchval(put, tenant_id, task_id, *recording.columns()) is not None
        finally:
            await connection.close()

    async def _template(self) -> str:
        name = f"template_{known_schema().replace('-', '_').lower()}"
        if not await self._main.fetchval("select true from pg_database where datname = $1", name):
            for setting in _NO_WAIT:
                await self._main.execute(f"alter system set {setting} = off")
            await self._main.execute("select pg_reload_conf()")
            await self._main.execute(f"drop database if exists {name}_new")
            await self._main.execute(f"create database {name}_new")
            await migrate(_with_database(self._postgres.dsn, f"{name}_new"), is_alone=True)
            # It has this name once it is whole.
            await self._main.execute(f"alter database {name}_new rename to {name}")
        return name

    async def _drop_left_behind(self) -> None:
        """Databases of test processes that were killed."""
        for row in await self._main.fetch("select datname from pg_database where datname like $1", f"{_PREFIX}%"):
            pid = row["datname"].removeprefix(_PREFIX).partition("_")[0]
            if pid.isdigit() and not psutil.pid_exists(int(pid)):
                await self._main.execute(f"drop database if exists {row['datname']} with (force)")


#: Files are copied rather than logged: the template is small.
_COPIED: Final = "strategy file_copy"


def _with_database(dsn: str, name: str) -> str:
    return urlunsplit(urlsplit(dsn)._replace(path=f"/{name}"))
