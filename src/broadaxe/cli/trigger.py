"""`broadaxe trigger`: start a run of a workflow, and wait for it if asked to.

Exit code with `--wait`: 0 when the run completed, 1 when it failed or was cancelled.
"""

from __future__ import annotations

import click

from broadaxe.cli.connection import Connection, connecting
from broadaxe.cli.given_input import fields_of, giving, object_of
from broadaxe.cli.listing import json_line

__all__ = ["trigger"]


@click.command(short_help="Start a run of a workflow.")
@click.argument("workflow")
@giving
@click.option("--metadata", multiple=True, metavar="KEY=VALUE", help="Additional metadata of the run.")
@click.option("--priority", type=click.IntRange(1, 3), help="1 (low), 2 (medium) or 3 (high).")
@click.option("--wait", is_flag=True, help="Wait until it has ended, and print its output.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object: the run, its tasks and history.")
@connecting
def trigger(
    workflow: str,
    file: str | None,
    fields: tuple[str, ...],
    metadata: tuple[str, ...],
    priority: int | None,
    wait: bool,
    as_json: bool,
    connection: Connection,
) -> None:
    """Start a run of WORKFLOW, and print its id. With --wait, what happens is told on standard error, and its output
    printed in the end; the exit code is 1 if it failed or was cancelled.

    \b
    Examples:
      broadaxe trigger greet --field name=Ada --wait
      broadaxe trigger orders --input order.json
      generate | broadaxe trigger orders --input - --metadata tenant=acme
    """
    from broadaxe.cli.runs import follow_to_the_end
    from broadaxe.remote.runs import details
    from broadaxe.remote.runs import trigger as start
    from broadaxe.remote.story import error_text

    given, noted = object_of(file, fields), fields_of(metadata, "--metadata")
    server = connection.open()
    found = start(server, workflow, given, noted, priority)
    run_id = str(found["run"]["metadata"]["id"])
    if not wait:
        click.echo(json_line(found) if as_json else run_id)
        return
    click.echo(f"run {run_id}", err=True)
    ended = follow_to_the_end(server, run_id, as_json=False, to_stderr=True)
    found = details(server, run_id)
    if as_json:
        click.echo(json_line(found))
    elif ended == "COMPLETED":
        click.echo(json_line(found["run"]["output"]))
    else:
        click.echo(error_text(found["run"].get("errorMessage")) or "no reason is told", err=True)
    raise SystemExit(0 if ended == "COMPLETED" else 1)
