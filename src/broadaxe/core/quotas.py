"""Quotas: how much of each resource a tenant may have, and how much it has used. The protocol calls them tenant
resource limits. Off unless the engine enforces them; then `State.quotas` is an object of this module, else None.

    resource            counted                                          refused
    --------            -------                                          -------
    TASK_RUN            tasks of runs made, in a window                  triggers, children, pushes that start runs
    EVENT               events stored, in a window                       pushes
    WORKER              workers that listen, or registered just now      registrations
    WORKER_SLOT         slots of all kinds of these workers              registrations
    INCOMING_WEBHOOK    webhooks there are; counted by `storage`         making one more

A window begins with the first use after the last one ended, and lasts `WINDOW_US`. Something is allowed if what was
used and what is asked for come to no more than the limit; what is refused was refused whole, and changes nothing.

A run counts the tasks that its workflow declares, once, when it is made. On-failure tasks, retries, replays and child
runs that exist already count nothing. An event counts when it is stored, whether or not it starts anything.

Whoever asks is told, and nothing that was acknowledged is dropped for want of room. What comes by itself waits until
the window ends, if it fits into a whole one: a schedule stays a schedule, and a row of the outbox stays in the outbox.
What is larger than the whole limit is put aside like every request that cannot be done. The tick of a cron is not made
up later, like those while nobody was there; it is recorded, once per cron and window.

Owns these rules and the counters, which the journal writes once per round. Refuses to know where limits come from: they
are handed over at the load and by `SetQuotas`. Invariant: unless a limit was lowered, no counter is above its limit.
Cost: one comparison per request and per run while enforced, one with None otherwise; a registration looks at all
workers, and a push evaluates its filters twice.

Source: semantics 8.1; which work is counted and what waits is ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from broadaxe.core.commands.quotas import QuotaState, Resource
from broadaxe.core.decision import FailureSource, OutboxHasRoom, QuotaUsageRow
from broadaxe.core.durations import US_PER_S
from broadaxe.core.model import Worker, Workflow
from broadaxe.core.timers import AlarmKind
from broadaxe.errors import QuotaReached

if TYPE_CHECKING:
    from broadaxe.core.calendar import Cron
    from broadaxe.core.state import State

WINDOW_US: Final = 86_400 * US_PER_S
#: How long a worker counts that has registered and does not listen yet.
FRESH_WORKER_US: Final = 30 * US_PER_S
#: The largest limit that can be set.
LIMIT_MAX: Final = 2**53 - 1

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


WINDOWED: Final = (Resource.TASK_RUN, Resource.EVENT)

DEFAULTS: Final[Mapping[Resource, int]] = {
    Resource.TASK_RUN: 2_000,
    Resource.EVENT: 1_000,
    Resource.WORKER: 3,
    Resource.WORKER_SLOT: 2_000,
    Resource.INCOMING_WEBHOOK: 5,
}

_REMEDY: Final[Mapping[Resource, str]] = {
    Resource.WORKER: "stop a worker",
    Resource.WORKER_SLOT: "stop a worker, or give it fewer slots",
    Resource.INCOMING_WEBHOOK: "delete a webhook",
}


class Window:
    """What was used of one resource since its window began."""

    __slots__ = ("is_touched", "resource", "since_us", "value")

    def __init__(self, resource: Resource) -> None:
        self.resource = resource
        self.value = 0
        self.since_us: int | None = None
        self.is_touched = False

    def row(self) -> QuotaUsageRow:
        assert self.since_us is not None
        return QuotaUsageRow(self.resource.value, self.value, self.since_us)


class Quotas:
    __slots__ = ("limits", "missed", "outbox_waits_until_us", "window_us", "windows")

    def __init__(self, window_us: int = WINDOW_US) -> None:
        self.window_us = window_us
        self.limits: dict[Resource, int | None] = dict(DEFAULTS)
        """None for no limit."""
        self.windows = {resource: Window(resource) for resource in WINDOWED}
        self.outbox_waits_until_us: int | None = None
        """When rows of the outbox that found no room shall be looked at again."""
        self.missed: dict[str, int] = {}
        """Crons that missed a tick -> the beginning of the window in which that was recorded."""


def alarm_of(limit: int) -> int:
    """The value from which on people should be warned."""
    return limit * 4 // 5


def check(state: State, resource: Resource, wanted: int, now_us: int) -> None:
    """Raises QuotaReached unless the tenant may have `wanted` more. Call only while quotas are enforced."""
    lack = lacks(state, resource, wanted, now_us)
    if lack is not None:
        raise lack


def lacks(state: State, resource: Resource, wanted: int, now_us: int) -> QuotaReached | None:
    """Why the tenant may not have `wanted` more, None when it may; None too when quotas are not enforced."""
    quotas = state.quotas
    if quotas is None or wanted <= 0:
        return None
    limit = quotas.limits[resource]
    if limit is None:
        return None
    value = _value(state, quotas, resource, now_us)
    if value + wanted <= limit:
        return None
    window = quotas.windows.get(resource)
    room_at_us: int | None = None
    if window is not None and window.since_us is not None and wanted <= limit:
        room_at_us = window.since_us + quotas.window_us
    remedy = _REMEDY.get(resource) or (
        "ask for less at a time" if room_at_us is None else f"wait until {_instant(room_at_us)}, when it begins anew"
    )
    percent = 100 if limit == 0 else value * 100 // limit
    return QuotaReached(
        f"the tenant's limit {resource.value} is reached: {value} of {limit} are used ({percent} %) and {wanted} more "
        f"were asked for; {remedy}, or have the limit raised with `broadaxe tenant limits`",
        room_at_us=room_at_us,
    )


def tasks_of(workflow: Workflow) -> int:
    """What a run of the workflow's latest version counts."""
    version = workflow.latest
    return 0 if version is None else len(version.definition.tasks)


def take(state: State, resource: Resource, count: int, now_us: int) -> None:
    """Counts what was made; `check` has allowed it. Nothing while quotas are not enforced."""
    quotas = state.quotas
    if quotas is None:
        return
    window = quotas.windows[resource]
    if _is_over(quotas, window, now_us):
        window.value, window.since_us = 0, now_us
    window.value += count
    state.ledger.touch_window(window)


def set_limits(state: State, own: Mapping[Resource, int | None], now_us: int) -> None:
    """The tenant's own limits; all others are the defaults. Whatever waits for room is looked at again."""
    quotas = state.quotas
    if quotas is None:
        return
    quotas.limits = {**DEFAULTS, **own}
    look_again(state, now_us)


def look_again(state: State, now_us: int) -> None:
    """Something else than time may have made room for what waits: other limits, or a workflow of fewer tasks."""
    quotas = state.quotas
    if quotas is None:
        return
    if quotas.outbox_waits_until_us is not None:
        quotas.outbox_waits_until_us = None
        state.timers.disarm()
        state.ledger.emit(OutboxHasRoom())
    for schedule in state.calendar.schedules.values():
        if schedule.due_at_us is not None and schedule.due_at_us > max(now_us, schedule.row.trigger_at_us):
            state.timers.disarm()
            schedule.due_at_us = now_us
            state.timers.arm(now_us, AlarmKind.SCHEDULE_DUE, schedule)


def adopt(state: State, own: Mapping[Resource, int | None], usage: Iterable[QuotaUsageRow]) -> None:
    """After a load."""
    quotas = state.quotas
    if quotas is None:
        return
    quotas.limits = {**DEFAULTS, **own}
    for row in usage:
        window = quotas.windows[Resource(row.resource)]
        window.value, window.since_us = row.value, row.since_us


def show(state: State, now_us: int) -> tuple[QuotaState, ...]:
    """Every limited resource as it stands; nothing while quotas are not enforced."""
    quotas = state.quotas
    if quotas is None:
        return ()
    found: list[QuotaState] = []
    for resource, limit in quotas.limits.items():
        if limit is None:
            continue
        window = quotas.windows.get(resource)
        value = _value(state, quotas, resource, now_us)
        if window is None:
            found.append(QuotaState(resource, limit, value))
        else:
            since_us = None if _is_over(quotas, window, now_us) else window.since_us
            found.append(QuotaState(resource, limit, value, quotas.window_us, since_us))
    return tuple(found)


def keep_in_outbox(state: State, until_us: int) -> None:
    """A row of the outbox found no room: the outbox shall be read again then."""
    quotas = state.quotas
    assert quotas is not None
    if quotas.outbox_waits_until_us is not None:
        if quotas.outbox_waits_until_us <= until_us:
            return
        state.timers.disarm()
    quotas.outbox_waits_until_us = until_us
    state.timers.arm(until_us, AlarmKind.OUTBOX_WAITS, quotas)


def ring(state: State, quotas: Quotas) -> None:
    """The window ended for which rows of the outbox wait."""
    quotas.outbox_waits_until_us = None
    state.ledger.emit(OutboxHasRoom())


def miss(state: State, cron: Cron, lack: QuotaReached, now_us: int) -> None:
    """A tick of the cron makes no run."""
    quotas = state.quotas
    assert quotas is not None
    window = quotas.windows[Resource.TASK_RUN]
    since_us = window.since_us or 0
    if quotas.missed.get(cron.id) != since_us:
        quotas.missed = {known: began for known, began in quotas.missed.items() if began == since_us}
        quotas.missed[cron.id] = since_us
        message = f"cron {cron.expression.text!r} ticks without a run: {lack.message}"
        state.record_failure(FailureSource.TENANT_LIMIT, message, now_us, workflow_id=cron.workflow.id)


def _value(state: State, quotas: Quotas, resource: Resource, now_us: int) -> int:
    match resource:
        case Resource.WORKER:
            return sum(1 for worker in state.workers.values() if _counts(worker, now_us))
        case Resource.WORKER_SLOT:
            return sum(sum(worker.slots.values()) for worker in state.workers.values() if _counts(worker, now_us))
        case Resource.INCOMING_WEBHOOK:
            return 0
        case _:
            window = quotas.windows[resource]
            return 0 if _is_over(quotas, window, now_us) else window.value


def _counts(worker: Worker, now_us: int) -> bool:
    """One that said goodbye, or lost its stream, makes room at once; if it comes back, it is not turned away."""
    if worker.session is not None:
        return True
    return worker.listening_since_us is None and now_us - worker.created_at_us < FRESH_WORKER_US


def _is_over(quotas: Quotas, window: Window, now_us: int) -> bool:
    return window.since_us is None or now_us - window.since_us >= quotas.window_us


def _instant(at_us: int) -> str:
    return (_EPOCH + timedelta(microseconds=at_us)).strftime("%Y-%m-%dT%H:%M:%SZ")
