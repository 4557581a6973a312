"""The file of a tenant, asked for what it has as a server is.

Owns how such a file is read: once from its beginning to its end, to find out whether it is whole and where in it each
run stands, and again for each run that is moved. Refuses a file that is none, of a newer form, not whole, or with
lines or lists that are too large. In memory are the rows of the lists that are moved, and of runs what queued ones are
called.

Source: `rest/routers/tenant_files.py`.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from pathlib import Path
from typing import Any, BinaryIO, Final, TypeVar, cast

import msgspec

from broadaxe.errors import InvalidArgument, NotFound
from broadaxe.moving.rows import ListedRun, RunList, StatusCount, Tenant
from broadaxe.remote.server import ANSWER_BYTES_MAX, LIST_BYTES_MAX, Query

__all__ = ["TenantFile"]

FORMAT: Final = "broadaxe-tenant"
FORM: Final = 1
LINE_BYTES_MAX: Final = ANSWER_BYTES_MAX
HEAD_BYTES_MAX: Final = 1 << 20

#: Which kind of line each list has, by its address below the tenant.
_LISTS: Final = {
    "workflows": "workflow",
    "rate-limits": "rate-limit",
    "filters": "filter",
    "webhooks": "webhook",
    "workflows/crons": "cron",
    "workflows/scheduled": "schedule",
}

Row = TypeVar("Row")


class _Tenant(msgspec.Struct, frozen=True):
    id: str
    name: str


class _Head(msgspec.Struct, frozen=True):
    format: str
    form: int
    tenant: _Tenant


class _Line(msgspec.Struct, frozen=True):
    kind: str
    row: msgspec.Raw


class _Status(msgspec.Struct, frozen=True):
    status: str


class TenantFile:
    """Safe to ask from several threads."""

    def __init__(self, path: Path) -> None:
        self.name = "the file"
        self.url = str(path)
        self.tenant, self.stable = "/tenant", "/stable"
        self._lists: dict[str, list[msgspec.Raw]] = {kind: [] for kind in _LISTS.values()}
        self._queued: list[ListedRun] = []
        self._places: dict[str, int] = {}
        self._running = 0
        self._reading = threading.Lock()
        try:
            self._file: BinaryIO = path.open("rb")
            self._head = self._read_head()
            self._read_lines()
        except OSError as error:
            raise InvalidArgument(f"{path}: {error.strerror or error}", field="--from-file") from None
        self.tenant_id = self._head.tenant.id

    def get(self, path: str, shape: type[Row], query: Query | None = None) -> Row:
        """What a server answers at this address. NotFound for what is not in the file."""
        if path == self.tenant:
            return cast(Row, Tenant(self._head.tenant.name))
        if path == f"{self.stable}/workflow-runs":
            return cast(Row, RunList(self._page(query or {})))
        if path == f"{self.stable}/task-metrics":
            return cast(Row, [StatusCount("RUNNING", self._running)])
        place = self._places.get(path.rpartition("/")[2])
        if place is None:
            raise NotFound(f"there is no {path} in the file {self.url}")
        with self._reading:
            self._file.seek(place)
            line = self._file.readline(LINE_BYTES_MAX + 1)
        run: Row = self._decoded(b'{"run":%s}' % bytes(self._decoded(line, _Line).row), shape)
        return run

    def rows(self, path: str, shape: type[Row], limit: int, query: Query | None = None) -> list[Row]:
        """All rows of a list; `limit` is of pages, and there are none."""
        kind = _LISTS[path.removeprefix(f"{self.tenant}/").removeprefix(f"{self.stable}/")]
        return [self._decoded(bytes(row), shape) for row in self._lists[kind]]

    def _page(self, query: Query) -> list[ListedRun]:
        """Queued runs, the newest first, as the list of a server pages them."""
        until = query.get("until")
        # Instants are written alike, so that they sort as texts.
        first = 0 if until is None else bisect_left(self._queued, True, key=lambda run: run.created_at <= str(until))
        first += int(cast(int, query.get("offset", 0)))
        return self._queued[first : first + int(cast(int, query.get("limit", 0)))]

    def _read_head(self) -> _Head:
        try:
            head = msgspec.json.decode(self._file.readline(HEAD_BYTES_MAX), type=_Head)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            head = None
        if head is None or head.format != FORMAT:
            raise InvalidArgument(
                f"{self.url} is no file of a tenant; `broadaxe export` makes one", field="--from-file"
            )
        if head.form > FORM:
            raise InvalidArgument(f"{self.url} was made by a newer Broadaxe; upgrade this one", field="--from-file")
        return head

    def _read_lines(self) -> None:
        size, is_whole = 0, False
        while True:
            place = self._file.tell()
            content = self._file.readline(LINE_BYTES_MAX + 1)
            if not content:
                break
            if len(content) > LINE_BYTES_MAX:
                raise InvalidArgument(
                    f"{self.url} has a line of more than {LINE_BYTES_MAX >> 20} MiB", field="--from-file"
                )
            if not content.endswith(b"\n"):
                break
            line = self._decoded(content, _Line)
            is_whole = line.kind == "end"
            if line.kind == "run":
                self._note_run(bytes(line.row), place)
            elif line.kind in self._lists:
                size += len(content)
                if size > LIST_BYTES_MAX:
                    raise InvalidArgument(
                        f"the lists of {self.url} are larger than {LIST_BYTES_MAX >> 20} MiB", field="--from-file"
                    )
                # A copy: the row itself would keep the whole line.
                self._lists[line.kind].append(line.row.copy())
        if not is_whole:
            raise InvalidArgument(f"{self.url} is not whole: its end is missing; export it again", field="--from-file")

    def _note_run(self, row: bytes, place: int) -> None:
        match self._decoded(row, _Status).status:
            case "RUNNING":
                self._running += 1
            case "QUEUED":
                run = self._decoded(row, ListedRun)
                self._queued.append(msgspec.structs.replace(run, additional_metadata=run.additional_metadata.copy()))
                self._places[run.metadata.id] = place

    def _decoded(self, content: bytes, shape: Any) -> Any:
        try:
            return msgspec.json.decode(content, type=shape)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise InvalidArgument(f"{self.url} has a line that is none of ours: {error}", field="--from-file") from None
