"""Rules about how things stand (`LEVELS`): what is wrong now, and when to look again.

Owns what counts as wrong: `_found_of` says it, and the watch fires for as long as it is. What that comes to for people
is `alerts.py`'s, which knows nothing of this module. Rules that the tenant itself can tell are looked at when
something may have changed (`stir`, once per round) and when time alone may have changed it; tokens and nodes are known
to the database, whose word comes as a command (`note`). How long something has been missing is not written down, so
for what does not fire yet it counts anew after a load.

Cost: O(rules of levels) for each round. A look costs O(lanes that somebody waits in), O(actions) or O(workers); there
is at most one in `LOOK_GAP_US` for each rule, and none while there is nothing to look at.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import msgspec

from broadaxe.core import quotas
from broadaxe.core.alert_texts import ERROR_CHARS_MAX
from broadaxe.core.alerts import OTHERS, TOLD_KINDS, WATCHES_MAX, Rule, arm, look, watch_of
from broadaxe.core.commands.alerts import AlertFact, AlertKind
from broadaxe.core.durations import US_PER_S

if TYPE_CHECKING:
    from broadaxe.core.model import Workflow
    from broadaxe.core.queues import Lane
    from broadaxe.core.state import State

#: Between two looks of a rule.
LOOK_GAP_US: Final = US_PER_S
LOOK_EVERY_US_MAX: Final = 60 * US_PER_S
ACTIONS_NAMED: Final = 5
FACTS_MAX: Final = WATCHES_MAX
_OF_WAITING: Final = frozenset({AlertKind.QUEUE_AGE, AlertKind.NO_WORKER})


class _Found(msgspec.Struct, frozen=True, gc=False):
    """Something is as it should not be, or will have been for too long at `since_us`."""

    since_us: int
    count: int
    said: str


def stir(state: State, now_us: int) -> None:
    """Something may have changed in this round. Call only while there are `Alerts.patrols`."""
    alerts = state.alerts
    has_fleet_changed, alerts.has_fleet_changed = alerts.has_fleet_changed, False
    for rule in alerts.patrols:
        match rule.row.kind:
            case AlertKind.QUEUE_AGE:
                is_wanted = rule.due_at_us is None and _does_anybody_wait(state)
            case AlertKind.NO_WORKER:
                is_wanted = has_fleet_changed or (rule.due_at_us is None and _does_anybody_wait(state))
            case _:
                is_wanted = has_fleet_changed or rule.usage != _usage(state)
        if is_wanted:
            arm(state, rule, now_us + LOOK_GAP_US)


def ring_rule(state: State, rule: Rule, now_us: int) -> None:
    """The instant has come at which it is to be looked at."""
    rule.due_at_us = None
    if rule in state.alerts.patrols:
        _patrol(state, rule, now_us)


def note(state: State, rule_id: str, facts: tuple[AlertFact, ...], now_us: int) -> None:
    """The database has looked."""
    rule = state.alerts.rules.get(rule_id)
    if rule is not None and rule.row.is_enabled and rule.row.kind in TOLD_KINDS:
        rule.facts = facts[:FACTS_MAX]
        _patrol(state, rule, now_us)


def _patrol(state: State, rule: Rule, now_us: int) -> None:
    """Decides of everything that a rule of a level watches, and when to look again."""
    found = _found_of(state, rule, now_us)
    for subject, what in found.items():
        if what.since_us > now_us:
            continue
        watch = watch_of(state, rule, subject, now_us)
        if not watch.is_bad or (watch.count, watch.error) != (what.count, what.said):
            watch.is_bad, watch.count, watch.error, watch.last_at_us = True, what.count, what.said, now_us
            state.ledger.touch_alert(watch)
        look(state, watch, now_us)
    for watch in list(rule.watches.values()):
        what_now = found.get(watch.subject)
        if watch.is_bad and (what_now is None or what_now.since_us > now_us) and watch.subject != OTHERS:
            watch.is_bad = False
            look(state, watch, now_us)
    if rule.row.kind in TOLD_KINDS:
        return
    is_any = bool(found) or any(watch.is_bad for watch in rule.watches.values())
    if is_any or (rule.row.kind in _OF_WAITING and _does_anybody_wait(state)):
        later_us = [what.since_us for what in found.values() if what.since_us > now_us]
        every_us = min(LOOK_EVERY_US_MAX, rule.bucket_us)
        if later_us and not any(watch.is_bad for watch in rule.watches.values()):
            every_us = min(later_us) - now_us
        arm(state, rule, now_us + max(LOOK_GAP_US, min([every_us, *(at_us - now_us for at_us in later_us)])))


def _found_of(state: State, rule: Rule, now_us: int) -> Mapping[str, _Found]:
    """What is wrong, or is about to be, by what it is about."""
    match rule.row.kind:
        case AlertKind.QUEUE_AGE:
            return _old_queues(state, rule, now_us)
        case AlertKind.NO_WORKER:
            return _without_workers(state, rule, now_us)
        case AlertKind.LIMIT_NEARLY_USED:
            return _used_limits(state, rule, now_us)
        case _:
            return {fact.subject: _Found(now_us, 1, fact.said[:ERROR_CHARS_MAX]) for fact in rule.facts or ()}


def _old_queues(state: State, rule: Rule, now_us: int) -> dict[str, _Found]:
    """By workflow: since when its oldest waiting task waits, and how many do. Tasks of paused workflows wait because
    somebody wants them to; items that gather for a batch wait for each other."""
    oldest: dict[str, tuple[int, int]] = {}
    for queue in state.waited_in.values():
        for key, shape in queue.shapes.items():
            name = key.workflow.name
            if key.gathers or key.workflow.pause is not None or rule.row.workflow not in ("", name):
                continue
            for lane in shape.lanes.values():
                since_us = _waits_since_us(lane)
                if since_us is not None:
                    before_us, count = oldest.get(name, (since_us, 0))
                    oldest[name] = min(before_us, since_us), count + len(lane)
    said = "tasks of it wait for a worker." if oldest else ""
    return {
        name: _Found(since_us + rule.row.window_us, count, f"{count} {said}")
        for name, (since_us, count) in oldest.items()
    }


def _waits_since_us(lane: Lane) -> int | None:
    """Since when the first of one of its lines waits, the longest; of tasks outside memory, since when they exist."""
    found: int | None = None
    for _, line in lane.lines():
        first = next((waiting.task for waiting in line if waiting.task is not None), None)
        at_us = None if first is None else first.queued_at_us
        if line.segments:
            created_at_us = min(segment.created_at_us for segment in line.segments)
            at_us = created_at_us if at_us is None else min(at_us, created_at_us)
        if at_us is not None:
            found = at_us if found is None else min(found, at_us)
    return found


def _without_workers(state: State, rule: Rule, now_us: int) -> dict[str, _Found]:
    """By workflow: since when not each of its tasks has a worker that listens. Where every workflow is watched, one
    counts that had a worker, or that somebody waits in: old ones that nobody uses are nothing to tell of."""
    found: dict[str, _Found] = {}
    name = rule.row.workflow
    watched = state.workflows_by_name.values() if not name else filter(None, [state.workflows_by_name.get(name)])
    lacks = rule.lacks
    rule.lacks = {}
    for workflow in watched:
        missing = _missing_actions(state, rule, workflow)
        if not missing:
            continue
        watch = rule.watches.get(workflow.name)
        since_us = rule.lacks[workflow.name] = lacks.get(workflow.name, now_us)
        named = ", ".join(missing[:ACTIONS_NAMED]) + (" and others" if len(missing) > ACTIONS_NAMED else "")
        # One that fires goes on, also after a load that has forgotten since when.
        fires_at_us = now_us if watch is not None and watch.is_bad else since_us + rule.row.window_us
        found[workflow.name] = _Found(fires_at_us, len(missing), f"No worker listens for {named}.")
    return found


def _missing_actions(state: State, rule: Rule, workflow: Workflow) -> list[str]:
    """Its actions that no worker listens for."""
    missing: list[str] = []
    counts = bool(rule.row.workflow) or workflow.name in rule.served or workflow.name in rule.watches
    for task in () if workflow.latest is None else workflow.latest.definition.tasks:
        queue = state.queue(task.action_id)
        workers = list(queue.crew)
        if workers:
            rule.served.add(workflow.name)
            counts = True
        if not any(worker.session is not None for worker in workers):
            missing.append(task.action_id)
            counts = counts or len(queue) > 0
    return missing if counts else []


def _used_limits(state: State, rule: Rule, now_us: int) -> dict[str, _Found]:
    rule.usage = _usage(state)
    return {
        of.resource.value: _Found(now_us, of.value, f"{of.value} of {of.limit} are used.")
        for of in quotas.show(state, now_us)
        if of.limit > 0 and of.value * 100 >= rule.row.threshold * of.limit
    }


def _usage(state: State) -> int:
    return 0 if state.quotas is None else sum(window.value for window in state.quotas.windows.values())


def _does_anybody_wait(state: State) -> bool:
    """O(1), amortised over those who waited."""
    waited_in = state.waited_in
    while waited_in:
        action_id, queue = next(iter(waited_in.items()))
        if len(queue):
            return True
        del waited_in[action_id]
    return False
