"""The screen of `broadaxe top`.

Two threads of its own talk to the server, so that the screen never waits: one listens to what changes and reads the
overview again, at most once in `READ_EVERY_S`; one does what was asked for by key. What they find out is posted to the
screen. When the server is away, what was read last stays and the first line says so.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, ClassVar, Final

from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.message import Message
from textual.screen import ModalScreen
from textual.widgets import DataTable, Footer, Static

from broadaxe.cli.listing import COLOURS, ago, between, plain, slots, status
from broadaxe.errors import BroadaxeError, Unavailable
from broadaxe.remote import overview, runs
from broadaxe.remote.overview import Overview
from broadaxe.remote.run_query import RunQuery
from broadaxe.remote.runs import Act
from broadaxe.remote.server import Server
from broadaxe.remote.story import error_line, story

__all__ = ["TopScreen"]

RUNS_SHOWN: Final = 100
#: However quickly things change.
READ_EVERY_S: Final = 1.0
#: Ages are written anew so often; nothing is asked for that.
AGE_EVERY_S: Final = 1.0
STATUSES: Final = ("QUEUED", "RUNNING", "COMPLETED", "FAILED", "CANCELLED")


class Read(Message):
    def __init__(self, found: Overview) -> None:
        super().__init__()
        self.found = found


class Said(Message):
    """Something for the first line; empty when all is well."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text


class Told(Message):
    """The story of a run."""

    def __init__(self, title: str, lines: list[str]) -> None:
        super().__init__()
        self.title = title
        self.lines = lines


class Story(ModalScreen[None]):
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,enter", "dismiss", "Back")]
    DEFAULT_CSS = """
    Story { align: center middle; }
    Story > VerticalScroll { width: 90%; height: 85%; border: round $primary; padding: 0 1; background: $surface; }
    """

    def __init__(self, told: Told) -> None:
        super().__init__()
        self._told = told

    def compose(self) -> ComposeResult:
        with VerticalScroll() as box:
            box.border_title = self._told.title
            # What users wrote is shown, and never obeyed.
            yield Static("\n".join(map(plain, self._told.lines)), markup=False)
        yield Footer()


class Question(ModalScreen[bool]):
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)", "Yes"),
        Binding("n,escape", "answer(False)", "No"),
    ]
    DEFAULT_CSS = """
    Question { align: center middle; }
    Question > Static { width: auto; max-width: 80%; border: round $warning; padding: 1 2; background: $surface; }
    """

    def __init__(self, text: str) -> None:
        super().__init__()
        self._text = text

    def compose(self) -> ComposeResult:
        yield Static(f"{self._text}  (y/n)", markup=False)
        yield Footer()

    def action_answer(self, is_yes: bool) -> None:
        self.dismiss(is_yes)


class TopScreen(App[None]):
    TITLE = "broadaxe top"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q,ctrl+c", "quit", "End"),
        Binding("c", "act('cancel')", "Cancel the run"),
        Binding("r", "act('replay')", "Replay the run"),
    ]
    CSS = """
    #said { height: 1; padding: 0 1; background: $primary-darken-2; }
    #runs { width: 2fr; }
    #side { width: 1fr; border-left: solid $primary-darken-2; }
    #queues, #workers { height: 1fr; }
    """

    def __init__(self, server: Server, query: RunQuery) -> None:
        super().__init__()
        self._server = server
        self._query = query
        self._found: Overview | None = None
        self._trouble = "reading..."
        self._has_news = threading.Event()
        self._is_over = threading.Event()

    def compose(self) -> ComposeResult:
        yield Static(id="said", markup=False)
        with Horizontal():
            yield DataTable[Text](id="runs", cursor_type="row", zebra_stripes=True)
            with Vertical(id="side"):
                yield DataTable[Text](id="queues", cursor_type="none")
                yield DataTable[Text](id="workers", cursor_type="none")
        yield Footer()

    def on_mount(self) -> None:
        self._table("runs").add_columns("Status", "Run", "Made", "Took", "Id", "Error")
        self._table("queues").add_columns("Task", "Waits", "Runs")
        self._table("workers").add_columns("Worker", "Status", "Slots", "Heard")
        self._table("runs").focus()
        self._show()
        self.set_interval(AGE_EVERY_S, self._show)
        self._thread(self._listen)
        self._thread(self._read)

    def on_unmount(self) -> None:
        self._is_over.set()
        self._has_news.set()

    # Threads -------------------------------------------------------------------------------------------------------

    def _thread(self, work: Callable[[], None]) -> None:
        # They end with the process: one may wait for the server.
        threading.Thread(target=work, daemon=True).start()

    def _listen(self) -> None:
        while not self._is_over.is_set():
            try:
                for change in runs.changes(self._server, self._pause):
                    if change.is_first or change.kinds & overview.KINDS:
                        self._has_news.set()
                    if self._is_over.is_set():
                        return
            except BroadaxeError as error:
                self._post(Said(error.message))
                if not isinstance(error, Unavailable):
                    return

    def _pause(self, seconds: float) -> None:
        # The stream has ended; reading finds out whether the server is there.
        self._has_news.set()
        self._is_over.wait(seconds)

    def _read(self) -> None:
        self._has_news.set()
        while True:
            self._has_news.wait()
            if self._is_over.is_set():
                return
            self._has_news.clear()
            try:
                self._post(Read(overview.read(self._server, self._query, RUNS_SHOWN)))
            except BroadaxeError as error:
                self._post(Said(error.message))
                if isinstance(error, Unavailable):
                    self._has_news.set()
            self._is_over.wait(READ_EVERY_S)

    def _post(self, message: Message) -> None:
        if not self._is_over.is_set():
            self.post_message(message)

    def _ask(self, work: Callable[[], Message]) -> None:
        def asked() -> None:
            try:
                self._post(work())
            except BroadaxeError as error:
                self._post(Said(error.message))

        self._thread(asked)

    # What happens --------------------------------------------------------------------------------------------------

    def on_read(self, message: Read) -> None:
        self._found, self._trouble = message.found, ""
        self._show()

    def on_said(self, message: Said) -> None:
        self._trouble = message.text
        self._show()

    def on_told(self, message: Told) -> None:
        self.push_screen(Story(message))

    def on_data_table_row_selected(self, selected: DataTable.RowSelected) -> None:
        run_id = str(selected.row_key.value)

        def told() -> Told:
            found = runs.details(self._server, run_id)
            waits = [] if found["run"]["status"] in runs.ENDED else runs.waiting(self._server, run_id)
            reasons = [f"waits: {reason.get('taskName') or ''}: {reason['message']}" for reason in waits]
            return Told(f"{found['run']['displayName']}  {run_id}", [*reasons, *story(found)])

        self._ask(told)

    def action_act(self, verb: Act) -> None:
        table = self._table("runs")
        if not table.row_count:
            return
        run_id = str(table.coordinate_to_cell_key(table.cursor_coordinate).row_key.value)

        def done() -> Said:
            ids = runs.act(self._server, verb, [run_id])
            return Said("" if ids else f"there was nothing to {verb}")

        def answered(is_sure: bool | None) -> None:
            if is_sure:
                self._ask(done)

        self.push_screen(Question(f"{verb.capitalize()} the run {run_id}?"), answered)

    # What is shown -------------------------------------------------------------------------------------------------

    def _table(self, name: str) -> DataTable[Text]:
        # Also while a question is on top.
        return self.screen_stack[0].query_one(f"#{name}", DataTable)

    def _show(self) -> None:
        found = self._found
        counts = {} if found is None else found.counts
        parts = [f"{status(each)} {counts.get(each, 0):,}" for each in STATUSES] if found is not None else []
        line = "  ".join([self._server.url, *parts, *([f"! {plain(self._trouble)}"] if self._trouble else [])])
        self.screen_stack[0].query_one("#said", Static).update(Text(line))
        if found is None:
            return
        self._fill("runs", [(_id(row), _run_cells(row)) for row in found.newest])
        self._fill(
            "queues",
            [
                (queue.task, (Text(plain(queue.task)), _number(queue.waiting), _number(queue.running)))
                for queue in found.queues
            ],
        )
        self._fill("workers", [(str(row["metadata"]["id"]), _worker_cells(row)) for row in found.workers])

    def _fill(self, name: str, rows: list[tuple[str, tuple[Text, ...]]]) -> None:
        """Keeps the cursor on the row that it was on, wherever that is now."""
        table = self._table(name)
        at = table.cursor_coordinate
        chosen = table.coordinate_to_cell_key(at).row_key.value if table.row_count else None
        scrolled = table.scroll_y
        table.clear()
        for key, cells in rows:
            table.add_row(*cells, key=key)
        keys = [key for key, _ in rows]
        if keys:
            table.move_cursor(row=keys.index(chosen) if chosen in keys else min(at.row, len(keys) - 1), scroll=False)
        table.scroll_to(y=scrolled, animate=False)


def _id(row: dict[str, Any]) -> str:
    return str(row["workflowRunExternalId"])


def _run_cells(row: dict[str, Any]) -> tuple[Text, ...]:
    said = status(row["status"])
    error = error_line(row.get("errorMessage"))
    return (
        Text(said, style=COLOURS.get(said, "")),
        Text(plain(str(row.get("workflowName") or row["displayName"]))),
        Text(ago(row["createdAt"])),
        Text(between(row.get("startedAt"), row.get("finishedAt"))),
        Text(_id(row)),
        Text(plain(error)),
    )


def _worker_cells(row: dict[str, Any]) -> tuple[Text, ...]:
    said = str(row["status"]).lower()
    return (
        Text(plain(str(row["name"]))),
        Text(said, style="green" if said == "active" else "yellow"),
        Text(slots(row)),
        Text(ago(row.get("lastHeartbeatAt"))),
    )


def _number(count: int) -> Text:
    return Text(f"{count:,}", justify="right")
