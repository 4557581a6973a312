"""What a simulated life is made of: random workflows, inputs and workers, and what their expressions mean.

The few expressions used are given twice, in CEL and in Python, so that the books (`books.py`) know every key without
asking the core.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from broadaxe.core.commands.triggers import RunRequest
from broadaxe.core.commands.workers import LabelValue
from broadaxe.core.commands.workflows import PauseWorkflow, UnpauseWorkflow, WhilePaused
from broadaxe.core.definition import (
    BatchRule,
    ClaimMethod,
    Comparator,
    ConcurrencyRule,
    ConditionAction,
    ConditionRule,
    FilterSpec,
    IdempotencyRule,
    LabelRequirement,
    LimitStrategy,
    RateLimitUse,
    Sticky,
    TaskSpec,
    WorkflowSpec,
)
from broadaxe.core.durations import US_PER_S

Payload = Mapping[str, Any]

STRINGS: Mapping[str, Callable[[Payload, Payload], str]] = {
    "'all'": lambda _, __: "all",
    "input.k": lambda i, _: i["k"],
    "input.k + '/' + input.u": lambda i, _: f"{i['k']}/{i['u']}",
    "'user/' + input.u": lambda i, _: f"user/{i['u']}",
    "additional_metadata.m": lambda _, m: m["m"],
}
NUMBERS: Mapping[str, Callable[[Payload, Payload], int]] = {
    "input.n": lambda i, _: i["n"],
    "input.n + 2": lambda i, _: i["n"] + 2,
}
#: Conditions on what a parent said, and on what an event brings.
PARENT_CONDITIONS: Mapping[str, Callable[[Payload], object]] = {
    "": lambda _: True,
    "output.n == 1": lambda output: output["n"] == 1,
    "output.n > 0": lambda output: output["n"] > 0,
    "!has(output.n)": lambda output: "n" not in output,
    "output.skipped": lambda output: output["skipped"],
    "output.n": lambda output: output["n"],
}
EVENT_CONDITIONS: Mapping[str, Callable[[Payload], object]] = {
    "": lambda _: True,
    "input.k == 'A'": lambda payload: payload["k"] == "A",
    "input.n > 1": lambda payload: payload["n"] > 1,
    "input.nowhere == 1": lambda payload: payload["nowhere"] == 1,
}
#: Events that conditions wait for; the last one starts workflows as well.
CONDITION_KEYS = ("g0", "g1", "key")
ACTIONS = ("s:a", "s:b", "s:c")
NAMES = ("w0", "w1", "w2", "w3")
STATIC_LIMITS = ("k1", "k2")
DEBOUNCE_KEY = "broadaxe__debounce_key"
QUIET_MS = "broadaxe__debounce_quiet_ms"
MAX_WAIT_MS = "broadaxe__debounce_max_wait_ms"
SHARED_RULES = {
    "shared-grr": (LimitStrategy.GROUP_ROUND_ROBIN, 2),
    "shared-newest": (LimitStrategy.CANCEL_NEWEST, 2),
    "shared-progress": (LimitStrategy.CANCEL_IN_PROGRESS, 2),
}


class Chances:
    def __init__(self, random_: random.Random) -> None:
        self.random = random_
        # A life has its own leaning, so that some are crowded with one feature and others with none.
        self.flow = random_.choice((0.0, 0.2, 0.4, 0.7))
        self.limits = random_.choice((0.0, 0.1, 0.4))
        self.batches = random_.choice((0.0, 0.1, 0.4))
        self.labels = random_.choice((0.0, 0.0, 0.3))
        self.sticky = random_.choice((0.0, 0.0, 0.4))
        self.pauses = random_.choice((0.0, 0.0, 1.0))
        self.debounces = random_.choice((0.0, 0.0, 0.5))
        self.filters = random_.choice((0.0, 0.0, 0.3))
        self.keys = random_.choice((0.0, 0.0, 0.4))
        self.dags = random_.choice((0.0, 0.4, 0.8))
        self.plans = random_.choice((0.0, 0.0, 0.3, 0.8))
        self.leaps = random_.choice((0.0, 0.3)) if self.plans else 0.0
        self.durables = random_.choice((0.0, 0.0, 0.4, 0.8))
        self.asks = random_.choice((0.0, 0.0, 0.3))
        self.strategies = random_.sample(list(LimitStrategy), random_.randint(1, 5))
        self.gates = random_.choice((0.0, 0.0, 0.4, 0.8))

    def at(self, probability: float) -> bool:
        return self.random.random() < probability

    # Definitions -----------------------------------------------------------------------------------------------------

    def workflow(self, name: str) -> WorkflowSpec:
        chance = self.random
        count = chance.randint(2, 5) if self.at(self.dags) else 1
        tasks: list[TaskSpec] = []
        for number in range(count):
            before = [task.name for task in tasks]
            parents = tuple(chance.sample(before, min(len(before), chance.randint(0, 2))))
            task = self.task(f"t{number}", parents)
            if self.at(self.gates):
                task = msgspec.structs.replace(task, conditions=self.conditions(parents))
            tasks.append(task)
        sticky = chance.choice(list(Sticky)) if self.at(self.sticky) else None
        is_key_asked_for = self.at(self.asks)
        rules = self.rules() if not is_key_asked_for and self.at(self.flow * 0.6) else ()
        return WorkflowSpec(
            name=name,
            tasks=tuple(tasks),
            on_failure=self.task("oops", ()) if self.at(0.25) else None,
            event_triggers=chance.choice(((), ("key",), ("k*", "*y"), ("*e*", "k*y", "other"))),
            default_priority=chance.choice((None, None, 2)),
            sticky=sticky,
            concurrency=(self.asked_rule(),) if is_key_asked_for else rules,
            key_task=self.key_task() if is_key_asked_for else None,
            idempotency=self.idempotency() if self.at(self.keys) else None,
            default_filters=tuple(self.filter() for _ in range(chance.choice((1, 2, 3))))
            if self.at(self.filters)
            else (),
        )

    def conditions(self, parents: tuple[str, ...]) -> tuple[ConditionRule, ...]:
        """Up to three lists, each with one or two groups of one or two elements."""
        chance = self.random
        actions = chance.sample(list(ConditionAction), chance.choice((1, 1, 2, 3)))
        return tuple(
            self.condition(action, group, parents)
            for action in actions
            for group in range(chance.choice((1, 1, 2)))
            for _ in range(chance.choice((1, 1, 2)))
        )

    def condition(self, action: ConditionAction, group: int, parents: tuple[str, ...]) -> ConditionRule:
        chance = self.random
        kind = chance.choice(("parent", "parent", "sleep", "event", "event"))
        if kind == "parent" and parents:
            expression = chance.choice(list(PARENT_CONDITIONS))
            return ConditionRule(action=action, group=group, parent=chance.choice(parents), expression=expression)
        if kind == "sleep":
            seconds = chance.choice((0, 1, 1, 5, 60))
            sleep = f"{seconds}s"
            key = chance.choice((f"sleep:{sleep}", "same"))
            return ConditionRule(action=action, group=group, sleep=sleep, sleep_us=seconds * US_PER_S, data_key=key)
        event_key, expression = chance.choice(CONDITION_KEYS), chance.choice(list(EVENT_CONDITIONS))
        key = chance.choice((event_key, event_key, "same"))
        return ConditionRule(action=action, group=group, event_key=event_key, expression=expression, data_key=key)

    def output(self) -> str:
        """What a worker returns."""
        return self.random.choice(('{"by":"worker"}', "{}", '{"n":0}', '{"n":1}', '{"n":1}', '{"n":2}'))

    def idempotency(self) -> IdempotencyRule:
        chance = self.random
        return IdempotencyRule(
            expression=chance.choice(list(STRINGS)),
            ttl_us=chance.choice((1_000, 3 * US_PER_S, 60 * US_PER_S, 3_600 * US_PER_S)),
            method=chance.choice(list(ClaimMethod)),
        )

    def filter(self) -> FilterSpec:
        chance = self.random
        return FilterSpec(
            expression=chance.choice(("true", "", "input.k == payload.k", "input.n > 1", "input.nowhere")),
            scope=chance.choice(("S", "S", "T")),
            payload=chance.choice(('{"k":"A"}', '{"k":"B"}', "{}")),
        )

    def task(self, name: str, parents: tuple[str, ...]) -> TaskSpec:
        chance = self.random
        if self.at(self.durables):
            return self.durable_task(name, parents)
        return TaskSpec(
            name=name,
            action_id=chance.choice(ACTIONS),
            parents=parents,
            execution_timeout=chance.choice(("", "2s", "40s")),
            schedule_timeout=chance.choice(("", "", "0s", "3s", "30s", "1h")),
            retries=chance.choice((0, 0, 1, 2)),
            backoff_factor=chance.choice((None, None, 1.5)),
            slots=chance.choice(({}, {}, {}, {"default": 2}, {"gpu": 1}, {"default": 1, "gpu": 1})),
            labels=self.requirements() if self.at(self.labels) else (),
            concurrency=self.rules() if self.at(self.flow) else (),
            rate_limits=self.uses() if self.at(self.limits) else (),
            batch=self.batch() if self.at(self.batches) else None,
        )

    def durable_task(self, name: str, parents: tuple[str, ...]) -> TaskSpec:
        chance = self.random
        return TaskSpec(
            name=name,
            action_id=chance.choice(ACTIONS),
            parents=parents,
            execution_timeout=chance.choice(("5m", "5m", "40s")),
            schedule_timeout=chance.choice(("", "1h", "30s")),
            retries=chance.choice((0, 3, 10)),
            slots={"default": 1},
            concurrency=self.rules() if self.at(self.flow * 0.5) else (),
            rate_limits=self.uses() if self.at(self.limits * 0.5) else (),
            is_durable=True,
        )

    def rules(self) -> tuple[ConcurrencyRule, ...]:
        return tuple(self.rule() for _ in range(self.random.choice((1, 1, 1, 2, 3))))

    def rule(self) -> ConcurrencyRule:
        chance = self.random
        expression = chance.choice(list(STRINGS))
        if self.at(0.15):
            name = chance.choice(list(SHARED_RULES))
            strategy, max_runs = SHARED_RULES[name]
            return ConcurrencyRule(
                expression=expression, strategy=strategy, max_runs=max_runs, name=name, is_tenant_scoped=True
            )
        return ConcurrencyRule(
            expression=expression,
            strategy=chance.choice(self.strategies),
            max_runs=chance.choice((1, 1, 2, 3)),
            max_runs_expression="input.n" if self.at(0.1) else "",
        )

    def asked_rule(self) -> ConcurrencyRule:
        chance = self.random
        return ConcurrencyRule(
            expression="", strategy=chance.choice(self.strategies), max_runs=chance.choice((0, 1, 1, 2))
        )

    def key_task(self) -> TaskSpec:
        chance = self.random
        return TaskSpec(
            name="key",
            action_id=chance.choice(ACTIONS),
            execution_timeout=chance.choice(("", "2s", "40s")),
            schedule_timeout=chance.choice(("", "", "3s", "1h")),
            retries=chance.choice((0, 0, 1)),
        )

    def answer(self) -> str:
        """What a worker says when it is asked for a run's group key."""
        return self.random.choice(('"A"', '"A"', '"B"', "7", '{"by":"worker"}'))

    def uses(self) -> tuple[RateLimitUse, ...]:
        return tuple(self.use() for _ in range(self.random.choice((1, 1, 2))))

    def use(self) -> RateLimitUse:
        chance = self.random
        units = chance.choice((1, 1, 2, 3))
        units_expression = "input.n" if self.at(0.2) else ""
        if self.at(0.5):
            return RateLimitUse(key=chance.choice(STATIC_LIMITS), units=units, units_expression=units_expression)
        return RateLimitUse(
            key_expression=chance.choice(("'user/' + input.u", "input.k")),
            limit_expression="input.n + 2",
            units=units,
            units_expression=units_expression,
            window_us=chance.choice((1, 10, 60)) * US_PER_S,
        )

    def batch(self) -> BatchRule:
        chance = self.random
        return BatchRule(
            max_size=chance.randint(1, 4),
            interval_us=chance.choice((1_000, 200_000, 5 * US_PER_S)),
            group_key_expression=chance.choice(("", "input.k")),
            group_max_runs=chance.choice((1, 2, 100)),
        )

    def requirements(self) -> tuple[LabelRequirement, ...]:
        chance = self.random
        return tuple(
            LabelRequirement(
                key=chance.choice(("zone", "size")),
                value=chance.choice(("x", 1, 2)),
                comparator=chance.choice(list(Comparator)),
                weight=chance.choice((-5, 10, 100)),
                required=self.at(0.4),
            )
            for _ in range(chance.choice((1, 1, 2)))
        )

    def pause(self, workflow_id: str) -> PauseWorkflow | UnpauseWorkflow:
        chance = self.random
        if self.at(0.5):
            return UnpauseWorkflow(workflow_id)
        ttl_us = chance.choice((1, 3, 60, 3_600)) * US_PER_S
        return PauseWorkflow(workflow_id, ttl_us, chance.choice(list(WhilePaused)), chance.choice(list(WhilePaused)))

    # Triggers and workers --------------------------------------------------------------------------------------------

    def payload(self) -> str:
        chance = self.random
        payload: dict[str, object] = {
            "k": chance.choice(("A", "A", "A", "B", "C")),
            "u": chance.choice(("x", "y")),
            "n": chance.choice((0, 1, 1, 2, 3)),
        }
        if self.at(0.03):
            del payload[chance.choice(("k", "u", "n"))]
        return msgspec.json.encode(payload).decode()

    def request(self, name: str, parent: str | None, worker_ids: list[str]) -> RunRequest:
        chance = self.random
        return RunRequest(
            workflow_name=name,
            input=self.payload(),
            additional_metadata=self.metadata(),
            priority=chance.choice((None, None, 1, 2, 3)),
            parent_task_id=parent,
            child_index=None if parent is None else chance.randint(0, 2),
            child_key=chance.choice((None, "k")) if parent is not None else None,
            desired_worker_id=chance.choice(worker_ids) if worker_ids and self.at(self.sticky) else None,
            desired_labels=self.requirements() if self.at(self.labels * 0.3) else None,
        )

    def metadata(self) -> str | None:
        """Sometimes with the wish to be debounced, now and then one that cannot be."""
        chance = self.random
        metadata: dict[str, object] = chance.choice(({}, {"m": "p"}, {"m": "p"}, {"m": "q"}))
        if self.at(self.debounces):
            metadata = metadata | {DEBOUNCE_KEY: chance.choice(("d1", "d2")), QUIET_MS: chance.choice((1, 200, "3000"))}
            if self.at(0.5):
                metadata[MAX_WAIT_MS] = chance.choice((3_000, 7_000))
            if self.at(0.02):
                metadata[QUIET_MS] = chance.choice((0, "soon", None))
        return msgspec.json.encode(metadata).decode() if metadata else None

    def worker_labels(self) -> dict[str, LabelValue]:
        chance = self.random
        labels: dict[str, LabelValue] = {}
        if self.at(0.6):
            labels["zone"] = chance.choice(("x", "y", 1))
        if self.at(0.6):
            labels["size"] = chance.choice((1, 2, 3, "x"))
        return labels

    def worker_slots(self) -> dict[str, int]:
        return self.random.choice(({"default": 1}, {"default": 2}, {"default": 3, "gpu": 1}, {"gpu": 2, "default": 1}))


def string_of(expression: str, run_input: Payload, metadata: Payload) -> str | None:
    """What the expression says, None when it fails."""
    try:
        return STRINGS[expression](run_input, metadata)
    except KeyError:
        return None


def number_of(expression: str, run_input: Payload, metadata: Payload) -> int | None:
    try:
        return NUMBERS[expression](run_input, metadata)
    except KeyError:
        return None
