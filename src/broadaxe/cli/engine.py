"""`broadaxe dev` and `broadaxe serve`: run an engine in this process until a signal says stop.

Owns the flags, what is announced to the user, and the checks before the start: settings, ports, one `dev` per data
directory. Signals are `engine_process`'s business, what an engine consists of is `broadaxe.app`'s.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import click

from broadaxe.cli import dashboard_link, options
from broadaxe.config import Settings
from broadaxe.data_dir_lock import only_engine
from broadaxe.errors import ConfigurationError

if TYPE_CHECKING:
    from broadaxe.app import App

__all__ = ["dev", "serve"]

#: How much of a token is printed where others may read it: its form, and nothing of its claims or its secret.
TOKEN_CHARS_SHOWN = 8

Ready = Callable[["App"], Awaitable[None]]


@click.command(short_help="Run an engine for development, PostgreSQL included.")
@options.data_dir
@options.listening
@options.choosing
@options.mail
@options.openid
@options.tls
@click.option("--env-file", metavar="FILE", help="Once ready, write what SDKs need into FILE as KEY=value lines.")
@click.option(
    "--extra-database",
    "extra_databases",
    metavar="NAME",
    multiple=True,
    help="Also create this database on the embedded server, for an application of yours; "
    "its URL goes into the env file as BROADAXE_DATABASE_URL_NAME. May be repeated.",
)
@click.option(
    "--login/--no-login",
    default=None,
    help="Ask who is there before the dashboard opens: the printed link answers, or a password. [default: ask]",
)
@options.database_url
@options.direct_database_url
@options.read_database_url
@options.logging_flags
def dev(env_file: str | None, login: bool | None, extra_databases: tuple[str, ...], **given: str | bool | None) -> None:
    """Run an engine for development: gRPC, REST, dashboard and a private PostgreSQL, in one process.

    Creates a tenant, a user and a token, and prints what an SDK needs to connect, and a link that lets you into the
    dashboard. The data stays in the data directory, so the next start continues where this one ended. Listens on this
    machine only, unless told otherwise. Secrets are printed on a terminal only; elsewhere it says where they are.

    \b
    Examples:
      broadaxe dev
      broadaxe dev --data-dir /tmp/try --grpc-port 0 --http-port 0 --env-file /tmp/try.env
      set -a; source /tmp/try.env; python worker.py
    """
    settings = options.settings_from({**given, "extra_databases": extra_databases or None})
    if login is not None:
        settings = replace(settings, require_login=login)
    if settings.extra_databases and not settings.embedded:
        raise ConfigurationError(
            "--extra-database works on the embedded PostgreSQL only; create databases on your own server yourself",
            field="--extra-database",
        )
    if settings.log_format == "auto" and _is_one_file(sys.stdout, sys.stderr):
        # People read what is announced; lines for machines between would help neither.
        settings = replace(settings, log_format="console")
    target = Path(env_file) if env_file is not None else None
    if target is not None:
        from broadaxe.cli import env_file as env_files

        env_files.check_writable(target)
    started = time.monotonic()

    async def announce(app: App) -> None:
        credentials = await app.bootstrap_dev()
        values = {
            "HATCHET_CLIENT_TOKEN": credentials.token,
            "HATCHET_CLIENT_HOST_PORT": app.grpc_address,
            "HATCHET_CLIENT_SERVER_URL": app.http_url,
            "HATCHET_CLIENT_API_URL": app.http_url,
            "HATCHET_CLIENT_TLS_STRATEGY": settings.tls_strategy or "tls",
        }
        databases = {
            f"BROADAXE_DATABASE_URL_{name.upper()}": await app.database_dsn(name) for name in settings.extra_databases
        }
        if settings.embedded and settings.loopback_only:
            # Not BROADAXE_DATABASE_URL: the next `dev` of a shell that read this file would take it for a server of
            # the user's own.
            databases["BROADAXE_ENGINE_DATABASE_URL"] = await app.database_dsn()
        link = app.http_url
        if settings.require_login:
            from broadaxe.rest.settings import entry_link

            link = entry_link(app.http_url, credentials.entry_key)
        dashboard_link.keep(settings.data_dir, link)
        if target is not None:
            from broadaxe.cli import env_file as env_files

            env_files.write(target, {**values, **databases})
        is_terminal = sys.stdout.isatty()
        click.echo(f"\nBroadaxe is ready ({time.monotonic() - started:.1f} s)\n")
        click.echo(f"  dashboard  {dashboard_link.shown(settings.data_dir, link, app.http_url)}")
        click.echo(f"  docs       {app.http_url}/docs/")
        click.echo(f"  gRPC       {app.grpc_address}")
        click.echo(f"  data       {settings.data_dir if settings.embedded else 'the database given'}")
        if settings.require_login and is_terminal and (login or not settings.loopback_only):
            click.echo(f"  login      {credentials.email}  {credentials.password or '(the password set earlier)'}")
        click.echo("\nTo connect an SDK:\n")
        if not is_terminal:
            # What is printed goes into a log, and logs are read by others.
            if target is not None:
                click.echo(f"  set -a; source {target}; set +a")
                values = {}
            else:
                values["HATCHET_CLIENT_TOKEN"] = (
                    f"{credentials.token[:TOKEN_CHARS_SHOWN]}...   # start with --env-file FILE to have it in a file"
                )
        for name, value in values.items():
            click.echo(f"  export {name}={value}")
        click.echo("\nStop with Ctrl-C.", nl=True)
        sys.stdout.flush()

    _run(settings, announce, exclusive=True)


@click.command(short_help="Run an engine on your own PostgreSQL.")
@options.database_url
@options.direct_database_url
@options.read_database_url
@click.option(
    "--migrate",
    is_flag=True,
    default=None,
    help="Bring the schema up to date first, as `broadaxe migrate --phase pre` does.",
)
@options.listening
@click.option(
    "--edges",
    metavar="COUNT",
    help="Run so many processes on the same ports in front of the one that decides, to use more cores. [default: 0]",
)
@options.linking
@options.choosing
@options.mail
@options.openid
@options.tls
@options.logging_flags
@options.data_dir
def serve(**given: str | bool | None) -> None:
    """Run an engine on your own PostgreSQL. Several on one database take over from each other.

    The schema must be up to date: run `broadaxe migrate` first, or start with --migrate. On a fresh database
    the log has a code, with which the page /setup makes the first account and tenant; `broadaxe tenant create` makes
    them on the command line. Tokens are issued with `broadaxe token create`.

    \b
    Examples:
      broadaxe serve --database-url postgresql://user:password@host/broadaxe
      broadaxe serve --host 0.0.0.0 --public-url https://broadaxe.example.com --public-grpc grpc.example.com:443
    """
    settings = options.settings_from(given)
    if settings.database_url is None:
        raise ConfigurationError(
            "serve needs a database: give --database-url or set BROADAXE_DATABASE_URL "
            "(on your own machine, `broadaxe dev` brings one along)",
            field="--database-url",
        )

    async def announce(app: App) -> None:
        await app.offer_setup()
        _announce(app.settings)

    _run(settings, announce, exclusive=False)


def _announce(settings: Settings) -> None:
    click.echo(f"Broadaxe is ready: {settings.http_url}, gRPC {settings.grpc_address}")
    sys.stdout.flush()


def _is_one_file(first: TextIO, second: TextIO) -> bool:
    try:
        return os.path.sameopenfile(first.fileno(), second.fileno())
    except (OSError, ValueError):
        return False


def _run(settings: Settings, announce: Ready, *, exclusive: bool) -> None:
    # Until the event loop takes over, there is nothing to stop in order.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: sys.exit(0))
    from broadaxe import logs
    from broadaxe.cli.engine_process import run_until_signal
    from broadaxe.cli.ports import claim, wanted_ports

    logs.configure(settings.log_level, settings.log_format)
    # The link's port is for its own listener to choose where any will do.
    grpc_port, http_port, _ = claim(settings.host, wanted_ports(settings))
    settings = replace(settings, grpc_port=grpc_port, http_port=http_port)
    if settings.edges and not exclusive:
        from broadaxe.cli.edges import run_with_edges

        raise SystemExit(run_with_edges(settings, _announce))
    with only_engine(settings.data_dir) if exclusive else contextlib.nullcontext():
        code = run_until_signal(settings, announce)
    raise SystemExit(code)
