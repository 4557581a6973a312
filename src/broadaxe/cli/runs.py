"""`broadaxe runs`: look for runs, look at one, follow it, cancel, replay, and read its log.

Owns the flags and how runs are shown to people. What is asked of the server is in `broadaxe.remote.runs`.
Exit code of `watch`: 1 when the run failed or was cancelled.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Unpack

import click

from broadaxe.cli.connection import Connection, connecting
from broadaxe.cli.given_input import json_or_text
from broadaxe.cli.listing import Column, ago, at, between, json_line, json_lines, lines_or_table, plain, status
from broadaxe.cli.run_flags import Words, query_of, searching
from broadaxe.errors import InvalidArgument
from broadaxe.remote.story import error_line

if TYPE_CHECKING:
    from broadaxe.remote.run_query import RunQuery
    from broadaxe.remote.runs import Act
    from broadaxe.remote.server import Server

__all__ = ["follow_to_the_end", "runs"]

LISTED_MAX: Final = 200_000
LINES_MAX: Final = 100_000
#: Runs that are looked at again whenever something changes.
WATCHED_MAX: Final = 200
NAMED_MAX: Final = 100
#: As many the server finds by a filter.
CANCELLED_MAX: Final = 20_000
REPLAYED_MAX: Final = 1_000
ERROR_LINES_MAX: Final = 200
NONE_FOUND: Final = "no run matches; --since ever looks further"
LAST_LINES_S: Final = 1.0
LEVELS: Final = ("debug", "info", "warn", "error")

COLUMNS: Final = (
    Column("Id", lambda row: str(row["taskExternalId"]), is_whole=True),
    Column("Status", lambda row: status(row["status"]), is_whole=True),
    Column("Name", lambda row: str(row["displayName"] if row["type"] == "TASK" else row["workflowName"])),
    Column("Made", lambda row: ago(row["createdAt"])),
    Column("Took", lambda row: between(row.get("startedAt"), row.get("finishedAt"))),
    Column("Error", lambda row: error_line(row.get("errorMessage"))),
)


@click.group(short_help="Look for runs, follow, cancel and replay them, read their logs.")
def runs() -> None:
    """Look for runs, and act on them. A run is named by its id, or how that begins.

    \b
    Examples:
      broadaxe runs list --status failed --workflow orders --since 7d
      broadaxe runs show 0199b6a2
      broadaxe runs watch 0199b6a2
      broadaxe runs replay --status failed --workflow orders --since 2h
      broadaxe runs logs 0199b6a2 --follow
    """


@runs.command("list")
@searching
@click.option("--tasks", is_flag=True, help="Tasks of runs, those of DAGs one by one.")
@click.option("--oldest-first", is_flag=True, help="Begin with the oldest run.")
@click.option("--limit", type=click.IntRange(1, LISTED_MAX), default=50, show_default=True, help="How many.")
@json_lines
@connecting
def list_(
    tasks: bool,
    oldest_first: bool,
    limit: int,
    as_json: bool,
    connection: Connection,
    **words: Unpack[Words],
) -> None:
    """List runs, the newest first: of the last 24 hours unless --since says otherwise.

    \b
    Examples:
      broadaxe runs list --status failed,cancelled --metadata tenant=acme
      broadaxe runs list --input customer.id=acme --since 7d --json
    """
    from broadaxe.remote.runs import find

    if tasks and oldest_first:
        raise InvalidArgument("--oldest-first is for runs only: tasks are listed newest first", field="--oldest-first")
    query = query_of(words)
    server = connection.open()
    found = find(server, query, limit, of_tasks=tasks, with_payloads=as_json, oldest_first=oldest_first)
    number = lines_or_table(
        _counted(found), COLUMNS, as_json=as_json, empty="no run matches; --since ever looks further"
    )
    if number == limit and not as_json:
        click.echo(f"there may be more than these {limit}; --limit shows more", err=True)


@runs.command()
@click.argument("run")
@click.option("--json", "as_json", is_flag=True, help="One JSON object: run, tasks, history, what it waits for.")
@connecting
def show(run: str, as_json: bool, connection: Connection) -> None:
    """Show one run: how it stands, what it waits for, its tasks, its history, input and output.

    \b
    Example:
      broadaxe runs show 0199b6a2
    """
    from broadaxe.remote.runs import ENDED, details, id_of, waiting

    server = connection.open()
    found = details(server, id_of(server, run))
    reasons = [] if found["run"]["status"] in ENDED else waiting(server, found["run"]["metadata"]["id"])
    if as_json:
        click.echo(json_line({**found, "waiting": reasons}))
    else:
        for line in _told(found, reasons):
            click.echo(line)


@runs.command()
@click.argument("run", required=False)
@searching
@json_lines
@connecting
def watch(
    run: str | None,
    as_json: bool,
    connection: Connection,
    **words: Unpack[Words],
) -> None:
    """Follow RUN until it has ended, or every run that matches until Ctrl-C.

    The server says when something changes; nothing is asked for meanwhile. Exit code 1 if RUN failed or was cancelled.

    \b
    Examples:
      broadaxe runs watch 0199b6a2
      broadaxe runs watch --workflow orders
    """
    query = query_of(words)
    server = connection.open()
    if run is None:
        _watch_all(server, query, as_json=as_json)
        return
    from broadaxe.remote.runs import id_of

    raise SystemExit(0 if follow_to_the_end(server, id_of(server, run), as_json=as_json) == "COMPLETED" else 1)


@runs.command()
@click.argument("run", nargs=-1)
@searching
@click.option("--yes", is_flag=True, help="Do not ask before.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object with the ids, for programs.")
@connecting
def cancel(
    run: tuple[str, ...],
    yes: bool,
    as_json: bool,
    connection: Connection,
    **words: Unpack[Words],
) -> None:
    """Cancel the runs that are named, or all that match and have not ended. It says how many and asks first.

    \b
    Examples:
      broadaxe runs cancel 0199b6a2
      broadaxe runs cancel --workflow orders --status queued
    """
    wanted = _meant(run, words, "cancel")
    _act(connection.open(), "cancel", run, wanted, is_sure=yes, as_json=as_json)


@runs.command()
@click.argument("run", nargs=-1)
@searching
@click.option("--yes", is_flag=True, help="Do not ask before.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object with the ids, for programs.")
@connecting
def replay(
    run: tuple[str, ...],
    yes: bool,
    as_json: bool,
    connection: Connection,
    **words: Unpack[Words],
) -> None:
    """Run the runs that are named once more, or all that match and have ended. It says how many and asks first.

    \b
    Examples:
      broadaxe runs replay 0199b6a2
      broadaxe runs replay --status failed --workflow orders --since 2h
    """
    wanted = _meant(run, words, "replay")
    _act(connection.open(), "replay", run, wanted, is_sure=yes, as_json=as_json)


@runs.command()
@click.argument("run")
@click.option("--level", multiple=True, metavar="LEVEL", help="Only of this level: debug, info, warn or error.")
@click.option("--text", metavar="TEXT", help="Only lines that have this.")
@click.option(
    "--limit", type=click.IntRange(1, LINES_MAX), default=1_000, show_default=True, help="How many, the newest."
)
@click.option("-f", "--follow", is_flag=True, help="Go on with new lines until the run has ended.")
@json_lines
@connecting
def logs(
    run: str,
    level: tuple[str, ...],
    text: str | None,
    limit: int,
    follow: bool,
    as_json: bool,
    connection: Connection,
) -> None:
    """Print what the tasks of RUN logged, the oldest line first.

    \b
    Examples:
      broadaxe runs logs 0199b6a2 --level error
      broadaxe runs logs 0199b6a2 --follow
    """
    from broadaxe.remote.runs import Details, details, id_of
    from broadaxe.remote.runs import follow as followed
    from broadaxe.remote.runs import logs as lines_of

    wrong = next((word for word in level if word.lower() not in LEVELS), None)
    if wrong is not None:
        raise InvalidArgument(f"--level {wrong[:80]!r}: there are {', '.join(LEVELS)}", field="--level")
    levels = [word.upper() for word in level]
    server = connection.open()
    run_id = id_of(server, run)

    def newest(found: Details) -> list[Details]:
        tasks = [str(task["taskExternalId"]) for task in found["tasks"]]
        read = lines_of(server, tasks, limit, search=text, levels=levels, newest_first=True) if tasks else ()
        return list(read)[::-1]

    def tell(lines: list[Details]) -> None:
        for line in lines:
            click.echo(json_line(line) if as_json else _log_line(line))

    if not follow:
        shown = newest(details(server, run_id))
        tell(shown)
        if not shown:
            click.echo("nothing was logged", err=True)
        elif len(shown) == limit:
            click.echo(f"there may be more than these {limit} lines; --limit shows more", err=True)
        return
    told: set[str] = set()

    def tell_new(found: Details) -> None:
        fresh = [line for line in newest(found) if json_line(line) not in told]
        told.update(map(json_line, fresh))
        tell(fresh)

    with _gone_on(run_id):
        for found in followed(server, run_id, with_logs=True):
            tell_new(found)
        # Workers send lines beside the outcome, so the last ones may come behind it.
        time.sleep(LAST_LINES_S)
        tell_new(found)


@runs.command()
@click.argument("run")
@click.argument("name", required=False)
@json_lines
@connecting
def values(run: str, name: str | None, as_json: bool, connection: Connection) -> None:
    """Print what RUN says of itself: each value and its name; with NAME, that value alone.

    \b
    Examples:
      broadaxe runs values 0199b6a2
      broadaxe runs values 0199b6a2 progress
    """
    from broadaxe.remote.runs import id_of, value
    from broadaxe.remote.runs import values as values_of

    server = connection.open()
    run_id = id_of(server, run)
    if name is not None:
        found = value(server, run_id, name)
        click.echo(json_line(found if as_json else found.get("value")))
        return
    is_empty = True
    for row in values_of(server, run_id):
        is_empty = False
        shown = json_line(row.get("value")) if row["isShown"] else "(large; name it to read it)"
        click.echo(json_line(row) if as_json else plain(f"{row['name']}  {shown}"))
    if is_empty:
        click.echo("the run has said nothing of itself", err=True)


@runs.command("set-value")
@click.argument("run")
@click.argument("name")
@click.argument("value")
@connecting
def set_value(run: str, name: str, value: str, connection: Connection) -> None:
    """Say of RUN that under NAME it has VALUE, in the place of what was said before. A VALUE that is JSON is taken as
    such, and as a text otherwise.

    \b
    Examples:
      broadaxe runs set-value 0199b6a2 progress '{"done": 40, "of": 100}'
      broadaxe runs set-value 0199b6a2 verdict approved
    """
    from broadaxe.remote.runs import id_of
    from broadaxe.remote.runs import set_value as put

    server = connection.open()
    put(server, id_of(server, run), name, json_or_text(value))


@runs.command()
@click.argument("run")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False), required=False)
@connecting
def save(run: str, file: Path | None, connection: Connection) -> None:
    """Save everything about RUN as one FILE; without a name, as RUN.json in this directory.

    `broadaxe open` shows it without an engine, and tests do a recorded durable task again with new code.

    \b
    Examples:
      broadaxe runs save 0199b6a2 recordings/remind.json
      broadaxe open recordings/remind.json
    """
    from broadaxe.remote.runs import file as file_of
    from broadaxe.remote.runs import id_of

    server = connection.open()
    run_id = id_of(server, run)
    content = file_of(server, run_id)
    file = file or Path(f"{run_id}.json")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    except OSError as error:
        raise InvalidArgument(f"{file}: {error.strerror or error}; nothing was saved", field="file") from None
    click.echo(f"saved {file}, {len(content):,} bytes", err=True)


def follow_to_the_end(server: Server, run_id: str, *, as_json: bool, to_stderr: bool = False) -> str:
    """Tells what happens to the run as it happens, and answers the status it ends with."""
    from broadaxe.remote.runs import follow
    from broadaxe.remote.story import event_line

    told: set[str] = set()
    ended = ""
    with _gone_on(run_id):
        for found in follow(server, run_id):
            for event in found["taskEvents"]:
                # Their ids number the entries of one answer.
                known = json_line({**event, "id": 0})
                if known in told:
                    continue
                told.add(known)
                click.echo(json_line(event) if as_json else plain(event_line(event)), err=to_stderr)
            ended = str(found["run"]["status"])
    if not as_json:
        run = found["run"]
        click.echo(f"{status(ended)} in {between(run.get('createdAt'), run.get('finishedAt'))}", err=True)
    return ended


@contextmanager
def _gone_on(run_id: str) -> Iterator[None]:
    """Says after Ctrl-C that the run has not ended with the command."""
    try:
        yield
    except KeyboardInterrupt:
        click.echo(f"the run goes on; `broadaxe runs watch {run_id}` follows it again", err=True)
        raise


def _watch_all(server: Server, query: RunQuery, *, as_json: bool) -> None:
    from broadaxe.remote.runs import changes, find

    known: dict[str, str] = {}
    is_first = True
    for change in changes(server):
        if not change.is_first and "runs" not in change.kinds:
            continue
        for row in reversed(list(find(server, query, WATCHED_MAX))):
            run_id, now = str(row["workflowRunExternalId"]), str(row["status"])
            if known.get(run_id) == now:
                continue
            known[run_id] = now
            if as_json:
                click.echo(json_line(row))
            elif not is_first or now in ("QUEUED", "RUNNING"):
                error = error_line(row.get("errorMessage"))
                click.echo(plain(f"{run_id}  {status(now):<9}  {row['workflowName']}  {error}"))
        is_first = False


def _meant(named: tuple[str, ...], words: Words, verb: Act) -> RunQuery | None:
    """The runs that a filter means; None when they are named."""
    query = query_of(words)
    is_filter = any(value not in (None, (), False) for value in words.values())
    if named and is_filter:
        raise InvalidArgument(f"nothing was done: give ids of runs to {verb}, or flags that say which, not both")
    if len(named) > NAMED_MAX:
        raise InvalidArgument(f"nothing was done: {verb} at most {NAMED_MAX} runs by their ids; flags take more")
    if not named and not is_filter:
        raise InvalidArgument(
            f"Missing which runs to {verb}: give their ids, or flags such as --workflow and --since; nothing was done"
        )
    return None if named else query


def _act(
    server: Server, verb: Act, named: tuple[str, ...], wanted: RunQuery | None, *, is_sure: bool, as_json: bool
) -> None:
    from broadaxe.remote.run_query import instant
    from broadaxe.remote.runs import act, count, id_of

    which: RunQuery | list[str]
    if wanted is None:
        which = [id_of(server, text) for text in named]
        number = len(which)
    else:
        now = datetime.now(UTC)
        statuses = wanted.statuses or (
            ("queued", "running") if verb == "cancel" else ("completed", "failed", "cancelled")
        )
        # What is counted is what is touched: a run made meanwhile is not.
        which = replace(
            wanted,
            statuses=statuses,
            since=instant(wanted.since, "since", now),
            until=instant(wanted.until, "until", now) if wanted.until else now.isoformat(),
        )
        number = count(server, which)
        if number == 0:
            click.echo("no run matches", err=True)
            if as_json:
                click.echo(json_line({"ids": []}))
            return
    most = CANCELLED_MAX if verb == "cancel" else REPLAYED_MAX
    if number > most or (number == most and wanted is not None):
        click.echo(f"{number:,} or more runs match; the newest {most:,} are taken at a time", err=True)
    taken = min(number, most)
    if (wanted is not None or taken > 1) and not is_sure:
        if not sys.stdin.isatty():
            raise InvalidArgument(f"nothing was done: give --yes to {verb} {taken:,} runs", field="--yes")
        click.confirm(f"{verb.capitalize()} {taken:,} {'run' if taken == 1 else 'runs'}?", abort=True, err=True)
    ids = act(server, verb, which)
    if as_json:
        click.echo(json_line({"ids": ids}))
    else:
        click.echo(
            f"cancelled {len(ids):,} {'run' if len(ids) == 1 else 'runs'}"
            if verb == "cancel"
            else f"queued {len(ids):,} {'task' if len(ids) == 1 else 'tasks'} again"
        )


def _told(found: dict[str, Any], reasons: list[dict[str, Any]]) -> Iterator[str]:
    from broadaxe.remote.story import error_text, event_line, task_name

    run = found["run"]
    facts = (
        ("run", run["metadata"]["id"]),
        ("name", run["displayName"]),
        ("status", status(run["status"])),
        ("made", f"{at(run['createdAt'])} ({ago(run['createdAt'])})"),
        ("took", between(run.get("startedAt"), run.get("finishedAt"))),
        ("started by", str(run.get("triggeredBy") or "").lower()),
        ("parent", run.get("parentTaskExternalId") or ""),
        ("metadata", json_line(run["additionalMetadata"]) if run["additionalMetadata"] else ""),
        ("input", json_line(run["input"])),
        ("output", json_line(run["output"]) if run["output"] else ""),
    )
    for name, text in facts:
        if text:
            yield f"{name:<10}  {plain(str(text))}"
    for reason in reasons:
        yield plain(f"waits       {reason.get('taskName') or ''}: {reason['message']}")
    error = error_text(run.get("errorMessage"))
    if error:
        yield ""
        yield from (f"  {plain(line)}" for line in error.splitlines()[:ERROR_LINES_MAX])
    yield ""
    for task in found["tasks"]:
        took = between(task.get("startedAt"), task.get("finishedAt"))
        yield plain(f"{status(task['status']):<9}  {task['taskExternalId']}  {task_name(task)}  {took}")
    yield ""
    for event in found["taskEvents"]:
        yield plain(event_line({**event, "timestamp": at(event["timestamp"])}))


def _log_line(line: dict[str, Any]) -> str:
    return plain(f"{at(line['createdAt'])}  {line['level']:<5}  {line['taskDisplayName']}  {line['message']}")


def _counted(rows: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """With a word on how far it is, where nothing else is seen: the list goes into a file."""
    from broadaxe.cli.progress import Progress

    progress = Progress()
    for number, row in enumerate(rows, 1):
        yield row
        if number % 100 == 0 and not sys.stdout.isatty():
            progress("runs", number)
    progress.end()
