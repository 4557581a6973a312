"""The `broadaxe` command: what it offers, and how it ends when something is wrong.

Owns the list of commands and the exit codes: 0 done, 1 failed, 2 to be corrected by the user (a flag, a value, a name
that is not there or taken, a port, a directory), 130 interrupted. A mistake of the user's is one line on stderr, never
a stack trace. Everything heavy is imported inside the commands, so that `broadaxe --help` answers at once.
"""

from __future__ import annotations

import sys
from typing import NoReturn

import click

from broadaxe.cli.account import account
from broadaxe.cli.audit import audit
from broadaxe.cli.backup import backup, restore
from broadaxe.cli.cluster import cluster
from broadaxe.cli.completion import completion
from broadaxe.cli.demo import demo
from broadaxe.cli.doctor import doctor
from broadaxe.cli.embedded import embedded
from broadaxe.cli.engine import dev, serve
from broadaxe.cli.events import events, rate_limits, webhooks
from broadaxe.cli.export import export
from broadaxe.cli.login import login, logout, profiles
from broadaxe.cli.mcp import mcp
from broadaxe.cli.migrate import migrate
from broadaxe.cli.move import import_
from broadaxe.cli.open_file import open_file
from broadaxe.cli.planned import crons, schedules
from broadaxe.cli.runs import runs
from broadaxe.cli.streams import streams
from broadaxe.cli.tenant import tenant
from broadaxe.cli.token import token
from broadaxe.cli.top import top
from broadaxe.cli.trigger import trigger
from broadaxe.cli.worker import worker
from broadaxe.cli.workflows import workers, workflows
from broadaxe.errors import AlreadyExists, BroadaxeError, ConfigurationError, InvalidArgument, NotFound

__all__ = ["cli", "main", "main_embedded"]

#: What the user wrote was wrong, or what they named is not there: another command line helps, the same one does not.
USER_MISTAKES = (AlreadyExists, ConfigurationError, InvalidArgument, NotFound)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=lambda context, _, is_asked: _show_version(context) if is_asked else None,
    help="Show the version and the commit it was built from, and exit.",
)
def cli() -> None:
    """A durable task and workflow engine that speaks the Hatchet protocol.

    \b
    First steps:
      broadaxe dev                          engine, dashboard and PostgreSQL in one process
      broadaxe dev --env-file hatchet.env   the same, and write what an SDK needs into a file
      broadaxe doctor                       what is wrong with this machine, and what to do

    \b
    Every day:
      broadaxe trigger greet --field name=Ada --wait
      broadaxe runs list --status failed
      broadaxe runs watch 0199b6a2

    \b
    In production:
      export BROADAXE_DATABASE_URL=postgresql://user:password@host/broadaxe
      broadaxe migrate
      broadaxe tenant create Billing --owner-email you@example.com
      broadaxe token create --tenant billing --name "billing workers"
      broadaxe serve --host 0.0.0.0

    Every flag has an environment variable: --grpc-port is BROADAXE_GRPC_PORT, and so on. Flags win.
    """


for command in (
    dev,
    serve,
    worker,
    demo,
    login,
    logout,
    profiles,
    runs,
    trigger,
    workflows,
    workers,
    crons,
    schedules,
    events,
    webhooks,
    rate_limits,
    streams,
    top,
    mcp,
    tenant,
    account,
    audit,
    token,
    cluster,
    migrate,
    backup,
    restore,
    export,
    import_,
    doctor,
    open_file,
    completion,
):
    cli.add_command(command)


def _show_version(context: click.Context) -> None:
    from broadaxe.version import describe

    click.echo(f"broadaxe {describe()}")
    context.exit()


def main() -> None:
    """The entry point of the console script `broadaxe`."""
    _run(cli)


def main_embedded() -> None:
    """The entry point of the console script `broadaxe-embedded`."""
    _run(embedded)


def _run(command: click.Command) -> NoReturn:
    try:
        code = command.main(standalone_mode=False)
    except click.exceptions.Exit as end:
        code = end.exit_code
    except click.Abort:
        code = 130
    except click.ClickException as mistake:
        mistake.show()
        if isinstance(mistake, click.MissingParameter) and mistake.ctx is not None:
            _show_example(mistake.ctx)
        code = mistake.exit_code
    except BroadaxeError as error:
        click.echo(f"broadaxe: {error.message}", err=True)
        code = 2 if isinstance(error, USER_MISTAKES) else 1
    except KeyboardInterrupt:
        code = 130
    sys.exit(code if isinstance(code, int) else 0)


def _show_example(context: click.Context) -> None:
    """One line of the help that shows how the command is called, its own or that of the group it belongs to."""
    names: list[str] = []
    told: click.Context | None = context
    while told is not None:
        names.insert(0, told.command.name or "")
        told = told.parent
    words = " ".join(("broadaxe", *names[1:])) if len(names) > 1 else names[0]
    told = context
    while told is not None:
        for line in (told.command.help or "").splitlines():
            if line.strip().startswith(f"{words} "):
                click.echo(f"\nExample: {line.strip()}", err=True)
                return
        told = told.parent


if __name__ == "__main__":
    main()
