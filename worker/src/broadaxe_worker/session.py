"""The worker's end of a session: one stream, opened again for as long as the worker lives.

Runs on threads of its own, so that a task that blocks the worker's loop delays neither heartbeats nor reports. Owns the
connection and the outbox; refuses knowing what an assignment means. Whatever the engine says is handed to `listener`
on the session's thread.

Source: docs/worker.md, proto/broadaxe/rpc/_gen/session.proto.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, Protocol

import grpc

from broadaxe_worker import session_pb2 as pb
from broadaxe_worker.errors import EngineTooOld, Mistake, WorkerError
from broadaxe_worker.outbox import Outbox

__all__ = ["PATH", "PROTOCOL", "Listener", "Session"]

PATH: Final = "/broadaxe.session.Sessions/Session"
PROTOCOL: Final = 1
#: Until the engine says what it wants.
HEARTBEAT_S: Final = 4.0
REPORTS_MAX: Final = 1_000
FRAME_BYTES: Final = 1024 * 1024
RECONNECT_MIN_S: Final = 0.2
RECONNECT_MAX_S: Final = 5.0
#: How long the very first connection is waited for, while the engine may be starting.
FIRST_CONNECTION_S: Final = 30.0

_MISTAKES: Final = {
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.UNAUTHENTICATED,
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.ALREADY_EXISTS,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.FAILED_PRECONDITION,
}

_log = logging.getLogger("broadaxe_worker")


class Listener(Protocol):
    """Called on the session's thread."""

    def welcomed(self, welcome: pb.Welcome, is_again: bool) -> None: ...

    def heard(self, frame: pb.EngineFrame) -> None: ...

    def cut(self) -> None: ...


class Session:
    def __init__(
        self,
        dial: Callable[[], grpc.Channel],
        address: str,
        metadata: Sequence[tuple[str, str]],
        hello: pb.Hello,
        listener: Listener,
    ) -> None:
        self.outbox = Outbox()
        self._dial = dial
        self._address = address
        self._metadata = tuple(metadata)
        self._hello = hello
        self._listener = listener
        self._thread = threading.Thread(target=self._run, name="broadaxe-session", daemon=True)
        self._welcomed = threading.Event()
        self._failed: WorkerError | None = None
        self._is_stopping = threading.Event()
        self._call: Any = None
        self._is_open = False
        self._heartbeat_s = HEARTBEAT_S
        self._reports_max = REPORTS_MAX
        self._bytes_max = FRAME_BYTES

    def start(self, within_s: float = FIRST_CONNECTION_S) -> None:
        """Returns once the engine has welcomed the worker.

        Raises EngineTooOld, or Mistake for what the engine refuses. WorkerError when it cannot be reached in time.
        """
        self._thread.start()
        if not self._welcomed.wait(within_s) and self._failed is None:
            self._failed = WorkerError(
                f"no engine answers at {self._address}; start it, or set HATCHET_CLIENT_HOST_PORT to where it is"
            )
        if self._failed is not None:
            self.stop()
            raise self._failed

    def leave(self, timeout_s: float) -> bool:
        """Tells what is not told yet, then ends the session. False if not everything could be told in time."""
        is_told = self.outbox.wait_until_told(timeout_s)
        self.stop()
        return is_told

    def stop(self) -> None:
        self._is_stopping.set()
        self.outbox.end()
        if self._thread.is_alive() and threading.current_thread() is not self._thread:
            # The stream is half-closed by the end of the outbox, and the engine ends it.
            self._thread.join(2.0)
            if (call := self._call) is not None:
                call.cancel()
            self._thread.join(2.0)

    # The session's thread ------------------------------------------------------------------------------------------

    def _run(self) -> None:
        delay_s = RECONNECT_MIN_S
        was_told = False
        while not self._is_stopping.is_set():
            channel = self._dial()
            try:
                began_at_s = time.monotonic()
                self._hold(channel)
                problem = "the engine ended the session"
            except grpc.RpcError as error:
                problem = self._why(error)
                if not self._welcomed.is_set() and self._is_final(error):
                    self._welcomed.set()
                    return
            except Exception as error:
                # A mistake of ours must not end the worker: what is not acknowledged is sent again.
                _log.exception("the session broke")
                problem = f"{type(error).__name__}: {error}"
            finally:
                channel.close()
            if self._is_stopping.is_set():
                return
            if self._is_open:
                self._is_open = False
                self.outbox.cut()
                self._listener.cut()
            if time.monotonic() - began_at_s > RECONNECT_MAX_S:
                delay_s, was_told = RECONNECT_MIN_S, False
            if not was_told:
                was_told = True
                _log.warning(
                    "no session with the engine at %s: %s; trying again until there is", self._address, problem
                )
            self._is_stopping.wait(delay_s * random.uniform(0.75, 1.25))
            delay_s = min(RECONNECT_MAX_S, delay_s * 2)

    def _hold(self, channel: grpc.Channel) -> None:
        call = channel.stream_stream(PATH, pb.WorkerFrame.SerializeToString, pb.EngineFrame.FromString)(
            self._frames(self.outbox.begin()), metadata=self._metadata
        )
        self._call = call
        for frame in call:
            if frame.committed:
                self.outbox.committed(frame.committed)
            if frame.HasField("welcome"):
                self._welcome(frame.welcome)
            self._listener.heard(frame)

    def _welcome(self, welcome: pb.Welcome) -> None:
        is_again = self._welcomed.is_set()
        self._is_open = True
        self._hello.worker_id = welcome.worker_id
        self._heartbeat_s = welcome.heartbeat_interval_ms / 1e3 or HEARTBEAT_S
        self._reports_max = welcome.reports_max or REPORTS_MAX
        self._bytes_max = welcome.frame_bytes_max or FRAME_BYTES
        self._listener.welcomed(welcome, is_again)
        self._welcomed.set()
        if is_again:
            _log.info("the session with the engine at %s is there again", self._address)

    def _frames(self, session: int) -> Iterator[pb.WorkerFrame]:
        """Asked for the next frame by grpc, on a thread of its own, when the one before is on its way."""
        yield pb.WorkerFrame(hello=self._hello)
        beat_at_s = time.monotonic() + self._heartbeat_s
        while (frame := self.outbox.take(session, beat_at_s, self._reports_max, self._bytes_max)) is not None:
            now_s = time.monotonic()
            if now_s >= beat_at_s:
                frame.heartbeat = True
                if lost := self.outbox.take_lost_logs():
                    _log.warning("%d log lines were dropped: tasks wrote faster than the engine took them", lost)
                beat_at_s = now_s + self._heartbeat_s
            elif not frame.ByteSize():
                continue
            yield frame

    def _is_final(self, error: grpc.RpcError) -> bool:
        """Whether the very first connection was refused for good. Says so in `_failed`."""
        code = error.code()
        if code is grpc.StatusCode.UNIMPLEMENTED:
            self._failed = EngineTooOld(f"the engine at {self._address} does not speak the session protocol")
        elif code in _MISTAKES:
            self._failed = Mistake(f"the engine at {self._address} refuses this worker: {error.details()}")
        return self._failed is not None

    def _why(self, error: grpc.RpcError) -> str:
        return f"{error.details() or error.code().name}"
