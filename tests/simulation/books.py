"""Independent books of a tenant: kept from committed rows and released effects alone, and held against every promise.

Nothing here asks the core what it thinks: keys are computed from the declarations, slots from task states, units from
what was started. `observe` is called after every commit and raises `Broken` with the promise that was.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from broadaxe.core.commands.workers import LabelValue
from broadaxe.core.decision import (
    Decision,
    Effect,
    RateLimitRow,
    RunFinished,
    RunRow,
    StartAttempt,
    StartBatch,
    TaskState,
    WorkerHeard,
    WorkflowRow,
)
from broadaxe.core.definition import (
    KEY_TASK_NAME,
    Comparator,
    ConcurrencyRule,
    LabelRequirement,
    LimitStrategy,
    Sticky,
    TaskDefinition,
    WorkflowDefinition,
)
from broadaxe.core.durations import US_PER_S
from broadaxe.core.lifecycle import TERMINAL, TERMINAL_RUN, RunStatus, TaskEventType, TaskStatus, run_status
from tests.simulation.chances import DEBOUNCE_KEY, MAX_WAIT_MS, QUIET_MS, Payload, number_of, string_of
from tests.simulation.tables import Tables
from tests.simulation.trigger_books import TriggerBooks

CONFIRM_US = 5 * US_PER_S
SILENCE_US = 30 * US_PER_S
INTERNAL_RETRIES_MAX = 10
FRESH_US = 10 * US_PER_S
KEPT_US = 20 * US_PER_S

GroupId = tuple[str, ...]
#: Priority, when the run was made, its id; how they order is said where they are compared.
Rank = tuple[int, int, str]
Lane = tuple[object, ...]


class Broken(AssertionError):
    """A promise was broken."""


def hold(promise: bool, *what: object) -> None:
    if not promise:
        raise Broken(" ".join(map(str, what)))


@dataclass(slots=True)
class TaskWords:
    """What a task's declarations come to for one run."""

    groups: list[tuple[GroupId, int]] = field(default_factory=list)
    limits: Counter[str] = field(default_factory=Counter)
    dynamic: set[str] = field(default_factory=set)
    batch: str = "default"
    turn: str | None = None
    """The key by which it takes turns."""
    fails: bool = False


@dataclass(slots=True)
class RunWords:
    shared: list[tuple[GroupId, int]]
    tasks: list[TaskWords]


@dataclass(frozen=True, slots=True)
class Burst:
    """The last run of a debounced burst: when the first was triggered, and when this one may go on."""

    run_id: str
    first_at_us: int
    release_at_us: int


@dataclass(frozen=True, slots=True)
class Ready:
    """A task that waits for nothing but a worker and rate limits, since then."""

    retry_count: int
    priority: int
    at_us: int
    sequence: int
    lane: Lane
    turn: str | None

    @property
    def arrival(self) -> tuple[int, int]:
        return self.at_us, self.sequence


class Books:
    def __init__(self, tables: Tables) -> None:
        self.tables = tables
        self.triggers = TriggerBooks(tables, hold)
        self.definitions: dict[str, tuple[str, int, TaskDefinition]] = {}
        self.words: dict[str, RunWords] = {}
        self.inputs: dict[str, str] = {}
        self.caps: dict[GroupId, set[int]] = defaultdict(set)
        self.strategies: dict[GroupId, LimitStrategy] = {}
        self.listening: set[str] = set()
        self.sent: set[tuple[str, int, int]] = set()
        """Attempts and invocations."""
        self.ready: dict[str, Ready] = {}
        self.gathered: dict[str, tuple[int, int]] = {}
        """Task id -> (retry count, when it gathered), of items in a batch group."""
        self.flushed: dict[tuple[str, str], int] = {}
        """When each batch group last sent a batch."""
        self.limits: dict[str, RateLimitRow] = {}
        self.passed: dict[tuple[str, int, str | None], Counter[str | None]] = {}
        """(action, priority, key that waits) -> turns of other keys meanwhile."""
        self.back_at_us = 0
        """When the engine was last back from an absence: no silence counts from before."""
        self.doubted: dict[tuple[str, int, int], int] = {}
        """Attempt and invocation -> since when the stream it was sent on is gone."""
        self.finished: set[str] = set()
        self.waits: dict[tuple[GroupId, str], Rank] = {}
        self.holders: dict[GroupId, set[tuple[str, int]]] = {}
        """Who has a slot of each group: (holder, which attempt of it)."""
        self.bursts: dict[tuple[str, str], Burst] = {}
        """By workflow and debounce key."""
        self.releases: dict[str, int] = {}
        """When each debounced run may go on."""
        self.sequence = 0
        self.streams: dict[str, int | None] = {}
        """Since when each worker has its present stream."""
        self.heard_before: set[str] = set()
        self.heard: dict[str, int] = {}
        """When each worker was last heard of; its row is not written each time."""
        self.used: Mapping[str, Counter[str]] = {}
        self.across_queues = False
        """Whether the most urgent task goes first also among different tasks of one worker."""
        self.has_backlog = False
        """Whether some tasks may wait without being in memory: other lanes go on while they are read back."""
        self.keeps_order = True
        """Whether first come is still first served. A backlog that was not in memory keeps its order only until a load
        or until one of it is named: then queues of different workflows mix anew."""

    # After a crash -------------------------------------------------------------------------------------------------

    def forget_memory(self, now_us: int) -> None:
        """The engine's memory is gone: what was only there no longer counts."""
        self.back_at_us = now_us
        self.doubted.clear()
        for worker_id in self.tables.workers:
            self._doubt(worker_id, now_us)
        self.listening.clear()
        self.heard_before.clear()
        self.heard = {row.id: row.last_heartbeat_at_us or 0 for row in self.tables.workers.values()}
        self.passed.clear()
        # Among those of the same instant, any order is as good after a load.
        self.ready = {
            task_id: Ready(known.retry_count, known.priority, known.at_us, 0, known.lane, known.turn)
            for task_id, known in self.ready.items()
        }

    def stood_still(self, now_us: int) -> None:
        """The engine was away and has its memory still."""
        self.back_at_us = now_us
        self.doubted = dict.fromkeys(self.doubted, now_us)

    # After a commit ------------------------------------------------------------------------------------------------

    def observe(
        self,
        decision: Decision,
        now_us: int,
        *,
        replayed: set[str],
        limits_told: set[str],
        is_at_rest: bool,
        rang: bool,
    ) -> None:
        """`replayed` are runs that a replay of this round was accepted for; `limits_told` keys put, paused or deleted;
        `is_at_rest` says that nothing of the backlog is being read back, `rang` that deadlines were due, so that units
        became free between one assignment and the next."""
        self.sequence += 1
        writes = decision.writes
        for version in writes.versions:
            for position, definition in enumerate(_definitions(version.definition)):
                self.definitions[definition.id] = (version.id, position, definition)
        for new_run in writes.new_runs:
            self.inputs[new_run.row.id] = new_run.input
            self.words[new_run.row.id] = self._words(new_run.row.id, None)
        for task in writes.tasks:
            row = self.tables.task_rows[task.id]
            if row.name == KEY_TASK_NAME:
                is_known = task.status is TaskStatus.COMPLETED
                answer = self.tables.outputs[task.id, task.retry_count] if is_known else None
                self.words[row.run_id] = self._words(row.run_id, answer)
        self.triggers.observe(writes, now_us, replayed)
        for worker in writes.workers:
            if self.streams.get(worker.id) != worker.listening_since_us:
                self.streams[worker.id] = worker.listening_since_us
                self._doubt(worker.id, now_us)
            (self.listening.add if worker.is_listening else self.listening.discard)(worker.id)
            self._hear(worker.id, worker.last_heartbeat_at_us or 0)
        for effect in decision.effects:
            if isinstance(effect, WorkerHeard):
                self._hear(effect.worker_id, effect.at_us)

        starts = list(attempts(decision.effects))
        self._check_attempts(starts, now_us)
        for new_run in writes.new_runs:
            self._check_burst(new_run.row, now_us, replayed)
        self._check_pauses(decision)
        self._check_ends(decision, replayed)
        self._check_absences(decision, now_us)
        self._check_times(decision, now_us)
        live = [self.tables.tasks[i] for run_id in self.tables.live for i in self.tables.tasks_of[run_id]]
        live = [task for task in live if task.status not in TERMINAL]
        used = self._check_units(live)
        filled = self._check_groups(live)
        self._check_losers(decision, replayed)
        self._check_admissions(filled)
        entered = self._gather(decision, now_us)
        self._check_consumption(decision, [*self._singles(decision.effects), *entered], now_us, limits_told)
        before, self.ready = self.ready, self._ready(live, now_us)
        self._check_order(before, starts, used, now_us, rang)
        self._check_doubts(live, now_us)
        if not rang:
            self._check_choices(starts, used, now_us)
        self.used, self.heard_before = used, set(self.listening)
        if is_at_rest:
            self._check_ages(live, now_us)
            self._check_idleness(used, filled, live, now_us)
        self.limits = dict(self.tables.limits)

    def _hear(self, worker_id: str, at_us: int) -> None:
        kept_at_us = self.tables.workers[worker_id].last_heartbeat_at_us or 0
        hold(at_us - kept_at_us < KEPT_US, "a live worker's row has an old heartbeat", worker_id, at_us - kept_at_us)
        self.heard[worker_id] = max(at_us, self.heard.get(worker_id, 0))

    def _check_attempts(self, starts: list[StartAttempt], now_us: int) -> None:
        for start in starts:
            attempt = start.task_id, start.retry_count
            sent = *attempt, start.invocation_count or 0
            hold(sent not in self.sent, "attempt sent twice", sent)
            self.sent.add(sent)
            row = self.tables.tasks[start.task_id]
            hold(self._workflow(start.task_id).paused_at_us is None, "sent while its workflow is paused", attempt)
            # Not so a failure that was known at birth, nor a replay.
            is_exempt = start.retry_count > 0 or self._is_on_failure(start.task_id)
            may_go_at_us = 0 if is_exempt else self.releases.get(start.run_id, 0)
            hold(may_go_at_us <= now_us, "started before its burst was over", attempt)
            hold(row.retry_count >= start.retry_count, "an attempt ahead of its row", attempt)
            hold(start.worker_id in self.listening, "sent to a worker that does not listen", attempt)
            worker = self.tables.workers[start.worker_id]
            hold(not worker.is_paused, "sent to a paused worker", attempt)
            hold(start.action_id in worker.actions, "sent to a worker that does not know the task", attempt)
            hold(now_us - self.heard.get(start.worker_id, 0) <= FRESH_US, "sent to a silent worker", attempt)
            is_batch = self._definition(start.task_id).batch is not None
            sticky, is_hard = (None, False) if is_batch else self._sticky(start.task_id)
            hold(not is_hard or sticky == start.worker_id, "sent past its sticky worker", attempt)
            labels = self._definition(start.task_id).labels if is_batch else self._labels(start.task_id)
            hold(_score(worker.labels, labels) is not None, "a required label is not met", attempt)

    def _check_pauses(self, decision: Decision) -> None:
        """No schedule timeout runs while a workflow is paused, and everyone has a whole one afterwards."""
        for entry in decision.writes.task_events:
            if entry.type is TaskEventType.SCHEDULING_TIMED_OUT:
                workflow = self._workflow(entry.task_id)
                hold(workflow.paused_at_us is None, "timed out in the queue while paused", entry.task_id)
                waited_us = entry.at_us - (workflow.unpaused_at_us or 0)
                limit_us = self._definition(entry.task_id).schedule_timeout_us
                hold(waited_us >= limit_us, "timed out too soon after a pause", entry.task_id, waited_us)

    def _check_ages(self, live: list[TaskState], now_us: int) -> None:
        """Nobody waits on when the pause's time to live, or the schedule timeout, is over."""
        for task in live:
            if task.status in (TaskStatus.QUEUED, TaskStatus.BACKOFF):
                hold(self.deadline_us(task.id) > now_us, "waits past its deadline", task.id)

    def _check_burst(self, row: RunRow, now_us: int, replayed: set[str]) -> None:
        """A new debounced run ends the one before it if that still waits, and itself waits as long as was asked."""
        metadata: Payload = msgspec.json.decode(row.additional_metadata or "{}", type=dict[str, Any])
        if DEBOUNCE_KEY not in metadata:
            return
        burst_id = row.workflow_id, metadata[DEBOUNCE_KEY]
        burst = self.bursts.get(burst_id)
        first_at_us = now_us
        if burst is not None:
            last = [self.tables.tasks[task_id] for task_id in self.tables.tasks_of[burst.run_id]]
            ends = (entry for task in last for entry in self.tables.history[task.id])
            if any(f"superseded by run {row.id}" in entry.message for entry in ends):
                hold(burst.release_at_us > now_us, "superseded when its burst was over", burst.run_id)
                are_over = burst.run_id in replayed or all(task.status in TERMINAL for task in last)
                hold(are_over, "superseded in part", burst.run_id)
                first_at_us = burst.first_at_us
            else:
                waits = any(task.status is TaskStatus.BACKOFF and task.retry_count == 0 for task in last)
                hold(not waits, "two of a burst wait", burst.run_id, row.id)
        release_at_us = now_us + int(metadata[QUIET_MS]) * 1_000
        if MAX_WAIT_MS in metadata:
            release_at_us = max(now_us, min(release_at_us, first_at_us + metadata[MAX_WAIT_MS] * 1_000))
        self.bursts[burst_id] = Burst(row.id, first_at_us, release_at_us)
        self.releases[row.id] = release_at_us
        for task_id in self.tables.tasks_of[row.id]:
            task = self.tables.tasks[task_id]
            if task.status is TaskStatus.BACKOFF and task.retry_count == 0:
                hold(task.due_at_us == release_at_us > now_us, "waits for another instant", task, release_at_us)
            elif task.status is TaskStatus.QUEUED and not self._is_on_failure(task_id):
                hold(release_at_us <= now_us, "does not wait", task_id)

    def deadline_us(self, task_id: str) -> int:
        """When the task's present wait or run must end, from the rows."""
        task, workflow = self.tables.tasks[task_id], self._workflow(task_id)
        assert task.due_at_us is not None
        if task.status is not TaskStatus.QUEUED:
            return task.due_at_us
        if workflow.paused_at_us is not None:
            return self.tables.task_rows[task_id].created_at_us + (workflow.paused_queue_ttl_us or 0)
        if workflow.unpaused_at_us is not None:
            fresh_us = workflow.unpaused_at_us + self._definition(task_id).schedule_timeout_us
            return max(task.due_at_us, fresh_us)
        return task.due_at_us

    def _check_choices(self, starts: list[StartAttempt], used: Mapping[str, Counter[str]], now_us: int) -> None:
        """No worker that would have been better, and had room before as it has now, was passed by."""
        for start in starts:
            definition = self._definition(start.task_id)
            if definition.batch is not None:
                continue
            labels, (sticky, _) = self._labels(start.task_id), self._sticky(start.task_id)
            chosen = _score(self.tables.workers[start.worker_id].labels, labels)
            assert chosen is not None
            if start.worker_id == sticky:
                continue
            for worker_id in self.heard_before & self.listening - {start.worker_id}:
                idle = all(
                    self._could_take(worker_id, start.task_id, definition.slots, labels, units, now_us)
                    for units in (self.used, used)
                )
                if idle:
                    score = _score(self.tables.workers[worker_id].labels, labels)
                    hold(worker_id != sticky, "its sticky worker was free", start.task_id, worker_id)
                    hold(score is None or score <= chosen, "a better worker was free", start.task_id, worker_id)

    def _check_ends(self, decision: Decision, replayed: set[str]) -> None:
        ended = Counter(effect.run_id for effect in decision.effects if isinstance(effect, RunFinished))
        changed = [*(new.state for new in decision.writes.new_runs), *decision.writes.runs]
        for run in changed:
            is_over = run.finished_at_us is not None
            was_over = run.id in self.finished
            hold(not was_over or run.id in replayed, "a finished run changed without a replay", run.id, run.status)
            if is_over:
                hold(ended[run.id] >= 1, "a run ended and nobody was told", run.id)
                self.finished.add(run.id)
            else:
                self.finished.discard(run.id)
        for run_id, times in ended.items():
            hold(times == 1 or run_id in replayed, "a run ended twice", run_id)
        touched = {run.id for run in changed}
        touched |= {self.tables.task_rows[task.id].run_id for task in decision.writes.tasks}
        for run_id in touched:
            run = self.tables.runs[run_id]
            derived = run_status(self._statuses(run_id, is_key_counted=False))
            if derived is RunStatus.QUEUED and run.status is RunStatus.RUNNING and self._is_restored(run_id):
                continue
            if derived is RunStatus.QUEUED and self.tables.run_rows[run_id].is_dag:
                hold(run.status not in TERMINAL_RUN, "a run ended while its tasks wait", run_id, run.status)
            else:
                hold(run.status is derived, "run status", run_id, run.status, "derived", derived)

    def _check_times(self, decision: Decision, now_us: int) -> None:
        """Whatever clocks of workers say: assigned, then started, then ended, and nothing in the future."""
        for task in (*(new.state for new in decision.writes.new_tasks), *decision.writes.tasks):
            passed = [at for at in (task.assigned_at_us, task.started_at_us, task.finished_at_us, now_us) if at]
            hold(passed == sorted(passed), "times out of order", task.id, passed)

    def _check_absences(self, decision: Decision, now_us: int) -> None:
        """Nobody is called silent who could not be heard; no attempt fails for want of a report that may be lost."""
        for entry in decision.writes.task_events:
            before = [past for past in self.tables.history[entry.task_id] if past.seq < entry.seq]
            assigned = next((past for past in reversed(before) if past.type is TaskEventType.ASSIGNED), None)
            if assigned is None or assigned.worker_id is None:
                continue
            if entry.type is TaskEventType.REASSIGNED and "no heartbeat" in entry.message:
                heard_at_us = self.heard.get(assigned.worker_id, 0)
                silent_us = now_us - max(heard_at_us, self.back_at_us)
                hold(silent_us >= SILENCE_US, "called silent too soon", entry.task_id, silent_us)
            if entry.type is TaskEventType.TIMED_OUT:
                was_excused = self.tables.tasks[entry.task_id].internal_retry_count >= INTERNAL_RETRIES_MAX
                hold(was_excused or assigned.at_us >= self.back_at_us, "timed out over an absence", entry.task_id)

    def _is_restored(self, task_id: str) -> bool:
        """Whether the task is queued because it was evicted: its run is under way."""
        kinds = (TaskEventType.QUEUED, TaskEventType.DURABLE_RESTORING)
        queued = [entry.type for entry in self.tables.history[task_id] if entry.type in kinds]
        return bool(queued) and queued[-1] is TaskEventType.DURABLE_RESTORING

    def _statuses(self, run_id: str, *, is_key_counted: bool = True) -> list[TaskStatus | None]:
        """Of all tasks there will be; those of a key task that has not failed are left out if it is not counted."""
        statuses: list[TaskStatus | None] = [None] * len(self.words[run_id].tasks)
        for task_id in self.tables.tasks_of[run_id]:
            statuses[self._position(task_id)] = self.tables.tasks[task_id].status
        version = self.tables.versions[self.tables.run_rows[run_id].version_id]
        if not is_key_counted and version.definition.key_task is not None:
            key = statuses.pop()
            if key is TaskStatus.FAILED:
                statuses.append(key)
        return statuses

    def _check_units(self, live: list[TaskState]) -> dict[str, Counter[str]]:
        used: dict[str, Counter[str]] = defaultdict(Counter)
        batches: dict[str, str] = {}
        for task in live:
            if task.status is not TaskStatus.RUNNING or task.worker_id is None or task.slot_released:
                continue
            if task.batch_id is None:
                used[task.worker_id].update(self._definition(task.id).slots)
            elif task.batch_id not in batches:
                batches[task.batch_id] = task.worker_id
                used[task.worker_id]["default"] += 1
            else:
                hold(batches[task.batch_id] == task.worker_id, "a batch on two workers", task.batch_id)
        for worker_id, units in used.items():
            slots = self.tables.workers[worker_id].slots
            hold(all(slots.get(kind, 0) >= count for kind, count in units.items()), "too many units", worker_id, units)
        return used

    def _doubt(self, worker_id: str, now_us: int) -> None:
        """The stream is another one: what was sent on the old one may never have arrived."""
        for run_id in self.tables.live:
            for task_id in self.tables.tasks_of[run_id]:
                task = self.tables.tasks[task_id]
                attempt = task_id, task.retry_count, self._invocation(task_id)
                if task.status is TaskStatus.RUNNING and task.worker_id == worker_id and attempt in self.sent:
                    self.doubted.setdefault(attempt, now_us)

    def _invocation(self, task_id: str) -> int:
        log = self.tables.logs.get(task_id)
        return 0 if log is None else log.invocation_count

    def _check_doubts(self, live: list[TaskState], now_us: int) -> None:
        """An attempt that may never have arrived is confirmed or given to another soon."""
        running = {
            (task.id, task.retry_count, self._invocation(task.id))
            for task in live
            if task.status is TaskStatus.RUNNING and not task.slot_released
        }
        for attempt, since_us in list(self.doubted.items()):
            if attempt not in running or self.tables.has_started(attempt[0]):
                del self.doubted[attempt]
            else:
                hold(now_us - since_us < CONFIRM_US, "an attempt that may be lost is not sent again", attempt)

    # Concurrency ---------------------------------------------------------------------------------------------------

    def _check_groups(self, live: list[TaskState]) -> Counter[GroupId]:
        """How many slots of each group are held, counted from rows."""
        filled: Counter[GroupId] = Counter()
        for run_id in self.tables.live:
            for group_id, _ in self.words[run_id].shared[: self.tables.runs[run_id].concurrency_held]:
                filled[group_id] += 1
        for task in live:
            words, run_id = self._task_words(task.id), self.tables.task_rows[task.id].run_id
            for group_id, _ in words.groups[: task.concurrency_held]:
                filled[group_id] += 1
            if task.status is TaskStatus.RUNNING:
                hold(task.concurrency_held == len(words.groups), "runs without its slots", task.id)
                if not self._is_exempt(task.id):
                    held = self.tables.runs[run_id].concurrency_held
                    hold(held == len(self.words[run_id].shared), "runs without its run's slots", task.id)
            if task.status in (TaskStatus.BACKOFF, TaskStatus.WAITING):
                hold(task.concurrency_held == 0, "holds a slot while it does not compete", task.id, task.status)
        for group_id, count in filled.items():
            hold(count <= max(0, *self.caps[group_id]), "concurrency exceeded", group_id, count, self.caps[group_id])
        return filled

    def _check_losers(self, decision: Decision, replayed: set[str]) -> None:
        """Who was cancelled for the sake of others ranks behind each who kept its slot, by its run's priority and age;
        what is tried again is no newcomer."""
        before, self.holders = self.holders, self._holders()
        for entry in decision.writes.task_events:
            if entry.type is not TaskEventType.CANCELLED or "concurrency strategy" not in entry.message:
                continue
            run_id, task = self.tables.task_rows[entry.task_id].run_id, self.tables.tasks[entry.task_id]
            own = [group_id for group_id, _ in self._task_words(entry.task_id).groups]
            groups = own + [group_id for group_id, _ in self.words[run_id].shared]
            if run_id in replayed:
                continue
            if entry.message.endswith(LimitStrategy.CANCEL_IN_PROGRESS):
                rank = self._newness(run_id)
                behind = [
                    all(
                        # Tasks of one run are of one age; which of them stays is the business of the core.
                        self._run_of(holder) == run_id or self._newness(self._run_of(holder)) > rank
                        for holder, _ in before.get(group_id, set()) & self.holders.get(group_id, set())
                    )
                    for group_id in groups
                    if self.strategies[group_id] is LimitStrategy.CANCEL_IN_PROGRESS
                ]
                hold(any(behind), "displaced by one that ranks behind it", entry.task_id)
            if entry.message.endswith(LimitStrategy.CANCEL_NEWEST) and not self.words[run_id].shared:
                are_fixed = all(len(self.caps[group_id]) == 1 for group_id in own)
                is_tried_again = task.app_retry_count + task.internal_retry_count > 0
                hold(not (are_fixed and is_tried_again), "refused though it was under way", entry.task_id)

    def _holders(self) -> dict[GroupId, set[tuple[str, int]]]:
        holders: dict[GroupId, set[tuple[str, int]]] = defaultdict(set)
        for run_id in self.tables.live:
            for group_id, _ in self.words[run_id].shared[: self.tables.runs[run_id].concurrency_held]:
                holders[group_id].add((f"run {run_id}", 0))
            for task_id in self.tables.tasks_of[run_id]:
                task = self.tables.tasks[task_id]
                for group_id, _ in self._task_words(task_id).groups[: task.concurrency_held]:
                    holders[group_id].add((task_id, task.retry_count))
        return holders

    def _run_of(self, holder_id: str) -> str:
        return holder_id[4:] if holder_id.startswith("run ") else self.tables.task_rows[holder_id].run_id

    def _newness(self, run_id: str) -> Rank:
        row = self.tables.run_rows[run_id]
        return row.priority, row.created_at_us, run_id

    def _check_admissions(self, filled: Counter[GroupId]) -> None:
        """Nobody was admitted past one who waits and is of an older run, or of a more urgent one."""
        waits: dict[tuple[GroupId, str], Rank] = {}
        admitted: list[tuple[GroupId, Rank]] = []
        for holder_id, group_id, rank in self._waiting():
            waits[group_id, holder_id] = rank
        for (group_id, holder_id), rank in self.waits.items():
            if (group_id, holder_id) not in waits and self._holds(holder_id, group_id):
                admitted.append((group_id, rank))
        for group_id, rank in admitted:
            if self.strategies[group_id] is not LimitStrategy.GROUP_ROUND_ROBIN:
                continue
            for (other_id, waiting_id), waiting in waits.items():
                if other_id == group_id and self.waits.get((other_id, waiting_id)) == waiting:
                    hold(waiting >= rank, "admitted out of turn", group_id, rank, "before", waiting_id, waiting)
        self.waits = waits

    def _waiting(self) -> Iterable[tuple[str, GroupId, Rank]]:
        """(holder, group, rank) of everyone who waits for a slot: the least goes first."""
        for run_id in self.tables.live:
            words, run = self.words[run_id], self.tables.runs[run_id]
            is_held_back = False
            for task_id in self.tables.tasks_of[run_id]:
                task = self.tables.tasks[task_id]
                if task.status is not TaskStatus.QUEUED:
                    continue
                if run.concurrency_held < len(words.shared) and not self._is_exempt(task_id):
                    is_held_back = True
                    continue
                groups = self._task_words(task_id).groups
                if task.concurrency_held < len(groups):
                    yield task_id, groups[task.concurrency_held][0], self._rank(run_id)
            if is_held_back:
                yield f"run {run_id}", words.shared[run.concurrency_held][0], self._rank(run_id)

    def _rank(self, run_id: str) -> Rank:
        row = self.tables.run_rows[run_id]
        return -row.priority, row.created_at_us, run_id

    def _holds(self, holder_id: str, group_id: GroupId) -> bool:
        if holder_id.startswith("run "):
            run = self.tables.runs[holder_id[4:]]
            return group_id in [known for known, _ in self.words[run.id].shared[: run.concurrency_held]]
        task = self.tables.tasks[holder_id]
        return group_id in [known for known, _ in self._task_words(holder_id).groups[: task.concurrency_held]]

    # Rate limits ---------------------------------------------------------------------------------------------------

    def _check_consumption(self, decision: Decision, consumers: list[str], now_us: int, told: set[str]) -> None:
        told = set(told)
        for new_task in decision.writes.new_tasks:
            told |= self._task_words(new_task.row.id).dynamic
        for entry in decision.writes.task_events:
            if entry.type is TaskEventType.QUEUED:
                # One that waited for its conditions, or is replayed and had not come so far before.
                dynamic = self._task_words(entry.task_id).dynamic
                is_first = entry.retry_count == 0
                told |= dynamic if is_first else {key for key in dynamic if key not in self.limits}
        consumed: Counter[str] = Counter()
        uses: set[str] = set()
        for task_id in consumers:
            for key, units in self._task_words(task_id).limits.items():
                consumed[key] += units
                uses.add(key)
        for key in {*self.limits, *self.tables.limits, *uses}:
            before, after = self.limits.get(key), self.tables.limits.get(key)
            if key in told:
                hold(after is None or 0 <= after.value <= after.limit, "bucket", after)
                continue
            if key not in uses:
                hold(before == after, "a limit nobody used changed", before, after)
                continue
            hold(before is not None and after is not None, "units taken of a limit that is not there", key)
            assert before is not None and after is not None
            hold((before.paused_until_us or 0) <= now_us, "units taken of a paused limit", key)
            value, refilled_us = before.value, before.last_refill_us
            if now_us - refilled_us >= before.window_us:
                value, refilled_us = before.limit, now_us
            value -= consumed[key]
            hold(value >= 0, "rate limit exceeded", key, before, consumed[key])
            hold((after.value, after.last_refill_us) == (value, refilled_us), "bucket", after, value, refilled_us)

    def _has_units(self, task_id: str, now_us: int) -> bool:
        for key, units in self._task_words(task_id).limits.items():
            row = self.tables.limits.get(key)
            if row is None or (row.paused_until_us or 0) > now_us:
                return False
            if (row.limit if now_us - row.last_refill_us >= row.window_us else row.value) < units:
                return False
        return True

    # Order ---------------------------------------------------------------------------------------------------------

    def _singles(self, effects: list[Effect]) -> list[str]:
        """Tasks that were taken from their action's queue by a start."""
        return [effect.task_id for effect in effects if isinstance(effect, StartAttempt)]

    def _gather(self, decision: Decision, now_us: int) -> list[str]:
        """Batch items that left their action's queue for their group, in order."""
        entered: list[str] = []
        for batch in decision.effects:
            if isinstance(batch, StartBatch):
                self._check_flush(batch, decision)
                self.flushed[self._batch_group(batch.items[0].task_id)] = now_us
        for entry in decision.writes.task_events:
            if entry.type is TaskEventType.WAITING_FOR_BATCH:
                known = self.gathered.get(entry.task_id)
                hold(known is None or known[0] != entry.retry_count, "gathered twice", entry.task_id)
                self.gathered[entry.task_id] = (entry.retry_count, now_us)
                entered.append(entry.task_id)
        for task_id, (retry_count, _) in list(self.gathered.items()):
            task = self.tables.tasks[task_id]
            if task.status is not TaskStatus.QUEUED or task.retry_count != retry_count:
                del self.gathered[task_id]
        return entered

    def _check_flush(self, batch: StartBatch, decision: Decision) -> None:
        first = batch.items[0]
        rule = self._definition(first.task_id).batch
        assert rule is not None
        hold(1 <= len(batch.items) <= rule.max_size, "batch size", len(batch.items), rule)
        hold(len({item.definition_id for item in batch.items}) == 1, "mixed definitions in a batch")
        hold({self._task_words(item.task_id).batch for item in batch.items} == {batch.key}, "mixed keys in a batch")
        ranks = [rank for item in batch.items if (rank := self._gathered_rank(item.task_id)) is not None]
        changed = {task.id for task in decision.writes.tasks}
        for task_id in self.gathered:
            rank = self._gathered_rank(task_id)
            if rank is not None and ranks and task_id not in changed:
                is_same = self._batch_group(task_id) == self._batch_group(first.task_id)
                hold(not is_same or rank >= max(ranks), "batch out of order", task_id)

    def _gathered_rank(self, task_id: str) -> tuple[int, int] | None:
        known = self.gathered.get(task_id)
        return None if known is None else (-self.tables.tasks[task_id].queue_priority, known[1])

    def _batch_group(self, task_id: str) -> tuple[str, str]:
        return self.tables.task_rows[task_id].definition_id, self._task_words(task_id).batch

    def _ready(self, live: list[TaskState], now_us: int) -> dict[str, Ready]:
        ready: dict[str, Ready] = {}
        for task in live:
            if task.status is not TaskStatus.QUEUED or task.id in self.gathered:
                continue
            run_id = self.tables.task_rows[task.id].run_id
            words = self._task_words(task.id)
            if task.concurrency_held < len(words.groups):
                continue
            is_exempt = self._is_exempt(task.id)
            if not is_exempt and self.tables.runs[run_id].concurrency_held < len(self.words[run_id].shared):
                continue
            known = self.ready.get(task.id)
            if known is None or known.retry_count != task.retry_count:
                known = Ready(
                    task.retry_count, task.queue_priority, now_us, self.sequence, self._lane(task.id), words.turn
                )
            ready[task.id] = known
        return ready

    def _check_order(
        self,
        before: Mapping[str, Ready],
        starts: list[StartAttempt],
        used: Mapping[str, Counter[str]],
        now_us: int,
        rang: bool,
    ) -> None:
        """Whoever was started did not overtake one that could have gone in its place; while a key waits that could
        have gone, another key of the same priority has at most one turn."""
        stayed = {
            task_id: known
            for task_id, known in before.items()
            if self.ready.get(task_id) == known
            and self._definition(task_id).batch is None
            and self._workflow(task_id).paused_at_us is None
        }
        waiting = {(self._definition(i).action_id, known.priority, known.turn) for i, known in stayed.items()}
        self.passed = {level: turns for level, turns in self.passed.items() if level in waiting}
        for start in starts:
            row, definition = self.tables.tasks[start.task_id], self._definition(start.task_id)
            is_over = row.status is not TaskStatus.RUNNING or row.retry_count != start.retry_count
            if is_over or definition.batch is not None:
                continue
            turn = self._task_words(start.task_id).turn
            known = before.get(start.task_id)
            if known is None or known.retry_count != start.retry_count:
                lane = self._lane(start.task_id)
                known = Ready(row.retry_count, row.queue_priority, now_us, self.sequence, lane, turn)
            self.passed.pop((definition.action_id, known.priority, turn), None)
            passed: set[str | None] = set()
            for other_id, other in stayed.items():
                is_same_queue = self._definition(other_id).action_id == definition.action_id
                if other.priority < known.priority or not (is_same_queue or self.across_queues):
                    continue
                if other.lane != known.lane and (
                    rang or self.has_backlog or not self._fits_instead(other_id, start, used, now_us)
                ):
                    continue
                hold(other.priority == known.priority, "priority", start.task_id, known, "before", other_id, other)
                if not is_same_queue:
                    continue
                if other.turn != turn:
                    passed.add(other.turn)
                elif self.keeps_order:
                    hold(other.arrival >= known.arrival, "order", start.task_id, known, "before", other_id, other)
            for key in passed:
                turns = self.passed.setdefault((definition.action_id, known.priority, key), Counter())
                turns[turn] += 1
                hold(turns[turn] <= 1, f"{key!r} was passed over by {turn!r} {turns[turn]} times", start.task_id)

    def _fits_instead(self, task_id: str, start: StartAttempt, used: Mapping[str, Counter[str]], now_us: int) -> bool:
        """Whether the worker could have taken this task in place of the one it was given."""
        taken = Counter(used.get(start.worker_id, Counter()))
        taken.subtract(self._definition(start.task_id).slots)
        slots, labels = self._definition(task_id).slots, self._labels(task_id)
        return self._has_units(task_id, now_us) and self._could_take(
            start.worker_id, task_id, slots, labels, {start.worker_id: taken}, now_us
        )

    def _lane(self, task_id: str) -> Lane:
        """What a task shares with those it must not overtake: its queue, what it needs of a worker, its limits."""
        definition, workflow_id = self._definition(task_id), self.tables.task_rows[task_id].workflow_id
        limits = frozenset(self._task_words(task_id).limits.items())
        if definition.batch is not None:
            return definition.action_id, workflow_id, "batch", limits
        sticky, is_hard = self._sticky(task_id)
        needs = frozenset(definition.slots.items()), definition.is_durable
        return definition.action_id, workflow_id, needs, self._labels(task_id), sticky, is_hard, limits

    # Idleness ------------------------------------------------------------------------------------------------------

    def _check_idleness(
        self, used: Mapping[str, Counter[str]], filled: Counter[GroupId], live: list[TaskState], now_us: int
    ) -> None:
        for holder_id, group_id, _ in self._waiting():
            hold(filled[group_id] >= min(self.caps[group_id]), "waits for a free slot", holder_id, group_id)
        lanes: dict[Lane, str] = {known.lane: task_id for task_id, known in self.ready.items()}
        for task_id in lanes.values():
            if self._workflow(task_id).paused_at_us is not None or not self._has_units(task_id, now_us):
                continue
            definition = self._definition(task_id)
            hold(definition.batch is None, "an item does not gather", task_id)
            for worker_id in self.listening:
                hold(
                    not self._could_take(worker_id, task_id, definition.slots, self._labels(task_id), used, now_us),
                    "waits beside a free worker",
                    task_id,
                    worker_id,
                )
        self._check_idle_batches(used, live, now_us)

    def _check_idle_batches(self, used: Mapping[str, Counter[str]], live: list[TaskState], now_us: int) -> None:
        groups: dict[tuple[str, str], list[str]] = defaultdict(list)
        for task_id in self.gathered:
            groups[self._batch_group(task_id)].append(task_id)
        running: dict[tuple[str, str], set[str]] = defaultdict(set)
        for task in live:
            if task.status is TaskStatus.RUNNING and task.batch_id is not None and not task.slot_released:
                running[self._batch_group(task.id)].add(task.batch_id)
        for group, task_ids in groups.items():
            definition = self._definition(task_ids[0])
            rule = definition.batch
            assert rule is not None
            hold(len(running[group]) <= rule.group_max_runs, "too many batches", group)
            oldest_us = min(self.gathered[task_id][1] for task_id in task_ids)
            since_us = max(oldest_us, self.flushed.get(group, 0))
            is_ripe = len(task_ids) >= rule.max_size or now_us - since_us >= rule.interval_us
            is_paused = self._workflow(task_ids[0]).paused_at_us is not None
            if is_paused or not is_ripe or len(running[group]) >= rule.group_max_runs:
                continue
            for worker_id in self.listening:
                can = self._could_take(worker_id, task_ids[0], {"default": 1}, definition.labels, used, now_us, True)
                hold(not can, "a ripe batch waits beside a free worker", group, task_ids, worker_id)

    def _could_take(
        self,
        worker_id: str,
        task_id: str,
        slots: Mapping[str, int],
        labels: tuple[LabelRequirement, ...],
        used: Mapping[str, Counter[str]],
        now_us: int,
        is_batch: bool = False,
    ) -> bool:
        worker = self.tables.workers[worker_id]
        if worker.is_paused or self._definition(task_id).action_id not in worker.actions:
            return False
        if now_us - self.heard.get(worker_id, 0) > FRESH_US:
            return False
        taken = used.get(worker_id, Counter())
        if any(worker.slots.get(kind, 0) - taken[kind] < units for kind, units in slots.items()):
            return False
        if any(label.required and not _is_met(worker.labels.get(label.key), label) for label in labels):
            return False
        sticky, is_hard = (None, False) if is_batch else self._sticky(task_id)
        return not is_hard or sticky == worker_id

    # Looking up ----------------------------------------------------------------------------------------------------

    def _definition(self, task_id: str) -> TaskDefinition:
        return self.definitions[self.tables.task_rows[task_id].definition_id][2]

    def _workflow(self, task_id: str) -> WorkflowRow:
        return self.tables.workflows[self.tables.task_rows[task_id].workflow_id]

    def _position(self, task_id: str) -> int:
        return self.definitions[self.tables.task_rows[task_id].definition_id][1]

    def _task_words(self, task_id: str) -> TaskWords:
        return self.words[self.tables.task_rows[task_id].run_id].tasks[self._position(task_id)]

    def _is_exempt(self, task_id: str) -> bool:
        """Whether the task runs without its run's slots: the on-failure task and the key task."""
        return self._is_on_failure(task_id) or self.tables.task_rows[task_id].name == KEY_TASK_NAME

    def _is_on_failure(self, task_id: str) -> bool:
        on_failure = self.tables.versions[self.definitions[self._definition(task_id).id][0]].definition.on_failure
        return on_failure is not None and self._definition(task_id).id == on_failure.id

    def _labels(self, task_id: str) -> tuple[LabelRequirement, ...]:
        row = self.tables.run_rows[self.tables.task_rows[task_id].run_id]
        if row.desired_labels is None:
            return self._definition(task_id).labels
        return msgspec.json.decode(row.desired_labels, type=tuple[LabelRequirement, ...])

    def _sticky(self, task_id: str) -> tuple[str | None, bool]:
        """The worker it belongs to, and whether it may go nowhere else."""
        task_row = self.tables.task_rows[task_id]
        run = self.tables.run_rows[task_row.run_id]
        workflow = self.tables.versions[run.version_id].definition
        if workflow.sticky is None or task_row.name == KEY_TASK_NAME:
            return None, False
        by_name = {self.tables.task_rows[i].name: i for i in self.tables.tasks_of[run.id]}
        worker_id = run.desired_worker_id
        for parent in self._definition(task_id).parents:
            ran_on = self.tables.tasks[by_name[parent]].worker_id if parent in by_name else None
            if ran_on is not None:
                worker_id = ran_on
                break
        return worker_id, worker_id is not None and workflow.sticky is Sticky.HARD

    # Words ---------------------------------------------------------------------------------------------------------

    def _words(self, run_id: str, answer: str | None) -> RunWords:
        """`answer` is what a worker said when it was asked for the run's group key, None while that is not known."""
        row = self.tables.run_rows[run_id]
        workflow = self.tables.versions[row.version_id].definition
        run_input: Payload = msgspec.json.decode(self.inputs[run_id], type=dict[str, Any])
        metadata: Payload = msgspec.json.decode(row.additional_metadata or "{}", type=dict[str, Any])
        if workflow.key_task is None:
            shared = self._groups(workflow.concurrency, row.version_id, "workflow", 0, run_input, metadata)
        else:
            shared = self._asked_groups(workflow.concurrency[0], row.version_id, answer)
        tasks: list[TaskWords] = []
        for definition in _definitions(workflow):
            words = TaskWords()
            offset = 0 if row.is_dag else len(workflow.concurrency)
            own = self._groups(definition.concurrency, row.version_id, definition.name, offset, run_input, metadata)
            words.fails = own is None or (shared is None and definition is not workflow.on_failure)
            for use in definition.rate_limits:
                key = string_of(use.key_expression, run_input, metadata) if use.key_expression else use.key
                units = number_of(use.units_expression, run_input, metadata) if use.units_expression else use.units
                limit = number_of(use.limit_expression, run_input, metadata) if use.key_expression else 0
                if key is None or units is None or limit is None:
                    words.fails = True
                    continue
                words.limits[key] += units
                if use.key_expression:
                    words.dynamic.add(key)
            if definition.batch is not None and definition.batch.group_key_expression:
                batch = string_of(definition.batch.group_key_expression, run_input, metadata)
                words.fails = words.fails or batch is None
                words.batch = batch or "default"
            counted = workflow.concurrency if definition in workflow.tasks else ()
            turns = [*zip(counted, shared or (), strict=False), *zip(definition.concurrency, own or (), strict=False)]
            for rule, (group_id, _) in turns:
                if rule.strategy is LimitStrategy.GROUP_ROUND_ROBIN:
                    words.turn = group_id[-1]
            words.groups = [*(() if row.is_dag else shared or ()), *(own or ())]
            if words.fails:
                words.limits, words.dynamic, words.groups = Counter(), set(), []
            tasks.append(words)
        return RunWords(list(shared or ()) if row.is_dag else [], tasks)

    def _asked_groups(self, rule: ConcurrencyRule, version_id: str, answer: str | None) -> list[tuple[GroupId, int]]:
        if answer is None:
            return []
        said = msgspec.json.decode(answer)
        group_id = (version_id, "workflow", "0", said if isinstance(said, str) else answer)
        self.caps[group_id].add(rule.max_runs)
        self.strategies[group_id] = rule.strategy
        return [(group_id, rule.max_runs)]

    def _groups(
        self,
        rules: tuple[ConcurrencyRule, ...],
        version_id: str,
        scope: str,
        offset: int,
        run_input: Payload,
        metadata: Payload,
    ) -> list[tuple[GroupId, int]] | None:
        groups: list[tuple[GroupId, int]] = []
        for place, rule in enumerate(rules):
            key = string_of(rule.expression, run_input, metadata)
            cap = rule.max_runs
            if rule.max_runs_expression:
                said = number_of(rule.max_runs_expression, run_input, metadata)
                if said is None:
                    return None
                cap = said
            if key is None:
                return None
            group_id = ("tenant", rule.name, key)
            if not rule.is_tenant_scoped:
                group_id = (version_id, scope, str(place + offset), key)
            groups.append((group_id, cap))
        for (group_id, cap), rule in zip(groups, rules, strict=True):
            self.caps[group_id].add(cap)
            self.strategies[group_id] = rule.strategy
        return groups


def _definitions(workflow: WorkflowDefinition) -> list[TaskDefinition]:
    """By position."""
    extra = (workflow.on_failure, workflow.key_task)
    return [*workflow.tasks, *(definition for definition in extra if definition is not None)]


def attempts(effects: Iterable[Effect]) -> Iterable[StartAttempt]:
    for effect in effects:
        if isinstance(effect, StartAttempt):
            yield effect
        elif isinstance(effect, StartBatch):
            yield from effect.items


def _score(labels: Mapping[str, LabelValue], wanted: Iterable[LabelRequirement]) -> int | None:
    total = 0
    for label in wanted:
        if _is_met(labels.get(label.key), label):
            total += label.weight
        elif label.required:
            return None
    return total


def _is_met(value: LabelValue | None, label: LabelRequirement) -> bool:
    wanted = label.value
    if value is None or isinstance(value, str) != isinstance(wanted, str):
        return False
    match label.comparator:
        case Comparator.EQUAL:
            return value == wanted
        case Comparator.NOT_EQUAL:
            return value != wanted
    if isinstance(value, str) or isinstance(wanted, str):
        return False
    return {
        Comparator.GREATER_THAN: value > wanted,
        Comparator.GREATER_THAN_OR_EQUAL: value >= wanted,
        Comparator.LESS_THAN: value < wanted,
        Comparator.LESS_THAN_OR_EQUAL: value <= wanted,
    }[label.comparator]
