"""`broadaxe account`: who may open a tenant in the dashboard, and in which role.

For whoever has the database: it asks nobody's leave. What a role may do is the business of `rest/identity.py`; that a
tenant keeps an owner, `storage.accounts` sees to. Invariant: a command that fails leaves no account behind.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from broadaxe.cli import options
from broadaxe.cli.database import initiator, tenant_id_of, with_connection
from broadaxe.cli.listing import show
from broadaxe.cli.passwords import ACCOUNT_PASSWORD, ask_password, read_password
from broadaxe.errors import InvalidArgument, NotFound

if TYPE_CHECKING:
    import asyncpg

    from broadaxe.storage.accounts import Account

__all__ = ["account"]

ROLES = ("OWNER", "ADMIN", "MEMBER", "VIEWER")


@click.group(short_help="Let people into a tenant, and set their passwords.")
def account() -> None:
    """Let people into a tenant with a role, list them, and set a forgotten password.

    \b
    Roles:
      VIEWER  sees everything and changes nothing
      MEMBER  starts, cancels and replays runs, and changes what starts them
      ADMIN   makes and revokes tokens, too, and invites, changes and removes people
      OWNER   the same with owners; a tenant always has one

    \b
    Examples:
      broadaxe account add bob@example.com --tenant billing --role MEMBER
      broadaxe account list --tenant billing
      broadaxe account remove bob@example.com --tenant billing
      broadaxe account reset bob@example.com
      broadaxe account password bob@example.com
      broadaxe account operator bob@example.com
    """


@account.command()
@click.argument("email")
@click.option("--tenant", default="dev", show_default=True, help="Id or slug of the tenant.")
@click.option(
    "--role", type=click.Choice(ROLES, case_sensitive=False), default="MEMBER", show_default=True, help="What they may."
)
@options.database_url
@options.data_dir
def add(email: str, tenant: str, role: str, **given: str | None) -> None:
    """Let EMAIL into a tenant, or give a member another role.

    If there is no such account yet it is made, with the password asked for on the terminal or found in
    BROADAXE_ACCOUNT_PASSWORD. Tell the person; they change it in the dashboard under My account.
    """
    settings = options.settings_from(given)

    async def let_in(connection: asyncpg.Connection) -> None:
        from broadaxe.core.audit import Action, Subject
        from broadaxe.storage import accounts, audit

        tenant_id = await tenant_id_of(connection, tenant)
        is_new = await _found(connection, email) is None
        password = ask_password(f"the new account {email}", ACCOUNT_PASSWORD) if is_new else ""
        try:
            async with connection.transaction():
                person, _ = await accounts.ensure_account(connection, "", email, password)
                known = await accounts.person_of_account(connection, person.id)
                before = None if known is None else known.roles.get(tenant_id)
                await accounts.put_member(connection, tenant_id, person.id, accounts.Role(role))
                if before != role:
                    action = Action.MEMBER_ADD if before is None else Action.MEMBER_CHANGE
                    subject = Subject(person.id, person.email, {"role": role})
                    told: dict[str, object] | None = None if before is None else {"role": before.value}
                    await audit.write(connection, tenant_id, initiator(), action, subject, before=told)
        except InvalidArgument as error:
            raise InvalidArgument(f"the password: {error.message}") from None
        kept = "" if is_new else ", with the password they have"
        click.echo(f"{person.email} is {role} of {tenant}{kept}")

    import asyncio

    asyncio.run(with_connection(settings, let_in))


@account.command("list")
@click.option("--tenant", default="dev", show_default=True, help="Id or slug of the tenant.")
@options.as_json
@options.database_url
@options.data_dir
def list_(tenant: str, as_json: bool, **given: str | None) -> None:
    """List who belongs to a tenant, in the order they joined."""
    settings = options.settings_from(given)

    async def print_all(connection: asyncpg.Connection) -> None:
        from broadaxe.storage.accounts import members_of_tenant

        show(
            (await members_of_tenant(connection, await tenant_id_of(connection, tenant))).rows,
            as_json=as_json,
            line=lambda row: f"{row.role:<6}  since {row.created_at:%Y-%m-%d}  {row.email}",
            fields=lambda row: {"email": row.email, "role": str(row.role), "createdAt": row.created_at},
            empty=f"nobody; let somebody in with: broadaxe account add YOU@EXAMPLE.COM --tenant {tenant}",
        )

    import asyncio

    asyncio.run(with_connection(settings, print_all))


@account.command()
@click.argument("email")
@click.option("--tenant", default="dev", show_default=True, help="Id or slug of the tenant.")
@options.database_url
@options.data_dir
def remove(email: str, tenant: str, **given: str | None) -> None:
    """Let EMAIL into a tenant no longer. The account stays, and so do its other tenants."""
    settings = options.settings_from(given)

    async def let_out(connection: asyncpg.Connection) -> None:
        from broadaxe.core.audit import Action, Subject
        from broadaxe.storage import audit
        from broadaxe.storage.accounts import remove_member

        tenant_id = await tenant_id_of(connection, tenant)
        person = await _existing(connection, email)
        async with connection.transaction():
            if not await remove_member(connection, tenant_id, person.id):
                raise NotFound(f"{person.email} does not belong to {tenant}; `broadaxe account list` shows who does")
            subject = Subject(person.id, person.email, None)
            await audit.write(connection, tenant_id, initiator(), Action.MEMBER_REMOVE, subject, before={})
        click.echo(f"{person.email} does not belong to {tenant} any more")

    import asyncio

    asyncio.run(with_connection(settings, let_out))


@account.command()
@click.argument("email")
@click.option(
    "--second-factor",
    "is_of_factor",
    is_flag=True,
    help="Turn off the second factor instead, for somebody who lost it; the password stays.",
)
@options.public_url
@options.database_url
@options.data_dir
def reset(email: str, is_of_factor: bool, **given: str | None) -> None:
    """Print a link with which EMAIL, who has forgotten the password, sets another one, and end all their sessions.

    It counts for an hour and once. Send it to them, and to nobody else: whoever opens it has the account.
    """
    settings = options.settings_from(given)

    async def turn_off(connection: asyncpg.Connection) -> None:
        from broadaxe.storage import accounts, second_factors

        person = await _existing(connection, email)
        async with connection.transaction():
            if not await second_factors.remove(connection, person, initiator()):
                raise NotFound(f"{person.email} has no second factor")
            await accounts.end_other_sessions(connection, person.id, None, initiator())
        click.echo(f"{person.email} has no second factor any more, and is signed out everywhere")

    async def make_link(connection: asyncpg.Connection) -> None:
        from broadaxe.storage import accounts, password_resets

        person = await _existing(connection, email)
        async with connection.transaction():
            secret = await password_resets.make(connection, person, initiator())
            await accounts.end_other_sessions(connection, person.id, None, initiator())
        click.echo(f"{settings.http_url}/reset-password#{secret}")
        click.echo(f"{person.email} is signed out everywhere, and sets a password there within an hour", err=True)

    import asyncio

    asyncio.run(with_connection(settings, turn_off if is_of_factor else make_link))


@account.command()
@click.argument("email")
@click.option("--stdin", "from_stdin", is_flag=True, help="Read the password from a line of the standard input.")
@options.database_url
@options.data_dir
def password(email: str, from_stdin: bool, **given: str | None) -> None:
    """Set the password of EMAIL, who has forgotten it, and end all their sessions.

    It is asked for on the terminal, read from the standard input, or found in BROADAXE_ACCOUNT_PASSWORD. To let them
    choose it themselves, use `broadaxe account reset`.
    """
    settings = options.settings_from(given)

    async def set_it(connection: asyncpg.Connection) -> None:
        from broadaxe.storage.accounts import set_password

        person = await _existing(connection, email)
        try:
            given_password = read_password() if from_stdin else ask_password(person.email, ACCOUNT_PASSWORD)
            await set_password(connection, person.id, given_password, initiator())
        except InvalidArgument as error:
            raise InvalidArgument(f"the password: {error.message}") from None
        click.echo(f"{person.email} has a new password and has to log in anew everywhere")

    import asyncio

    asyncio.run(with_connection(settings, set_it))


@account.command()
@click.argument("email")
@click.option("--undo", is_flag=True, help="They are no operator any more.")
@options.database_url
@options.data_dir
def operator(email: str, undo: bool, **given: str | None) -> None:
    """Make EMAIL an operator of the installation: they see its engines in the dashboard, and may drain one.

    What they may do in a tenant is another matter, and stays as it is.
    """
    settings = options.settings_from(given)

    async def set_it(connection: asyncpg.Connection) -> None:
        from broadaxe.storage.accounts import set_operator

        person = await _existing(connection, email)
        await set_operator(connection, person.id, not undo, initiator())
        click.echo(f"{person.email} is {'no operator any more' if undo else 'an operator of the installation'}")

    import asyncio

    asyncio.run(with_connection(settings, set_it))


async def _found(connection: asyncpg.Connection, email: str) -> Account | None:
    """The account with this address. InvalidArgument for what cannot be one."""
    from broadaxe.storage.accounts import account_by_email

    try:
        return await account_by_email(connection, email)
    except InvalidArgument as error:
        raise InvalidArgument(f"EMAIL {email[:80]!r}: {error.message}") from None


async def _existing(connection: asyncpg.Connection, email: str) -> Account:
    person = await _found(connection, email)
    if person is None:
        raise NotFound(f"there is no account {email}; `broadaxe account list` shows those of a tenant")
    return person
