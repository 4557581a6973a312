"""What the engine owes in a shell's life, and whether it was paid.

While the world is disturbed only what must never happen is checked; once it is healed, everything owed must come. A
violation is raised as `Broken`.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable
from typing import TYPE_CHECKING

import msgspec

from broadaxe.core.commands.triggers import RunRequest
from broadaxe.core.decision import Decision, MessageRow, Progress, StartAttempt, StartBatch, TaskState
from broadaxe.core.durations import US_PER_S
from broadaxe.core.lifecycle import TERMINAL, TERMINAL_RUN, RunStatus, TaskEventType, TaskStatus
from broadaxe.core.topics import topic_id
from broadaxe.engine.sessions import Assignment, BatchAssignment
from broadaxe.engine.subscriptions import GAP_WAIT_S, LiveEvent, LiveKind, RunOutcome
from tests.core.world import START_US
from tests.simulation.books import INTERNAL_RETRIES_MAX, hold
from tests.simulation.shell.database import fired, outcome_of

if TYPE_CHECKING:
    from tests.simulation.shell.life import ShellLife
    from tests.simulation.shell.players import Key, WorkerPlayer
    from tests.simulation.shell.process import Process

#: How late the engine may hear that a stream is gone.
NEWS_S = 1.0
#: How long it takes until an assignment is written, or is back.
SEND_S = 2.0
#: How long after a load the engine may not have heard that a stream it was told of is gone.
TAKEN_BACK_S = 0.1
#: Within which time of a read's end the round that waited for it is decided.
READ_S = 0.001
#: A worker that has had a durable stream, and is without for so long, is served as if it had never had one.
SPEECH_S = 15.0


class ChunkReader:
    """What somebody has read of the chunks of runs. Of an attempt it may not have heard that it is lost."""

    def __init__(self) -> None:
        self._began_at_s: float | None = None
        """When it heard the first of its present stream."""
        self._read: defaultdict[tuple[str, str], set[int]] = defaultdict(set)
        """By task and attempt."""
        self._ended: set[str] = set()
        """Tasks of which it has heard that an attempt has ended: what was still on its way comes as it comes."""

    def open(self) -> None:
        """It follows anew."""
        self._began_at_s = None

    def take(self, event: LiveEvent, now_s: float) -> None:
        if self._began_at_s is None:
            self._began_at_s = now_s
        if event.kind is LiveKind.PROGRESS and event.progress is not Progress.STARTED:
            self._ended.add(event.resource_id)
        if event.kind is not LiveKind.CHUNK or event.index is None:
            return
        attempt, _, said_at_s = event.payload.split(" ")
        read = self._read[event.resource_id, attempt]
        hold(event.index not in read, "a chunk is told twice", event)
        # Nobody waits longer for one that is missing, and what was on its way earlier is in nobody's order.
        is_waited_for = now_s - float(said_at_s) < GAP_WAIT_S and float(said_at_s) > self._began_at_s
        is_waited_for = is_waited_for and event.resource_id not in self._ended
        hold(not is_waited_for or event.index > max(read, default=-1), "a chunk comes out of order", event, read)
        read.add(event.index)


class ShellBooks:
    def __init__(self, life: ShellLife) -> None:
        self.life = life
        self.acknowledged: dict[str, RunRequest] = {}
        self.cancelled: set[str] = set()
        """Runs that somebody asked to cancel."""
        self.forgotten: set[Key] = set()
        """Attempts whose end was reported and refused for now, or never known to have arrived; nobody says it again."""
        self.published: dict[str, set[str]] = defaultdict(set)
        """Messages that were acknowledged, by topic."""
        self.durables: set[str] = set()
        """Durable tasks that were ever started."""
        self._sent: set[Key] = set()
        """Attempts that were written to a stream."""

    def acknowledge(self, runs: Iterable[tuple[str, RunRequest]]) -> None:
        for run_id, request in runs:
            hold(run_id not in self.acknowledged, "one id for two runs", run_id)
            self.acknowledged[run_id] = request

    # At any time -------------------------------------------------------------------------------------------------

    def observe(self, process: Process, decision: Decision) -> None:
        """A committed batch."""
        hold(not process.store.is_dead, "a dead process decides", process.number)
        for event in decision.writes.task_events:
            if event.type is TaskEventType.REASSIGNED and "heartbeat" in event.message:
                self._check_silence(event.task_id, event.retry_count)
        for effect in decision.effects:
            if isinstance(effect, StartAttempt | StartBatch):
                for start in effect.items if isinstance(effect, StartBatch) else (effect,):
                    self._check_stream(process, start)
                    self._check_durable_stream(process, start)
                    if process.store.database.is_well(process.store.node):
                        self.life.watch(self._check_sent(process, start, self.life.troubles))

    def _check_silence(self, task_id: str, retry_count: int) -> None:
        """Nobody is called silent who speaks: what nobody could hear is no silence."""
        for worker in self.life.workers_by_id.values():
            # The entry may already carry the number of the attempt that follows.
            lost = {(task_id, retry_count), (task_id, retry_count - 1)}
            said = lost & worker.confirmed - worker.doubtful
            is_there = worker.stream is not None and worker.stream.is_open and not worker.stream.is_broken
            is_there = is_there and self.life.is_linked
            hold(not (said and is_there) or worker.is_frozen, "a worker is called silent", worker.name, task_id)

    def note_sent(self, item: object) -> None:
        starts = [one.attempt for one in item.items] if isinstance(item, BatchAssignment) else []
        starts += [item.attempt] if isinstance(item, Assignment) else []
        self._sent |= {(start.task_id, start.retry_count) for start in starts}

    async def _check_sent(self, process: Process, start: StartAttempt, troubles: int) -> None:
        """When nothing fails, what is assigned is written to a stream at once or goes back."""
        await asyncio.sleep(SEND_S)
        is_calm = troubles == self.life.troubles and process.store.database.is_well(process.store.node)
        is_calm = is_calm and self.life.is_linked
        if is_calm and process.is_listening and (start.task_id, start.retry_count) not in self._sent:
            task = self.life.database.tables.tasks[start.task_id]
            is_on_its_way = task.status is TaskStatus.RUNNING and task.retry_count == start.retry_count
            hold(not is_on_its_way, "an attempt is in no stream and does not go back", start)

    def _taken_at_s(self, process: Process, start: StartAttempt) -> float:
        """When the engine knew what it decided by, at the latest: its commit may be under way for as long as the
        database is away, and what comes while a round reads what it lacks is of the next round."""
        assigned_at_s = (start.assigned_at_us - START_US) / US_PER_S
        read_from_s, read_until_s = process.store.last_read_s
        return min(self.life.loop.time(), read_from_s if read_until_s >= assigned_at_s - READ_S else assigned_at_s)

    def _check_stream(self, process: Process, start: StartAttempt) -> None:
        since_s = self._taken_at_s(process, start) - NEWS_S
        is_there = any(node.sessions.was_there(start.worker_id, since_s) for node in self.life.listening())
        database = process.store.database
        is_told = database.is_well(process.store.node) and self.life.is_linked
        # Streams that were announced to nobody, and closed before somebody had the tenant, are taken back at once.
        is_told = is_told and self.life.loop.time() - database.opened_at_s > TAKEN_BACK_S
        # What was decided before a stop and is committed during it goes back.
        is_stopping = process.draining.is_set()
        hold(is_there or is_stopping or not is_told, "a task for a worker whose stream is away", start)

    def _check_durable_stream(self, process: Process, start: StartAttempt) -> None:
        worker = self.life.workers_by_id.get(start.worker_id)
        if start.invocation_count is None or worker is None:
            return
        decided_at_s = self._taken_at_s(process, start)
        nodes = self.life.listening()
        is_there = any(node.durable_streams.was_there(start.worker_id, decided_at_s - NEWS_S) for node in nodes)
        is_given_up = decided_at_s - worker.spoke_until_s > SPEECH_S - NEWS_S
        is_excused = is_given_up or process.draining.is_set() or not self.life.is_linked
        hold(is_there or is_excused, "a durable task for a worker whose durable stream is away", start)

    def check_alone(self, worker: WorkerPlayer, key: Key) -> None:
        """No other living attempt of the task, unless there was reason to believe that it was lost."""
        hold(key not in worker.attempts, "an attempt is sent twice over one worker's streams", key)
        for other in self.life.workers_by_id.values():
            for held in other.attempts:
                is_known = held in other.confirmed and held not in other.doubtful and not other.is_frozen
                hold(held[0] != key[0] or not is_known, "two attempts at once", other.name, held, worker.name, key)

    def check_outputs(self, item: Assignment) -> None:
        for task_id, output in item.outputs.items():
            hold(output == self.life.database.tables.tasks[task_id].output, "another output of a parent", item)
        for _, task_id in item.attempt.parents:
            hold(task_id in item.outputs, "the output of a parent is missing", item)

    def check_outcome(self, outcome: RunOutcome) -> None:
        found = outcome_of(self.life.database.tables, outcome.run_id)
        hold(found is not None, "told of an end that is none", outcome)
        assert found is not None
        same = found.status == outcome.status and {t.task_id: t for t in found.tasks} == {
            t.task_id: t for t in outcome.tasks
        }
        hold(same, "told another outcome", outcome, found)

    def check_event(self, event: LiveEvent, reader: ChunkReader) -> None:
        reader.take(event, self.life.loop.time())
        if event.kind is LiveKind.FINISHED:
            outcome = outcome_of(self.life.database.tables, event.run_id)
            hold(outcome is not None and outcome.status is event.status, "told of an end that is none", event, outcome)

    def check_message(self, message: MessageRow, read: int) -> None:
        hold(message.number == read + 1, "a message is skipped or told twice", message, read)
        kept = self.life.database.tables.messages[message.topic_id]
        hold(len(kept) > read and kept[read] == message, "a message is told that is not kept", message)

    # After the healing ---------------------------------------------------------------------------------------------

    def out_of_hands(self) -> dict[tuple[str, int | None], TaskState]:
        """Attempts that run and are in nobody's hands, by task and when they were given away: unless they are just on
        their way, none may be long after everything has healed."""
        tables = self.life.database.tables
        tasks = (tables.tasks[task_id] for run_id in tables.live for task_id in tables.tasks_of[run_id])
        return {
            (task.id, task.assigned_at_us): task
            for task in tasks
            if task.status is TaskStatus.RUNNING
            and (task.id, task.retry_count) not in self.forgotten
            and not any(worker.has(task.id) for worker in self.life.workers_by_id.values())
        }

    def check_ends(self) -> None:
        tables = self.life.database.tables
        hold(not self.life.database.outbox, "enqueued requests are not done", self.life.database.outbox)
        hold(not self.life.database.refused, "enqueued requests are refused", self.life.database.refused)
        for run_id in self.acknowledged:
            hold(run_id in tables.runs, "an acknowledged run is lost", run_id)
        marks: dict[int, list[str]] = defaultdict(list)
        for run_id, run_input in self.life.database.inputs.items():
            if mark := msgspec.json.decode(run_input).get("mark"):
                marks[mark].append(run_id)
        for topic, published in self.published.items():
            texts = [row.payload.decode() for row in tables.messages[topic_id("", topic)]]
            hold(published <= set(texts), "an acknowledged message is lost", topic, published - set(texts))
            hold(len(texts) == len(set(texts)), "a message is stored twice", topic, texts)
        for mark, run_ids in marks.items():
            hold(len(run_ids) == 1, "one request and several runs", mark, run_ids)
        for run_id, run in tables.runs.items():
            hold(run.status in TERMINAL_RUN, "a run without an end", run)
            statuses = [tables.tasks[task_id].status for task_id in tables.tasks_of[run_id]]
            hold(all(status in TERMINAL for status in statuses), "a task without an end", run_id, statuses)
            self._check_verdict(run_id, run.status)

    def _check_verdict(self, run_id: str, status: RunStatus) -> None:
        tables = self.life.database.tables
        row = tables.run_rows[run_id]
        may_be_cancelled = self._is_cancelled(run_id)
        is_forgotten = any(key[0] in tables.tasks_of[run_id] for key in self.forgotten)
        tasks = [tables.tasks[task_id] for task_id in tables.tasks_of[run_id]]
        # A life whose streams break as soon as they are open may lose an attempt as often as is allowed.
        is_worn_out = any(task.internal_retry_count == INTERNAL_RETRIES_MAX for task in tasks)
        workflow = tables.workflows[tables.versions[row.version_id].workflow_id].name
        n = msgspec.json.decode(self.life.database.inputs[run_id]).get("n")
        expected = RunStatus.FAILED if workflow == "w3" and n == 0 else RunStatus.COMPLETED
        is_right = (
            status is expected
            or (status is RunStatus.CANCELLED and may_be_cancelled)
            or (status is RunStatus.FAILED and (is_forgotten or is_worn_out))
        )
        hold(is_right, "a run ends otherwise", workflow, status, "not", expected, tasks)

    def _is_cancelled(self, run_id: str | None) -> bool:
        while run_id is not None:
            if run_id in self.cancelled:
                return True
            run_id = self.life.database.tables.run_rows[run_id].parent_run_id
        return False

    def check_told(self) -> None:
        """Whoever waits for what has happened was told, or its stream has ended."""
        tables = self.life.database.tables
        for caller in self.life.callers:
            untold = caller.is_waiting_for_finished()
            hold(untold is None, "a caller is not told", caller.name, untold)
            for task_id, key in caller.wants - caller.heard:
                hold(fired(tables, task_id, key) is None, "a signal is not told", caller.name, task_id, key)

    def check_engines(self) -> None:
        """What the engines hold is what is open, and one of them has the tenant."""
        activations = [a for node in self.life.listening() for a in node.engine._activations.values()]
        owners = [activation.present for activation in activations if activation.present is not None]
        hold(len(owners) == 1, "not one node has the tenant", len(owners), [a._problem for a in activations])
        known: dict[str, int] = {}
        for activation in activations:
            hold(activation.present is not None or activation._remote is not None, "a node knows of no owner")
            for session in activation.streams._sessions.values():
                hold(not session.is_closed, "a closed stream is kept", session.worker_id)
                hold(not session._items, "something waits in a stream that is read", session.worker_id)
                hold(session.worker_id not in known, "a worker has two streams", session.worker_id)
                known[session.worker_id] = session.number
        for worker in owners[0].tenant._state.workers.values():
            number = known.get(worker.id)
            hold(worker.session == number, "the tenant believes in another stream", worker.id, worker.session, number)
        for node in self.life.listening():
            failures = dict(node.engine._loops.failures)
            # Done again every few seconds, whatever came of it.
            failures.pop("bring tenants where they belong", None)
            hold(not failures, "background work failed", failures)

    def check_gone(self, process: Process) -> None:
        """Everybody has gone: nobody is remembered."""
        for activation in process.engine._activations.values():
            streams = activation.streams
            left = (streams._sessions, streams._durable, streams._signals, streams.hub._results)
            left += (streams.hub._by_run, streams.hub._by_metadata, streams.hub._waiting, streams.hub._orders)
            hold(streams.are_closed() and not any(left), "streams are remembered that nobody has", left)
            hold(activation._backpressure._count == 0, "calls under way that nobody made", activation._backpressure)
