"""Random lives of a tenant: whatever happens in whatever order, the invariants hold.

Workflows with random graphs, workers that come, go, pause and fall silent, reports that are late, doubled or about
another attempt, cancels, replays, clock steps. After every step the memory of the tenant is looked through; at the end
everything is drained and every run has ended. The same commands on a second world give the same decisions.

This test knows the inside of `Tenant`, because an invariant of memory is about memory.
"""

from __future__ import annotations

from collections import Counter

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from broadaxe.core.affinity import is_schedulable
from broadaxe.core.attempts import INTERNAL_RETRIES_MAX
from broadaxe.core.commands import Command
from broadaxe.core.commands.attempts import FailDelivery, Outcome, RefreshTimeout, ReleaseSlot, ReportAttempt
from broadaxe.core.commands.events import EventRequest, PushEvents
from broadaxe.core.commands.tasks import CancelTasks, ReplayTasks
from broadaxe.core.commands.triggers import RunRequest, TriggerRuns
from broadaxe.core.commands.workers import (
    CloseStream,
    Heartbeat,
    OpenStream,
    PauseWorker,
    RegisterWorker,
    UnregisterWorker,
)
from broadaxe.core.commands.workflows import DeleteWorkflow, PutWorkflow, PutWorkflowReply
from broadaxe.core.decision import Decision, RunFinished, StartAttempt
from broadaxe.core.definition import TaskSpec, WorkflowSpec
from broadaxe.core.durations import US_PER_S
from broadaxe.core.lifecycle import TERMINAL, TERMINAL_RUN, RunStatus, TaskEventType, TaskStatus, run_status
from broadaxe.core.timers import AlarmKind, is_valid
from broadaxe.errors import BroadaxeError
from tests.core.world import World

ACTIONS = ("s:a", "s:b", "s:c")
NAMES = ("w0", "w1", "w2")
NEEDS_DEADLINE = (TaskStatus.QUEUED, TaskStatus.BACKOFF, TaskStatus.RUNNING)


@st.composite
def task_specs(draw: st.DrawFn, name: str, before: tuple[str, ...]) -> TaskSpec:
    return TaskSpec(
        name=name,
        action_id=draw(st.sampled_from(ACTIONS)),
        parents=tuple(draw(st.lists(st.sampled_from(before), max_size=2, unique=True))) if before else (),
        execution_timeout=draw(st.sampled_from(["", "2s", "40s"])),
        schedule_timeout=draw(st.sampled_from(["", "0s", "3s", "1h"])),
        retries=draw(st.integers(0, 2)),
        backoff_factor=draw(st.sampled_from([None, None, 1.5])),
        slots=draw(st.sampled_from([{}, {"default": 2}, {"gpu": 1}, {"default": 1, "gpu": 1}])),
    )


@st.composite
def workflow_specs(draw: st.DrawFn) -> WorkflowSpec:
    names = tuple(f"t{number}" for number in range(draw(st.integers(1, 5))))
    return WorkflowSpec(
        name=draw(st.sampled_from(NAMES)),
        tasks=tuple(draw(task_specs(name, names[:number])) for number, name in enumerate(names)),
        on_failure=draw(st.none() | task_specs("oops", ())),
        event_triggers=draw(st.sampled_from([(), ("key",), ("k*", "*y")])),
        default_priority=draw(st.sampled_from([None, 2])),
    )


class TenantMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.script: list[tuple[int, tuple[Command, ...]]] = []
        self.sent: list[tuple[str, int]] = []
        """(task id, retry count) of every attempt ever sent."""
        self.session_of: dict[str, int] = {}
        self.ended: Counter[str] = Counter()

    # Acting ------------------------------------------------------------------------------------------------------

    def act(self, *commands: Command) -> list[object]:
        """Applies the commands as one batch; one that is refused must have changed nothing, so it is left out."""
        self.script.append((self.world.now_us, commands))
        decision = self.world.decide(*commands)
        self.look_at(decision)
        return list(decision.replies)

    def look_at(self, decision: Decision) -> None:
        for effect in decision.effects:
            if isinstance(effect, StartAttempt):
                assert (effect.task_id, effect.retry_count) not in self.sent, "an attempt is sent once"
                self.sent.append((effect.task_id, effect.retry_count))
                assert self.session_of[effect.worker_id] == effect.session, "attempts go to the newest open stream"
            elif isinstance(effect, RunFinished):
                self.ended[effect.run_id] += 1

    @initialize(specs=st.lists(workflow_specs(), min_size=1, max_size=3))
    def begin(self, specs: list[WorkflowSpec]) -> None:
        for spec in specs:
            self.act(PutWorkflow(spec))

    @rule(spec=workflow_specs())
    def put_workflow(self, spec: WorkflowSpec) -> None:
        (reply,) = self.act(PutWorkflow(spec))
        assert isinstance(reply, PutWorkflowReply)
        (again,) = self.act(PutWorkflow(spec))
        assert again == reply, "registering the same definition again changes nothing"

    @rule(data=st.data())
    def delete_workflow(self, data: st.DataObject) -> None:
        workflows = sorted(self.world.tenant._state.workflows)
        if data.draw(st.integers(0, 9)) == 0:
            self.act(DeleteWorkflow(data.draw(st.sampled_from(workflows))))

    @rule(
        names=st.lists(st.sampled_from(NAMES), min_size=1, max_size=4),
        priority=st.sampled_from([None, 1, 3]),
    )
    def trigger(self, names: list[str], priority: int | None) -> None:
        self.act(*(TriggerRuns((RunRequest(workflow_name=n, input="{}", priority=priority),)) for n in names))

    @precondition(lambda self: self.world.tasks)
    @rule(data=st.data(), name=st.sampled_from(NAMES), key=st.sampled_from(["0", "1", "k"]))
    def spawn(self, data: st.DataObject, name: str, key: str) -> None:
        parent = self.any_task(data)
        request = RunRequest(workflow_name=name, input="{}", parent_task_id=parent, child_key=key)
        first = self.act(TriggerRuns((request,)))
        assert isinstance(first[0], BroadaxeError) or self.act(TriggerRuns((request,))) == first

    @rule(key=st.sampled_from(["key", "k", "other"]))
    def push(self, key: str) -> None:
        self.act(PushEvents((EventRequest(key=key, payload="{}"),)))

    @rule(
        actions=st.lists(st.sampled_from(ACTIONS), min_size=1, max_size=3, unique=True),
        slots=st.sampled_from([{"default": 1}, {"default": 3, "gpu": 1}, {"gpu": 2, "default": 0}]),
    )
    def join(self, actions: list[str], slots: dict[str, int]) -> None:
        (worker_id,) = self.act(RegisterWorker("worker", tuple(actions), slots))
        assert isinstance(worker_id, str)
        self.open(worker_id)

    def open(self, worker_id: str) -> None:
        self.world.sessions += 1
        self.session_of[worker_id] = self.world.sessions
        self.act(OpenStream(worker_id, self.world.sessions))

    @precondition(lambda self: self.world.workers)
    @rule(data=st.data())
    def worker_does(self, data: st.DataObject) -> None:
        worker_id = data.draw(st.sampled_from(sorted(self.world.workers)))
        match data.draw(
            st.sampled_from(["open", "close", "late close", "pause", "unpause", "goodbye", "beat", "beat"])
        ):
            case "open":
                self.open(worker_id)
            case "close":
                self.act(CloseStream(worker_id, self.session_of.get(worker_id, 0)))
            case "late close":
                self.act(CloseStream(worker_id, self.session_of.get(worker_id, 0) - 1))
            case "pause":
                self.act(PauseWorker(worker_id, True))
            case "unpause":
                self.act(PauseWorker(worker_id, False))
            case "goodbye":
                self.act(UnregisterWorker(worker_id))
            case _:
                self.act(*(Heartbeat(worker_id) for worker_id in sorted(self.world.workers)))

    @precondition(lambda self: self.sent)
    @rule(
        data=st.data(), outcome=st.sampled_from(Outcome), retryable=st.booleans(), after_s=st.sampled_from([None, 0, 5])
    )
    def report(self, data: st.DataObject, outcome: Outcome, retryable: bool, after_s: int | None) -> None:
        """About any attempt ever sent, current or long gone, maybe twice in one batch."""
        recent = self.sent[-12:]
        task_id, retry_count = data.draw(st.sampled_from(recent if data.draw(st.integers(0, 3)) else self.sent))
        task = self.world.tenant._state.tasks.get(task_id)
        is_current = task is not None and task.status is TaskStatus.RUNNING and task.retry_count == retry_count
        after_us = None if after_s is None else after_s * US_PER_S
        command = ReportAttempt(task_id, retry_count, outcome, "{}", retryable, after_us)
        first, second = self.act(command, command)
        assert first.is_current is is_current  # type: ignore[attr-defined]
        assert second.is_current is (is_current and outcome is Outcome.STARTED)  # type: ignore[attr-defined]

    @precondition(lambda self: self.sent)
    @rule(data=st.data(), kind=st.sampled_from(["delivery", "release", "refresh"]))
    def disturb(self, data: st.DataObject, kind: str) -> None:
        task_id, retry_count = data.draw(st.sampled_from(self.sent[-12:]))
        match kind:
            case "delivery":
                self.act(FailDelivery(task_id, retry_count, "gone"))
            case "release":
                self.act(ReleaseSlot(task_id))
            case _:
                self.act(RefreshTimeout(task_id, 3 * US_PER_S))

    @precondition(lambda self: self.world.tasks)
    @rule(data=st.data(), whole_run=st.booleans(), is_replay=st.booleans())
    def cancel_or_replay(self, data: st.DataObject, whole_run: bool, is_replay: bool) -> None:
        task_id = self.any_task(data)
        chosen = self.world.task_rows[task_id].run_id if whole_run else task_id
        self.act(ReplayTasks((chosen,)) if is_replay else CancelTasks((chosen,)))
        if not is_replay and whole_run:
            assert self.world.runs[chosen].status in TERMINAL_RUN

    def any_task(self, data: st.DataObject) -> str:
        ids = list(self.world.tasks)
        return data.draw(st.sampled_from(ids[-20:]))

    @rule(by_s=st.sampled_from([0.001, 0.5, 3, 6, 31, 400]))
    def pass_time(self, by_s: float) -> None:
        """A jump: everything due on the way is late."""
        self.world.now_us += round(by_s * US_PER_S)
        self.act()

    @rule()
    def to_the_next_deadline(self) -> None:
        due_us = self.world.tenant.next_due_us()
        if due_us is not None:
            self.world.now_us = max(self.world.now_us, due_us)
            self.act()

    # Looking -----------------------------------------------------------------------------------------------------

    @invariant()
    def memory_is_consistent(self) -> None:
        state = self.world.tenant._state
        now_us = self.world.now_us
        for worker in state.workers.values():
            used: Counter[str] = Counter()
            for task in worker.running.values():
                assert task.status is TaskStatus.RUNNING and task.worker is worker and not task.slot_released
                used.update(task.definition.slots)
            for slot_type in {*worker.slots, *worker.free, *used}:
                free = worker.free.get(slot_type, 0)
                assert free >= 0, "no more units than there are"
                assert free == worker.slots.get(slot_type, 0) - used[slot_type]
        for run in state.runs.values():
            assert run.finished_at_us is None, "finished runs leave memory"
            derived = run_status(None if task is None else task.status for task in run.tasks)
            if run.version.is_dag and derived is RunStatus.QUEUED:
                assert run.status in (RunStatus.QUEUED, RunStatus.RUNNING)
            else:
                assert run.status is derived
            assert run.status not in TERMINAL_RUN
        for task in state.tasks.values():
            assert state.runs[task.run.id].tasks[task.position] is task
            assert (task.due_at_us is not None) is (task.status in NEEDS_DEADLINE)
            assert task.due_at_us is None or task.due_at_us > now_us or task.status is TaskStatus.RUNNING
            if task.status is TaskStatus.RUNNING and not task.slot_released:
                assert task.worker is not None and task.id in task.worker.running
            assert task.internal_retry_count <= INTERNAL_RETRIES_MAX
            assert task.app_retry_count <= task.definition.retries
            assert (task.finished_at_us is not None) is (task.status in TERMINAL)

    @invariant()
    def nobody_waits_beside_a_free_slot(self) -> None:
        state = self.world.tenant._state
        waiting: Counter[str] = Counter()
        for task in state.tasks.values():
            if task.status is TaskStatus.QUEUED:
                waiting[task.definition.action_id] += 1
        for queue in state.queues.values():
            assert len(queue) == waiting[queue.action_id]
            for shape in queue.shapes.values():
                if shape.peek() is not None:
                    for worker in queue.crew:
                        if is_schedulable(worker, self.world.now_us):
                            assert not worker.has_room_for(shape.slots)

    @invariant()
    def every_deadline_is_armed(self) -> None:
        """At least once: a deadline that comes back to an instant it had before finds its old alarm valid again."""
        state = self.world.tenant._state
        armed = {(alarm[2], id(alarm[3])) for alarm in state.timers._heap if is_valid(alarm)}
        assert {(AlarmKind.TASK_DUE, id(task)) for task in state.tasks.values() if task.due_at_us is not None} <= armed
        unconfirmed = [task for task in state.tasks.values() if task.confirm_by_us is not None]
        assert all(task.status is TaskStatus.RUNNING for task in unconfirmed)
        assert {(AlarmKind.DELIVERY_UNCONFIRMED, id(task)) for task in unconfirmed} <= armed
        assert {(AlarmKind.WORKER_SILENT, id(worker)) for worker in state.workers.values() if worker.running} <= armed

    @invariant()
    def the_tables_agree_with_memory(self) -> None:
        state = self.world.tenant._state
        assert {run_id for run_id, run in self.world.runs.items() if run.finished_at_us is None} == set(state.runs)
        for task in state.tasks.values():
            row = self.world.tasks[task.id]
            assert (row.status, row.retry_count, row.due_at_us) == (task.status, task.retry_count, task.due_at_us)
            assert row.worker_id == (None if task.worker is None else task.worker.id)

    def teardown(self) -> None:
        self.drain()
        self.replay_the_script()

    def drain(self) -> None:
        """Everything live ends: by a report if it runs, else by its timeout."""
        for _ in range(400):
            state = self.world.tenant._state
            if not state.runs:
                break
            running = [task.id for task in state.tasks.values() if task.status is TaskStatus.RUNNING]
            self.act(*(ReportAttempt(task_id, None, Outcome.COMPLETED, "{}") for task_id in running))
            if not running:
                self.to_the_next_deadline()
            self.memory_is_consistent()
        assert not self.world.tenant._state.runs and not self.world.tenant._state.tasks
        replays = Counter(
            self.world.task_rows[task_id].run_id
            for task_id, history in self.world.history.items()
            for entry in history
            if entry.type is TaskEventType.RETRIED_BY_USER
        )
        for run_id, run in self.world.runs.items():
            assert run.status in TERMINAL_RUN
            statuses = [self.world.tasks[i].status for i, row in self.world.task_rows.items() if row.run_id == run_id]
            assert run.status is run_status(statuses)
            assert 1 <= self.ended[run_id] <= 1 + replays[run_id], "a run ends once, and once more after a replay"

    def replay_the_script(self) -> None:
        twin = World()
        for (now_us, commands), expected in zip(self.script, self.world.decisions, strict=True):
            twin.now_us = now_us
            decision = twin.decide(*commands)
            assert decision.effects == expected.effects
            assert decision.writes == expected.writes


TestTenantMachine = TenantMachine.TestCase
TestTenantMachine.settings = settings(
    derandomize=True,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    max_examples=60,
    stateful_step_count=40,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)
