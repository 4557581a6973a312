"""What a worker has to tell the engine: kept until it is sent, and reports until they are committed.

Reports are numbered from 1 in the life of the process. One that was sent and not acknowledged is sent again after a
reconnect; `committed` forgets it. Everything else is sent once: it is of no use to whoever listens to the next session,
or whoever asked is told that it was cut. A task that begins and ends between two frames is one report.

Thread-safe: anything may be put from any thread, one thread takes. Bounds: log lines beyond `LOGS_MAX` are dropped and
counted, chunks beyond `CHUNKS_MAX` make their task wait. Reports are bounded by the worker's slots, since the engine
assigns nothing while it hears nothing.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterable
from typing import Final

from broadaxe_worker import session_pb2 as pb

__all__ = ["LOGS_MAX", "Outbox"]

LOGS_MAX: Final = 10_000
CHUNKS_MAX: Final = 1_000
#: Runs in one frame whose end is wanted.
RUNS_MAX: Final = 10_000
#: A frame is closed once it has so many bytes of payloads; one payload may be larger.
FRAME_BYTES: Final = 1024 * 1024


class Outbox:
    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._unsent: deque[pb.Report] = deque()
        self._unacknowledged: deque[pb.Report] = deque()
        self._sequence = 0
        self._chunks: deque[pb.Chunk] = deque()
        self._logs: deque[pb.LogLine] = deque()
        self._lost_logs = 0
        self._durable: deque[bytes] = deque()
        self._triggers: deque[pb.Trigger] = deque()
        self._awaited: deque[str] = deque()
        self._says_goodbye = False
        self._is_ended = False
        self._session = 0
        """Which session may take: the one before it may still be asked for its next frame when it is cut."""

    # From tasks ----------------------------------------------------------------------------------------------------

    def report(self, reports: list[pb.Report]) -> None:
        """Takes reports, in this order. Numbers them; they belong to the outbox from now on."""
        with self._changed:
            for report in reports:
                self._sequence += 1
                report.sequence = self._sequence
            self._unsent += reports
            self._changed.notify()

    def chunk(self, chunk: pb.Chunk) -> None:
        """Blocks while too many wait; returns at once when the session has ended for good."""
        with self._changed:
            while len(self._chunks) >= CHUNKS_MAX and not self._is_ended:
                self._changed.wait()
            self._chunks.append(chunk)
            self._changed.notify()

    def has_room_for_chunk(self) -> bool:
        return len(self._chunks) < CHUNKS_MAX

    def log(self, line: pb.LogLine) -> None:
        with self._changed:
            if len(self._logs) >= LOGS_MAX:
                self._lost_logs += 1
                return
            self._logs.append(line)
            self._changed.notify()

    def durable(self, request: bytes) -> None:
        with self._changed:
            self._durable.append(request)
            self._changed.notify()

    def trigger(self, trigger: pb.Trigger) -> None:
        with self._changed:
            self._triggers.append(trigger)
            self._changed.notify()

    def wait_for(self, run_ids: Iterable[str]) -> None:
        """The end of these runs is wanted."""
        with self._changed:
            self._awaited.extend(run_ids)
            self._changed.notify()

    def goodbye(self) -> None:
        """Nothing more is wanted from the engine."""
        with self._changed:
            self._says_goodbye = True
            self._changed.notify()

    def end(self) -> None:
        """Nothing is taken any more."""
        with self._changed:
            self._is_ended = True
            self._changed.notify_all()

    # To the engine -------------------------------------------------------------------------------------------------

    def begin(self) -> int:
        """A new session takes from here on; its number. Whatever was not acknowledged is sent again."""
        with self._changed:
            self._session += 1
            self._unacknowledged += self._unsent
            self._unsent, self._unacknowledged = self._unacknowledged, deque()
            self._changed.notify_all()
            return self._session

    def take(self, session: int, until_s: float, reports_max: int, bytes_max: int) -> pb.WorkerFrame | None:
        """What waits, as soon as something does; an empty frame at `until_s` (on the monotonic clock). None when the
        session was cut, or the outbox has ended and everything is taken."""
        with self._changed:
            while True:
                if session != self._session:
                    return None
                if self._has_something():
                    break
                if self._is_ended:
                    return None
                remaining_s = until_s - time.monotonic()
                if remaining_s <= 0:
                    return pb.WorkerFrame()
                self._changed.wait(remaining_s)
            return self._fill(reports_max, min(bytes_max, FRAME_BYTES))

    def _has_something(self) -> bool:
        return bool(
            self._unsent
            or self._chunks
            or self._logs
            or self._durable
            or self._triggers
            or self._awaited
            or self._says_goodbye
        )

    def _fill(self, reports_max: int, bytes_max: int) -> pb.WorkerFrame:
        frame = pb.WorkerFrame()
        size_bytes = 0
        while self._triggers and (not size_bytes or size_bytes < bytes_max):
            size_bytes += len(self._triggers[0].one) + len(self._triggers[0].many)
            frame.triggers.append(self._triggers.popleft())
        for _ in range(min(len(self._awaited), RUNS_MAX)):
            frame.awaited_runs.append(self._awaited.popleft())
        was_full = len(self._chunks) >= CHUNKS_MAX
        while self._chunks and size_bytes < bytes_max:
            size_bytes += len(self._chunks[0].data)
            frame.chunks.append(self._chunks.popleft())
        if was_full:
            self._changed.notify_all()
        while self._logs and size_bytes < bytes_max:
            size_bytes += len(self._logs[0].message)
            frame.logs.append(self._logs.popleft())
        while self._durable and size_bytes < bytes_max:
            size_bytes += len(self._durable[0])
            frame.durable_requests.append(self._durable.popleft())
        # The order of fields is the order in which they count, so a report never overtakes what its task said before.
        if not (self._chunks or self._logs or self._durable):
            taken: list[pb.Report] = []
            while self._unsent and len(taken) < reports_max:
                size_bytes += len(self._unsent[0].payload)
                if size_bytes > bytes_max and taken:
                    break
                taken.append(self._unsent.popleft())
            self._unacknowledged += taken
            frame.reports.extend(taken)
            if self._says_goodbye and not self._unsent:
                self._says_goodbye = False
                frame.goodbye = True
        return frame

    def committed(self, sequence: int) -> None:
        """Everything up to it is kept by the engine."""
        with self._changed:
            waiting = self._unacknowledged
            while waiting and waiting[0].sequence <= sequence:
                waiting.popleft()
            if not waiting:
                self._changed.notify_all()

    def cut(self) -> None:
        """The session was cut while it was open: nobody waits any more for what does not outlive it."""
        with self._changed:
            self._session += 1
            self._chunks.clear()
            self._durable.clear()
            self._triggers.clear()
            self._awaited.clear()
            self._changed.notify_all()

    def wait_until_told(self, timeout_s: float) -> bool:
        """Whether every report is committed, in time."""
        give_up_at_s = time.monotonic() + timeout_s
        with self._changed:
            while self._unsent or self._unacknowledged:
                remaining_s = give_up_at_s - time.monotonic()
                if remaining_s <= 0 or self._is_ended:
                    return False
                self._changed.wait(remaining_s)
            return True

    def untold(self) -> list[pb.Report]:
        with self._changed:
            return [*self._unacknowledged, *self._unsent]

    def take_lost_logs(self) -> int:
        with self._changed:
            lost, self._lost_logs = self._lost_logs, 0
            return lost
