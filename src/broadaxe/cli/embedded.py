"""`broadaxe-embedded`: an engine that belongs to the program which started it.

The official SDKs can start an engine themselves: they run a program, wait until it has written a handshake file, and
close its standard input (or just die) when they are done. This is that program. Owns its options, which are written
with one dash and whose names the SDKs fix, and the handshake. What an engine consists of is `broadaxe.app`'s business.

Invariants: the handshake file appears complete or not at all, and only once workers can connect; the engine listens on
this machine only; it ends, in order, when its standard input closes, however its owner died. Between two owners that
follow each other closely it waits for the first one's engine to leave.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from broadaxe.config import Settings, load
from broadaxe.errors import ConfigurationError

if TYPE_CHECKING:
    from broadaxe.app import App

__all__ = ["embedded"]

#: What the flags of these settings are called here, where SDKs chose the names.
FLAGS: Final = {
    "database_url": "-database-url",
    "data_dir": "-postgres-data-dir",
    "grpc_port": "-grpc-port",
    "http_port": "-api-port",
    "log_level": "-log-level",
}
#: How long the engine of an earlier owner may take to leave the data directory.
HANDOVER_S: Final = 15.0
#: The levels that SDKs know beyond ours.
LEVELS: Final = {"trace": "debug", "warn": "warning", "fatal": "error", "panic": "error"}


class _OneDash(click.Command):
    """Options of one dash and many letters, the way SDKs write them. What is unknown is named as it was written."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        options = {name: parameter for parameter in self.get_params(ctx) for name in parameter.opts}
        words = iter(args)
        for word in words:
            name, has_value, _ = word.partition("=")
            option = options.get(name)
            if option is None and word.startswith("-"):
                # Click would take it for several options of one letter, and name one of these.
                raise click.NoSuchOption(name, possibilities=get_close_matches(name, options), ctx=ctx)
            if isinstance(option, click.Option) and not option.is_flag and not has_value:
                next(words, None)
        return super().parse_args(ctx, args)


@click.command(
    "broadaxe-embedded",
    cls=_OneDash,
    context_settings={"help_option_names": ["-h", "-help", "--help"], "max_content_width": 100},
    short_help="Run an engine that belongs to the program which starts it.",
)
@click.option(
    "-handshake-file",
    "--handshake-file",
    metavar="PATH",
    required=True,
    help="Once ready, write how to connect into this file, as JSON.",
)
@click.option(
    "-postgres-data-dir",
    "--postgres-data-dir",
    metavar="DIR",
    help="Where the data lives; created when missing. [default: .broadaxe; BROADAXE_DATA_DIR]",
)
@click.option("-database-url", "--database-url", metavar="URL", help="A PostgreSQL of your own instead.")
@click.option("-no-migrations", "--no-migrations", is_flag=True, help="Leave that PostgreSQL's schema as it is.")
@click.option("-grpc-port", "--grpc-port", metavar="PORT", help="SDKs and workers. [default: any free one]")
@click.option("-api-port", "--api-port", metavar="PORT", help="REST API and dashboard. [default: any free one]")
@click.option("-no-api", "--no-api", is_flag=True, help="Serve gRPC only.")
@click.option("-log-level", "--log-level", metavar="LEVEL", help="debug, info, warn or error. [default: warn]")
@click.option("-rabbitmq-url", "--rabbitmq-url", metavar="URL", help="Refused: there is no message broker.")
def embedded(
    handshake_file: str,
    postgres_data_dir: str | None,
    database_url: str | None,
    no_migrations: bool,
    grpc_port: str | None,
    api_port: str | None,
    no_api: bool,
    log_level: str | None,
    rabbitmq_url: str | None,
) -> None:
    """Run an engine for the program that starts this one. Meant for SDKs: HATCHET_CLIENT_EMBEDDED_BINARY_PATH names it.

    Ends when its standard input closes, and on SIGTERM. By hand, end it with Ctrl-D.

    \b
    Example:
      broadaxe-embedded -handshake-file /tmp/handshake.json -postgres-data-dir /tmp/data
    """
    if rabbitmq_url is not None:
        raise ConfigurationError(
            "-rabbitmq-url: Broadaxe uses no message broker, PostgreSQL is all it needs; leave this option out",
            field="-rabbitmq-url",
        )
    given = {
        "database_url": database_url,
        "data_dir": postgres_data_dir,
        "grpc_port": grpc_port or "0",
        "http_port": api_port or "0",
        "log_level": LEVELS.get(log_level.lower(), log_level) if log_level else "warning",
        "host": "127.0.0.1",
        "serve_http": not no_api,
    }
    _run(load(os.environ, given, FLAGS), Path(handshake_file), run_migrations=not no_migrations)


def _run(settings: Settings, handshake: Path, *, run_migrations: bool) -> None:
    from broadaxe import logs
    from broadaxe.cli import appearing_file, dashboard_link
    from broadaxe.cli.engine_process import run_until_signal
    from broadaxe.cli.ports import WantedPort, claim
    from broadaxe.data_dir_lock import only_engine, state_dir

    # Until the event loop takes over, there is nothing to stop in order. Ctrl-C is for the program that started us.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    if not sys.stdin.isatty():
        # A handler that does nothing: children inherit an ignored signal, and PostgreSQL is stopped by this one.
        signal.signal(signal.SIGINT, lambda *_: None)
    logs.configure(settings.log_level, settings.log_format)
    appearing_file.check_writable(handshake, "-handshake-file")
    grpc_port, http_port = claim(
        settings.host,
        [WantedPort(settings.grpc_port, "gRPC", "-grpc-port"), WantedPort(settings.http_port, "HTTP", "-api-port")],
    )
    settings = replace(settings, grpc_port=grpc_port, http_port=http_port, data_dir=state_dir(settings))

    async def announce(app: App) -> None:
        # The program that started us is the only one that gets this token, and by the handshake.
        from broadaxe.rest.settings import entry_link

        credentials = await app.bootstrap_dev(is_passing=True)
        connection = {
            "token": credentials.token,
            "tenant_id": credentials.tenant_id,
            "grpc_address": app.grpc_address,
            "api_url": app.http_url if settings.serve_http else "",
        }
        if settings.serve_http:
            dashboard_link.keep(settings.data_dir, entry_link(app.http_url, credentials.entry_key))
        appearing_file.write(handshake, json.dumps(connection))

    with only_engine(settings.data_dir, "-postgres-data-dir", patience_s=HANDOVER_S):
        if settings.database_url is not None and run_migrations:
            _migrate(settings.database_url, settings)
        code = run_until_signal(settings, announce, heed_stdin=True)
    raise SystemExit(code)


def _migrate(database_url: str, settings: Settings) -> None:
    import asyncio

    from broadaxe.database import no_connection
    from broadaxe.storage.migrate import Phase, migrate, schema_of
    from broadaxe.storage.outage import UNANSWERED
    from broadaxe.storage.statements import use_schema

    use_schema(settings.database_schema)

    async def bring_up_to_date() -> None:
        # An engine of an earlier owner, or of somebody else, keeps what it needs; the next start does the rest.
        older = (await schema_of(database_url)).older_engines
        await migrate(database_url, settings.retention_days, Phase.PRE if older else None)

    try:
        asyncio.run(bring_up_to_date())
    except UNANSWERED as error:
        raise ConfigurationError(no_connection(database_url, error, "-database-url"), field="-database-url") from None
