"""Conditions of a DAG's tasks: wait for, skip if, cancel if.

Once all parents of a task are well over, its conditions decide. Those on parents are known by then. If what is left are
sleeps and events, the task is made and waits behind a *gate*: the sleeps begin and the events count from that moment.
The list that is fulfilled first decides; at the same instant cancel goes before skip, and skip before going on.

In each list elements are alternatives within a group and all groups are required. A group that can never be fulfilled
any more takes its list out of play; when that is the list to wait for, the task is skipped rather than left hanging.

Truth of a parent's condition is computed when the parent ends, while its output is at hand, and kept with the run.

Source: semantics 6.8, grpc specification 12.7.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from broadaxe.core import waits
from broadaxe.core.decision import GateRow
from broadaxe.core.definition import ConditionAction, ConditionRule
from broadaxe.core.expressions import Environment, Failure, evaluate_bool, value_of
from broadaxe.core.waits import Condition, Wait

if TYPE_CHECKING:
    from broadaxe.core.model import Run, Task
    from broadaxe.core.state import State

#: In the order in which they decide when several are fulfilled at once.
_ACTIONS = (ConditionAction.CANCEL, ConditionAction.SKIP, ConditionAction.QUEUE)


class Gate:
    """What a task waits for before it is decided. `fired` is what let it through, as JSON for its worker."""

    __slots__ = ("fired", "is_open", "is_touched", "task", "waits")

    def __init__(self, task: Task) -> None:
        self.task = task
        self.waits: dict[ConditionAction, Wait] = {}
        self.fired: str | None = None
        self.is_open = True
        """Whether the task still waits behind it."""
        self.is_touched = False

    def row(self) -> GateRow:
        kept = {action.value: wait.kept() for action, wait in self.waits.items()}
        return GateRow(self.task.id, self.is_open, waits.encoded(kept), self.fired)

    def verdict(self, now_us: int) -> ConditionAction | None:
        """What to do with the task, if that is decided. The clock may have passed several sleeps since anybody looked
        (the engine was away): what came first counts all the same."""
        over: dict[ConditionAction, int] = {}
        for action in _ACTIONS:
            if (wait := self.waits.get(action)) is not None:
                waits.look_at_sleeps(wait, now_us)
                if (at_us := wait.over_at_us()) is not None:
                    over[action] = at_us
        return min(over, key=over.__getitem__, default=None)


class Decided(msgspec.Struct, frozen=True):
    """The conditions decide the task without waiting."""

    action: ConditionAction


def weigh(run: Run, position: int) -> Decided | dict[ConditionAction, list[ConditionRule]]:
    """What the conditions of the task at `position` say, its parents being over: a decision, or what is left to wait
    for by action."""
    definition = run.version.definitions[position]
    left: dict[ConditionAction, list[ConditionRule]] = {}
    for action in _ACTIONS:
        rules = [(index, rule) for index, rule in enumerate(definition.conditions) if rule.action is action]
        if not rules:
            continue
        true = {
            rule.group
            for index, rule in rules
            if rule.parent and run.verdicts is not None and (position, index) in run.verdicts
        }
        open_groups = {rule.group for _, rule in rules} - true
        waiting = [rule for _, rule in rules if rule.group in open_groups and not rule.parent]
        if not open_groups:
            if action is not ConditionAction.QUEUE:
                return Decided(action)
        elif open_groups - {rule.group for rule in waiting}:
            if action is ConditionAction.QUEUE:
                return Decided(ConditionAction.SKIP)
        else:
            left[action] = waiting
    if ConditionAction.QUEUE not in left:
        return Decided(ConditionAction.QUEUE)
    return left


def close_in(state: State, task: Task, left: dict[ConditionAction, list[ConditionRule]], now_us: int) -> None:
    """Puts the task behind a gate."""
    # One gate for a task, however often it is replayed: its row is written once per round.
    gate = task.gate = task.gate or Gate(task)
    gate.waits, gate.is_open = {}, True
    for action, rules in left.items():
        conditions = [
            Condition(
                group=rule.group,
                data_key=rule.data_key,
                sleep=rule.sleep,
                sleep_us=rule.sleep_us,
                event_key=rule.event_key,
                expression=rule.expression,
            )
            for rule in rules
        ]
        gate.waits[action] = wait = Wait(gate, conditions, now_us)
        waits.look_at_once(state, wait, (), now_us)
        waits.arm(state, wait)
    state.ledger.touch_gate(gate)


def open_up(state: State, gate: Gate, action: ConditionAction | None) -> None:
    """The task waits no more: `action` was decided, or None when it ended or starts anew. Idempotent."""
    if not gate.is_open:
        return
    gate.is_open = False
    if action is ConditionAction.QUEUE:
        fired = {key: data[0] for key, data in gate.waits[action].fired().items()}
        gate.fired = waits.encoded(fired)
    for wait in gate.waits.values():
        waits.disarm(state, wait)
    state.ledger.touch_gate(gate)


def forget_fired(state: State, gate: Gate) -> None:
    """The task starts anew: what let it through before is past."""
    gate.fired = None
    state.ledger.touch_gate(gate)


def restore_gate(state: State, task: Task, row: GateRow) -> None:
    """Gives a loaded task its gate."""
    gate = task.gate = Gate(task)
    gate.is_open, gate.fired = row.is_open, row.fired
    kept = msgspec.json.decode(row.waits, type=dict[str, str])
    gate.waits = {ConditionAction(action): Wait.restored(gate, text) for action, text in kept.items()}
    if gate.is_open:
        for wait in gate.waits.values():
            waits.arm(state, wait)


def judge(run: Run, task: Task) -> None:
    """Notes which conditions on the task are true, none of them being noted yet. Call while its output is at hand;
    without it nothing changes."""
    watchers = run.version.watchers.get(task.position)
    if not watchers or task.output is None:
        return
    if run.verdicts is None:
        run.verdicts = set()
    output = value_of(task.output)
    variables: dict[str, object] = {"output": output if isinstance(output, dict) else {"value": output}}
    for position, index in watchers:
        expression = run.version.definitions[position].conditions[index].expression
        is_true = not expression.strip() or (
            not isinstance(output, Failure) and evaluate_bool(expression, Environment.CONDITION, variables) is True
        )
        if is_true:
            run.verdicts.add((position, index))


def forget_verdicts(run: Run, task: Task) -> None:
    """The task starts anew: what conditions on it came to is past."""
    if run.verdicts:
        run.verdicts.difference_update(run.version.watchers.get(task.position, ()))
