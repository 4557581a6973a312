"""Alerts: rules of a tenant, what they have counted, and what people are to be told.

    PENDING --the rule's bound is reached--> FIRING --it is not any more--> RESOLVED
       ^                                                                       |
       '----- counted on, under a new id, until it is forgotten -----<---------'

A rule watches things of one kind (`AlertKind`), each workflow for itself: a `Watch`. Told is that a watch fires, once
more after each quiet period in which it went on, and that it is resolved. The quiet period is that of the watch, so
that something that comes and goes is told of no more often: what came and went within it is in the history only.

Owns rules, counting and what is told to whom; how things stand is `alert_levels.py`'s, the texts are
`alert_texts.py`'s. Whether a channel takes a message is no business of the core: a row for each message and channel is
written in the commit that decides it, and `broadaxe.alerting` takes it from there.

Rules are of two sorts. Some count what happens, runs that fail and ticks that are missed, in a window. The others
(`LEVELS`) are about how things stand: `alert_levels.py` says of a watch whether it is bad, and it fires while it is.

A window is `BUCKETS` counts, so it ends up to a twelfth later than it should. Counts of failures are written with what
they count; those of runs that ended well once per bucket, so a crash forgets the latest of these.

Cost: nothing where no rule is; O(rules that watch the workflow) for each run that ends. Bounds: `RULES_MAX` rules,
`WATCHES_MAX` things each; whatever is beyond counts as one.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import TYPE_CHECKING, Final

import msgspec

from broadaxe.core.alert_texts import (
    ERROR_CHARS_MAX,
    AlertMessage,
    AlertOccasion,
    check_template,
    render,
    text_of,
    title_of,
)
from broadaxe.core.commands.alerts import AlertFact, AlertKind, PutAlertRule
from broadaxe.core.decision import AlertDeliveryRow, AlertRow, AlertRuleRow
from broadaxe.core.durations import US_PER_S, declared_duration
from broadaxe.core.lifecycle import RunStatus, TaskStatus
from broadaxe.core.timers import AlarmKind
from broadaxe.errors import AlreadyExists, FailedPrecondition, InvalidArgument, NotFound

if TYPE_CHECKING:
    from broadaxe.core.calendar import Cron
    from broadaxe.core.model import Run
    from broadaxe.core.state import State

RULES_MAX: Final = 100
CHANNELS_MAX: Final = 10
WATCHES_MAX: Final = 100
BUCKETS: Final = 12
NAME_CHARS_MAX: Final = 200
THRESHOLD_MAX: Final = 1_000_000
#: Fewer runs than that say nothing about a share.
RATE_RUNS_MIN: Final = 5
WINDOW_US_MIN: Final = 12 * US_PER_S
WINDOW_US_MAX: Final = 7 * 86_400 * US_PER_S
QUIET_US_MAX: Final = 7 * 86_400 * US_PER_S
#: Of tokens, which last for months.
TOKEN_WINDOW_US_MAX: Final = 90 * 86_400 * US_PER_S
#: What stays as it is is told of again after each quiet period, so there has to be one.
LEVEL_QUIET_US_MIN: Final = 60 * US_PER_S

#: Kinds about how things stand.
LEVELS: Final = frozenset(
    {
        AlertKind.QUEUE_AGE,
        AlertKind.NO_WORKER,
        AlertKind.LIMIT_NEARLY_USED,
        AlertKind.TOKEN_EXPIRING,
        AlertKind.NODE_LOST,
    }
)
#: Those of them that the database tells.
TOLD_KINDS: Final = frozenset({AlertKind.TOKEN_EXPIRING, AlertKind.NODE_LOST})
_OF_TENANT: Final = TOLD_KINDS | {AlertKind.LIMIT_NEARLY_USED}
_PERCENT: Final = frozenset({AlertKind.FAILURE_RATE, AlertKind.LIMIT_NEARLY_USED})
_COUNTED: Final = frozenset({AlertKind.RUN_FAILED, AlertKind.CRON_MISSED})

#: What is counted together when a rule watches too many things.
OTHERS: Final = "other workflows"


class AlertStatus(StrEnum):
    PENDING = "PENDING"
    """Counted, and nothing to be told of."""
    FIRING = "FIRING"
    RESOLVED = "RESOLVED"


class _Counts(msgspec.Struct, gc=False):
    """What a watch remembers beside its row."""

    buckets: dict[int, tuple[int, int]] = {}
    """(runs that ended well, runs that failed) by the number of the bucket since the epoch."""
    told_at_us: int | None = None
    told_count: int = 0
    is_told: bool = False
    """Whether anybody heard of this alert."""


class Watch:
    """One thing that a rule watches."""

    __slots__ = (
        "count", "counts", "due_at_us", "error", "id", "is_bad", "is_touched", "last_at_us", "opened_at_us", "rule",
        "run_id", "status", "subject",
    )  # fmt: skip

    def __init__(self, alert_id: str, rule: Rule, subject: str, now_us: int) -> None:
        self.id = alert_id
        self.rule = rule
        self.subject = subject
        self.status = AlertStatus.PENDING
        self.opened_at_us = now_us
        self.last_at_us = now_us
        self.count = 0
        """Failures since it fires, those that made it fire among them."""
        self.run_id: str | None = None
        self.error: str | None = None
        self.counts = _Counts()
        self.due_at_us: int | None = None
        self.is_touched = False
        self.is_bad = False
        """How it stands, of a level."""

    def row(self, resolved_at_us: int | None = None) -> AlertRow:
        is_over = resolved_at_us is not None
        return AlertRow(
            self.id,
            self.rule.row.id,
            self.rule.row.name,
            self.rule.row.kind,
            self.subject,
            AlertStatus.RESOLVED if is_over else self.status,
            self.opened_at_us,
            self.last_at_us,
            resolved_at_us,
            self.count,
            self.run_id,
            self.error,
            None if is_over else msgspec.json.encode(self.counts).decode(),
        )

    # Counting ------------------------------------------------------------------------------------------------------

    def add(self, *, failed: bool, now_us: int) -> bool:
        """Counts one; whether it is the first of its bucket."""
        number = now_us // self.rule.bucket_us
        good, bad = self.counts.buckets.get(number, (0, 0))
        self.counts.buckets[number] = (good, bad + 1) if failed else (good + 1, bad)
        self._prune(now_us)
        return good + bad == 0

    def is_reached(self, now_us: int) -> bool:
        """Whether the rule's bound is."""
        if self.rule.is_level:
            return self.is_bad
        self._prune(now_us)
        buckets = self.counts.buckets.values()
        failed = sum(bad for _, bad in buckets)
        row = self.rule.row
        if row.kind in _COUNTED:
            return failed >= row.threshold
        total = failed + sum(good for good, _ in buckets)
        return total >= RATE_RUNS_MIN and failed * 100 >= row.threshold * total

    def failed(self) -> int:
        return sum(bad for _, bad in self.counts.buckets.values())

    def next_look_us(self, now_us: int) -> int | None:
        """When something has to be decided even if nothing happens; None when it can be forgotten now."""
        counts = self.counts
        quiet_until_us = None if counts.told_at_us is None else counts.told_at_us + self.rule.row.quiet_us
        if self.rule.is_level and self.status is AlertStatus.FIRING:
            return max(now_us, quiet_until_us or now_us)
        if self.status is AlertStatus.FIRING:
            looks = [self._ends_us(min(counts.buckets, default=now_us // self.rule.bucket_us))]
            if self.count > counts.told_count and quiet_until_us is not None:
                looks.append(quiet_until_us)
            return max(now_us, min(looks))
        rests = [] if quiet_until_us is None or quiet_until_us <= now_us else [quiet_until_us]
        if counts.buckets:
            rests.append(self._ends_us(max(counts.buckets)))
        return max(rests, default=None)

    def _ends_us(self, bucket: int) -> int:
        """From then on it is not in the window."""
        return (bucket + 1) * self.rule.bucket_us + self.rule.row.window_us

    def _prune(self, now_us: int) -> None:
        buckets = self.counts.buckets
        for number in [number for number in buckets if self._ends_us(number) <= now_us]:
            del buckets[number]


class Rule:
    __slots__ = ("due_at_us", "facts", "lacks", "row", "served", "usage", "watches")

    def __init__(self, row: AlertRuleRow) -> None:
        self.row = row
        self.watches: dict[str, Watch] = {}
        self.due_at_us: int | None = None
        """When a rule of a level is looked at next."""
        self.facts: tuple[AlertFact, ...] | None = None
        """What the database says; None while it has said nothing."""
        self.lacks: dict[str, int] = {}
        """Workflows without workers, and since when."""
        self.served: set[str] = set()
        """Workflows that had a worker."""
        self.usage = -1
        """What was used of windows at the last look."""

    @property
    def is_level(self) -> bool:
        return self.row.kind in LEVELS

    @property
    def bucket_us(self) -> int:
        return self.row.window_us // BUCKETS


class Alerts:
    """The rules of a tenant, by what they watch."""

    __slots__ = ("_of_every_workflow", "_of_workflow", "has_fleet_changed", "patrols", "rules")

    def __init__(self) -> None:
        self.rules: dict[str, Rule] = {}
        self._of_every_workflow: tuple[Rule, ...] = ()
        self._of_workflow: dict[str, tuple[Rule, ...]] = {}
        self.patrols: tuple[Rule, ...] = ()
        """Rules of levels that the tenant itself can tell."""
        self.has_fleet_changed = False
        """Whether a worker came or went since the last round."""

    def of_workflow(self, name: str) -> tuple[Rule, ...]:
        """Rules that count what happens to it."""
        own = self._of_workflow.get(name)
        return self._of_every_workflow if own is None else own + self._of_every_workflow

    def sort_out(self) -> None:
        """Call when a rule came, went or changed."""
        on = [rule for rule in self.rules.values() if rule.row.is_enabled]
        self.patrols = tuple(rule for rule in on if rule.is_level and rule.row.kind not in TOLD_KINDS)
        enabled = [rule for rule in on if not rule.is_level]
        self._of_every_workflow = tuple(rule for rule in enabled if not rule.row.workflow)
        self._of_workflow = {}
        for rule in enabled:
            if rule.row.workflow:
                self._of_workflow[rule.row.workflow] = (*self._of_workflow.get(rule.row.workflow, ()), rule)


# What happens -------------------------------------------------------------------------------------------------------


def run_finished(state: State, run: Run, now_us: int) -> None:
    """A run ended. Call only while there are rules."""
    failed = run.status is RunStatus.FAILED
    if not failed and run.status is not RunStatus.COMPLETED:
        return
    name = run.version.workflow.name
    for rule in state.alerts.of_workflow(name):
        if rule.row.kind == AlertKind.CRON_MISSED:
            continue
        if failed or rule.row.kind == AlertKind.FAILURE_RATE:
            _count(state, rule, name, now_us, failed=failed, run_id=run.id, said=_error_of(run) if failed else None)


def cron_missed(state: State, cron: Cron, why: str, now_us: int) -> None:
    """One or more ticks of it made no run."""
    name = cron.workflow.name
    for rule in state.alerts.of_workflow(name):
        if rule.row.kind == AlertKind.CRON_MISSED:
            said = f"The cron {cron.expression.text!r} missed its time: {why}."
            _count(state, rule, name, now_us, failed=True, run_id=None, said=said)
            # What a load finds is written by the round after it, which has to be due.
            arm(state, rule, now_us)


def ring(state: State, watch: Watch, now_us: int) -> None:
    """The instant has come at which it is to be looked at."""
    watch.due_at_us = None
    look(state, watch, now_us)


def watch_of(state: State, rule: Rule, subject: str, now_us: int) -> Watch:
    watch = rule.watches.get(subject)
    if watch is None:
        if len(rule.watches) >= WATCHES_MAX:
            subject = OTHERS
            watch = rule.watches.get(subject)
        if watch is None:
            watch = rule.watches[subject] = Watch(state.new_id(), rule, subject, now_us)
    return watch


def _count(
    state: State, rule: Rule, subject: str, now_us: int, *, failed: bool, run_id: str | None, said: str | None
) -> None:
    watch = watch_of(state, rule, subject, now_us)
    is_first = watch.add(failed=failed, now_us=now_us)
    if failed:
        watch.last_at_us = now_us
        watch.run_id = run_id
        watch.error = said
        if watch.status is AlertStatus.FIRING:
            watch.count += 1
    if failed or is_first:
        state.ledger.touch_alert(watch)
    look(state, watch, now_us)


def look(state: State, watch: Watch, now_us: int) -> None:
    """Decides what is to be told, and when to look again."""
    if watch.status is AlertStatus.PENDING and watch.is_reached(now_us):
        watch.status = AlertStatus.FIRING
        watch.opened_at_us = now_us
        if not watch.rule.is_level:
            watch.count = watch.failed()
        watch.counts.told_count = 0
        state.ledger.touch_alert(watch)
    elif watch.status is AlertStatus.FIRING and not watch.is_reached(now_us):
        _resolve(state, watch, now_us)
    counts = watch.counts
    if watch.status is AlertStatus.FIRING and (watch.rule.is_level or watch.count > counts.told_count):
        is_quiet = counts.told_at_us is not None and now_us < counts.told_at_us + watch.rule.row.quiet_us
        if not is_quiet:
            _tell(state, watch, AlertOccasion.AGAIN if counts.is_told else AlertOccasion.FIRED, now_us)
    _plan(state, watch, now_us)


def _resolve(state: State, watch: Watch, now_us: int) -> None:
    if watch.counts.is_told:
        _tell(state, watch, AlertOccasion.RESOLVED, now_us)
    state.ledger.add_alert(watch.row(now_us))
    watch.id = state.new_id()
    watch.status = AlertStatus.PENDING
    watch.count = 0
    watch.counts.is_told = False
    state.ledger.touch_alert(watch)


def _tell(state: State, watch: Watch, occasion: AlertOccasion, now_us: int) -> None:
    """A message to every channel of the rule."""
    row, counts = watch.rule.row, watch.counts
    if occasion is not AlertOccasion.RESOLVED:
        # That it is over ends no quiet period, and begins none.
        counts.told_at_us, counts.told_count, counts.is_told = now_us, watch.count, True
        state.ledger.touch_alert(watch)
    kind = AlertKind(row.kind)
    text = text_of(occasion, kind, watch.subject, watch.count, row.window_us, watch.error)
    if row.template and occasion is not AlertOccasion.RESOLVED:
        text = render(
            row.template,
            {
                "rule": row.name,
                "workflow": watch.subject,
                "subject": watch.subject,
                "count": str(watch.count),
                "threshold": str(row.threshold),
                "window": declared_duration(row.window_us),
                "run": watch.run_id or "",
                "error": watch.error or "",
            },
        )
    message = AlertMessage(
        occasion=occasion,
        title=title_of(occasion, kind, watch.subject, watch.count, row.threshold, row.window_us),
        text=text,
        rule=row.name,
        rule_id=row.id,
        alert_id=watch.id,
        kind=kind,
        subject=watch.subject,
        count=watch.count,
        opened_at_us=watch.opened_at_us,
        at_us=now_us,
        run_id=watch.run_id,
        error=watch.error,
    )
    encoded = msgspec.json.encode(message).decode()
    for channel_id in row.channel_ids:
        state.ledger.add_alert_delivery(
            AlertDeliveryRow(state.new_id(), watch.id, channel_id, occasion, encoded, now_us)
        )


def _plan(state: State, watch: Watch, now_us: int) -> None:
    due_at_us = watch.next_look_us(now_us)
    if due_at_us is None:
        _forget(state, watch)
    elif due_at_us != watch.due_at_us:
        if watch.due_at_us is not None:
            state.timers.disarm()
        watch.due_at_us = due_at_us
        state.timers.arm(due_at_us, AlarmKind.ALERT_DUE, watch)


def _forget(state: State, watch: Watch) -> None:
    """Nothing of it is of any account any more."""
    if watch.due_at_us is not None:
        watch.due_at_us = None
        state.timers.disarm()
    watch.rule.watches.pop(watch.subject, None)
    state.ledger.forget_alert(watch)


def _error_of(run: Run) -> str | None:
    for task in run.told():
        if task.status is TaskStatus.FAILED and task.error:
            return task.error.replace("\x00", "\N{REPLACEMENT CHARACTER}")[:ERROR_CHARS_MAX]
    return None


def arm(state: State, rule: Rule, at_us: int) -> None:
    """It is looked at then, or earlier if that was planned."""
    if rule.due_at_us is not None:
        if rule.due_at_us <= at_us:
            return
        state.timers.disarm()
    rule.due_at_us = at_us
    state.timers.arm(at_us, AlarmKind.ALERT_DUE, rule)


def _disarm(state: State, rule: Rule) -> None:
    if rule.due_at_us is not None:
        rule.due_at_us = None
        state.timers.disarm()


# Rules --------------------------------------------------------------------------------------------------------------


def put(state: State, command: PutAlertRule, now_us: int) -> str:
    alerts = state.alerts
    rule = None
    if command.rule_id is not None:
        rule = _find(state, command.rule_id)
    elif len(alerts.rules) >= RULES_MAX:
        raise FailedPrecondition(f"the tenant has {RULES_MAX} alert rules, which is the most; delete one first")
    _check(state, command)
    rule_id = state.new_id() if rule is None else rule.row.id
    created_at_us = now_us if rule is None else rule.row.created_at_us
    row = AlertRuleRow(
        rule_id,
        command.name,
        command.kind,
        command.workflow,
        command.threshold,
        command.window_us,
        command.quiet_us,
        tuple(dict.fromkeys(command.channel_ids)),
        command.is_enabled,
        command.template,
        created_at_us,
        now_us,
    )
    if rule is None:
        alerts.rules[rule_id] = Rule(row)
    else:
        if not row.is_enabled or _watched(row) != _watched(rule.row):
            _end(state, rule, now_us)
        rule.row = row
    alerts.sort_out()
    state.ledger.put_alert_rule(row)
    _begin(state, alerts.rules[rule_id], now_us)
    return rule_id


def _begin(state: State, rule: Rule, now_us: int) -> None:
    """Things may be as they should not be already. Levels that the tenant can tell are looked at soon."""
    if rule in state.alerts.patrols:
        arm(state, rule, now_us)


def delete(state: State, rule_id: str, now_us: int) -> None:
    rule = _find(state, rule_id)
    _end(state, rule, now_us)
    del state.alerts.rules[rule_id]
    state.alerts.sort_out()
    state.ledger.delete_alert_rule(rule_id)


def adopt(state: State, rules: Iterable[AlertRuleRow], alerts: Iterable[AlertRow], now_us: int) -> None:
    """After a load."""
    for row in rules:
        state.alerts.rules.setdefault(row.id, Rule(row))
    state.alerts.sort_out()
    for alert in alerts:
        rule = state.alerts.rules.get(alert.rule_id)
        if rule is None or alert.subject in rule.watches or alert.state is None:
            continue
        watch = rule.watches[alert.subject] = Watch(alert.id, rule, alert.subject, now_us)
        watch.status = AlertStatus(alert.status)
        watch.opened_at_us, watch.last_at_us, watch.count = alert.opened_at_us, alert.last_at_us, alert.count
        watch.run_id, watch.error = alert.run_id, alert.error
        watch.counts = msgspec.json.decode(alert.state, type=_Counts)
        # Until somebody has looked.
        watch.is_bad = rule.is_level and watch.status is AlertStatus.FIRING
        # What is overdue is looked at in the first round.
        watch.due_at_us = watch.next_look_us(now_us) or now_us
        state.timers.arm(watch.due_at_us, AlarmKind.ALERT_DUE, watch)
    for patrol in state.alerts.patrols:
        _begin(state, patrol, now_us)


def _find(state: State, rule_id: str) -> Rule:
    rule = state.alerts.rules.get(rule_id)
    if rule is None:
        raise NotFound(f"there is no alert rule {rule_id}", field="rule")
    return rule


def _watched(row: AlertRuleRow) -> tuple[object, ...]:
    """With another one of these, what was counted says nothing."""
    return row.kind, row.workflow, row.threshold, row.window_us


def _end(state: State, rule: Rule, now_us: int) -> None:
    """What it watches is watched no more; nobody is told, since nothing got better."""
    for watch in list(rule.watches.values()):
        if watch.status is AlertStatus.FIRING:
            state.ledger.add_alert(watch.row(now_us))
            watch.id = state.new_id()
        _forget(state, watch)
    _disarm(state, rule)
    rule.facts, rule.usage = None, -1
    rule.lacks.clear()
    rule.served.clear()


def _check(state: State, command: PutAlertRule) -> None:
    if not command.name.strip() or len(command.name) > NAME_CHARS_MAX or not command.name.isprintable():
        raise InvalidArgument(f"give the rule a name of 1 to {NAME_CHARS_MAX} printable characters", field="name")
    if any(r.row.name == command.name and r.row.id != command.rule_id for r in state.alerts.rules.values()):
        raise AlreadyExists(f"there is an alert rule named {command.name!r} already; choose another name", field="name")
    if command.workflow and command.workflow not in state.workflows_by_name:
        raise NotFound(f"there is no workflow {command.workflow!r}", field="workflow")
    kind = command.kind
    if command.workflow and kind in _OF_TENANT:
        raise InvalidArgument("rules of this kind are about the whole tenant; leave it out", field="workflow")
    most = 100 if kind in _PERCENT else 1 if kind in LEVELS else THRESHOLD_MAX
    if not 1 <= command.threshold <= most:
        said = "rules of this kind have none; leave it out" if most == 1 else f"the threshold is 1 to {most}"
        raise InvalidArgument(said, field="threshold")
    longest_us = TOKEN_WINDOW_US_MAX if kind is AlertKind.TOKEN_EXPIRING else WINDOW_US_MAX
    if not WINDOW_US_MIN <= command.window_us <= longest_us:
        shortest, longest = declared_duration(WINDOW_US_MIN), declared_duration(longest_us)
        raise InvalidArgument(f"the window is {shortest} to {longest}", field="window")
    if not 0 <= command.quiet_us <= QUIET_US_MAX:
        raise InvalidArgument(f"the quiet period is at most {declared_duration(QUIET_US_MAX)}", field="quiet")
    if kind in LEVELS and command.quiet_us < LEVEL_QUIET_US_MIN:
        shortest = declared_duration(LEVEL_QUIET_US_MIN)
        raise InvalidArgument(f"the quiet period of rules of this kind is at least {shortest}", field="quiet")
    if not 1 <= len(command.channel_ids) <= CHANNELS_MAX:
        raise InvalidArgument(f"name 1 to {CHANNELS_MAX} channels", field="channels")
    check_template(command.template)
