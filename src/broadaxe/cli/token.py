"""`broadaxe token`: issue, list, rotate and revoke the API tokens that SDKs log in with."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import click

from broadaxe.cli import options
from broadaxe.cli.database import UUID_SHAPE, initiator, tenant_id_of, with_connection
from broadaxe.cli.listing import show
from broadaxe.errors import InvalidArgument

if TYPE_CHECKING:
    import asyncpg

    from broadaxe.storage.tokens import ApiToken

__all__ = ["token"]

ROLES = ("ADMIN", "MEMBER", "VIEWER")

DURATION_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "y": 365 * 86_400}


@click.group(short_help="Issue, list, rotate and revoke API tokens.")
def token() -> None:
    """Issue, list, rotate and revoke the API tokens that SDKs and scripts log in with.

    \b
    Examples:
      broadaxe token create --name "billing workers" --expires-in 90d
      broadaxe token list
      broadaxe token rotate 0199b6a2-7c1e-7f00-8000-0123456789ab --overlap 24h
      broadaxe token revoke 0199b6a2-7c1e-7f00-8000-0123456789ab
    """


@token.command()
@click.option("--name", required=True, help="What the token is for; shown in lists.")
@click.option("--expires-in", default="90d", show_default=True, help="How long it is valid: 12h, 90d, 1y.")
@click.option(
    "--role",
    type=click.Choice(ROLES, case_sensitive=False),
    help="What it may do, ADMIN without one. VIEWER reads and changes nothing; it is refused to workers.",
)
@click.option("--topic", help="Only to read this durable stream over HTTP, and nothing else: for somebody's browser.")
@click.option("--namespace", default="", help="The namespace of that topic, if it has one.")
@click.option("--tenant", default="dev", show_default=True, help="Id or slug of the tenant.")
@options.listening
@options.database_url
@options.data_dir
def create(
    name: str,
    expires_in: str,
    role: str | None,
    topic: str | None,
    namespace: str,
    tenant: str,
    **given: str | None,
) -> None:
    """Issue a token and print it. It is shown this once; only its hash is stored.

    The token tells SDKs where the engine is. If clients reach it under another address than the engine listens on,
    give --public-url and --public-grpc.
    """
    if namespace and topic is None:
        raise InvalidArgument("--namespace is of a --topic; name that too", field="--namespace")
    if topic is not None:
        from broadaxe.core.topics import check_name

        try:
            check_name(namespace, topic)
        except InvalidArgument as error:
            raise InvalidArgument(f"--{error.field}: {error.message}", field=f"--{error.field}") from None
    settings = options.settings_from(given)
    lifetime_s = _seconds("--expires-in", expires_in)

    async def issue(connection: asyncpg.Connection) -> None:
        from broadaxe.storage.accounts import Role
        from broadaxe.storage.tokens import TopicName, create_token

        tenant_id = await tenant_id_of(connection, tenant)
        issued = await create_token(
            connection,
            tenant_id,
            name,
            lifetime_s,
            settings.http_url,
            settings.grpc_address,
            role=Role(role or ("ADMIN" if topic is None else "VIEWER")),
            topic=None if topic is None else TopicName(namespace, topic),
            by=initiator(),
        )
        click.echo(f"token {issued.id}, valid until {issued.expires_at:%Y-%m-%d %H:%M} UTC:", err=True)
        click.echo(issued.token)

    import asyncio

    asyncio.run(with_connection(settings, issue))


@token.command("list")
@click.option("--tenant", default="dev", show_default=True, help="Id or slug of the tenant.")
@options.as_json
@options.database_url
@options.data_dir
def list_(tenant: str, as_json: bool, **given: str | None) -> None:
    """List the tokens of a tenant that are not revoked, newest first."""
    settings = options.settings_from(given)

    async def print_all(connection: asyncpg.Connection) -> None:
        from broadaxe.storage.tokens import list_tokens

        show(
            (await list_tokens(connection, await tenant_id_of(connection, tenant))).rows,
            as_json=as_json,
            line=_line,
            fields=lambda row: {
                "id": row.id,
                "name": row.name,
                "role": str(row.role),
                "madeBy": row.made_by or None,
                "replacedBy": row.replaced_by,
                "topic": None if row.topic is None else {"namespace": row.topic.namespace, "name": row.topic.name},
                "lastUsedAt": row.last_used_at,
                "createdAt": row.created_at,
                "expiresAt": row.expires_at,
            },
            empty="no tokens; issue one with: broadaxe token create --name NAME",
        )

    import asyncio

    asyncio.run(with_connection(settings, print_all))


@token.command()
@click.argument("token_id")
@click.option("--overlap", default="24h", show_default=True, help="How long the old one goes on counting: 0s to 30d.")
@options.listening
@options.database_url
@options.data_dir
def rotate(token_id: str, overlap: str, **given: str | None) -> None:
    """Put a new token in the place of TOKEN_ID, and print it.

    The new one has its name, role and life. The old one goes on counting for the overlap, so that programs are changed
    over one after the other; `token list` says of each when it was last used.
    """
    settings = options.settings_from(given)
    token_id = _checked(token_id)
    overlap_s = _seconds("--overlap", overlap, can_be_none=True)

    async def issue(connection: asyncpg.Connection) -> None:
        from broadaxe.storage.tokens import rotate_token

        by = initiator()
        rotated = await rotate_token(connection, token_id, overlap_s, settings.http_url, settings.grpc_address, by)
        click.echo(f"token {rotated.issued.id}, valid until {rotated.issued.expires_at:%Y-%m-%d %H:%M} UTC:", err=True)
        click.echo(rotated.issued.token)
        click.echo(f"the old one, {token_id}, counts until {rotated.old_expires_at:%Y-%m-%d %H:%M} UTC", err=True)

    import asyncio

    asyncio.run(with_connection(settings, issue))


@token.command()
@click.argument("token_id")
@options.database_url
@options.data_dir
def revoke(token_id: str, **given: str | None) -> None:
    """End a token for good. TOKEN_ID is what `token list` shows."""
    settings = options.settings_from(given)
    token_id = _checked(token_id)

    async def end(connection: asyncpg.Connection) -> None:
        from broadaxe.storage.tokens import revoke_token

        await revoke_token(connection, token_id, initiator())
        click.echo(f"revoked {token_id}")

    import asyncio

    asyncio.run(with_connection(settings, end))


def _line(row: ApiToken) -> str:
    used = "never     " if row.last_used_at is None else format(row.last_used_at, "%Y-%m-%d")
    made = f"made {row.created_at:%Y-%m-%d}" + (f" by {row.made_by}" if row.made_by else "")
    ends = f"{'replaced, ends' if row.replaced_by else 'expires'} {row.expires_at:%Y-%m-%d}"
    reads = "" if row.topic is None else f", for {'/'.join(filter(None, (row.topic.namespace, row.topic.name)))} only"
    return f"{row.id}  {row.role:<6}  {made}  {ends}  used {used}  {row.name}{reads}"


def _checked(token_id: str) -> str:
    if UUID_SHAPE.fullmatch(token_id) is None:
        raise InvalidArgument(f"{token_id[:60]!r} is no token id; `broadaxe token list` shows them")
    return token_id


def _seconds(flag: str, text: str, *, can_be_none: bool = False) -> int:
    found = re.fullmatch(r"([0-9]{1,6})([smhdy])", text.strip())
    if found is None or (int(found[1]) == 0 and not can_be_none):
        raise InvalidArgument(f"{flag} {text!r}: write a number and a unit, such as 12h, 90d or 1y")
    return int(found[1]) * DURATION_UNITS_S[found[2]]
