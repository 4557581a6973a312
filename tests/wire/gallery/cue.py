"""What task code uses to talk to the test that watches it; the other end is `wirekit/stage.py`."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from typing import Any

from pydantic import BaseModel


class Cue(BaseModel):
    """Input of every workflow in the gallery. `key` says whose signals these are; the rest is for the task to use."""

    key: str
    n: int = 0
    fail: bool = False
    text: str = ""


async def tell(cue: Cue, what: str, **data: Any) -> None:
    await _say({"key": cue.key, "what": what, "data": data})


async def gate(cue: Cue, name: str = "go") -> None:
    """Waits until the test opens the gate."""
    await _say({"key": cue.key, "gate": name})


def tell_now(cue: Cue, what: str, **data: Any) -> None:
    """`tell` for synchronous tasks, and for the moment a task is cancelled."""
    with socket.create_connection(("127.0.0.1", _port())) as connection:
        connection.sendall(_line({"key": cue.key, "what": what, "data": data}))
        connection.makefile().readline()


def gate_now(cue: Cue, name: str = "go") -> None:
    with socket.create_connection(("127.0.0.1", _port())) as connection:
        connection.sendall(_line({"key": cue.key, "gate": name}))
        if not connection.makefile().readline():
            raise ConnectionError("the stage was taken down")


async def _say(said: dict[str, Any]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", _port())
    try:
        writer.write(_line(said))
        if not await reader.readline():
            raise ConnectionError("the stage was taken down")
    finally:
        writer.close()


def _port() -> int:
    return int(os.environ["WIRE_STAGE_PORT"])


def _line(said: dict[str, Any]) -> bytes:
    return json.dumps(said).encode() + b"\n"
