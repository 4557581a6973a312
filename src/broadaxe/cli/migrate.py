"""`broadaxe migrate`: bring a database to this version's schema."""

from __future__ import annotations

import click

from broadaxe.cli import options
from broadaxe.config import Settings

__all__ = ["migrate"]


@click.command(short_help="Bring a database to this version's schema.")
@options.database_url
@options.data_dir
@click.option("--check", is_flag=True, help="Change nothing; exit 1 if something would be applied.")
def migrate(database_url: str | None, data_dir: str | None, check: bool) -> None:
    """Bring a database to this version's schema.

    Applies what is missing, in order, each migration in its own transaction. Safe to run again and from several
    machines at once. `broadaxe dev` does this by itself.

    \b
    Examples:
      broadaxe migrate --database-url postgresql://user:password@host/broadaxe
      broadaxe migrate --check && broadaxe serve
    """
    settings = options.settings_from({"database_url": database_url, "data_dir": data_dir})
    import asyncio

    raise SystemExit(asyncio.run(_migrate(settings, check=check)))


async def _migrate(settings: Settings, *, check: bool) -> int:

    from broadaxe.cli.database import reachable_dsn
    from broadaxe.database import no_connection
    from broadaxe.errors import Unavailable
    from broadaxe.storage.migrate import migrate as apply
    from broadaxe.storage.migrate import pending
    from broadaxe.storage.outage import UNANSWERED

    async with reachable_dsn(settings) as dsn:
        try:
            names = await (pending(dsn) if check else apply(dsn, settings.retention_days))
        except UNANSWERED as error:
            raise Unavailable(no_connection(dsn, error)) from None
    for name in names:
        click.echo(f"{'missing' if check else 'applied'}  {name}")
    if not names:
        click.echo("the schema is up to date")
    return 1 if check and names else 0
