"""`broadaxe audit`: the audit log as whoever has the database reads it, and whether it is the one that was written.

Asks nobody's leave, and leaves no entry. Exit code of `verify`: 1 when a chain does not hold.
"""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Final

import click

from broadaxe.cli import options
from broadaxe.cli.database import tenant_id_of, with_connection
from broadaxe.cli.listing import show
from broadaxe.errors import InvalidArgument

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from datetime import datetime

    import asyncpg

    from broadaxe.rest.shapes.audit import AuditEntry
    from broadaxe.storage.audit import AuditFilter, Head

__all__ = ["audit"]

LISTED_MAX: Final = 10_000
_HASH: Final = re.compile(r"[0-9a-fA-F]{64}")


@click.group(short_help="Read the audit log, and check that nobody changed it.")
def audit() -> None:
    """Read who did what in a tenant, and check that nobody changed it afterwards.

    \b
    Examples:
      broadaxe audit list --tenant billing
      broadaxe audit export --tenant billing --json > audit.jsonl
      broadaxe audit verify
    """


def _choosing(command: options.Decorated) -> options.Decorated:
    for option in (
        click.option("--until", metavar="TIME", help="Up to this instant, such as 2026-01-31T09:15:00Z."),
        click.option("--since", metavar="TIME", help="From this instant on, such as 2026-01-01T00:00:00Z."),
        click.option("--action", metavar="ACTION", help="Only this action, such as workflow.pause."),
        click.option("--installation", is_flag=True, help="What belongs to no tenant instead."),
        click.option("--tenant", default="dev", show_default=True, help="Id or slug of the tenant."),
    ):
        command = option(command)
    return command


@audit.command("list")
@_choosing
@click.option(
    "--limit", type=click.IntRange(1, LISTED_MAX), default=100, show_default=True, help="How many, the newest."
)
@options.as_json
@options.database_url
@options.data_dir
def list_(
    tenant: str,
    installation: bool,
    action: str | None,
    since: str | None,
    until: str | None,
    limit: int,
    as_json: bool,
    **given: str | None,
) -> None:
    """List the newest entries of a tenant's audit log."""
    settings = options.settings_from(given)
    wanted = _wanted(action, since, until)

    async def print_all(connection: asyncpg.Connection) -> None:
        from broadaxe.rest.shapes.audit import entry
        from broadaxe.storage.audit import page

        found = await page(connection, await _whose(connection, tenant, installation=installation), wanted, limit=limit)
        show(
            list(map(entry, found.rows)),
            as_json=as_json,
            line=_line,
            fields=lambda row: row.model_dump(mode="json", by_alias=True, exclude_none=True),
            empty="nobody has changed anything yet",
        )

    import asyncio

    asyncio.run(with_connection(settings, print_all))


@audit.command()
@_choosing
@click.option("--json", "as_json", is_flag=True, help="JSON Lines: one entry a line. It is the only form there is.")
@options.database_url
@options.data_dir
def export(
    tenant: str,
    installation: bool,
    action: str | None,
    since: str | None,
    until: str | None,
    as_json: bool,
    **given: str | None,
) -> None:
    """Print the whole audit log of a tenant as JSON Lines, newest first."""
    del as_json
    settings = options.settings_from(given)
    wanted = _wanted(action, since, until)

    async def print_all(connection: asyncpg.Connection) -> None:
        from broadaxe.rest.shapes.audit import entry
        from broadaxe.storage.audit import entries

        found: AsyncIterator[object] = entries(
            connection, await _whose(connection, tenant, installation=installation), wanted
        )
        async for row in found:
            click.echo(entry(row).model_dump_json(by_alias=True, exclude_none=True))  # type: ignore[arg-type]

    import asyncio

    asyncio.run(with_connection(settings, print_all))


@audit.command()
@click.option("--tenant", help="Only this one. [default: all, and the installation]")
@click.option(
    "--expect",
    "expected",
    multiple=True,
    metavar="HASH",
    help="A hash printed earlier, which must still be there.",
)
@options.as_json
@options.database_url
@options.data_dir
def verify(tenant: str | None, expected: tuple[str, ...], as_json: bool, **given: str | None) -> None:
    """Check that the entries are those that were written: none changed, none taken out, none put in.

    Prints where each chain ends. Keep that somewhere else, and give it as --expect the next time: a log that was
    written anew from its beginning shows by nothing else.
    """
    settings = options.settings_from(given)
    for text in expected:
        if not _HASH.fullmatch(text):
            raise InvalidArgument(f"--expect {text[:80]!r}: a hash has 64 hexadecimal digits, as verify prints them")
    is_right = True

    async def check(connection: asyncpg.Connection) -> None:
        from broadaxe.storage.audit import verify

        nonlocal is_right
        tenant_id = None if tenant is None else await tenant_id_of(connection, tenant)
        heads, faults, missing = await verify(connection, tenant_id, expected)
        is_right = not faults and not missing
        show(
            heads,
            as_json=as_json,
            line=_head_line,
            fields=lambda head: {
                "tenantId": head.tenant_id,
                "chain": str(head.chain),
                "firstSeq": head.first_seq,
                "seq": head.seq,
                "hash": head.hash,
                "problem": next(
                    (f"{f.seq}: {f.problem}" for f in faults if (f.tenant_id, f.chain) == (head.tenant_id, head.chain)),
                    None,
                ),
            },
            empty="the log is empty",
        )
        for fault in faults:
            click.echo(f"{fault.tenant_id} {fault.chain} {fault.seq}: {fault.problem}", err=True)
        for text in missing:
            click.echo(f"no entry has the hash {text}", err=True)
        if is_right and heads:
            click.echo("every chain holds", err=True)

    import asyncio

    asyncio.run(with_connection(settings, check))
    if not is_right:
        sys.exit(1)


def _wanted(action: str | None, since: str | None, until: str | None) -> AuditFilter:
    from broadaxe.core.audit import Action
    from broadaxe.storage.audit import AuditFilter

    if action is not None and action not in set(Action):
        raise InvalidArgument(f"--action {action[:80]!r}: there are {', '.join(Action)}")
    return AuditFilter(
        action=None if action is None else Action(action),
        since=_instant(since, "--since"),
        until=_instant(until, "--until"),
    )


def _instant(text: str | None, flag: str) -> datetime | None:
    from broadaxe.rest.parameters import parse_instant

    try:
        return None if text is None else parse_instant(text)
    except ValueError as error:
        raise InvalidArgument(f"{flag} {text[:80] if text else ''!r}: {error}") from None


async def _whose(connection: asyncpg.Connection, tenant: str, *, installation: bool) -> str:
    from broadaxe.storage.audit import INSTALLATION

    return INSTALLATION if installation else await tenant_id_of(connection, tenant)


def _line(row: AuditEntry) -> str:
    what = row.object.name or row.object.id or ""
    who = row.initiator.name + (f" ({row.initiator.address})" if row.initiator.address else "")
    refused = f"  refused: {row.refusal}" if row.refusal else ""
    return f"{row.at:%Y-%m-%d %H:%M:%S}  {row.action:<24}  {what}  by {who}{refused}"


def _head_line(head: Head) -> str:
    return f"{head.tenant_id}  {head.chain:<6}  {head.first_seq}..{head.seq}  {head.hash}"
