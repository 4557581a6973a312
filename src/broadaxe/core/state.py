"""Everything a tenant holds in memory, and the few look-ups its modules share. No decisions are made here."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from broadaxe.core.alerts import Alerts
from broadaxe.core.batching import Batch, BatchGroup
from broadaxe.core.calendar import Calendar
from broadaxe.core.claims import Claims
from broadaxe.core.commands.asked import Initiator
from broadaxe.core.commands.events import PushedEvent
from broadaxe.core.crews import wake
from broadaxe.core.decision import ExpressionFailureRow, FailureSource
from broadaxe.core.durations import US_PER_S
from broadaxe.core.event_patterns import EventPatterns
from broadaxe.core.interests import Interests
from broadaxe.core.ledger import Ledger
from broadaxe.core.model import Filter, Run, Task, Version, Worker, Workflow
from broadaxe.core.queues import ActionQueue, Lane, Segment
from broadaxe.core.timers import AlarmKind, Timers
from broadaxe.core.topics import Topics

if TYPE_CHECKING:
    from broadaxe.core.concurrency import Group, GroupId
    from broadaxe.core.debounce import Burst
    from broadaxe.core.dormant import Dormant
    from broadaxe.core.quotas import Quotas
    from broadaxe.core.ratelimits import Limit
    from broadaxe.core.waits import PastEvent, Wait

#: Later than every instant there is.
FOR_EVER_US: Final = 1 << 62

HOT_TASKS_MAX: Final = 20_000

CRON_CATCH_UP_US: Final = 3_600 * US_PER_S

#: Length of a recorded failure of an expression.
FAILURE_CHARS_MAX: Final = 2_000


class State:
    __slots__ = (
        "advanced",
        "alerts",
        "asked_by",
        "batch_groups",
        "batches",
        "bursts",
        "calendar",
        "claims",
        "cold_lanes",
        "cron_catch_up_us",
        "dormant",
        "dormant_for_events",
        "ended",
        "ended_children",
        "event_patterns",
        "evicted",
        "families",
        "filters",
        "finished",
        "freezable",
        "groups",
        "hot",
        "hot_tasks_max",
        "lanes_without_limit",
        "ledger",
        "limits",
        "new_id",
        "past_events",
        "prioritise_across_queues",
        "pushed",
        "queues",
        "quotas",
        "runs",
        "tasks",
        "timers",
        "topics",
        "undecided",
        "versions",
        "waited_in",
        "waits_for_events",
        "waking",
        "wanted",
        "workers",
        "workflows",
        "workflows_by_name",
    )

    def __init__(self, new_id: Callable[[], str]) -> None:
        self.new_id = new_id
        self.asked_by: Initiator | None = None
        """Who asked for the command that is being decided; None if nobody is named."""
        self.workflows: dict[str, Workflow] = {}
        self.workflows_by_name: dict[str, Workflow] = {}
        self.versions: dict[str, Version] = {}
        self.event_patterns = EventPatterns()
        """Which workflows an event's key starts."""
        self.workers: dict[str, Worker] = {}
        self.runs: dict[str, Run] = {}
        self.tasks: dict[str, Task] = {}
        self.queues: dict[str, ActionQueue] = {}
        self.waited_in: dict[str, ActionQueue] = {}
        """Every queue that somebody waits in, and maybe some that nobody waits in any more."""
        self.families: dict[str, dict[str, dict[str, int]]] = {}
        """How many children wait for a slot: by their parent's action, their own, and the parent (`families.py`)."""
        self.groups: dict[GroupId, Group] = {}
        self.undecided: dict[GroupId, Group] = {}
        """Groups that a holder entered or left since they were last decided."""
        self.batch_groups: dict[tuple[str, str], BatchGroup] = {}
        self.batches: dict[str, Batch] = {}
        """Batches that run, by id."""
        self.bursts: dict[tuple[str, str], Burst] = {}
        """Debounced runs that wait, by (workflow id, debounce key)."""
        self.hot_tasks_max = HOT_TASKS_MAX
        """Waiting tasks of a lane that stay in memory; what comes behind them is only remembered by its id."""
        self.freezable: list[Task] = []
        """Tasks that joined a long lane in this round."""
        self.cold_lanes: dict[Lane, None] = {}
        self.wanted: list[Segment] = []
        """Segments whose tasks shall be read back."""
        self.limits: dict[str, Limit] = {}
        self.lanes_without_limit: dict[str, dict[Lane, None]] = {}
        """Lanes that wait for a rate limit nobody has put yet, by its key."""
        self.quotas: Quotas | None = None
        """What the tenant may have; None while that is not enforced."""
        self.alerts = Alerts()
        """When people are to be told that something is wrong."""
        self.topics = Topics()
        """What is remembered of topics that messages are published to."""
        self.prioritise_across_queues = False
        """Whether the most urgent task goes first also among different tasks of one worker."""
        self.filters: dict[str, Filter] = {}
        self.claims = Claims()
        """Who holds which idempotency key."""
        self.calendar = Calendar()
        self.cron_catch_up_us = CRON_CATCH_UP_US
        """How old a cron's last tick may be that is made up although nobody was there for it; 0 for none."""
        self.timers = Timers()
        self.ledger = Ledger()
        self.hot: dict[str, ActionQueue] = {}
        """Queues in which an assignment may have become possible since the last settle, in the order that happened."""
        self.waits_for_events: Interests[Wait] = Interests()
        """Armed waits, by the events they still need."""
        self.advanced: list[Wait] = []
        """Waits of which a condition came true and whose owner was not told yet."""
        self.ended: dict[str, list[Task]] = {}
        """Tasks that ended and that nobody followed up on yet, by their runs."""
        self.ended_children: list[Run] = []
        """Child runs that ended and whose parents were not told yet."""
        self.past_events: tuple[PastEvent, ...] = ()
        """Stored events that waits of this round may look back at."""
        self.pushed: dict[str, PushedEvent] = {}
        """Events under a promised id, by that: those of this round, and stored ones that were read for it."""
        self.dormant: dict[str, Dormant] = {}
        """Evicted tasks that are not in memory, by id."""
        self.dormant_for_events: Interests[Dormant] = Interests()
        self.waking: dict[str, None] = {}
        """Ids of dormant tasks that shall be read back."""
        self.evicted: list[Task] = []
        """Tasks evicted in this round, or read back for it; those that still wait at its end may leave memory."""
        self.finished: dict[str, Run] = {}
        """Runs to forget at the next settle: finished now, or loaded only to look at them."""

    @property
    def asked_by_name(self) -> str:
        """For people to read; empty if nobody is named."""
        return "" if self.asked_by is None else self.asked_by.name

    @property
    def is_restless(self) -> bool:
        """Whether something is still to follow from what happened."""
        return bool(self.hot or self.undecided or self.advanced or self.ended_children or self.evicted)

    def queue(self, action_id: str) -> ActionQueue:
        found = self.queues.get(action_id)
        if found is None:
            found = self.queues[action_id] = ActionQueue(action_id)
            for worker in self.workers.values():
                if action_id in worker.turns:
                    found.crew.add(worker)
        return found

    def heat(self, queue: ActionQueue) -> None:
        """An assignment may have become possible in the queue. Whoever makes somebody wait in it says so here."""
        self.hot[queue.action_id] = self.waited_in[queue.action_id] = queue

    def heat_worker(self, worker: Worker) -> None:
        """The worker may take something again; those of its queues that somebody waits in are looked at in turn.
        O(such queues), or O(actions of the worker) if these are fewer."""
        wake(worker)
        turns, waited_in, hot = worker.turns, self.waited_in, self.hot
        if len(waited_in) < len(turns):
            for action_id in [action_id for action_id, queue in waited_in.items() if not len(queue)]:
                del waited_in[action_id]
            in_turn = sorted((action_id for action_id in waited_in if action_id in turns), key=turns.__getitem__)
        else:
            in_turn = [action_id for action_id in turns if action_id in waited_in]
        for action_id in in_turn:
            queue = waited_in[action_id]
            if len(queue):
                queue.unblock()
                hot[action_id] = queue

    def park(self, lane: Lane, until_us: int | None) -> None:
        """The lane is not looked at until then (None: until somebody unparks it)."""
        lane.parked_until_us = FOR_EVER_US if until_us is None else until_us
        if until_us is not None:
            self.timers.arm(until_us, AlarmKind.LIMIT_REFILLED, lane)

    def unpark(self, lane: Lane) -> None:
        if lane.parked_until_us is not None:
            if lane.parked_until_us != FOR_EVER_US:
                self.timers.disarm()
            lane.parked_until_us = None
        self._stop_waiting(lane)
        queue = lane.shape.queue
        if len(lane):
            lane.shape.announce(lane)
            self.heat(queue)
        else:
            queue.tidy(lane)

    def leave_queue(self, task: Task) -> None:
        """A waiting task leaves from where it stands. A parked lane that is empty then is not kept for its alarm."""
        if task.waiting is not None:
            lane = task.waiting.lane
            lane.shape.queue.bury(task)
            if not len(lane) and lane.parked_until_us is not None:
                self.unpark(lane)

    def tidy_batch_group(self, group: BatchGroup) -> None:
        """Forgets a group that nothing is left of: no item, no batch that runs, no interval that still counts."""
        if not group.count and not group.running and group.flush_at_us is None:
            self.batch_groups.pop(group.id, None)
            group.shape.queue.ripe.pop(group.id, None)

    def wait_for_limit(self, lane: Lane, key: str) -> None:
        """Remembers that `lane` waits for the key, for when it is put or changed."""
        lane.waits_for = key
        limit = self.limits.get(key)
        waiting = self.lanes_without_limit.setdefault(key, {}) if limit is None else limit.lanes
        waiting[lane] = None

    def lanes_of_limit(self, key: str) -> list[Lane]:
        """The lanes that wait for the key, whether there is such a limit or not."""
        limit = self.limits.get(key)
        return [*(() if limit is None else limit.lanes), *self.lanes_without_limit.get(key, ())]

    def _stop_waiting(self, lane: Lane) -> None:
        if lane.waits_for is None:
            return
        limit = self.limits.get(lane.waits_for)
        if limit is not None:
            limit.lanes.pop(lane, None)
        waiting = self.lanes_without_limit.get(lane.waits_for)
        if waiting is not None:
            waiting.pop(lane, None)
            if not waiting:
                del self.lanes_without_limit[lane.waits_for]
        lane.waits_for = None

    def record_failure(
        self,
        source: FailureSource,
        message: str,
        now_us: int,
        *,
        workflow_id: str | None = None,
        event_id: str | None = None,
    ) -> None:
        """Remembers that an expression failed where nobody waits to be told."""
        row = ExpressionFailureRow(
            self.new_id(),
            source,
            message.replace("\x00", "\N{REPLACEMENT CHARACTER}")[:FAILURE_CHARS_MAX],
            workflow_id,
            event_id,
            now_us,
        )
        self.ledger.add_failure(row)

    def add_run(self, run: Run) -> None:
        self.runs[run.id] = run

    def add_task(self, task: Task) -> None:
        task.run.tasks[task.position] = task
        self.tasks[task.id] = task

    def end_burst(self, run: Run) -> None:
        """The debounced run waits no longer."""
        burst = run.burst
        if burst is not None:
            run.burst = None
            if self.bursts.get(burst.id) is burst:
                del self.bursts[burst.id]

    def forget_finished(self) -> None:
        """Drops runs that ended; one that was replayed meanwhile stays."""
        for run in self.finished.values():
            if run.finished_at_us is None:
                continue
            self.runs.pop(run.id, None)
            for task in run.existing():
                self.tasks.pop(task.id, None)
        self.finished.clear()
