"""The words of the console's search box as flags: which runs are meant."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypedDict

import click

from broadaxe.cli.options import Decorated
from broadaxe.errors import InvalidArgument

if TYPE_CHECKING:
    from broadaxe.remote.run_query import RunQuery

__all__ = ["Words", "query_of", "searching"]


class Words(TypedDict):
    """What the flags of `searching` give."""

    status: tuple[str, ...]
    workflow: tuple[str, ...]
    metadata: tuple[str, ...]
    any_metadata: bool
    place: str | None
    cause: tuple[str, ...]
    id_prefix: str | None
    cron: str | None
    schedule: str | None
    event: str | None
    parent: str | None
    worker: str | None
    key: tuple[str, ...]
    input_values: tuple[str, ...]
    output_values: tuple[str, ...]
    text: str | None
    since: str | None
    until: str | None


def searching(command: Decorated) -> Decorated:
    """The flags that choose runs."""
    for option in (
        click.option("--until", metavar="TIME", help="Made before then; as --since."),
        click.option(
            "--since", metavar="TIME", help="Made since then: 2h, 7d, 2026-01-31, an instant, or ever. [default: 24h]"
        ),
        click.option("--text", metavar="TEXT", help="Part of the name of a workflow or run."),
        click.option(
            "--output", "output_values", multiple=True, metavar="PATH=VALUE", help="A value in the output of a task."
        ),
        click.option(
            "--input",
            "input_values",
            multiple=True,
            metavar="PATH=VALUE",
            help="A value in the input, like customer.id=acme.",
        ),
        click.option("--key", multiple=True, metavar="KEY", help="Its idempotency key."),
        click.option("--worker", metavar="ID", help="The worker that took it."),
        click.option("--parent", metavar="ID", help="The run or task that started it."),
        click.option("--event", metavar="ID", help="The event that started it."),
        click.option("--schedule", metavar="ID", help="The scheduled run it came of."),
        click.option("--cron", metavar="NAME", help="The cron it came of."),
        click.option("--id", "id_prefix", metavar="ID", help="How its id begins."),
        click.option("--cause", multiple=True, metavar="CAUSE", help="manual, event, cron or schedule."),
        click.option("--is", "place", metavar="WHERE", help="Of running ones: on-worker, or evicted."),
        click.option("--any-metadata", is_flag=True, help="Any of the --metadata will do, not all of them."),
        click.option("--metadata", multiple=True, metavar="KEY=VALUE", help="Additional metadata that it has."),
        click.option("--workflow", multiple=True, metavar="NAME", help="Name or id of its workflow."),
        click.option(
            "--status", multiple=True, metavar="STATUS", help="queued, running, completed, failed or cancelled."
        ),
    ):
        command = option(command)
    return command


def query_of(words: Words) -> RunQuery:
    """InvalidArgument that names the flag whose value cannot be meant."""
    from broadaxe.remote.run_query import DEFAULT_SINCE, RunQuery

    query = RunQuery(
        statuses=words["status"],
        workflows=words["workflow"],
        metadata=words["metadata"],
        any_metadata=words["any_metadata"],
        place=words["place"],
        causes=words["cause"],
        id=words["id_prefix"],
        cron=words["cron"],
        schedule=words["schedule"],
        event=words["event"],
        parent=words["parent"],
        worker=words["worker"],
        keys=words["key"],
        inputs=words["input_values"],
        outputs=words["output_values"],
        text=words["text"],
        # Whoever knows the id does not know when it was.
        since=words["since"] or ("ever" if words["id_prefix"] else DEFAULT_SINCE),
        until=words["until"],
    )
    try:
        query.body(datetime.now(UTC))
    except InvalidArgument as error:
        raise InvalidArgument(f"--{error.message}", field=f"--{error.field}") from None
    return query
