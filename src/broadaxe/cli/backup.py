"""`broadaxe backup` and `broadaxe restore`: a data directory as one file, and back."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from broadaxe.cli import options
from broadaxe.config import Settings

__all__ = ["backup", "restore"]

MEBIBYTE = 1 << 20


@click.command(short_help="Write everything in a data directory into one file.")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@options.data_dir
def backup(file: Path, data_dir: str | None) -> None:
    """Write everything in a data directory into one file, also while an engine runs on it.

    FILE is made, and never written over. Everything that was acknowledged before the command began is in it. It holds
    secrets (tokens, the key of stored secrets): only its owner may read it, and so should you keep it. A PostgreSQL of
    your own is backed up with its own means; see the chapter on deploying.

    \b
    Examples:
      broadaxe backup nightly.broadaxe
      broadaxe backup --data-dir /var/lib/broadaxe /backups/$(date +%F).broadaxe
    """
    settings = options.settings_from({"data_dir": data_dir})
    import asyncio

    asyncio.run(_backup(settings, file))


async def _backup(settings: Settings, file: Path) -> None:
    import asyncio
    import dataclasses

    from broadaxe.cli.database import reachable_dsn
    from broadaxe.errors import ConfigurationError
    from broadaxe.storage.backup import write_backup

    if not (settings.postgres_dir / "cluster").exists():
        raise ConfigurationError(
            f"there is no database in {settings.data_dir}; name the data directory of `broadaxe dev` with --data-dir. "
            "A PostgreSQL of your own is backed up with its own means: pg_dump, or base backups and its log",
            field="--data-dir",
        )
    embedded = dataclasses.replace(settings, database_url=None)
    async with reachable_dsn(embedded) as dsn:
        names = await asyncio.to_thread(write_backup, dsn, settings.data_dir, file, _Counter())
    click.echo(f"{file}: {', '.join(names)}")


@click.command(short_help="Make a data directory from a backup.")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@options.data_dir
def restore(file: Path, data_dir: str | None) -> None:
    """Make a data directory from a backup: a new one, or one without a database.

    An engine that is started there goes on from the moment of the backup: what ran then is given to workers again.
    Tokens of then count, if the engine has the address it had.

    \b
    Examples:
      broadaxe restore nightly.broadaxe --data-dir /tmp/look
      broadaxe dev --data-dir /tmp/look
    """
    settings = options.settings_from({"data_dir": data_dir})
    import asyncio

    asyncio.run(_restore(settings, file))


async def _restore(settings: Settings, file: Path) -> None:
    import asyncio
    import shutil

    from broadaxe.errors import ConfigurationError
    from broadaxe.storage.backup import read_manifest, restore_databases, restore_files
    from broadaxe.storage.embedded import EmbeddedPostgres

    manifest = read_manifest(file)
    if (settings.postgres_dir / "cluster").exists():
        raise ConfigurationError(
            f"{settings.data_dir} has a database already; name a new directory with --data-dir", field="--data-dir"
        )
    try:
        async with await EmbeddedPostgres.start(settings.postgres_dir) as server:
            await asyncio.to_thread(restore_databases, file, server.dsn, _Counter())
        restore_files(file, settings.data_dir)
    except BaseException:
        # Half a restore must not be taken for a whole one.
        shutil.rmtree(settings.postgres_dir, ignore_errors=True)
        raise
    click.echo(f"{settings.data_dir}: {', '.join(manifest.databases)}, as of {manifest.made_at}")
    click.echo(f"start it with: broadaxe dev --data-dir {settings.data_dir}")


class _Counter:
    """Shows on a terminal how far it is."""

    def __init__(self) -> None:
        self._shown = -1

    def __call__(self, what: str, done_bytes: int) -> None:
        whole = done_bytes // MEBIBYTE
        if sys.stderr.isatty() and whole != self._shown:
            self._shown = whole
            click.echo(f"\r{what}: {whole} MiB ", nl=False, err=True)
