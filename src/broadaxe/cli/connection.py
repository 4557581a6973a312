"""Which server a command asks, and with which token: flags, variables, profiles, or the `broadaxe dev` of here.

The first that says something is taken: `--token`, `--profile`, `BROADAXE_TOKEN`, `BROADAXE_PROFILE`, the
`HATCHET_CLIENT_TOKEN` that SDKs have, the profile in use, what `broadaxe dev` keeps in the data directory. The address
is that of the same source unless `--url` or `BROADAXE_URL` names another; without one it is what the token says.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import click

from broadaxe.cli import options
from broadaxe.errors import ConfigurationError

if TYPE_CHECKING:
    from broadaxe.remote.server import Server

__all__ = ["Connection", "connecting"]

TIMEOUT_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Connection:
    """What the flags say; each is None where it is not given."""

    profile: str | None
    url: str | None
    token: str | None
    data_dir: str | None

    def open(self) -> Server:
        """The server that is meant. ConfigurationError that says what to do when none is."""
        from broadaxe.remote.server import Server, checked_url, claims_of

        url = self.url or os.environ.get("BROADAXE_URL") or None
        if url is not None:
            checked_url(url, "--url")
        found_url, found_token, flag = _found(self.profile, self.token, self.data_dir)
        claims = claims_of(found_token, flag)
        return Server(
            "the server",
            url or found_url or claims.server_url,
            found_token,
            timeout_s=TIMEOUT_S,
            url_flag="--url",
            token_flag=flag,
        )


def connecting(command: Callable[..., None]) -> Callable[..., None]:
    """`--profile`, `--url`, `--token` and `--data-dir`, which the command gets as its `connection`."""

    @functools.wraps(command)
    def with_connection(
        *, profile: str | None, url: str | None, token: str | None, data_dir: str | None, **rest: object
    ) -> None:
        command(connection=Connection(profile, url, token, data_dir), **rest)

    connected: Callable[..., None] = with_connection
    for option in (
        click.option(
            "--data-dir",
            metavar="DIR",
            help="Ask the `broadaxe dev` of this directory, if no other server is known. [default: .broadaxe]",
        ),
        click.option(
            "--token", metavar="TOKEN", help="An API token; others see flags. [BROADAXE_TOKEN, HATCHET_CLIENT_TOKEN]"
        ),
        click.option("--url", metavar="URL", help="The server. [default: as the token says; BROADAXE_URL]"),
        click.option(
            "--profile",
            metavar="NAME",
            help="A server that you have logged in to. [default: the last; BROADAXE_PROFILE]",
            shell_complete=_profile_names,
        ),
    ):
        connected = option(connected)
    return connected


def _found(profile: str | None, token: str | None, data_dir: str | None) -> tuple[str, str, str]:
    """Address, which may be empty, token, and what it was given by."""
    from broadaxe import dev_secrets
    from broadaxe.remote import profiles

    settings = options.settings_from({"data_dir": data_dir})
    environment = os.environ
    if token:
        return "", token, "--token"
    named = profile or (None if environment.get("BROADAXE_TOKEN") else environment.get("BROADAXE_PROFILE"))
    if named:
        found = profiles.read(profiles.place()).named(named, "--profile" if profile else "BROADAXE_PROFILE")
        return found.url, found.token, f"--profile {named}"
    if environment.get("BROADAXE_TOKEN"):
        return "", environment["BROADAXE_TOKEN"], "BROADAXE_TOKEN"
    if environment.get("HATCHET_CLIENT_TOKEN") and data_dir is None:
        address = environment.get("HATCHET_CLIENT_API_URL") or environment.get("HATCHET_CLIENT_SERVER_URL") or ""
        return address, environment["HATCHET_CLIENT_TOKEN"], "HATCHET_CLIENT_TOKEN"
    kept = profiles.read(profiles.place())
    if kept.current and data_dir is None:
        found = kept.named(kept.current, "--profile")
        return found.url, found.token, f"--profile {kept.current}"
    dev = dev_secrets.read(dev_secrets.place(settings.data_dir))
    if not dev.token:
        raise ConfigurationError(
            f"no server is known, and `broadaxe dev` never ran in {settings.data_dir}; run `broadaxe login`, set "
            "HATCHET_CLIENT_TOKEN, or give --data-dir",
            field="--profile",
        )
    return dev.server_url, dev.token, "--data-dir"


def _profile_names(_: click.Context, __: click.Parameter, incomplete: str) -> list[str]:
    from broadaxe.errors import BroadaxeError
    from broadaxe.remote import profiles

    try:
        known = profiles.read(profiles.place()).profiles
    except BroadaxeError:
        return []
    return sorted(name for name in known if name.startswith(incomplete))
