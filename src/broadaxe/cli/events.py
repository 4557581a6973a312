"""`broadaxe events`, `webhooks` and `rate-limits`: what starts runs from outside, and what holds them back."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from broadaxe.cli.connection import Connection, connecting
from broadaxe.cli.given_input import fields_of, giving, object_of
from broadaxe.cli.listing import Column, ago, json_line, json_lines, lines_or_table
from broadaxe.cli.planned import one_json
from broadaxe.cli.workflows import limited
from broadaxe.errors import InvalidArgument

__all__ = ["events", "rate_limits", "webhooks"]


@click.group(short_help="Push and list events.")
def events() -> None:
    """Events start the workflows that listen for them, and wake the tasks that wait for them.

    \b
    Examples:
      broadaxe events push order:paid --field order=17
      broadaxe events list --key order:paid --since 2h
    """


@events.command()
@click.argument("key")
@giving
@click.option("--metadata", multiple=True, metavar="KEY=VALUE", help="Additional metadata of the event.")
@click.option("--scope", metavar="SCOPE", help="Only filters of this scope look at it.")
@click.option("--priority", type=click.IntRange(1, 3), help="Of the runs it starts: 1 (low), 2 (medium) or 3 (high).")
@one_json
@connecting
def push(
    key: str,
    file: str | None,
    fields: tuple[str, ...],
    metadata: tuple[str, ...],
    scope: str | None,
    priority: int | None,
    as_json: bool,
    connection: Connection,
) -> None:
    """Push an event, and print its id and those of the runs it started."""
    from broadaxe.remote.resources import Row

    given: Row = {
        "key": key,
        "data": object_of(file, fields),
        "additionalMetadata": fields_of(metadata, "--metadata"),
        "scope": scope,
        "priority": priority,
    }
    server = connection.open()
    said = {name: value for name, value in given.items() if value is not None}
    event = server.ask("POST", f"{server.tenant}/events", said, Row)
    if as_json:
        click.echo(json_line(event))
        return
    click.echo(event["metadata"]["id"])
    for run in event["triggeredRuns"]:
        click.echo(f"run {run['workflowRunId']}", err=True)
    if not event["triggeredRuns"]:
        click.echo("no run was started by it", err=True)


@events.command("list")
@click.option("--key", multiple=True, metavar="KEY", help="Only of this key.")
@click.option("--since", metavar="TIME", default="24h", show_default=True, help="2h, 7d, an instant, or ever.")
@limited
@json_lines
@connecting
def list_(key: tuple[str, ...], since: str, limit: int, as_json: bool, connection: Connection) -> None:
    """List the events, the newest first."""
    from broadaxe.remote.resources import find
    from broadaxe.remote.run_query import instant

    asked: dict[str, str | int | list[str]] = {"since": instant(since, "--since", datetime.now(UTC))}
    if key:
        asked["keys"] = list(key)
    columns = (
        Column("Id", lambda row: str(row["metadata"]["id"]), is_whole=True),
        Column("Key", lambda row: str(row["key"])),
        Column("Seen", lambda row: ago(row["seenAt"])),
        Column("Runs", lambda row: str(len(row["triggeredRuns"]) or "")),
        Column("Payload", lambda row: json_line(row["payload"])),
    )
    rows = find(connection.open(), "events", limit, asked)
    lines_or_table(rows, columns, as_json=as_json, empty="no event matches; --since ever looks further")


@click.group(short_help="List webhooks.")
def webhooks() -> None:
    """Addresses where others push events."""


@webhooks.command("list")
@limited
@json_lines
@connecting
def list_webhooks(limit: int, as_json: bool, connection: Connection) -> None:
    """List the webhooks, the newest first.

    \b
    Example:
      broadaxe webhooks list
    """
    from broadaxe.remote.resources import find

    columns = (
        Column("Name", lambda row: str(row["name"]), is_whole=True),
        Column("Source", lambda row: str(row["sourceName"]).lower()),
        Column("Proof", lambda row: str(row["authType"]).lower()),
        Column("Event key", lambda row: str(row["eventKeyExpression"])),
    )
    rows = find(connection.open(), "webhooks", limit)
    lines_or_table(rows, columns, as_json=as_json, empty="there is no webhook")


@click.group("rate-limits", short_help="List and set rate limits.")
def rate_limits() -> None:
    """How many units of something tasks may use in a window of time.

    \b
    Examples:
      broadaxe rate-limits list
      broadaxe rate-limits set mail-api --units 100 --window 1m
    """


@rate_limits.command("list")
@click.option("--text", metavar="TEXT", help="Part of the key.")
@limited
@json_lines
@connecting
def list_limits(text: str | None, limit: int, as_json: bool, connection: Connection) -> None:
    """List the rate limits with the units that are left now."""
    from broadaxe.remote.resources import find

    columns = (
        Column("Key", lambda row: str(row["key"]), is_whole=True),
        Column("Left", lambda row: f"{row['value']}/{row['limitValue']}"),
        Column("Window", lambda row: str(row["window"])),
        Column("Refilled", lambda row: ago(row.get("lastRefill"))),
    )
    rows = find(connection.open(), "rate-limits", limit, {"search": text} if text else None)
    lines_or_table(rows, columns, as_json=as_json, empty="there is no rate limit")


@rate_limits.command("set")
@click.argument("key")
@click.option("--units", type=click.IntRange(0, 2**31 - 1), required=True, help="Units of each window.")
@click.option("--window", metavar="DURATION", required=True, help="How long a window is, such as 1s, 5m or 24h.")
@connecting
def set_(key: str, units: int, window: str, connection: Connection) -> None:
    """Make a rate limit, or change the one of this key."""
    from broadaxe.core.durations import parse_duration

    try:
        parse_duration(window, field="--window")
    except InvalidArgument as error:
        raise InvalidArgument(f"--window: {error.message}", field="--window") from None
    server = connection.open()
    server.send("PUT", f"{server.stable}/rate-limits", {"key": key, "limit": units, "window": window})
    click.echo(f"{key}: {units} in {window}")
