"""A run as one file: everything that can be told of it, in one JSON document that `broadaxe open` shows elsewhere.

Owns what is in the file and how much. Every part has a bound; what did not fit is named in `cut`, so that nobody takes
a part for the whole. There are no credentials in it, but all that the caller may see of the run's payloads and logs.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from typing import Final, Literal

from fastapi import Response

from broadaxe.core.definition import WorkflowDefinition
from broadaxe.errors import BroadaxeError
from broadaxe.rest import wire
from broadaxe.rest.context import Context, ContextDep
from broadaxe.rest.identity import Scope, ViewerCaller, missing
from broadaxe.rest.parameters import PathId
from broadaxe.rest.routers.route import STABLE, router
from broadaxe.rest.routers.traces import SPANS_MAX, list_traces
from broadaxe.rest.shapes import durable as durable_shapes
from broadaxe.rest.shapes import logs as log_shapes
from broadaxe.rest.shapes import runs as run_shapes
from broadaxe.rest.shapes import tasks as task_shapes
from broadaxe.rest.shapes import traces as trace_shapes
from broadaxe.rest.shapes.run_facts import RunFactsAnswer, facts_of
from broadaxe.rest.wire import Instant, JsonObject, Wire
from broadaxe.storage import accounts
from broadaxe.storage.catalogue import tasks_of
from broadaxe.storage.log_reads import LogFilter
from broadaxe.storage.reads import EVENTS_PER_RUN_MAX, RunRecord, TaskRecord
from broadaxe.storage.run_facts import RunFacts
from broadaxe.storage.run_filter import RunFilter

FORMAT: Final = "broadaxe-run"
#: Readers refuse files of a newer form.
FORM: Final = 1
LINES_MAX: Final = 20_000
#: Characters of all payloads, and of all log lines.
PAYLOAD_CHARS_MAX: Final = 32 * 1024 * 1024
LOG_CHARS_MAX: Final = 16 * 1024 * 1024
ENTRIES_MAX: Final = 10_000
CHILDREN_MAX: Final = 1_000
#: Earlier attempts, of all tasks.
ATTEMPTS_MAX: Final = 500

_AHEAD: Final = timedelta(days=1)

routes = router("runs")


class RunFileTenant(Wire):
    id: str
    name: str


class RunFile(Wire):
    """A run as one file. `attempts` are the earlier attempts of its tasks; `recordings` are what a test needs of each
    durable task to do it again; `cut` says in words what is not whole."""

    format: Literal["broadaxe-run"] = "broadaxe-run"
    form: int = FORM
    made_at: Instant
    engine_version: str
    tenant: RunFileTenant
    cut: list[str]
    run: run_shapes.WorkflowRunDetails
    facts: RunFactsAnswer
    attempts: list[task_shapes.TaskSummary]
    children: list[task_shapes.TaskSummary]
    logs: list[log_shapes.LogLine]
    spans: list[trace_shapes.Span]
    durable_logs: dict[str, list[durable_shapes.DurableLogEntry]]
    recordings: dict[str, list[durable_shapes.RecordedOperation]]
    input_json_schema: JsonObject | None = None


@routes.get(f"{STABLE}/workflow-runs/{{run}}/file")
async def get_run_file(run: PathId, caller: ViewerCaller, context: ContextDep, response: Response) -> RunFile:
    """Everything about a run in one document, to be kept or sent on: input, outputs, history, earlier attempts, logs,
    spans, durable logs, children, definition. `broadaxe open FILE` shows it without an engine.

    At most 5000 entries of history, 500 earlier attempts, 20000 log lines, 10000 spans, 1000 children and 32 MiB of
    payloads; `cut` names what did not fit.
    """
    record = await context.reads.run(caller.tenant_ids, run)
    facts = await RunFacts(context.pool).of(caller.tenant_ids, run)
    if record is None or facts is None:
        raise missing("run", run)
    definition = (await context.catalogue.definitions(record.tenant_id, [record.version_id])).get(record.version_id)
    maker = _Maker(context, record, definition)
    name = "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in record.display_name)[:100]
    response.headers["Content-Disposition"] = f'attachment; filename="{name.encode("ascii", "replace").decode()}.json"'
    details = await maker.details()
    return RunFile(
        made_at=datetime.now(UTC),
        engine_version=version("broadaxe"),
        tenant=await maker.tenant(),
        run=details,
        facts=facts_of(facts, definition),
        attempts=await maker.attempts(),
        children=await maker.children(),
        logs=await maker.logs(),
        spans=await maker.spans(Scope(record.tenant_id, caller)),
        durable_logs=await maker.durable_logs(),
        recordings=await maker.recordings(),
        input_json_schema=wire.json_object(definition.input_json_schema)
        if definition is not None and definition.input_json_schema
        else None,
        cut=maker.cut,
    )


class _Maker:
    """Puts the parts together; `cut` fills up on the way."""

    def __init__(self, context: Context, run: RunRecord, definition: WorkflowDefinition | None) -> None:
        self._context = context
        self._run = run
        self._definition = definition
        self._room = PAYLOAD_CHARS_MAX
        self.cut: list[str] = []

    async def tenant(self) -> RunFileTenant:
        found = await accounts.tenant(self._context.pool, self._run.tenant_id)
        return RunFileTenant(id=self._run.tenant_id, name="" if found is None else found.name)

    async def details(self) -> run_shapes.WorkflowRunDetails:
        run = self._run
        entries = await self._context.reads.run_events(run.tenant_id, [task.id for task in run.tasks])
        if len(entries) >= EVENTS_PER_RUN_MAX:
            self.cut.append(f"the history has only its newest {EVENTS_PER_RUN_MAX} entries")
        told = run_shapes.run_details(run, entries, self._definition)
        tasks = [self._bounded(task) for task in told.tasks]
        own = told.run.model_copy(update=self._fitting(told.run.input, told.run.output, "the run"))
        # The history repeats what the tasks and their earlier attempts have.
        events = [event.model_copy(update={"output": None}) for event in told.task_events]
        return told.model_copy(update={"run": own, "tasks": tasks, "task_events": events})

    def _bounded(self, task: task_shapes.TaskSummary) -> task_shapes.TaskSummary:
        return task.model_copy(update=self._fitting(task.input, task.output, task.display_name))

    def _fitting(self, given: JsonObject, output: JsonObject, whose: str) -> dict[str, JsonObject]:
        kept: dict[str, JsonObject] = {}
        for name, payload in (("input", given), ("output", output)):
            size = _chars(payload)
            if size > self._room:
                self.cut.append(f"the {name} of {whose} is left out: {size} characters")
                kept[name] = {}
            else:
                self._room -= size
                kept[name] = payload
        return kept

    async def attempts(self) -> list[task_shapes.TaskSummary]:
        run = self._run
        definitions = {} if self._definition is None else {run.version_id: self._definition}
        found: list[task_shapes.TaskSummary] = []
        for task in run.tasks:
            for retry_count in range(task.retry_count):
                if len(found) >= ATTEMPTS_MAX:
                    self.cut.append(f"of earlier attempts only {ATTEMPTS_MAX} are here")
                    return found
                older = await self._context.reads.attempt(run.tenant_id, task, retry_count)
                if older is not None:
                    (row,) = task_shapes.task_rows(run, [older], definitions)
                    found.append(self._bounded(row.model_copy(update={"input": {}})))
        return found

    async def children(self) -> list[task_shapes.TaskSummary]:
        found: list[task_shapes.TaskSummary] = []
        for task in self._run.tasks:
            if not task.spawned_children:
                continue
            room = CHILDREN_MAX - len(found)
            if task.spawned_children > room:
                self.cut.append(f"of the runs that tasks started only {CHILDREN_MAX} are here")
            if room <= 0:
                break
            spawned = RunFilter(
                tenant_id=self._run.tenant_id,
                since=task.created_at,
                until=datetime.now(UTC) + _AHEAD,
                parent_task_id=task.id,
            )
            page = await self._context.reads.runs_page(spawned, limit=room, with_payloads=False)
            found += (run_shapes.run_row(child, {}) for child in page.rows)
        return found

    async def logs(self) -> list[log_shapes.LogLine]:
        """The newest lines, oldest first."""
        task_ids = [task.id for task in self._run.tasks]
        if not task_ids:
            return []
        page = await self._context.log_reads.task_logs(
            self._run.tenant_id, task_ids, LogFilter(), newest_first=True, limit=LINES_MAX
        )
        lines: list[log_shapes.LogLine] = []
        room = LOG_CHARS_MAX
        for line in page.rows:
            room -= len(line.message) + len(line.metadata or "")
            if room < 0:
                break
            lines.append(log_shapes.log_line(line))
        if page.end is not None or room < 0:
            self.cut.append(f"the log has only its newest {len(lines)} lines")
        return lines[::-1]

    async def spans(self, scope: Scope) -> list[trace_shapes.Span]:
        try:
            told = await list_traces(scope, self._context, self._run.id, SPANS_MAX, None)
        except BroadaxeError as error:
            self.cut.append(f"the spans are left out: {error.message}")
            return []
        if told.pagination.next_cursor is not None:
            self.cut.append(f"of the spans only the first {SPANS_MAX} are here")
        return told.rows

    async def durable_logs(self) -> dict[str, list[durable_shapes.DurableLogEntry]]:
        found: dict[str, list[durable_shapes.DurableLogEntry]] = {}
        room = ENTRIES_MAX
        for task in self._durable_tasks():
            if room <= 0:
                break
            page = await self._context.durable_reads.log(self._run.tenant_id, task.id, limit=room)
            found[task.id] = [durable_shapes.durable_entry(task.id, entry) for entry in page.rows]
            room -= len(page.rows)
            if page.end is not None:
                self.cut.append(f"of the durable log only {ENTRIES_MAX} entries are here")
        return found

    async def recordings(self) -> dict[str, list[durable_shapes.RecordedOperation]]:
        """Of the tasks whose results fit whole: a part of a recording is none."""
        found: dict[str, list[durable_shapes.RecordedOperation]] = {}
        for task in self._durable_tasks():
            recorded = await self._context.durable_reads.recorded(self._run.tenant_id, task.id, ENTRIES_MAX + 1)
            size = sum(len(operation.result or "") for operation in recorded)
            if size > self._room or len(recorded) > ENTRIES_MAX:
                self.cut.append(f"the recording of {task.display_name} is left out: {size} characters")
                continue
            self._room -= size
            found[task.id] = [durable_shapes.recorded_operation(operation) for operation in recorded]
        return found

    def _durable_tasks(self) -> list[TaskRecord]:
        durable = {} if self._definition is None else {t.id for t in tasks_of(self._definition) if t.is_durable}
        return [task for task in self._run.tasks if task.definition_id in durable]


def _chars(payload: JsonObject) -> int:
    return len(str(payload))
