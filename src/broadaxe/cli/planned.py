"""`broadaxe crons` and `broadaxe schedules`: what starts runs later."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

import click

from broadaxe.cli.connection import Connection, connecting
from broadaxe.cli.given_input import fields_of, giving, object_of
from broadaxe.cli.listing import Column, ago, at, json_line, json_lines, lines_or_table
from broadaxe.cli.workflows import limited
from broadaxe.errors import InvalidArgument

__all__ = ["crons", "schedules"]

CRONS: Final = "workflows/crons"
SCHEDULES: Final = "workflows/scheduled"

metadata_flag = click.option("--metadata", multiple=True, metavar="KEY=VALUE", help="Additional metadata of its runs.")
priority_flag = click.option("--priority", type=click.IntRange(1, 3), help="1 (low), 2 (medium) or 3 (high).")
one_json = click.option("--json", "as_json", is_flag=True, help="One JSON object.")


@click.group(short_help="List, make, pause, run and delete crons.")
def crons() -> None:
    """Runs that come again and again. A cron is named by its name, if no other has it, or its id.

    \b
    Examples:
      broadaxe crons list --workflow report
      broadaxe crons create nightly --workflow report --expression "0 3 * * *" --field depth=2
      broadaxe crons pause nightly
    """


@crons.command("list")
@click.option("--workflow", metavar="NAME", help="Only of this workflow.")
@limited
@json_lines
@connecting
def list_(workflow: str | None, limit: int, as_json: bool, connection: Connection) -> None:
    """List the crons, the newest first."""
    from broadaxe.remote.resources import find

    columns = (
        Column("Id", lambda row: str(row["metadata"]["id"]), is_whole=True),
        Column("Name", lambda row: str(row.get("name") or "")),
        Column("Workflow", lambda row: str(row["workflowName"])),
        Column("Expression", lambda row: str(row["cron"])),
        Column("Paused", lambda row: "" if row["enabled"] else "paused"),
    )
    rows = find(connection.open(), "crons", limit, {"workflowName": workflow} if workflow else None)
    lines_or_table(rows, columns, as_json=as_json, empty="there is no cron")


@crons.command()
@click.argument("name")
@click.option("--workflow", metavar="NAME", required=True, help="The workflow that it starts.")
@click.option(
    "--expression", metavar="CRON", required=True, help="Such as `0 3 * * *`; `CRON_TZ=Europe/Berlin` before it."
)
@giving
@metadata_flag
@priority_flag
@one_json
@connecting
def create(
    name: str,
    workflow: str,
    expression: str,
    file: str | None,
    fields: tuple[str, ...],
    metadata: tuple[str, ...],
    priority: int | None,
    as_json: bool,
    connection: Connection,
) -> None:
    """Make a cron."""
    from broadaxe.core.cron import CronExpression
    from broadaxe.remote.resources import Row, of_workflow

    try:
        CronExpression(expression, field="--expression")
    except InvalidArgument as error:
        raise InvalidArgument(f"--expression {expression[:80]!r}: {error.message}", field="--expression") from None
    body: Row = {
        "cronName": name,
        "cronExpression": expression,
        "input": object_of(file, fields),
        "additionalMetadata": fields_of(metadata, "--metadata") or {},
        **({} if priority is None else {"priority": priority}),
    }
    server = connection.open()
    made = server.ask("POST", f"{of_workflow(server, workflow)}/crons", body, Row)
    click.echo(json_line(made) if as_json else made["metadata"]["id"])


def _on_cron(connection: Connection, name: str, method: str, body: dict[str, object]) -> None:
    from broadaxe.remote.resources import cron_id

    server = connection.open()
    server.send(method, f"{server.tenant}/{CRONS}/{cron_id(server, name)}", body)


@crons.command()
@click.argument("cron")
@connecting
def delete(cron: str, connection: Connection) -> None:
    """Delete a cron. One that its workflow declares returns when the workflow is registered again."""
    _on_cron(connection, cron, "DELETE", {})
    click.echo(f"{cron} is deleted")


@crons.command()
@click.argument("cron")
@connecting
def pause(cron: str, connection: Connection) -> None:
    """Pause a cron: ticks that come meanwhile are lost."""
    _on_cron(connection, cron, "PATCH", {"enabled": False})
    click.echo(f"{cron} is paused")


@crons.command()
@click.argument("cron")
@connecting
def unpause(cron: str, connection: Connection) -> None:
    """Let a paused cron tick again."""
    _on_cron(connection, cron, "PATCH", {"enabled": True})
    click.echo(f"{cron} ticks again")


@crons.command()
@click.argument("cron")
@connecting
def run(cron: str, connection: Connection) -> None:
    """Make a run of a cron now, and print its id."""
    from broadaxe.remote.resources import Row, cron_id

    server = connection.open()
    click.echo(server.ask("POST", f"{server.tenant}/{CRONS}/{cron_id(server, cron)}", {}, Row)["externalId"])


@click.group(short_help="List, make, run and delete scheduled runs.")
def schedules() -> None:
    """Runs that come once, later.

    \b
    Examples:
      broadaxe schedules list
      broadaxe schedules create --workflow report --at 2027-01-31T03:00:00Z
      broadaxe schedules create --workflow report --in 2h --field depth=2
    """


@schedules.command("list")
@limited
@json_lines
@connecting
def list_schedules(limit: int, as_json: bool, connection: Connection) -> None:
    """List the runs to come, the next one first."""
    from broadaxe.remote.resources import find

    columns = (
        Column("Id", lambda row: str(row["metadata"]["id"]), is_whole=True),
        Column("Workflow", lambda row: str(row["workflowName"])),
        Column("At", lambda row: at(row["triggerAt"])),
        Column("", lambda row: ago(row["triggerAt"])),
    )
    asked = {"orderByField": "triggerAt", "orderByDirection": "ASC"}
    rows = find(connection.open(), "schedules", limit, asked)
    lines_or_table(rows, columns, as_json=as_json, empty="no run is scheduled")


@schedules.command("create")
@click.option("--workflow", metavar="NAME", required=True, help="The workflow that it starts.")
@click.option("--at", "moment", metavar="TIME", help="When, such as 2027-01-31T03:00:00Z.")
@click.option("--in", "delay", metavar="DURATION", help="In how long, such as 90s or 2h, instead of --at.")
@giving
@metadata_flag
@priority_flag
@one_json
@connecting
def create_schedule(
    workflow: str,
    moment: str | None,
    delay: str | None,
    file: str | None,
    fields: tuple[str, ...],
    metadata: tuple[str, ...],
    priority: int | None,
    as_json: bool,
    connection: Connection,
) -> None:
    """Schedule a run, and print the id of the schedule."""
    from broadaxe.remote.resources import Row, of_workflow

    body: Row = {
        "triggerAt": _when(moment, delay),
        "input": object_of(file, fields),
        "additionalMetadata": fields_of(metadata, "--metadata") or {},
        **({} if priority is None else {"priority": priority}),
    }
    server = connection.open()
    made = server.ask("POST", f"{of_workflow(server, workflow)}/scheduled", body, Row)
    click.echo(json_line(made) if as_json else made["metadata"]["id"])


@schedules.command("delete")
@click.argument("schedule")
@connecting
def delete_schedule(schedule: str, connection: Connection) -> None:
    """Delete a scheduled run."""
    server = connection.open()
    server.send("DELETE", f"{server.tenant}/{SCHEDULES}/{_id(schedule)}", {})
    click.echo(f"{schedule} is deleted")


@schedules.command("run")
@click.argument("schedule")
@connecting
def run_schedule(schedule: str, connection: Connection) -> None:
    """Start a scheduled run now instead, and print the id of the run."""
    server = connection.open()
    click.echo(server.ask("POST", f"{server.tenant}/{SCHEDULES}/{_id(schedule)}", {}, dict[str, str])["externalId"])


def _id(text: str) -> str:
    from broadaxe.remote.run_query import checked_id

    return checked_id(text, "SCHEDULE")


def _when(moment: str | None, delay: str | None) -> str:
    from broadaxe.core.durations import parse_duration
    from broadaxe.remote.run_query import instant

    now = datetime.now(UTC)
    if (moment is None) == (delay is None):
        raise InvalidArgument("Missing when: give --at or --in, one of them", field="--at")
    try:
        if moment is not None:
            return instant(moment, "at", now)
        after = timedelta(microseconds=parse_duration(delay or "", field="--in"))
        return (now + after).isoformat(timespec="microseconds").replace("+00:00", "Z")
    except (InvalidArgument, OverflowError):
        flag, text = ("--at", moment) if moment is not None else ("--in", delay)
        example = "an instant like 2027-01-31T03:00:00Z" if moment is not None else "a duration like 90s or 2h"
        raise InvalidArgument(f"{flag} {str(text)[:80]!r}: write {example}", field=flag) from None
