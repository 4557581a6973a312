"""Two commands about the same thing in one batch, every pair of each kind, against the real tables.

The core decides the second one on what the first one left, and the journal writes what both came to, once. Whatever the
pair, the batch is stored, and a tenant loaded from the tables is the one in memory.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import asyncpg
import pytest

from broadaxe.core.commands import Command
from broadaxe.core.commands.attempts import (
    FailDelivery,
    Outcome,
    RefreshTimeout,
    RefuseDelivery,
    ReleaseSlot,
    ReportAttempt,
)
from broadaxe.core.commands.crons import BackfillCron, ChangeCron, CreateCron, DeleteCron, RunCron
from broadaxe.core.commands.durable import (
    BeginMemo,
    BeginWait,
    CompleteMemo,
    EvictInvocation,
    RegisterSignal,
    SpawnChildren,
)
from broadaxe.core.commands.events import EventRequest, PushEvents
from broadaxe.core.commands.filters import ChangeFilter, CreateFilter, DeleteFilter
from broadaxe.core.commands.ratelimits import DeleteRateLimit, PauseRateLimit, PutRateLimit
from broadaxe.core.commands.schedules import DeleteSchedules, MoveSchedules, RunSchedule, Scheduled, ScheduleRuns
from broadaxe.core.commands.tasks import BranchTask, CancelTasks, ReplayTasks, RestoreTask
from broadaxe.core.commands.triggers import RunRequest, TriggerRuns
from broadaxe.core.commands.workers import (
    CloseStream,
    Heartbeat,
    OpenStream,
    PauseWorker,
    PutWorkerLabels,
    RegisterWorker,
    UnregisterWorker,
)
from broadaxe.core.commands.workflows import DeleteWorkflow, PauseWorkflow, PutWorkflow, UnpauseWorkflow, WhilePaused
from broadaxe.core.definition import (
    ClaimMethod,
    ConcurrencyRule,
    FilterSpec,
    IdempotencyRule,
    LimitStrategy,
    RateLimitUse,
    TaskSpec,
    WorkflowSpec,
)
from broadaxe.core.durations import US_PER_S
from broadaxe.core.tenant import Tenant
from broadaxe.core.waits import Condition
from broadaxe.errors import BroadaxeError
from broadaxe.storage.ids import new_id
from broadaxe.storage.journal import Journal
from broadaxe.storage.loader import load_live, load_missing
from tests.core.world import START_US, task
from tests.simulation import memory
from tests.storage.ground import make_journal, make_tenant

HOUR_US = 3_600 * US_PER_S
DAY_US = 24 * HOUR_US
STREAM = 1


@pytest.fixture
def database(common_database: str) -> str:
    """Each pair has a tenant of its own, and nothing here looks at another's rows."""
    return common_database


class Room:
    """A tenant, its journal and the time."""

    def __init__(self, pool: asyncpg.Pool, tenant_id: str, journal: Journal) -> None:
        self.pool = pool
        self.tenant_id = tenant_id
        self.journal = journal
        self.tenant = Tenant(new_id)
        self.now_us = START_US
        self.sessions = 0
        self.count = 0

    async def do(self, *commands: Command) -> list[Any]:
        """Decides them in one batch, commits it, and reads what is wanted then, as the engine does."""
        missing = [found for command in commands if (found := self.tenant.missing(command))]
        for wanted in missing:
            self.tenant.adopt(await load_missing(self.pool, self.tenant_id, wanted), self.now_us)
        replies = await self.decide(*commands)
        while wanted := self.tenant.wanted():
            self.tenant.thaw(await load_missing(self.pool, self.tenant_id, wanted), self.now_us)
            await self.decide()
        return replies

    async def decide(self, *commands: Command) -> list[Any]:
        decision = self.tenant.decide(commands, self.now_us)
        if decision.writes:
            await self.journal.commit(decision.writes)
        return list(decision.replies)

    async def one(self, command: Command) -> Any:
        (reply,) = await self.do(command)
        assert not isinstance(reply, BroadaxeError), reply
        return reply

    async def run(self, workflow: str, **request: Any) -> str:
        asked = RunRequest(**({"workflow_name": workflow, "input": '{"key":"k"}'} | request))
        (run_id,) = await self.one(TriggerRuns((asked,)))
        return str(run_id)

    async def worker(self, *actions: str, slots: dict[str, int] | None = None) -> str:
        worker_id = await self.one(RegisterWorker("worker", actions, slots or {"default": 5, "durable": 5}))
        self.sessions += 1
        await self.one(OpenStream(str(worker_id), self.sessions))
        return str(worker_id)

    def fresh(self, name: str) -> str:
        self.count += 1
        return f"{name}-{self.count}"

    async def check(self) -> None:
        """A tenant that is loaded now is this one. Both read back what they only know by id."""
        loaded = Tenant(new_id)
        loaded.adopt(await load_live(self.pool, self.tenant_id, self.now_us), self.now_us)
        for tenant in (self.tenant, loaded):
            memory.demand_all(tenant)
            while wanted := tenant.wanted():
                tenant.thaw(await load_missing(self.pool, self.tenant_id, wanted), self.now_us)
        memory.compare(self.picture(self.tenant), self.picture(loaded))

    @staticmethod
    def picture(tenant: Tenant) -> dict[str, Any]:
        """Without how often an alarm is set: one taken back and set again for the same instant counts twice."""
        seen = memory.picture(tenant)
        return seen | {"alarms of waits": dict.fromkeys(seen["alarms of waits"], 1)}


Act = Callable[[dict[str, str]], Command]
Prepare = Callable[[Room], Any]


def spec(name: str, *tasks: TaskSpec, **fields: Any) -> WorkflowSpec:
    return WorkflowSpec(**({"name": name, "tasks": tasks or (task("a", service=name),)} | fields))


def trigger(**request: Any) -> Act:
    return lambda the: TriggerRuns(
        (RunRequest(**({"workflow_name": the["name"], "input": '{"key":"k"}'} | _filled(request, the))),)
    )


def _filled(request: dict[str, Any], the: dict[str, str]) -> dict[str, Any]:
    return {key: the[value[1:]] if str(value).startswith("$") else value for key, value in request.items()}


def report(who: str, outcome: Outcome, payload: str = '{"n":1}', **fields: Any) -> Act:
    return lambda the: ReportAttempt(the[who], 0, outcome, payload, **fields)


def push(scope: str | None = None) -> Act:
    return lambda the: PushEvents((EventRequest(key=f"{the['name']}:made", payload='{"key":"k"}', scope=scope),))


# A task that runs, in a workflow of two -------------------------------------------------------------------------------


async def a_run(room: Room) -> dict[str, str]:
    name = room.fresh("dag")
    put = await room.one(
        PutWorkflow(
            spec(
                name,
                task("a", service=name, retries=1),
                task("b", "a", service=name),
                on_failure=task("oops", service=name),
            )
        )
    )
    worker_id = await room.worker(f"{name}:a", f"{name}:b")
    run_id = await room.run(name)
    running = next(t for t in room.tenant._state.runs[run_id].tasks if t is not None)
    return {"name": name, "workflow": put.workflow_id, "run": run_id, "task": running.id, "worker": worker_id}


async def a_run_that_is_over(room: Room) -> dict[str, str]:
    the = await a_run(room)
    await room.one(ReportAttempt(the["task"], 0, Outcome.FAILED, "broken", is_retryable=False))
    await room.one(CancelTasks((the["run"],)))
    return the


async def a_child(room: Room) -> dict[str, str]:
    """A finished child of a running task."""
    the = await a_run(room)
    name = room.fresh("child")
    await room.one(PutWorkflow(spec(name)))
    await room.worker(f"{name}:a")
    child = await room.run(name, parent_task_id=the["task"], child_index=0)
    await room.one(ReportAttempt(child, 0, Outcome.COMPLETED, '{"n":1}'))
    return the | {"child": child, "name": name}


RUN_ACTS: dict[str, Act] = {
    "start": report("task", Outcome.STARTED),
    "complete": report("task", Outcome.COMPLETED),
    "fail": report("task", Outcome.FAILED, "broken"),
    "fail-for-good": report("task", Outcome.FAILED, "broken", is_retryable=False),
    "report-cancelled": report("task", Outcome.CANCELLED, ""),
    "cancel-task": lambda the: CancelTasks((the["task"],)),
    "cancel-run": lambda the: CancelTasks((the["run"],)),
    "replay-task": lambda the: ReplayTasks((the["task"],)),
    "replay-run": lambda the: ReplayTasks((the["run"],)),
    "refresh": lambda the: RefreshTimeout(the["task"], US_PER_S),
    "release": lambda the: ReleaseSlot(the["task"]),
    "fail-delivery": lambda the: FailDelivery(the["task"], 0, "gone"),
    "refuse-delivery": lambda the: RefuseDelivery(the["task"], 0, 5_000_000, 4_194_304),
    "spawn": trigger(parent_task_id="$task", child_index=0),
    "signal": lambda the: RegisterSignal(the["task"], "key", (Condition(0, "k", "1h", HOUR_US),)),
    "goodbye": lambda the: UnregisterWorker(the["worker"]),
    "delete": lambda the: DeleteWorkflow(the["workflow"]),
}
CHILD_ACTS: dict[str, Act] = {
    "replay-child": lambda the: ReplayTasks((the["child"],)),
    "cancel-child": lambda the: CancelTasks((the["child"],)),
    "same-child": trigger(parent_task_id="$task", child_index=0),
    "other-child": trigger(parent_task_id="$task", child_key="other"),
    "complete-child": lambda the: ReportAttempt(the["child"], 1, Outcome.COMPLETED, '{"n":2}'),
    "complete-parent": report("task", Outcome.COMPLETED),
    "replay-parent": lambda the: ReplayTasks((the["run"],)),
    "cancel-parent": lambda the: CancelTasks((the["run"],)),
}


# What starts runs -----------------------------------------------------------------------------------------------------


def _declared(the: dict[str, str], **fields: Any) -> WorkflowSpec:
    fields = {"event_triggers": (f"{the['name']}:*",), "cron_triggers": ("0 * * * *",)} | fields
    return spec(the["name"], **fields)


async def a_workflow(room: Room) -> dict[str, str]:
    """With a cron, a schedule, and a filter, of each one that is declared and one that is made. All come due now."""
    the = {"name": room.fresh("flow")}
    filters = (FilterSpec(expression="true", scope="declared"),)
    the["workflow"] = (await room.one(PutWorkflow(_declared(the, default_filters=filters)))).workflow_id
    the["cron"] = str(await room.one(_cron(the)))
    the["filter"] = str(await room.one(_filter(the)))
    later = await room.one(_schedule(room.now_us + HOUR_US)(the))
    far = await room.one(_schedule(room.now_us + 30 * DAY_US)(the))
    assert isinstance(later, Scheduled) and isinstance(far, Scheduled)
    the["schedule"], the["far"] = later.schedule_ids[0], far.schedule_ids[0]
    room.now_us += HOUR_US + 1
    return the


def _cron(the: dict[str, str]) -> CreateCron:
    return CreateCron(
        workflow_name=the["name"], name="made", expression="0 * * * *", input="{}", additional_metadata='{"a":1}'
    )


def _filter(the: dict[str, str]) -> CreateFilter:
    return CreateFilter(workflow_id=the["workflow"], scope="made", expression="input.key == 'k'")


def _schedule(at_us: int) -> Act:
    return lambda the: ScheduleRuns(workflow_name=the["name"], at_us=(at_us,), input="{}")


WORKFLOW_ACTS: dict[str, Act] = {
    "put": lambda the: PutWorkflow(_declared(the)),
    "put-otherwise": lambda the: PutWorkflow(_declared(the, cron_triggers=(), default_priority=3)),
    "put-filters": lambda the: PutWorkflow(_declared(the, default_filters=(FilterSpec(expression="1", scope="s"),))),
    "delete": lambda the: DeleteWorkflow(the["workflow"]),
    "pause": lambda the: PauseWorkflow(the["workflow"], HOUR_US, WhilePaused.DROP, WhilePaused.QUEUE),
    "unpause": lambda the: UnpauseWorkflow(the["workflow"]),
    "trigger": trigger(),
    "push": push(),
    "push-in-scope": push("made"),
    "make-cron": _cron,
    "stop-cron": lambda the: ChangeCron(the["cron"], False),
    "change-cron": lambda the: ChangeCron(the["cron"], name="other", expression="@hourly", input='{"n":1}'),
    "delete-cron": lambda the: DeleteCron(the["cron"]),
    "run-cron": lambda the: RunCron(the["cron"]),
    "backfill-cron": lambda the: BackfillCron(the["cron"], 0, 7_200 * US_PER_S),
    "make-filter": _filter,
    "change-filter": lambda the: ChangeFilter(filter_id=the["filter"], scope="other", payload='{"p":1}'),
    "delete-filter": lambda the: DeleteFilter(the["filter"]),
    "schedule-the-past": _schedule(1),
    "schedule-the-end": _schedule(253_402_300_799 * US_PER_S),
    "move": lambda the: MoveSchedules(((the["schedule"], 1), (the["far"], START_US + 90 * DAY_US))),
    "move-to-the-past": lambda the: MoveSchedules(((the["far"], 2), (the["far"], 1))),
    "delete-schedules": lambda the: DeleteSchedules((the["schedule"], the["far"])),
    "run-schedule": lambda the: RunSchedule(the["far"]),
}


# What holds runs back -------------------------------------------------------------------------------------------------


async def a_limit(room: Room) -> dict[str, str]:
    """Its only unit is taken, one run waits for the next."""
    name = room.fresh("limited")
    static = RateLimitUse(key=name)
    dynamic = RateLimitUse(key_expression=f"'{name}-' + input.key", limit_expression="1")
    only = TaskSpec(name="a", action_id=f"{name}:a", rate_limits=(static, dynamic))
    await room.one(PutWorkflow(spec(name, only)))
    await room.one(PutRateLimit(name, 1, HOUR_US))
    await room.worker(f"{name}:a")
    return {"name": name, "running": await room.run(name), "waiting": await room.run(name), "dynamic": f"{name}-k"}


LIMIT_ACTS: dict[str, Act] = {
    "put": lambda the: PutRateLimit(the["name"], 5, HOUR_US),
    "put-less": lambda the: PutRateLimit(the["name"], 0, US_PER_S),
    "put-dynamic": lambda the: PutRateLimit(the["dynamic"], 7, US_PER_S),
    "delete": lambda the: DeleteRateLimit(the["name"]),
    "delete-dynamic": lambda the: DeleteRateLimit(the["dynamic"]),
    "pause": lambda the: PauseRateLimit(the["name"], START_US + 99 * DAY_US),
    "trigger": trigger(),
    "cancel": lambda the: CancelTasks((the["waiting"],)),
    "complete": report("running", Outcome.COMPLETED),
}


async def a_key(room: Room) -> dict[str, str]:
    """A run holds the idempotency key and the only place of its group."""
    name = room.fresh("keyed")
    rules = (ConcurrencyRule(expression="input.key", strategy=LimitStrategy.GROUP_ROUND_ROBIN),)
    once = IdempotencyRule(expression=f"'{name}' + input.key", ttl_us=HOUR_US, method=ClaimMethod.STATUS)
    await room.one(PutWorkflow(spec(name, concurrency=rules, idempotency=once)))
    await room.worker(f"{name}:a")
    other = await room.run(name, input='{"key":"l"}')
    return {"name": name, "holder": await room.run(name), "other": other}


KEY_ACTS: dict[str, Act] = {
    "trigger": trigger(),
    "trigger-twice": lambda the: TriggerRuns(2 * (RunRequest(workflow_name=the["name"], input='{"key":"k"}'),)),
    "trigger-another": trigger(input='{"key":"m"}'),
    "trigger-debounced": trigger(
        input='{"key":"n"}', additional_metadata='{"broadaxe__debounce_key":"d","broadaxe__debounce_quiet_ms":1000}'
    ),
    "complete": report("holder", Outcome.COMPLETED),
    "fail": report("holder", Outcome.FAILED, "broken"),
    "cancel": lambda the: CancelTasks((the["holder"],)),
    "replay": lambda the: ReplayTasks((the["holder"],)),
    "complete-the-other": report("other", Outcome.COMPLETED),
}


async def a_worker(room: Room) -> dict[str, str]:
    name = room.fresh("busy")
    await room.one(PutWorkflow(spec(name)))
    worker_id = await room.worker(f"{name}:a", slots={"default": 1})
    return {"name": name, "worker": worker_id, "session": str(room.sessions), "running": await room.run(name)}


WORKER_ACTS: dict[str, Act] = {
    "open": lambda the: OpenStream(the["worker"], 1_000_000),
    "open-late": lambda the: OpenStream(the["worker"], 0),
    "close": lambda the: CloseStream(the["worker"], int(the["session"])),
    "beat": lambda the: Heartbeat(the["worker"]),
    "pause": lambda the: PauseWorker(the["worker"], True),
    "go-on": lambda the: PauseWorker(the["worker"], False),
    "labels": lambda the: PutWorkerLabels(the["worker"], {"n": 1, "s": "x"}),
    "goodbye": lambda the: UnregisterWorker(the["worker"]),
    "trigger": trigger(),
    "complete": report("running", Outcome.COMPLETED),
    "fail-delivery": lambda the: FailDelivery(the["running"], 0, "gone"),
    "refuse-delivery": lambda the: RefuseDelivery(the["running"], 0, 5_000_000, 4_194_304),
}


# Durable tasks --------------------------------------------------------------------------------------------------------


async def a_durable_task(room: Room) -> dict[str, str]:
    """It has a memo, a child and an open wait."""
    name = room.fresh("durable")
    await room.one(PutWorkflow(spec(name, task("a", service=name, is_durable=True))))
    await room.one(PutWorkflow(spec(f"{name}-child")))
    await room.worker(f"{name}:a", f"{name}-child:a")
    the = {"name": name, "task": await room.run(name)}
    await room.one(_memo(the))
    await room.one(_keep(the))
    await room.one(_spawn(the))
    await room.one(_wait(the))
    the["child"] = next(iter(room.tenant._state.tasks[the["task"]].log.by_child))  # type: ignore[union-attr]
    return the


async def a_sleeper(room: Room) -> dict[str, str]:
    the = await a_durable_task(room)
    await room.one(_evict(the))
    assert the["task"] in room.tenant._state.dormant
    return the


def _about(the: dict[str, str]) -> dict[str, Any]:
    return {"stream": STREAM, "task_id": the["task"], "invocation_count": 1}


def _memo(the: dict[str, str]) -> Command:
    return BeginMemo(**_about(the))


def _keep(the: dict[str, str]) -> Command:
    return CompleteMemo(**_about(the), branch_id=1, node_id=1, payload='{"m":1}')


def _spawn(the: dict[str, str]) -> Command:
    request = RunRequest(workflow_name=f"{the['name']}-child", input="{}", child_key="c")
    return SpawnChildren(**_about(the), requests=(request, request))


def _wait(the: dict[str, str]) -> Command:
    conditions = (
        Condition(0, "sleep", "1h", HOUR_US),
        Condition(0, "event", event_key=f"{the['name']}:made", scope="s", since_us=0),
    )
    return BeginWait(**_about(the), conditions=conditions)


def _evict(the: dict[str, str]) -> Command:
    return EvictInvocation(**_about(the))


DURABLE_ACTS: dict[str, Act] = {
    "memo": _memo,
    "keep": _keep,
    "spawn": _spawn,
    "wait": _wait,
    "evict": _evict,
    "restore": lambda the: RestoreTask(the["task"]),
    "branch": lambda the: BranchTask(the["task"], 1, 1),
    "push": push("s"),
    "signal": lambda the: RegisterSignal(the["task"], "key", (Condition(0, "e", event_key=f"{the['name']}:made"),)),
    "complete": report("task", Outcome.COMPLETED),
    "fail": report("task", Outcome.FAILED, "broken", is_retryable=False),
    "cancel": lambda the: CancelTasks((the["task"],)),
    "replay": lambda the: ReplayTasks((the["task"],)),
    "complete-child": report("child", Outcome.COMPLETED),
    "cancel-child": lambda the: CancelTasks((the["child"],)),
    "replay-child": lambda the: ReplayTasks((the["child"],)),
    "same-child": trigger(parent_task_id="$task", child_key="c"),
}

#: What can be done to a run that is over, and to a task that is not in memory.
OVER = ("replay-task", "replay-run", "cancel-run", "complete", "spawn", "signal", "delete")
ASLEEP = (
    "evict", "restore", "branch", "push", "signal", "cancel", "replay", "complete-child", "cancel-child",
    "replay-child", "same-child",
)  # fmt: skip

KINDS: dict[str, tuple[Prepare, dict[str, Act]]] = {
    "run": (a_run, RUN_ACTS),
    "run-that-is-over": (a_run_that_is_over, {name: RUN_ACTS[name] for name in OVER}),
    "child": (a_child, CHILD_ACTS),
    "workflow": (a_workflow, WORKFLOW_ACTS),
    "limit": (a_limit, LIMIT_ACTS),
    "key": (a_key, KEY_ACTS),
    "worker": (a_worker, WORKER_ACTS),
    "durable-task": (a_durable_task, DURABLE_ACTS),
    "sleeper": (a_sleeper, {name: DURABLE_ACTS[name] for name in ASLEEP}),
}


@pytest.mark.parametrize(
    ("kind", "first"),
    [pytest.param(kind, first, id=f"{kind}-{first}") for kind, (_, acts) in KINDS.items() for first in acts],
)
async def test_every_pair_of_commands_is_stored_as_it_was_decided(pool: asyncpg.Pool, kind: str, first: str) -> None:
    prepare, acts = KINDS[kind]
    tenant_id = await make_tenant(pool)
    room = Room(pool, tenant_id, await make_journal(pool, tenant_id))
    known: dict[str, str] = {}
    for second in acts:
        the = await prepare(room)
        known |= dict.fromkeys(the.values(), second)
        try:
            await room.do(acts[first](the), acts[second](the))
        except Exception as error:
            error.add_note(f"after {first} and {second} in one batch")
            raise
    try:
        await room.check()
    except Exception as error:
        error.add_note(f"after {first} and another in one batch; what belongs to which: {known}")
        raise
