"""`broadaxe export`: a tenant as one file."""

from __future__ import annotations

import os
from pathlib import Path

import click

from broadaxe.cli.connection import Connection, connecting
from broadaxe.errors import InvalidArgument

__all__ = ["export"]


@click.command(short_help="Save a tenant as one file.")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@connecting
def export(file: Path, connection: Connection) -> None:
    """Save a tenant as one FILE of JSON Lines: its workflows, rate limits, filters, webhooks, crons, scheduled runs,
    alert rules and channels, members, and all its runs with inputs and outputs. No secret of webhooks or channels
    is in it.

    It needs an ADMIN token. The file appears when it is whole, is readable for you alone, and replaces none.
    `broadaxe import --from-file FILE` brings what waits in it to another tenant.

    \b
    Examples:
      broadaxe export billing.jsonl
      broadaxe export billing.jsonl --profile production
    """
    from broadaxe import private_file
    from broadaxe.cli.progress import Progress

    if file.exists():
        raise InvalidArgument(f"{file} is there already; name another file", field="file")
    server = connection.open()
    new = file.with_name(f".{file.name}.{os.getpid()}.new")
    progress = Progress()
    try:
        with os.fdopen(private_file.create(new), "wb") as to:
            size = server.save(f"{server.stable}/file", to, lambda count: progress("MiB", count >> 20))
            to.flush()
            os.fsync(to.fileno())
        _check_end(new)
        new.replace(file)
    except OSError as error:
        raise InvalidArgument(f"{file}: {error.strerror or error}; nothing was saved", field="file") from None
    finally:
        progress.end()
        new.unlink(missing_ok=True)
    click.echo(f"saved {file}, {size:,} bytes", err=True)


def _check_end(file: Path) -> None:
    """An engine that stops in the middle may end its answer as if it were whole; the last line tells."""
    with file.open("rb") as content:
        content.seek(max(0, file.stat().st_size - 4096))
        last = content.read().splitlines()[-1:]
    if not last or not last[0].startswith(b'{"kind":"end"'):
        raise InvalidArgument("the server ended its answer in the middle; nothing was saved, try again")
