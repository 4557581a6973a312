"""`broadaxe streams`: topics of durable streams, what is published to them, and messages of one as they come."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from broadaxe.cli.connection import Connection, connecting
from broadaxe.cli.listing import Column, ago, json_line, json_lines, lines_or_table
from broadaxe.cli.planned import one_json
from broadaxe.cli.workflows import limited
from broadaxe.errors import InvalidArgument

if TYPE_CHECKING:
    from broadaxe.remote.topics import Message

__all__ = ["streams"]

NAME_CHARS_MAX: Final = 255

namespaced = click.option("--namespace", metavar="TEXT", default="", help="The topic's namespace. [default: none]")


@click.group(short_help="List topics, read and publish their messages.")
def streams() -> None:
    """Durable streams: messages that are kept under a topic, and read from a cursor on.

    \b
    Examples:
      broadaxe streams list
      broadaxe streams publish orders '{"order": 1}'
      broadaxe streams tail orders
    """


@streams.command("list")
@click.option("--text", metavar="TEXT", help="Part of the topic's name or namespace.")
@limited
@json_lines
@connecting
def list_(text: str | None, limit: int, as_json: bool, connection: Connection) -> None:
    """List the topics in the order of their names."""
    from broadaxe.remote.resources import find

    columns = (
        Column("Namespace", lambda row: str(row["namespace"])),
        Column("Topic", lambda row: str(row["topic"]), is_whole=True),
        Column("Messages", lambda row: str(row["messageCount"])),
        Column("Latest", lambda row: ago(row["lastPublishedAt"])),
    )
    rows = find(connection.open(), "streams", limit, {"search": text} if text else None)
    lines_or_table(rows, columns, as_json=as_json, empty="there is no topic; one comes to be with its first message")


@streams.command()
@click.argument("topic")
@click.argument("text", required=False)
@namespaced
@click.option("--file", metavar="FILE", help="A file with the message; `-` is standard input.")
@one_json
@connecting
def publish(
    topic: str, text: str | None, namespace: str, file: str | None, as_json: bool, connection: Connection
) -> None:
    """Publish TEXT, or the bytes of a file, to TOPIC, and print the cursor behind the message.

    \b
    Examples:
      broadaxe streams publish orders '{"order": 1}'
      broadaxe streams publish scans --file scan.pdf
    """
    from broadaxe.remote import topics

    _check(topic, namespace)
    if (text is None) == (file is None):
        raise InvalidArgument("give the message as TEXT or with --file", field="--file")
    payload = text.encode() if text is not None else _read(str(file))
    published = topics.publish(connection.open(), namespace, topic, payload)
    click.echo(json_line(published) if as_json else published["cursor"])


@streams.command()
@click.argument("topic")
@namespaced
@click.option("--cursor", metavar="CURSOR", help="Begin behind this message, not with the oldest that is kept.")
@click.option("--last", type=click.IntRange(0, 10_000), help="Begin with so many of the latest. [default: all]")
@click.option("--count", type=click.IntRange(1), help="End after so many messages. [default: never]")
@json_lines
@connecting
def tail(
    topic: str,
    namespace: str,
    cursor: str | None,
    last: int | None,
    count: int | None,
    as_json: bool,
    connection: Connection,
) -> None:
    """Print the messages of TOPIC that are kept, and then those that are published, until Ctrl-C.

    A lost connection is made again, and goes on behind the last message.

    \b
    Examples:
      broadaxe streams tail orders --last 10
      broadaxe streams tail orders --json | jq .cursor
    """
    from broadaxe.remote import topics

    _check(topic, namespace)
    for message in _first(topics.follow(connection.open(), namespace, topic, cursor, last), count):
        if as_json:
            click.echo(json_line(_told(message)))
        elif message.payload_ref:
            click.echo(f"a large payload, stored under {message.payload_ref}", err=True)
        else:
            sys.stdout.buffer.write(message.payload + b"\n")
        sys.stdout.flush()


def _first(messages: Iterator[Message], count: int | None) -> Iterator[Message]:
    for number, message in enumerate(messages, 1):
        yield message
        if number == count:
            return


def _told(message: Message) -> dict[str, Any]:
    """As JSON; a payload that is no text in Base64."""
    told: dict[str, Any] = {"cursor": message.cursor}
    if message.payload_ref:
        told["payloadRef"] = message.payload_ref
        return told
    try:
        told["payload"] = message.payload.decode()
    except UnicodeDecodeError:
        import base64

        told["payloadBase64"] = base64.b64encode(message.payload).decode()
    return told


def _read(file: str) -> bytes:
    from broadaxe.remote.topics import STORED_BYTES_MAX

    where = "standard input" if file == "-" else file
    try:
        if file == "-":
            content = sys.stdin.buffer.read(STORED_BYTES_MAX + 1)
        else:
            with Path(file).open("rb") as source:
                content = source.read(STORED_BYTES_MAX + 1)
    except OSError as error:
        raise InvalidArgument(f"--file {where}: {error.strerror}", field="--file") from None
    if len(content) > STORED_BYTES_MAX:
        raise InvalidArgument(f"--file {where}: more than {STORED_BYTES_MAX >> 20} MiB", field="--file")
    return content


def _check(topic: str, namespace: str) -> None:
    for name, text in (("TOPIC", topic), ("--namespace", namespace)):
        if len(text) > NAME_CHARS_MAX or not text.isprintable():
            raise InvalidArgument(f"{name}: at most {NAME_CHARS_MAX} characters that can be printed", field=name)
    if not topic:
        raise InvalidArgument("TOPIC: is empty", field="TOPIC")
    if "/" in namespace or namespace == "-":
        raise InvalidArgument("--namespace: addresses of HTTP cannot name this one", field="--namespace")
