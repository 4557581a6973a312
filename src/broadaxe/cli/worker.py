"""`broadaxe worker`: the command of the package `broadaxe-worker`, where that is installed beside the engine."""

from __future__ import annotations

import importlib

import click

from broadaxe.errors import ConfigurationError

__all__ = ["worker"]


@click.command(
    "worker",
    short_help="Run a worker for workflows written with the SDK.",
    add_help_option=False,
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@click.pass_context
def worker(context: click.Context, arguments: tuple[str, ...]) -> None:
    """Run the workflows of MODULE:OBJECT. Needs the package broadaxe-worker, whose arguments it takes.

    \b
    Examples:
      broadaxe worker app.main:hatchet
      broadaxe worker app.main:hatchet --slots 100 --reload
      broadaxe worker --help
    """
    try:
        command = importlib.import_module("broadaxe_worker.cli")
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.partition(".")[0] == "broadaxe_worker":
            raise ConfigurationError("this needs the package broadaxe-worker: pip install broadaxe-worker") from None
        raise ConfigurationError(f"broadaxe-worker needs {error.name}, which is not installed") from None
    code: int = command.main(arguments, program="broadaxe worker")
    context.exit(code)
