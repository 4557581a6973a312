"""`broadaxe workflows` and `broadaxe workers`: what a tenant can run, and who runs it."""

from __future__ import annotations

from typing import Final

import click

from broadaxe.cli.connection import Connection, connecting
from broadaxe.cli.listing import Column, ago, at, json_line, json_lines, lines_or_table, plain, slots
from broadaxe.errors import InvalidArgument

__all__ = ["workers", "workflows"]

LISTED_MAX: Final = 10_000
#: Where everybody who pauses without saying more begins, as in the console.
QUEUE_TTL: Final = "30d"

limited = click.option(
    "--limit", type=click.IntRange(1, LISTED_MAX), default=100, show_default=True, help="How many, the newest."
)


@click.group(short_help="List, show, pause and unpause workflows.")
def workflows() -> None:
    """What can be run. A workflow is named by its name or id.

    \b
    Examples:
      broadaxe workflows list
      broadaxe workflows show orders
      broadaxe workflows pause orders --crons drop --queue-ttl 2h
    """


@workflows.command("list")
@click.option("--text", metavar="TEXT", help="Part of the name.")
@limited
@json_lines
@connecting
def list_(text: str | None, limit: int, as_json: bool, connection: Connection) -> None:
    """List the workflows, the newest first."""
    from broadaxe.remote.resources import find

    columns = (
        Column("Name", lambda row: str(row["name"]), is_whole=True),
        Column("Paused", lambda row: ago(row.get("pausedAt")) if row.get("isPaused") else ""),
        Column("Made", lambda row: ago(row["metadata"]["createdAt"])),
        Column("Description", lambda row: str(row.get("description") or "")),
    )
    rows = find(connection.open(), "workflows", limit, {"name": text} if text else None)
    lines_or_table(rows, columns, as_json=as_json, empty="no workflow is registered: start a worker")


@workflows.command()
@click.argument("workflow")
@click.option("--json", "as_json", is_flag=True, help="One JSON object: its latest version.")
@connecting
def show(workflow: str, as_json: bool, connection: Connection) -> None:
    """Show a workflow: its tasks, what starts it, the JSON Schema of its input."""
    from broadaxe.remote.resources import schema_of, version_of, workflow_named

    server = connection.open()
    found = workflow_named(server, workflow)
    version = version_of(server, found)
    if as_json:
        click.echo(json_line(version))
        return
    triggers = version.get("triggers") or {}
    facts = (
        ("workflow", found["name"]),
        ("id", found["metadata"]["id"]),
        ("version", f"{version['order']} of {at(version['metadata']['createdAt'])}"),
        ("paused", f"since {at(found.get('pausedAt'))}" if found.get("isPaused") else ""),
        ("about", found.get("description") or ""),
        ("events", ", ".join(str(one["event_key"]) for one in triggers.get("events") or ())),
        ("crons", ", ".join(str(one.get("cron")) for one in triggers.get("crons") or ())),
        ("input", json_line(schema_of(version) or "any object")),
    )
    for name, text in facts:
        if text:
            click.echo(f"{name:<10}  {plain(str(text))}")


@workflows.command()
@click.argument("workflow")
@click.option("--crons", metavar="WHAT", default="queue", show_default=True, help="Ticks meanwhile: queue, or drop.")
@click.option(
    "--schedules", metavar="WHAT", default="queue", show_default=True, help="Scheduled runs meanwhile: queue, or drop."
)
@click.option(
    "--queue-ttl", metavar="DURATION", default=QUEUE_TTL, show_default=True, help="Runs that wait longer are cancelled."
)
@connecting
def pause(workflow: str, crons: str, schedules: str, queue_ttl: str, connection: Connection) -> None:
    """Pause a workflow: its runs are made and wait, those that run go on."""
    from broadaxe.core.durations import parse_duration

    for flag, word in (("--crons", crons), ("--schedules", schedules)):
        if word.lower() not in ("queue", "drop"):
            raise InvalidArgument(f"{flag} {word[:80]!r}: write queue or drop", field=flag)
    try:
        parse_duration(queue_ttl, field="--queue-ttl")
    except InvalidArgument as error:
        raise InvalidArgument(f"--queue-ttl: {error.message}", field="--queue-ttl") from None
    _change(
        connection,
        workflow,
        {
            "action": "pause",
            "pausedWorkflowCronRunQueueBehavior": crons.upper(),
            "pausedWorkflowScheduledRunQueueBehavior": schedules.upper(),
            "pausedWorkflowQueueTTL": queue_ttl,
        },
    )
    click.echo(f"{workflow} is paused; `broadaxe workflows unpause {workflow}` lets it go on")


@workflows.command()
@click.argument("workflow")
@connecting
def unpause(workflow: str, connection: Connection) -> None:
    """Let a paused workflow go on."""
    _change(connection, workflow, {"action": "unpause"})
    click.echo(f"{workflow} goes on")


@click.group(short_help="List and show workers.")
def workers() -> None:
    """Who runs tasks. A worker is named by its name, if no other has it, or its id.

    \b
    Examples:
      broadaxe workers list --status active
      broadaxe workers show 0199b6a2-7c1e-7f00-8000-0123456789ab
    """


@workers.command("list")
@click.option("--status", multiple=True, metavar="STATUS", help="active, paused or inactive.")
@limited
@json_lines
@connecting
def list_workers(status: tuple[str, ...], limit: int, as_json: bool, connection: Connection) -> None:
    """List the workers that were seen in the last 24 hours, the newest first."""
    from broadaxe.remote.resources import find

    wrong = next((word for word in status if word.lower() not in ("active", "paused", "inactive")), None)
    if wrong is not None:
        raise InvalidArgument(f"--status {wrong[:80]!r}: there are active, paused and inactive", field="--status")
    columns = (
        Column("Id", lambda row: str(row["metadata"]["id"]), is_whole=True),
        Column("Name", lambda row: str(row["name"])),
        Column("Status", lambda row: str(row["status"]).lower()),
        Column("Slots", slots),
        Column("Heard", lambda row: ago(row.get("lastHeartbeatAt"))),
    )
    asked = {"statuses": [word.upper() for word in status]} if status else None
    rows = find(connection.open(), "workers", limit, asked)
    lines_or_table(rows, columns, as_json=as_json, empty="no worker was seen in the last 24 hours")


@workers.command("show")
@click.argument("worker")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@connecting
def show_worker(worker: str, as_json: bool, connection: Connection) -> None:
    """Show a worker: its slots, labels, workflows, and what it runs."""
    from broadaxe.remote.resources import worker_named

    found = worker_named(connection.open(), worker)
    if as_json:
        click.echo(json_line(found))
        return
    runtime = found.get("runtimeInfo") or {}
    facts = (
        ("worker", found["name"]),
        ("id", found["metadata"]["id"]),
        ("status", str(found["status"]).lower()),
        ("heard", f"{at(found.get('lastHeartbeatAt'))} ({ago(found.get('lastHeartbeatAt'))})"),
        ("slots", slots(found)),
        ("labels", ", ".join(f"{label['key']}={label['value']}" for label in found["labels"])),
        ("workflows", ", ".join(str(one["name"]) for one in found.get("registeredWorkflows") or ())),
        ("runtime", " ".join(str(value) for value in runtime.values())),
    )
    for name, text in facts:
        if text:
            click.echo(f"{name:<10}  {plain(str(text))}")
    for slot in found["slots"]:
        click.echo(plain(f"runs        {slot['workflowRunId']}  {slot['actionId']}  {ago(slot.get('startedAt'))}"))


def _change(connection: Connection, workflow: str, pause: dict[str, str]) -> None:
    from broadaxe.remote.resources import workflow_named

    server = connection.open()
    found = workflow_named(server, workflow)
    server.send("PATCH", f"/api/v1/workflows/{found['metadata']['id']}", {"pause": pause})
