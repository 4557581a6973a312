"""`broadaxe tenant`: the first steps in a fresh database, a tenant and somebody who may log in to it.

Where a password comes from, `cli/passwords.py` says; what a good password or a valid slug is, `storage.accounts` knows.
Invariant: a command that fails leaves neither tenant nor account behind.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, cast

import click

from broadaxe.cli import options
from broadaxe.cli.database import initiator, tenant_id_of, with_connection
from broadaxe.cli.listing import show
from broadaxe.cli.passwords import OWNER_PASSWORD, ask_password
from broadaxe.errors import AlreadyExists, InvalidArgument

if TYPE_CHECKING:
    import asyncpg

    from broadaxe.core.commands.quotas import Resource
    from broadaxe.storage.quotas import InUse, QuotaUsage

__all__ = ["tenant"]

#: What stands for the limit everybody has.
DEFAULT_WORD = "default"
#: What becomes of the limits, by what the engine that has the tenant does about them.
ENFORCED = {
    True: "enforced: the engine that has this tenant refuses what goes beyond",
    False: "not enforced: the engine that has this tenant was started without --enforce-limits",
    None: "not enforced: no engine has had this tenant yet; limits bind engines with --enforce-limits",
}


@click.group(short_help="Make, list and delete tenants, and who owns them.")
def tenant() -> None:
    """Make and list tenants, the accounts that own them, and what they may have.

    Workflows, runs, workers and tokens belong to a tenant. `broadaxe dev` makes one by itself; a database of your own
    starts empty.

    \b
    Examples:
      broadaxe tenant create Billing --owner-email you@example.com
      broadaxe tenant list
      broadaxe tenant limits billing TASK_RUN=50000 EVENT=none
      broadaxe tenant delete billing --confirm billing
    """


@tenant.command()
@click.argument("name")
@click.option("--slug", help="Short name for commands and addresses. [default: made from NAME]")
@click.option("--owner-email", metavar="EMAIL", help="Who owns it and may log in; the account is made when missing.")
@options.database_url
@options.data_dir
def create(name: str, slug: str | None, owner_email: str | None, **given: str | None) -> None:
    """Make a tenant called NAME.

    With --owner-email that account becomes its owner. If there is no such account yet it is made, with the password
    asked for on the terminal or found in BROADAXE_OWNER_PASSWORD. Without --owner-email nobody can open the tenant in
    the dashboard; tokens can be issued for it all the same.
    """
    settings = options.settings_from(given)
    chosen = slug if slug is not None else slug_of(name)

    async def make(connection: asyncpg.Connection) -> None:
        from broadaxe.core.audit import Action, Subject
        from broadaxe.storage import accounts, audit

        password: str | None = None
        if owner_email is not None:
            try:
                is_new = await accounts.account_by_email(connection, owner_email) is None
            except InvalidArgument as error:
                raise InvalidArgument(f"--owner-email {owner_email[:80]!r}: {error.message}") from None
            password = ask_password(f"the new account {owner_email}", OWNER_PASSWORD) if is_new else None
        try:
            async with connection.transaction():
                made = await accounts.insert_tenant(connection, name, chosen)
                subject = Subject(made.id, made.name, {"slug": made.slug, "owner": owner_email})
                await audit.write(connection, made.id, initiator(), Action.TENANT_CREATE, subject)
                if owner_email is not None:
                    account, _ = await accounts.ensure_account(connection, "", owner_email, password or "")
                    await accounts.put_member(connection, made.id, account.id, accounts.Role.OWNER)
        except AlreadyExists:
            raise AlreadyExists(
                f"there is a tenant with the slug {chosen!r} already; give another with --slug"
            ) from None
        except InvalidArgument as error:
            raise InvalidArgument(f"{_source_of(error.field)}: {error.message}") from None
        click.echo(f"made tenant {made.slug} ({made.id})")
        if owner_email is not None:
            kept = "" if password is not None else ", with the password it has"
            click.echo(f"owner {account.email} may log in{kept}")
        click.echo(f'next: broadaxe token create --tenant {made.slug} --name "what the token is for"')

    import asyncio

    asyncio.run(with_connection(settings, make))


@tenant.command("list")
@options.as_json
@options.database_url
@options.data_dir
def list_(as_json: bool, **given: str | None) -> None:
    """List the tenants of a database."""
    settings = options.settings_from(given)

    async def print_all(connection: asyncpg.Connection) -> None:
        from broadaxe.storage.accounts import list_tenants

        show(
            await list_tenants(connection),
            as_json=as_json,
            line=lambda row: (
                f"{row[0].id}  made {row[0].created_at:%Y-%m-%d}  {_people(row[1]):>10}  {row[0].slug}  {row[0].name}"
            ),
            fields=lambda row: {
                "id": row[0].id,
                "slug": row[0].slug,
                "name": row[0].name,
                "createdAt": row[0].created_at,
                "members": row[1],
            },
            empty="no tenants; make one with: broadaxe tenant create NAME --owner-email YOU@EXAMPLE.COM",
        )

    import asyncio

    asyncio.run(with_connection(settings, print_all))


@tenant.command(short_help="Show or set what a tenant may have.")
@click.argument("tenant", metavar="TENANT")
@click.argument("changes", metavar="[RESOURCE=LIMIT]...", nargs=-1)
@options.as_json
@options.database_url
@options.data_dir
def limits(tenant: str, changes: tuple[str, ...], as_json: bool, **given: str | None) -> None:
    """Show what the tenant with the slug or id TENANT may have, after setting limits if any are given.

    LIMIT is a number, none for no limit, or default. Running engines follow at once. Limits bind only engines that
    were started with --enforce-limits; whether the one that has this tenant was, is said below the limits.

    
    Resources:
      TASK_RUN          tasks of the runs made in 24 hours (default 2000)
      EVENT             events pushed in 24 hours (default 1000)
      WORKER            workers connected at a time (default 3)
      WORKER_SLOT       slots of these workers together (default 2000)
      INCOMING_WEBHOOK  webhooks (default 5)

    
    Examples:
      broadaxe tenant limits dev
      broadaxe tenant limits billing TASK_RUN=50000 WORKER=20 WORKER_SLOT=none
      broadaxe tenant limits billing TASK_RUN=default
    """
    settings = options.settings_from(given)
    chosen = _limits_of(changes)

    async def change(connection: asyncpg.Connection) -> None:
        from broadaxe.core.quotas import DEFAULTS
        from broadaxe.storage.quotas import change_quotas, in_use, quotas_of, usage_of

        tenant_id = await tenant_id_of(connection, tenant)
        if chosen:
            own = {resource: limit for resource, limit in chosen.items() if limit != DEFAULT_WORD}
            gone = frozenset(resource for resource, limit in chosen.items() if limit == DEFAULT_WORD)
            await change_quotas(connection, tenant_id, initiator(), cast("dict[Resource, int | None]", own), gone)
        set_by_people, counted = await quotas_of(connection, tenant_id), await in_use(connection, tenant_id)
        # Counters of an engine that enforced limits once say nothing of what was used since.
        usage = await usage_of(connection, tenant_id) if counted.enforces_limits else {}

        def line(resource: Resource) -> str:
            limit = set_by_people.get(resource, DEFAULTS[resource])
            source = "" if resource in set_by_people else "(default)"
            used = _use(resource, usage.get(resource), counted)
            return f"{resource.value:<16}  {'none' if limit is None else limit:>12}  {source:<9}  {used}"

        def fields(resource: Resource) -> dict[str, object]:
            window = usage.get(resource)
            return {
                "resource": resource.value,
                "limitValue": set_by_people.get(resource, DEFAULTS[resource]),
                "isDefault": resource not in set_by_people,
                "value": counted.values[resource] if window is None else window.value,
                "since": None if window is None else window.since,
                "isEnforced": counted.enforces_limits is True,
            }

        show(list(DEFAULTS), as_json=as_json, line=line, fields=fields)
        if not as_json:
            click.echo(ENFORCED[counted.enforces_limits])

    import asyncio

    asyncio.run(with_connection(settings, change))


@tenant.command()
@click.argument("tenant", metavar="TENANT")
@click.option("--confirm", metavar="SLUG", required=True, help="The tenant's slug once more, so that it is this one.")
@options.database_url
@options.data_dir
def delete(tenant: str, confirm: str, **given: str | None) -> None:
    """Delete the tenant with the slug or id TENANT, with everything in it, for good.

    Nobody gets in from this moment, its tokens end, and running engines let go of it. Its history is deleted here and
    now; what was still on its way is swept by the engines a minute later. `broadaxe backup` is the way back, and
    `broadaxe audit export` keeps its audit log.
    """
    settings = options.settings_from(given)

    async def end(connection: asyncpg.Connection) -> None:
        from broadaxe.storage.tenant_deletion import delete_tenant, sweep

        tenant_id = await tenant_id_of(connection, tenant)
        try:
            name = await delete_tenant(connection, tenant_id, confirm, initiator())
        except InvalidArgument as error:
            raise InvalidArgument(f"--confirm {confirm[:80]!r}: {error.message}") from None
        click.echo(f"deleted tenant {name} ({tenant_id}); deleting its rows", err=True)
        await sweep(connection)
        click.echo("its rows are gone", err=True)

    import asyncio

    asyncio.run(with_connection(settings, end))


def _people(count: int) -> str:
    return "1 member" if count == 1 else f"{count} members"


def _use(resource: Resource, window: QuotaUsage | None, counted: InUse) -> str:
    """How much is used, in words: what counts against the limit where somebody counts, else what the tables have."""
    from broadaxe.core.quotas import WINDOWED
    from broadaxe.storage.quotas import COUNTED_MAX

    if window is not None:
        return f"{window.value} used since {window.since:%Y-%m-%d %H:%M} UTC"
    value = counted.values[resource]
    if resource not in WINDOWED:
        return f"{value} now"
    return f"{value}{' or more' if value >= COUNTED_MAX else ''} in the last 24 hours"


def _limits_of(changes: tuple[str, ...]) -> dict[Resource, int | str | None]:
    """What was asked for, by resource; a number, None for no limit, or `DEFAULT_WORD`."""
    from broadaxe.core.commands.quotas import Resource
    from broadaxe.core.quotas import LIMIT_MAX

    chosen: dict[Resource, int | str | None] = {}
    for change in changes:
        name, _, text = change.partition("=")
        if name not in Resource.__members__:
            raise InvalidArgument(f"{name[:40]!r} is no resource; use one of {', '.join(Resource)}")
        if text in ("none", DEFAULT_WORD):
            chosen[Resource(name)] = None if text == "none" else text
        elif re.fullmatch(r"[0-9]{1,16}", text) and int(text) <= LIMIT_MAX:
            chosen[Resource(name)] = int(text)
        else:
            raise InvalidArgument(
                f"{name}={text[:40]}: write a number up to {LIMIT_MAX}, none for no limit, or default; "
                f"for example {name}=50000"
            )
    return chosen


def slug_of(name: str) -> str:
    """A slug made from a name: `Acme Billing (EU)` becomes `acme-billing-eu`."""
    slug = re.sub(r"[^a-z0-9._]+", "-", name.lower()).strip("-.")
    if not slug:
        raise InvalidArgument(f"no slug can be made from the name {name[:60]!r}; give one with --slug")
    return slug[:255]


def _source_of(field: str | None) -> str:
    """What the user wrote the wrong value into."""
    return {"password": "the password", "slug": "--slug", "email": "--owner-email"}.get(field or "", "NAME")
