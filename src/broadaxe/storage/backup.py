"""Backups of an embedded PostgreSQL: one file with every database of the data directory and what opens its secrets.

The file is a zip archive: `manifest.json` (its form, and which PostgreSQL wrote it), `roles.sql`, one custom-format
dump of each database under `databases/`, and small files of the data directory under `files/`. A dump is a snapshot of
its database: everything that was acknowledged before it began is in it, and nothing of what came later. Databases are
dumped one after the other, so each has a moment of its own.

Refuses to write over a file, and to restore into a directory that has a database. Invariants: a backup that was not
finished has no file; a restore that was not finished leaves no directory that looks usable.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import zipfile
import zlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Final
from urllib.parse import unquote, urlsplit, urlunsplit

import msgspec

from broadaxe import private_file
from broadaxe.errors import ConfigurationError, Unavailable
from broadaxe.storage.embedded import MAIN_DATABASE, postgres_bin_dir, postgres_version

__all__ = ["Manifest", "Progress", "read_manifest", "restore_databases", "restore_files", "write_backup"]

FORM: Final = 1
CHUNK_BYTES: Final = 1 << 20
MANIFEST_BYTES_MAX: Final = 1 << 20
FILE_BYTES_MAX: Final = 1 << 20
#: Of the data directory beside the databases: what opens sealed secrets, and who `broadaxe dev` lets in.
FILES: Final = ("secret.key", "dev.json")

#: What reading an archive raises where its bytes are not those that were written.
DAMAGE: Final = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError)

Progress = Callable[[str, int], None]
"""Told what is being written or read, and how many bytes of it so far."""


class _Server:
    """The client programs of one PostgreSQL, which are not given its password where others can see it."""

    def __init__(self, dsn: str) -> None:
        self._parts = urlsplit(dsn)
        self.user = unquote(self._parts.username or "")
        self._environment = os.environ | {"PGPASSWORD": unquote(self._parts.password or "")}
        self._bin_dir = postgres_bin_dir()

    def program(
        self, name: str, *arguments: str, database: str = MAIN_DATABASE, **pipes: Any
    ) -> subprocess.Popen[bytes]:
        parts = self._parts._replace(netloc=f"{self._parts.username}@", path=f"/{database}")
        command = [str(self._bin_dir / name), *arguments, "--dbname", urlunsplit(parts)]
        return subprocess.Popen(command, env=self._environment, stderr=subprocess.PIPE, **pipes)

    def answer(self, name: str, *arguments: str) -> bytes:
        with self.program(name, *arguments, stdout=subprocess.PIPE) as running:
            out, complaint = running.communicate()
        _check(running, name, complaint)
        return out


def write_backup(dsn: str, data_dir: Path, target: Path, on_progress: Progress) -> list[str]:
    """Writes the backup and returns the names of the databases in it. `dsn` is that of the server's main database.

    ConfigurationError when the file is there already or cannot be written; Unavailable when PostgreSQL fails.
    """
    if target.exists():
        raise ConfigurationError(f"{target} is there already; name another file, or remove it", field="FILE")
    server = _Server(dsn)
    unfinished = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        with _private(unfinished) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
            listed = "select datname from pg_database where not datistemplate and datname <> 'postgres' order by 1"
            listing = server.answer("psql", "--no-psqlrc", "--tuples-only", "--no-align", "-c", listed)
            databases = listing.decode().splitlines()
            made_at = datetime.now(UTC).isoformat(timespec="seconds")
            manifest = Manifest(FORM, postgres_version(), made_at, databases)
            archive.writestr("manifest.json", msgspec.json.format(msgspec.json.encode(manifest), indent=2))
            archive.writestr("roles.sql", _roles(server))
            for name in FILES:
                if (data_dir / name).is_file():
                    archive.write(data_dir / name, f"files/{name}")
            for database in databases:
                _dump(server, database, archive, on_progress)
        os.link(unfinished, target)
    except FileExistsError:
        raise ConfigurationError(f"{target} is there already; name another file, or remove it", field="FILE") from None
    except OSError as error:
        raise ConfigurationError(f"{target} cannot be written: {error.strerror or error}", field="FILE") from None
    finally:
        unfinished.unlink(missing_ok=True)
    return databases


class Manifest(msgspec.Struct, frozen=True):
    """What a backup says of itself. `postgres` is the version that wrote it, `made_at` RFC 3339."""

    form: int = 0
    postgres: str = ""
    made_at: str = ""
    databases: list[str] = []


def read_manifest(source: Path) -> Manifest:
    """ConfigurationError when it is no backup, not a whole one, or one that this version cannot restore."""
    try:
        with zipfile.ZipFile(source) as archive:
            names = set(archive.namelist())
            manifest = msgspec.json.decode(_small(archive, "manifest.json", MANIFEST_BYTES_MAX), type=Manifest)
    except FileNotFoundError:
        raise ConfigurationError(f"there is no file {source}", field="FILE") from None
    except zipfile.BadZipFile:
        raise ConfigurationError(f"{source} is not a backup of Broadaxe, or only a part of one", field="FILE") from None
    except OSError as error:
        raise ConfigurationError(f"{source} cannot be read: {error.strerror or error}", field="FILE") from None
    except (KeyError, ValueError, *DAMAGE) as error:
        raise ConfigurationError(f"{source} is not a backup of Broadaxe: {_said(error)}", field="FILE") from None
    if manifest.form != FORM:
        raise ConfigurationError(
            f"{source} has the form {manifest.form}, and this Broadaxe restores form {FORM}; "
            "use the version that made it",
            field="FILE",
        )
    theirs, ours = manifest.postgres.partition(".")[0], postgres_version().partition(".")[0]
    if not theirs.isdigit() or int(theirs) > int(ours):
        raise ConfigurationError(
            f"{source} was made with PostgreSQL {theirs or '(it does not say which)'}, this Broadaxe brings {ours}; "
            "use a newer Broadaxe",
            field="FILE",
        )
    wanted = ["roles.sql", *map(_member, {MAIN_DATABASE, *manifest.databases})]
    if missing := sorted(name for name in wanted if name not in names):
        raise ConfigurationError(f"{source} is not a whole backup: it has no {', '.join(missing)}", field="FILE")
    return manifest


def restore_databases(source: Path, dsn: str, on_progress: Progress) -> None:
    """Puts roles and databases into a new server. The main database must be there and empty.

    Unavailable when PostgreSQL refuses something, ConfigurationError when the file is damaged.
    """
    server = _Server(dsn)
    with _whole(source), zipfile.ZipFile(source) as archive:
        roles = _small(archive, "roles.sql", FILE_BYTES_MAX)
        _feed(server.program("psql", "--no-psqlrc", "--quiet", stdin=subprocess.PIPE), "psql", roles)
        for name in read_manifest(source).databases:
            if name != MAIN_DATABASE:
                quoted = '"' + name.replace('"', '""') + '"'
                server.answer("psql", "--no-psqlrc", "--quiet", "-c", f"create database {quoted}")
            _restore(server, name, archive, on_progress)
    expired = "update broadaxe.lease set expires_at = now()"
    # Whoever held a tenant when the backup was made holds that of another database.
    server.answer("psql", "--no-psqlrc", "--quiet", "-v", "ON_ERROR_STOP=1", "-c", expired)


def restore_files(source: Path, data_dir: Path) -> None:
    """Puts back what lay beside the databases, readable by its owner only. ConfigurationError when it is damaged."""
    with _whole(source), zipfile.ZipFile(source) as archive:
        for name in FILES:
            if f"files/{name}" in archive.namelist():
                content = _small(archive, f"files/{name}", FILE_BYTES_MAX)
                with _private(data_dir / name) as file:
                    file.write(content)


@contextlib.contextmanager
def _whole(source: Path) -> Iterator[None]:
    """Says of damage that is only found while reading which file has it."""
    try:
        yield
    except DAMAGE as error:
        raise ConfigurationError(f"{source} is damaged: {_said(error)}", field="FILE") from None


def _said(error: Exception) -> str:
    """What the library says of an archive; of one that ends too soon it says nothing."""
    return str(error.args[0]) if error.args else "it ends too soon"


def _member(database: str) -> str:
    """The name of a database's dump in the archive."""
    return f"databases/{database}.dump"


def _dump(server: _Server, database: str, archive: zipfile.ZipFile, on_progress: Progress) -> None:
    dump = ("--format=custom", "--compress=gzip:3")
    with server.program("pg_dump", *dump, database=database, stdout=subprocess.PIPE) as running:
        assert running.stdout is not None
        with archive.open(_member(database), "w", force_zip64=True) as member:
            _copy(running.stdout, member, database, on_progress)
        complaint = running.stderr.read() if running.stderr is not None else b""
    _check(running, "pg_dump", complaint)


def _restore(server: _Server, database: str, archive: zipfile.ZipFile, on_progress: Progress) -> None:
    running = server.program("pg_restore", "--exit-on-error", "--no-owner", database=database, stdin=subprocess.PIPE)
    with running, archive.open(_member(database)) as member:
        assert running.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            _copy(member, running.stdin, database, on_progress)
            running.stdin.close()
        complaint = running.stderr.read() if running.stderr is not None else b""
    _check(running, "pg_restore", complaint)


def _roles(server: _Server) -> bytes:
    """Statements that make the roles again, apart from the server's own and the one that a new server has."""
    text = server.answer("pg_dumpall", "--roles-only").decode()
    ours = re.compile(rf'^(CREATE|ALTER) ROLE "?{re.escape(server.user)}"?\b')
    kept = [line for line in text.split("\n") if re.match(r"(CREATE|ALTER|GRANT) ", line) and not ours.match(line)]
    return "\n".join(kept).encode() + b"\n"


def _feed(running: subprocess.Popen[bytes], name: str, text: bytes) -> None:
    with running:
        _, complaint = running.communicate(text)
    _check(running, name, complaint)


def _check(running: subprocess.Popen[bytes], name: str, complaint: bytes) -> None:
    if running.returncode != 0:
        said = complaint.decode(errors="replace").strip().splitlines()
        raise Unavailable(f"{name} failed: {' / '.join(said[-3:]) or f'exit code {running.returncode}'}")


def _copy(source: IO[bytes], target: IO[bytes], what: str, on_progress: Progress) -> None:
    done = 0
    while chunk := source.read(CHUNK_BYTES):
        target.write(chunk)
        done += len(chunk)
        on_progress(what, done)


def _small(archive: zipfile.ZipFile, name: str, bytes_max: int) -> bytes:
    if archive.getinfo(name).file_size > bytes_max:
        raise ValueError(f"{name} is larger than {bytes_max} bytes")
    return archive.read(name)


@contextlib.contextmanager
def _private(path: Path) -> Iterator[IO[bytes]]:
    """A new file that only its owner may open."""
    with os.fdopen(private_file.create(path), "wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())
