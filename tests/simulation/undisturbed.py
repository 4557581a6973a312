"""The same program without any disturbance: crashes, evictions, lost workers and repeated messages change nothing.

While a life goes on, each durable task's *story* is kept: what reached it from outside, by the commit that contains it.
Outside is what no promise of the engine decides: at which instant the program first did each operation (how quick a
worker is), when it first listed a child as awaited, which events were pushed, when and how each child ended, what a
memo came to. Told again to a fresh tenant with one worker that is always there, one stream that never breaks and one
invocation that is never evicted, the story must end in the same log (every field of every entry: identities, instants,
what each condition brought, results, places in the order), the same transcript and the same output.

A story is told up to the first end of its task: what a person does to it later, a replay or a branch, is not in it.
It breaks off earlier

- where a spawn was refused, because whose key another run holds is nothing that the twin could know;
- where a child was replayed: what the program saw may be none any more;
- where several results came in one commit in another order than they come to a task that never slept. Results of one
  instant have an order, and every invocation sees that one, but which one it is may depend on whether the task was in
  memory. The books count these (`ties`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import msgspec

from broadaxe.core.commands import Command
from broadaxe.core.commands.attempts import Accepted, Outcome, ReportAttempt
from broadaxe.core.commands.durable import BeginMemo, BeginWait, CompleteMemo, EntryRef, ReportWaiting, SpawnChildren
from broadaxe.core.commands.events import PushEvents
from broadaxe.core.commands.tasks import CancelTasks
from broadaxe.core.commands.triggers import RunRequest, TriggerRuns
from broadaxe.core.commands.workers import Heartbeat, OpenStream, RegisterWorker
from broadaxe.core.commands.workflows import PutWorkflow
from broadaxe.core.decision import (
    ChildrenAck,
    Decision,
    DurableAnswer,
    DurableEntryRow,
    DurableRefusal,
    MemoAck,
    StartAttempt,
    WaitAck,
)
from broadaxe.core.definition import TaskSpec, WorkflowSpec
from broadaxe.core.lifecycle import TERMINAL, EntryKind, TaskEventType
from broadaxe.core.loaded import Missing
from broadaxe.core.tenant import Tenant
from broadaxe.errors import BroadaxeError, IdempotencyCollision, QuotaReached
from tests.simulation.books import hold
from tests.simulation.chances import NAMES
from tests.simulation.programs import EVENT_KEYS, LOOK_BACK_US, Invocation, Program, Transcripts, Worker, told
from tests.simulation.tables import Outcome as ChildOutcome
from tests.simulation.tables import Place, Tables

_SETTLES_MAX = 200
_STREAM = 1


@dataclass(frozen=True, slots=True)
class Did:
    """The program did its operation of this number for the first time."""

    number: int


@dataclass(frozen=True, slots=True)
class Listed:
    """The worker listed a child as awaited for the first time."""

    place: Place


@dataclass(frozen=True, slots=True)
class Kept:
    """A memo came to this."""

    place: Place
    payload: str


@dataclass(frozen=True, slots=True)
class Ended:
    """A child ended."""

    place: Place
    outcome: ChildOutcome


@dataclass(frozen=True, slots=True)
class Over:
    """The task ended, and came to this if it was completed."""

    output: str | None


Fact = Did | Listed | Kept | Ended | Over | PushEvents


@dataclass(slots=True)
class Story:
    task_id: str
    began: int
    """The commit that started the task first."""
    facts: dict[int, list[Fact]] = field(default_factory=lambda: defaultdict(list))
    """By commit."""
    done: int = 0
    """Operations that were done."""
    entries: dict[Place, DurableEntryRow] = field(default_factory=dict)
    outcomes: dict[Place, ChildOutcome] = field(default_factory=dict)
    until: int | None = None
    """The last commit it is told of, None while it goes on."""
    invocations: int = 1


class Stories:
    """What reaches the durable tasks of a life from outside. `observe` is called after every commit."""

    def __init__(self, tables: Tables, transcripts: Transcripts) -> None:
        self.tables = tables
        self.transcripts = transcripts
        self.instants: list[int] = []
        """Of each commit."""
        self.pushes: list[tuple[int, PushEvents]] = []
        """With the commit that contains them."""
        self.stories: dict[str, Story] = {}
        self.live: dict[str, Story] = {}
        self.noted: set[str] = set()
        """Tasks for which an event was noted that they were not shown yet."""

    def observe(self, decision: Decision, commands: list[Command], replies: Sequence[object], now_us: int) -> None:
        number = len(self.instants)
        self.instants.append(now_us)
        # An event that the tenant has no room for reaches nobody.
        pairs = list(zip(commands, replies, strict=True))
        pairs = [(c, r) for c, r in pairs if not (isinstance(c, PushEvents) and isinstance(r, QuotaReached))]
        commands, replies = [command for command, _ in pairs], [reply for _, reply in pairs]
        for command in commands:
            if isinstance(command, PushEvents) and command.events[0].key in EVENT_KEYS:
                self.pushes.append((number, command))
        for effect in decision.effects:
            if isinstance(effect, StartAttempt) and effect.invocation_count is not None:
                story = self.stories.get(effect.task_id)
                if story is None:
                    story = Story(effect.task_id, number)
                    self.stories[story.task_id] = self.live[story.task_id] = story
                story.invocations = effect.invocation_count
        changed = {entry.task_id for entry in decision.writes.durable_entries}
        changed |= {task_id for task_id, _ in decision.writes.finished_children}
        changed |= {task.id for task in decision.writes.tasks}
        asked = {ref.ref.task_id for ref in decision.effects if isinstance(ref, DurableAnswer)}
        for task_id in [task_id for task_id in self.live if task_id in changed or task_id in asked]:
            self._go_on(self.live[task_id], number, decision, commands, replies)
        self.noted = {task_id for task_id in self.live if self.tables.news.get(task_id)}

    def _go_on(
        self, story: Story, number: int, decision: Decision, commands: list[Command], replies: Sequence[object]
    ) -> None:
        task_id = story.task_id
        task = self.tables.tasks[task_id]
        if any(e.task_id == task_id and e.type is TaskEventType.RETRIED_BY_USER for e in decision.writes.task_events):
            # It ended and began anew within one commit.
            self._break_off(story, number - 1)
            return
        over_at = _over_at(task_id, commands, replies) if task.status in TERMINAL else len(commands)
        if over_at is None:
            # A deadline did it, and whether before or after other deadlines of this instant is not known.
            self._break_off(story, number - 1)
            return
        answers = [a for a in decision.effects if isinstance(a, DurableAnswer) and a.ref.task_id == task_id]
        is_refused = any(isinstance(answer, DurableRefusal) for answer in answers)
        if task_id in self.transcripts.forked or (is_refused and any(map(_is_spawn_of(task_id), commands))):
            self._break_off(story, number - 1)
            return
        before, entries = story.entries, dict(self.tables.entries[task_id])
        facts: list[Fact] = []
        listed: set[Place] = set()
        for position, command in enumerate(commands):
            if position == over_at:
                facts.append(Over(task.output))
            match command:
                case PushEvents() if command.events[0].key in EVENT_KEYS:
                    facts.append(command)
                case BeginWait() | BeginMemo() | SpawnChildren() if command.task_id == task_id:
                    is_done = any(
                        isinstance(a, WaitAck | MemoAck | ChildrenAck)
                        and (a.stream, a.ref.invocation_count) == (command.stream, command.invocation_count)
                        for a in answers
                    )
                    place = self.transcripts.asked[id(command)]
                    if is_done and place == story.done:
                        facts.append(Did(place))
                        story.done += 1
                case CompleteMemo() if command.task_id == task_id:
                    place_ = command.branch_id, command.node_id
                    was, now = before.get(place_), entries.get(place_)
                    is_kept = now is not None and now.satisfied_at_us is not None and now.result == command.payload
                    if is_kept and (was is None or was.satisfied_at_us is None):
                        facts.append(Kept(place_, command.payload))
                case ReportWaiting():
                    for ref in command.entries:
                        here = ref.branch_id, ref.node_id
                        if ref.task_id != task_id or here not in before or here in listed:
                            continue
                        if entries[here].is_awaited and not before[here].is_awaited:
                            listed.add(here)
                            facts.append(Listed(here))
        for place, entry in entries.items():
            outcome = self.tables.outcomes.get((task_id, place)) if entry.kind is EntryKind.RUN else None
            if outcome is not None and place not in story.outcomes:
                story.outcomes[place] = outcome
                facts.append(Ended(place, outcome))
        if facts:
            story.facts[number] = facts
        story.entries = {place: entry for place, entry in entries.items() if entry.kind is not EntryKind.SIGNAL}
        if task.status in TERMINAL:
            self._close(story, number)

    def _break_off(self, story: Story, until: int) -> None:
        """The story ends before this commit. If the task slept through an event then, which it would have seen awake,
        it is not told at all."""
        if story.task_id in self.noted:
            story.done = 0
        self._close(story, until)

    def _close(self, story: Story, until: int) -> None:
        story.until = until
        del self.live[story.task_id]

    def tell_again(self, make_program: Callable[[str], Program]) -> list[Twin]:
        """Each story once more, without disturbance; raises `Broken` if it ends otherwise."""
        for story in list(self.live.values()):
            self._break_off(story, len(self.instants) - 1)
        twins = [Twin(story, make_program(story.task_id)) for story in self.stories.values() if story.done]
        for twin in twins:
            twin.live(self)
        return twins


class Twin:
    """A tenant with one durable task, to which nothing bad happens."""

    def __init__(self, story: Story, steps: Program) -> None:
        self.story = story
        self.tables = Tables()
        self.ids = 0
        self.now_us = 0
        self.tenant = Tenant(self._new_id)
        self.transcripts = Transcripts(self.tables)
        self.worker = Worker(self.transcripts, "")
        self.steps = steps
        self.task_id = ""
        self.has_tie = False
        self.has_output = False
        """The task was completed, with the same output."""

    def live(self, stories: Stories) -> None:
        story = self.story
        assert story.until is not None
        began_us = stories.instants[story.began]
        for number, push in stories.pushes:
            if number < story.began and stories.instants[number] >= began_us - LOOK_BACK_US:
                self._act([push], stories.instants[number])
        self._begin(began_us)
        pushes: dict[int, list[PushEvents]] = defaultdict(list)
        for number, push in stories.pushes:
            pushes[number].append(push)
        for number in range(story.began, story.until + 1):
            self._tell(story.facts.get(number) or pushes.get(number, []), stories.instants[number])
            if self._is_tied():
                self.has_tie = True
                return
        self._compare(stories)

    def _begin(self, now_us: int) -> None:
        kids = [WorkflowSpec(name=name, tasks=(_task("kid", "s:kid"),)) for name in NAMES]
        deep = WorkflowSpec(name="deep", tasks=(_task("deep", "s:deep", is_durable=True),))
        self._act([PutWorkflow(spec) for spec in (*kids, deep)], now_us)
        (worker_id,) = self._act([RegisterWorker("worker", ("s:kid", "s:deep"), {"default": 100_000}, {})], now_us)
        self.worker.id = str(worker_id)
        self._act([OpenStream(self.worker.id, 1)], now_us)
        self.worker.open(_STREAM)
        ((self.task_id,),) = self._act([TriggerRuns((RunRequest(workflow_name="deep", input="{}"),))], now_us)  # type: ignore[misc]
        self.worker.start(self.task_id, 0, 1, self.steps)

    def _tell(self, facts: list[Fact] | list[PushEvents], now_us: int) -> None:
        due_us = self.tenant.next_due_us()
        if not facts and (due_us is None or due_us > now_us):
            return
        self.now_us = now_us
        commands: list[Command] = [Heartbeat(self.worker.id)]
        born: list[Ended] = []
        for fact in facts:
            match fact:
                case PushEvents():
                    commands.append(fact)
                case Did(number):
                    commands.append(self._operation(number))
                case Kept(place, payload):
                    commands.append(self._keep(place, payload))
                case Listed(place):
                    hold(
                        place in self._invocation.waiting, "listed by one, not by the other", self.story.task_id, place
                    )
                    commands.append(ReportWaiting(_STREAM, (EntryRef(self.task_id, 1, *place),)))
                case Over(output):
                    commands.append(self._finish(output))
                case Ended(place, _):
                    (commands.append(self._end(fact)) if place in self._entries else born.append(fact))
        self._act(commands, now_us)
        if born:
            self._act([self._end(fact) for fact in born], now_us)

    # ---------------------------------------------------------------------------------------------------------------

    @property
    def _invocation(self) -> Invocation:
        return self.worker.invocations[self.task_id, 1]

    @property
    def _entries(self) -> dict[Place, DurableEntryRow]:
        return self.tables.entries[self.task_id]

    def _operation(self, number: int) -> Command:
        """What the undisturbed program asks for now."""
        invocation = self._invocation
        hold(invocation.asks is not None, "the program is elsewhere", self.story.task_id, number, invocation.takes)
        hold(invocation.ops == number, "operations done", self.story.task_id, invocation.ops, "and", number)
        found = [m for m in self.worker.outbox if isinstance(m, BeginWait | BeginMemo | SpawnChildren)]
        self.worker.outbox.clear()
        self.worker.outbox += found
        (message,) = self.worker.send(1, self.now_us)
        return message

    def _keep(self, place: Place, payload: str) -> Command:
        return CompleteMemo(
            stream=_STREAM,
            task_id=self.task_id,
            invocation_count=1,
            branch_id=place[0],
            node_id=place[1],
            payload=payload,
        )

    def _end(self, fact: Ended) -> Command:
        is_failure, result, error = fact.outcome
        run_id = self._entries[fact.place].child_run_id
        assert run_id is not None
        if is_failure:
            return ReportAttempt(run_id, 0, Outcome.FAILED, error or "", is_retryable=False)
        assert result is not None
        return ReportAttempt(run_id, 0, Outcome.COMPLETED, result)

    def _finish(self, output: str | None) -> Command:
        if output is None:
            return CancelTasks((self.task_id,))
        invocation = self._invocation
        hold(invocation.outcome == "", "undisturbed it does not end", self.story.task_id, invocation.takes)
        hold(invocation.output() == output, "another output", self.story.task_id, output)
        self.has_output = True
        return ReportAttempt(self.task_id, 0, Outcome.COMPLETED, output)

    def _act(self, commands: list[Command], now_us: int) -> list[object]:
        self.now_us = now_us
        missing = Missing()
        for command in commands:
            missing |= self.tenant.missing(command)
        if missing:
            self.tenant.adopt(self.tables.load_missing(missing), now_us)
        replies = self._decide(commands)
        for _ in range(_SETTLES_MAX):
            due_us = self.tenant.next_due_us()
            if due_us is None or due_us > now_us:
                return replies
            self._decide(())
        raise AssertionError("settling does not come to rest")

    def _decide(self, commands: Sequence[Command]) -> list[object]:
        decision = self.tenant.decide(commands, self.now_us)
        if decision.writes:
            self.tables.commit(decision.writes)
        for effect in decision.effects:
            if isinstance(effect, DurableAnswer):
                self.worker.hear(effect)
        for reply in decision.replies:
            if isinstance(reply, BroadaxeError) and not isinstance(reply, IdempotencyCollision):
                raise reply
        return list(decision.replies)

    def _new_id(self) -> str:
        self.ids += 1
        digits = f"{self.now_us // 1000:012x}70008000{self.ids:012x}"
        return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"

    # ---------------------------------------------------------------------------------------------------------------

    def _is_tied(self) -> bool:
        """Whether results that came in one commit have another order here."""
        places = {place: entry.order for place, entry in self._entries.items() if entry.order is not None}
        theirs = {place: entry.order for place, entry in self.story.entries.items() if entry.order is not None}
        differing = [place for place, order in places.items() if theirs.get(place, order) != order]
        if not differing:
            return False
        ours = {self._entries[place].satisfied_at_us for place in differing}
        return len(ours) == 1 and ours == {self.story.entries[place].satisfied_at_us for place in differing}

    def _compare(self, stories: Stories) -> None:
        story = self.story
        task_id = story.task_id
        mine = {place: _plain(entry) for place, entry in self._entries.items()}
        theirs = {place: _plain(entry) for place, entry in story.entries.items()}
        hold(mine.keys() == theirs.keys(), "another log", task_id, sorted(theirs), "undisturbed", sorted(mine))
        for place, entry in theirs.items():
            for name, value in entry.items():
                undisturbed = mine[place][name]
                hold(undisturbed == value, "an entry ends otherwise", task_id, place, name, value, "not", undisturbed)
            outcome = self.tables.outcomes.get((self.task_id, place))
            hold(outcome == story.outcomes.get(place), "a child ends otherwise", task_id, place, outcome)
        seen = stories.transcripts.known.get((task_id, 1), [])
        own = self.transcripts.known[self.task_id, 1]
        for one, other in zip(map(told, seen), map(told, own), strict=False):
            hold(one == other, "another story than undisturbed", task_id, one, "not", other)


def _task(name: str, action_id: str, *, is_durable: bool = False) -> TaskSpec:
    return TaskSpec(
        name=name,
        action_id=action_id,
        is_durable=is_durable,
        slots={"default": 1},
        execution_timeout="87600h",
        schedule_timeout="87600h",
    )


def _over_at(task_id: str, commands: list[Command], replies: Sequence[object]) -> int | None:
    """Which of the commands ended the task, None if none of them did."""
    for position, (command, reply) in reversed(list(enumerate(zip(commands, replies, strict=True)))):
        match command, reply:
            case ReportAttempt(outcome=outcome), Accepted(is_current=True) if outcome is not Outcome.STARTED:
                if command.task_id == task_id:
                    return position
            case CancelTasks(), tuple() if task_id in reply:
                return position
    return None


def _is_spawn_of(task_id: str) -> Callable[[Command], bool]:
    return lambda command: isinstance(command, SpawnChildren) and command.task_id == task_id


def _plain(entry: DurableEntryRow) -> dict[str, object]:
    """Without the ids of this tenant, and without what only says where the task is."""
    plain: dict[str, object] = msgspec.to_builtins(entry)
    for name in ("task_id", "child_run_id", "is_on_path"):
        del plain[name]
    return plain
