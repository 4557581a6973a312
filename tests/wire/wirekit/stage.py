"""The stage: how task code in worker processes and the test that watches it talk to each other.

A task *tells* the stage that something happened and may wait at a *gate* until the test opens it. Both go over a
loopback socket, one connection each, as a JSON line; so a test waits for signals and never for a clock.
"""

from __future__ import annotations

import asyncio
import json
import socketserver
import threading
import time
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from wirekit.patience import PATIENCE_S


@dataclass(frozen=True, slots=True)
class Signal:
    """Something a task told. `at_s` is this process's monotonic clock at the moment it arrived."""

    what: str
    data: dict[str, Any]
    at_s: float


class Stage:
    """Signals and gates are kept apart by `key`, which every test makes up for itself."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._signals: defaultdict[str, list[Signal]] = defaultdict(list)
        self._open: set[tuple[str, str]] = set()
        self._closed = False
        self._server = _Server(("127.0.0.1", 0), _Conversation)
        self._server.stage = self
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, name="stage", daemon=True)
        self._thread.start()

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)

    def open(self, key: str, gate: str = "go") -> None:
        """Lets through whoever waits, or will wait, at the gate."""
        with self._changed:
            self._open.add((key, gate))
            self._changed.notify_all()

    def told(self, key: str, what: str | None = None) -> list[Signal]:
        """The signals so far, in order of arrival."""
        with self._changed:
            return [signal for signal in self._signals[key] if what is None or signal.what == what]

    async def heard(self, key: str, what: str, *, count: int = 1, within_s: float = PATIENCE_S) -> list[Signal]:
        """Waits until `what` was told `count` times."""
        return await asyncio.to_thread(self._await_signals, key, what, count, within_s)

    def _await_signals(self, key: str, what: str, count: int, within_s: float) -> list[Signal]:
        def found() -> list[Signal]:
            return [signal for signal in self._signals[key] if signal.what == what]

        with self._changed:
            if not self._changed.wait_for(lambda: len(found()) >= count, within_s):
                raise AssertionError(
                    f"{what!r} was told {len(found())} times, not {count}, within {within_s:g} s; "
                    f"told so far: {self._signals[key]}"
                )
            return found()

    def _take(self, key: str, what: str, data: dict[str, Any]) -> None:
        with self._changed:
            self._signals[key].append(Signal(what, data, time.monotonic()))
            self._changed.notify_all()

    def _pass(self, key: str, gate: str) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: self._closed or (key, gate) in self._open)
            return not self._closed


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 256
    stage: Stage


class _Conversation(socketserver.StreamRequestHandler):
    server: _Server

    def handle(self) -> None:
        line = self.rfile.readline()
        if not line:
            return
        said = json.loads(line)
        if "gate" in said:
            if not self.server.stage._pass(said["key"], said["gate"]):
                return
        else:
            self.server.stage._take(said["key"], said["what"], said["data"])
        try:
            self.wfile.write(b"ok\n")
        except (BrokenPipeError, ConnectionResetError):
            return  # the worker was killed meanwhile, as some tests have it
