"""`broadaxe migrate`: bring a database to this version's schema."""

from __future__ import annotations

import click

from broadaxe.cli import options
from broadaxe.cli.listing import show
from broadaxe.config import Settings

__all__ = ["migrate"]


@click.command(short_help="Bring a database to this version's schema.")
@options.database_url
@options.direct_database_url
@options.data_dir
@click.option("--check", is_flag=True, help="Change nothing; exit 1 if something would be applied.")
@options.as_json
def migrate(check: bool, as_json: bool, **given: str | None) -> None:
    """Bring a database to this version's schema.

    Applies what is missing, in order, each migration in its own transaction. Safe to run again and from several
    machines at once. `broadaxe dev` does this by itself.

    \b
    Examples:
      broadaxe migrate --database-url postgresql://user:password@host/broadaxe
      broadaxe migrate --check && broadaxe serve
    """
    settings = options.settings_from(given)
    import asyncio

    raise SystemExit(asyncio.run(_migrate(settings, check=check, as_json=as_json)))


async def _migrate(settings: Settings, *, check: bool, as_json: bool) -> int:
    from broadaxe.cli.database import reachable_dsn
    from broadaxe.database import no_connection
    from broadaxe.errors import Unavailable
    from broadaxe.storage.migrate import migrate as apply
    from broadaxe.storage.migrate import pending
    from broadaxe.storage.outage import UNANSWERED

    async with reachable_dsn(settings) as dsn:
        flag = "--database-url"
        if settings.database_url is not None and settings.direct_database_url is not None:
            dsn, flag = settings.direct_database_url, "--direct-database-url"
        try:
            names = await (pending(dsn) if check else apply(dsn, settings.retention_days))
        except UNANSWERED as error:
            raise Unavailable(no_connection(dsn, error, flag)) from None
    show(
        names,
        as_json=as_json,
        line=lambda name: f"{'missing' if check else 'applied'}  {name}",
        fields=lambda name: {"name": name, "isApplied": not check},
        empty="the schema is up to date",
    )
    return 1 if check and names else 0
