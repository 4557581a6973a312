"""How many tasks of each name wait and run, by queue and by concurrency key: what autoscalers look at. Pure.

A task that waits is counted once: under its queue if only a worker is missing, else under the key of the concurrency
rule it waits for. A task that runs is counted under its queue, and under the key of every rule it holds a slot of.
Source: REST specification 3.14 and 7.6.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime

from broadaxe.core.definition import ConcurrencyRule, WorkflowDefinition
from broadaxe.rest.shapes import counts as count_shapes
from broadaxe.storage.catalogue import tasks_of
from broadaxe.storage.count_reads import LiveGroupCount, LiveTaskCount

__all__ = ["places_with_rules", "task_stats"]


def places_with_rules(definitions: Iterable[WorkflowDefinition]) -> dict[str, int]:
    """The place in its workflow of every task definition that a concurrency rule holds back."""
    places = {}
    for definition in definitions:
        for place, task in enumerate(tasks_of(definition)):
            if task.concurrency or definition.concurrency:
                places[task.id] = place
    return places


def task_stats(
    counts: Sequence[LiveTaskCount],
    groups: Sequence[LiveGroupCount],
    definitions: Iterable[WorkflowDefinition],
    names: Sequence[str],
) -> dict[str, count_shapes.TaskStat]:
    """By task name, those in `names` always; all that are live when `names` is empty."""
    rules = {
        task.id: _rules(definition, place)
        for definition in definitions
        for place, task in enumerate(tasks_of(definition))
    }
    stats: dict[tuple[str, bool], _Stat] = defaultdict(_Stat)
    task_names = {}
    for count in counts:
        task_names[count.definition_id] = count.name
        stats[count.name, count.is_running].add(count)
    for group in groups:
        if group.definition_id not in task_names:
            # It came to life between the two looks.
            continue
        stat = stats[task_names[group.definition_id], group.is_running]
        of_run, of_task = rules[group.definition_id]
        # An on-failure task's run has keys that the task itself is not under.
        for_run = list(zip(of_run, group.run_keys, strict=False))
        for_task = list(zip(of_task, group.keys, strict=False))
        held = for_run[: group.run_held] + for_task[: group.held]
        awaited = for_run[group.run_held :] + for_task[group.held :]
        if group.is_running:
            for rule, key in held:
                stat.keys[_identity(rule)][key] += group.tasks
        elif awaited:
            rule, key = awaited[0]
            stat.keys[_identity(rule)][key] += group.tasks
            stat.held_back[group.definition_id] += group.tasks
    shown = list(dict.fromkeys(names)) if names else sorted({name for name, _ in stats})
    return {
        name: count_shapes.TaskStat(queued=stats[name, False].shown(), running=stats[name, True].shown())
        for name in shown
    }


class _Stat:
    def __init__(self) -> None:
        self.actions: dict[str, str] = {}
        self.tasks: dict[str, int] = defaultdict(int)
        self.held_back: dict[str, int] = defaultdict(int)
        """How many of a definition's tasks wait for a rule, and so for no worker yet."""
        self.keys: dict[tuple[str, str], dict[str, int]] = defaultdict(lambda: defaultdict(int))
        self.oldest: datetime | None = None
        self.oldest_first_attempt: datetime | None = None

    def add(self, count: LiveTaskCount) -> None:
        self.actions[count.definition_id] = count.action_id
        self.tasks[count.definition_id] += count.tasks
        self.oldest = _earlier(self.oldest, count.oldest_at)
        self.oldest_first_attempt = _earlier(self.oldest_first_attempt, count.oldest_first_attempt_at)

    def shown(self) -> count_shapes.LiveTasks:
        queues: dict[str, int] = defaultdict(int)
        for definition_id, tasks in self.tasks.items():
            ready = tasks - self.held_back[definition_id]
            if ready > 0:
                queues[self.actions[definition_id]] += ready
        return count_shapes.LiveTasks(
            total=sum(self.tasks.values()),
            queues=dict(queues),
            concurrency=[
                count_shapes.ConcurrencyStat(expression=expression, type=strategy, keys=dict(keys))
                for (expression, strategy), keys in self.keys.items()
            ],
            oldest=self.oldest,
            oldest_excluding_retries=self.oldest_first_attempt,
        )


def _rules(
    definition: WorkflowDefinition, place: int
) -> tuple[tuple[ConcurrencyRule, ...], tuple[ConcurrencyRule, ...]]:
    """The rules a run holds as a whole, and those the task acquires itself (`Version.rules_of`)."""
    own = tasks_of(definition)[place].concurrency
    if not definition.is_dag:
        return (), definition.concurrency + own
    is_on_failure = definition.on_failure is not None and place == len(definition.tasks)
    return (() if is_on_failure else definition.concurrency), own


def _identity(rule: ConcurrencyRule) -> tuple[str, str]:
    return rule.expression, rule.strategy.value


def _earlier(one: datetime | None, other: datetime | None) -> datetime | None:
    return min((at for at in (one, other) if at is not None), default=None)
