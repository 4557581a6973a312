"""`broadaxe migrate`: bring a database to this version's schema, at once or in the two phases of an upgrade."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from broadaxe.cli import options
from broadaxe.cli.listing import show
from broadaxe.config import Settings
from broadaxe.errors import ConfigurationError

if TYPE_CHECKING:
    from broadaxe.storage.migrate import Phase, Schema

__all__ = ["migrate", "summary"]


@click.command(short_help="Bring a database to this version's schema.")
@options.database_url
@options.direct_database_url
@options.data_dir
@click.option(
    "--phase",
    type=click.Choice(["pre", "post", "all"]),
    default="all",
    help="pre: only what the version before can live with. post: the rest, when no older engine runs. [default: all]",
)
@click.option("--check", is_flag=True, help="Change nothing; exit 1 if something would be applied.")
@click.option("--status", is_flag=True, help="Change nothing; list what was applied and what is missing.")
@options.as_json
def migrate(phase: str, check: bool, status: bool, as_json: bool, **given: str | None) -> None:
    """Bring a database to this version's schema.

    Applies what is missing, in order, each migration in its own transaction. Safe to run again and from several
    machines at once. `broadaxe dev` does this by itself.

    To upgrade without a stop: --phase pre, start the new engine, stop the old one, --phase post. While an engine of an
    earlier version is at work, post is refused.

    \b
    Examples:
      broadaxe migrate --database-url postgresql://user:password@host/broadaxe
      broadaxe migrate --phase pre
      broadaxe migrate --status --json
      broadaxe migrate --check && broadaxe serve
    """
    if status and check:
        raise click.UsageError("--status and --check are two questions; ask one")
    settings = options.settings_from(given)
    import asyncio

    from broadaxe.storage.migrate import Phase

    only = None if phase == "all" else Phase(phase)
    raise SystemExit(asyncio.run(_migrate(settings, only, check=check, status=status, as_json=as_json)))


async def _migrate(settings: Settings, phase: Phase | None, *, check: bool, status: bool, as_json: bool) -> int:
    from broadaxe.cli.database import reachable_dsn
    from broadaxe.database import not_answered
    from broadaxe.storage.migrate import migrate as apply
    from broadaxe.storage.migrate import schema_of
    from broadaxe.storage.outage import UNANSWERED

    async with reachable_dsn(settings) as dsn:
        flag = "--database-url"
        if settings.database_url is not None and settings.direct_database_url is not None:
            dsn, flag = settings.direct_database_url, "--direct-database-url"
        try:
            names = [] if check or status else await apply(dsn, settings.retention_days, phase)
            schema = await schema_of(dsn)
        except UNANSWERED as error:
            raise not_answered(dsn, error, flag) from None
    if status:
        _show_status(schema, phase, as_json=as_json)
        return 0
    if check:
        schema.check_not_too_new()
        names = schema.missing(phase)
    show(
        names,
        as_json=as_json,
        line=lambda name: f"{'missing' if check else 'applied'}  {name}",
        fields=lambda name: {"name": name, "isApplied": not check},
        empty="" if schema.lacks else summary(schema),
    )
    if not as_json and not check and schema.lacks:
        click.echo(summary(schema))
    return 1 if check and names else 0


def _show_status(schema: Schema, phase: Phase | None, *, as_json: bool) -> None:
    from broadaxe.storage.migrate import Phase

    rows: list[dict[str, object]] = [
        {"name": one.name, "phase": one.phase, "appliedAt": one.applied_at, "isKnown": one.is_known}
        for one in schema.applied
    ]
    for of_phase in Phase:
        names = schema.missing(of_phase)
        rows += [{"name": name, "phase": of_phase, "appliedAt": None, "isKnown": True} for name in names]
    show(
        [row for row in rows if phase in (None, row["phase"])],
        as_json=as_json,
        line=lambda row: (
            f"{row['appliedAt'] or 'missing'!s:<32.32}  {row['phase']:<4}  {row['name']}"
            + ("" if row["isKnown"] else "  (of a newer Broadaxe)")
        ),
        fields=lambda row: row,
    )
    if not as_json:
        click.echo(summary(schema))


def summary(schema: Schema) -> str:
    """Where the database stands, in one sentence."""
    if not schema.applied:
        return "the database has no Broadaxe schema yet; run: broadaxe migrate"
    try:
        schema.check_not_too_new()
    except ConfigurationError as error:
        return error.message
    if schema.lacks_pre:
        return f"{len(schema.lacks_pre)} of the phase pre missing: this version does not start; run: broadaxe migrate"
    if schema.lacks_post:
        return (
            f"{len(schema.lacks_post)} of the phase post missing: this version runs; "
            "once no older engine does, run: broadaxe migrate --phase post"
        )
    if schema.newer:
        return f"prepared for a newer Broadaxe ({schema.newer[-1]}); this version still runs on it"
    return "the schema is up to date"
