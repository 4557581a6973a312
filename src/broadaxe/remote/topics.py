"""Topics of durable streams as the REST API has them: published to, and followed from a cursor on."""

from __future__ import annotations

import base64
import binascii
import time
from collections.abc import Callable, Iterator
from typing import Final
from urllib.parse import quote, urlencode

import msgspec

from broadaxe.errors import Unavailable
from broadaxe.remote.resources import Row
from broadaxe.remote.server import Server, path_part

__all__ = ["STORED_BYTES_MAX", "Message", "follow", "publish"]

#: A larger payload is stored by itself first, and up to so many bytes.
INLINE_BYTES_MAX: Final = 4 * 1024 * 1024
STORED_BYTES_MAX: Final = 64 * 1024 * 1024
#: Before a stream that has ended is opened again, and how often in vain.
PAUSE_S: Final = 1.0
TRIES: Final = 30


class Message(msgspec.Struct, frozen=True):
    cursor: str
    payload: bytes
    payload_ref: str = ""


def publish(server: Server, namespace: str, topic: str, payload: bytes) -> Row:
    """Publishes at most once. What it is answered."""
    address = _address(server, namespace, topic)
    if len(payload) <= INLINE_BYTES_MAX:
        return server.post_bytes(address, payload, Row)
    stored = server.post_bytes(f"{server.stable}/streams/payloads", payload, Row)
    return server.post_bytes(f"{address}?{urlencode({'payloadRef': stored['ref']})}", b"", Row)


def follow(
    server: Server,
    namespace: str,
    topic: str,
    cursor: str | None,
    last: int | None = None,
    pause: Callable[[float], None] = time.sleep,
) -> Iterator[Message]:
    """Messages behind the cursor, or the latest so many, and those that come, for ever. Unavailable when the server
    cannot be reached for long."""
    address, in_vain = _address(server, namespace, topic), 0
    while True:
        begin = {"cursor": cursor} if cursor else {} if last is None else {"last": str(last)}
        query = f"?{urlencode(begin)}" if begin else ""
        try:
            for event in server.events(address + query):
                if event.id:
                    cursor, in_vain = event.id, 0
                    yield _message(event.id, event.name, event.data)
        except Unavailable:
            in_vain += 1
            if in_vain >= TRIES:
                raise
        pause(PAUSE_S)


def _message(cursor: str, name: str, data: bytes) -> Message:
    if name == "reference":
        return Message(cursor, b"", data.decode())
    if name == "binary":
        try:
            return Message(cursor, base64.b64decode(data, validate=True))
        except binascii.Error:
            raise Unavailable("the server sent a message that is not in Base64") from None
    return Message(cursor, data)


def _address(server: Server, namespace: str, topic: str) -> str:
    return f"{server.stable}/streams/{path_part(namespace or '-')}/{quote(topic)}"
