"""`broadaxe login`, `logout` and `profiles`: the servers that the other commands ask, remembered by name."""

from __future__ import annotations

import os
import sys
from typing import Final

import click

from broadaxe.cli.listing import Column, json_lines, lines_or_table
from broadaxe.errors import ConfigurationError, InvalidArgument

__all__ = ["login", "logout", "profiles"]

TOKEN_BYTES_MAX: Final = 16_384


@click.command(short_help="Remember a server and a token for the other commands.")
@click.option("--profile", default="default", show_default=True, metavar="NAME", help="What to call it.")
@click.option("--url", metavar="URL", help="The server. [default: as the token says]")
@click.option(
    "--token",
    metavar="TOKEN",
    help="An API token; `-`: from standard input. [default: BROADAXE_TOKEN, HATCHET_CLIENT_TOKEN, or asked for]",
)
def login(profile: str, url: str | None, token: str | None) -> None:
    """Remember a server and a token, and use them from now on. The server is asked whether they are right.

    The token is kept in a file of your own that nobody else may read. Without --token it is asked for.

    \b
    Examples:
      broadaxe login
      broadaxe login --profile staging --url https://broadaxe.example.com
      broadaxe token create --tenant dev --name laptop | broadaxe login --token -
    """
    from broadaxe.cli.connection import TIMEOUT_S
    from broadaxe.remote.profiles import PROFILES_MAX, Profile, checked_name, place, read, write
    from broadaxe.remote.server import Server, checked_url, claims_of

    name = checked_name(profile, "--profile")
    if url is not None:
        checked_url(url, "--url")
    given = _token(token)
    address = url or claims_of(given, "--token").server_url
    server = Server("the server", address, given, timeout_s=TIMEOUT_S, url_flag="--url", token_flag="--token")
    tenant = server.get(server.tenant, dict[str, object])
    kept = read(place())
    if name not in kept.profiles and len(kept.profiles) >= PROFILES_MAX:
        raise InvalidArgument(f"there are {PROFILES_MAX} profiles already; remove one with `broadaxe logout`")
    kept.profiles[name] = Profile(server.url, given)
    kept.current = name
    write(place(), kept)
    click.echo(f"{name}: tenant {tenant.get('name')} on {server.url}")


@click.command(short_help="Forget a server and its token.")
@click.option("--profile", metavar="NAME", help="Which one. [default: the one in use]")
def logout(profile: str | None) -> None:
    """Forget a profile. Its token stays valid: `broadaxe token revoke` ends it."""
    from broadaxe.remote.profiles import place, read, write

    kept = read(place())
    name = profile or kept.current
    if not name:
        raise InvalidArgument("no profile is in use; name one with --profile")
    kept.named(name, "--profile")
    del kept.profiles[name]
    if kept.current == name:
        kept.current = ""
    write(place(), kept)
    click.echo(f"{name} is forgotten; its token stays valid until it is revoked")


@click.group(short_help="List the servers you have logged in to, and choose one.")
def profiles() -> None:
    """The servers you have logged in to.

    \b
    Examples:
      broadaxe profiles list
      broadaxe profiles use staging
    """


@profiles.command("list")
@json_lines
def list_(as_json: bool) -> None:
    """List the profiles; a star marks the one in use. Tokens are not shown."""
    from broadaxe.remote.profiles import place, read
    from broadaxe.remote.server import claims_of

    kept = read(place())
    rows = [
        {
            "name": name,
            "url": profile.url,
            "tenantId": claims_of(profile.token, f"the token of {name}").sub,
            "isInUse": name == kept.current,
        }
        for name, profile in sorted(kept.profiles.items())
    ]
    columns = (
        Column("", lambda row: "*" if row["isInUse"] else ""),
        Column("Profile", lambda row: str(row["name"]), is_whole=True),
        Column("Server", lambda row: str(row["url"])),
        Column("Tenant", lambda row: str(row["tenantId"]), is_whole=True),
    )
    lines_or_table(rows, columns, as_json=as_json, empty="you have not logged in to a server yet: `broadaxe login`")


@profiles.command()
@click.argument("name")
def use(name: str) -> None:
    """Use the profile NAME from now on."""
    from broadaxe.remote.profiles import place, read, write

    kept = read(place())
    found = kept.named(name, "NAME")
    kept.current = name
    write(place(), kept)
    click.echo(f"{name}: {found.url}")


def _token(given: str | None) -> str:
    if given == "-":
        return sys.stdin.read(TOKEN_BYTES_MAX).strip()
    found = given or os.environ.get("BROADAXE_TOKEN") or os.environ.get("HATCHET_CLIENT_TOKEN")
    if found:
        return found
    if not sys.stdin.isatty():
        raise ConfigurationError(
            "there is nobody to ask for a token: give --token (`-`: from standard input) or set BROADAXE_TOKEN; "
            "`broadaxe dev` prints one, and `broadaxe token create` makes one",
            field="--token",
        )
    answer: str = click.prompt("API token", hide_input=True)
    return answer.strip()
