"""What a tenant has used of its limits, kept from committed rows alone; and lives whose tenant has any.

The chances of these lives come from a generator of their own, so that a seed stays the same life without them.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from broadaxe.core.commands import Command, Reply
from broadaxe.core.commands.quotas import Resource, SetQuotas
from broadaxe.core.commands.ratelimits import ForgetRateLimits
from broadaxe.core.commands.triggers import TriggerRuns
from broadaxe.core.decision import Decision, QuotaUsageRow
from broadaxe.core.durations import US_PER_S
from broadaxe.errors import BroadaxeError, QuotaReached
from tests.simulation.books import Books, hold
from tests.simulation.tables import Tables


class QuotaBooks:
    def __init__(self, tables: Tables, books: Books, seed: int) -> None:
        self.tables = tables
        self.books = books
        self.random = random.Random(f"limits of {seed}")
        self.is_enforced = self.random.random() < 0.4
        self.window_us = self.random.choice((70, 3_600, 86_400)) * US_PER_S
        self.used: dict[str, QuotaUsageRow] = {}

    # Choosing --------------------------------------------------------------------------------------------------------

    def limits(self) -> SetQuotas:
        chance = self.random
        return SetQuotas(
            {
                Resource.TASK_RUN: chance.choice((3, 10, 30, 60, None)),
                Resource.EVENT: chance.choice((2, 10, None)),
                Resource.WORKER: chance.choice((2, 5, None)),
                Resource.WORKER_SLOT: chance.choice((6, 20, None)),
            }
        )

    def commands(self, now_us: int) -> list[Command]:
        """What the engine does now and then, in lives with limits only."""
        if not self.is_enforced or self.random.random() >= 0.05:
            return []
        return [ForgetRateLimits(now_us - self.random.choice((0, 30, 100, 86_400)) * US_PER_S)]

    # Checking --------------------------------------------------------------------------------------------------------

    def observe(
        self, decision: Decision, commands: Sequence[Command], replies: Sequence[Reply | BroadaxeError], now_us: int
    ) -> None:
        writes = decision.writes
        if not self.is_enforced:
            hold(not self.tables.quota_usage, "counted without being asked", self.tables.quota_usage)
            return
        made = sum(self._tasks_of(new_run.row.version_id) for new_run in writes.new_runs)
        for resource, count in ((Resource.TASK_RUN, made), (Resource.EVENT, len(writes.events))):
            if count:
                value = self._value(resource, now_us)
                since_us = self.used[resource].since_us if value else now_us
                self.used[resource] = QuotaUsageRow(resource.value, value + count, since_us)
                limit = self.tables.quotas.get(resource)
                hold(limit is None or value + count <= limit, "more than the limit", resource, value, count, limit)
        hold(self.tables.quota_usage == self.used, "counted", self.tables.quota_usage, "instead of", self.used)
        for command, reply in (
            zip(commands, replies, strict=True) if not writes.versions and not writes.workflows else ()
        ):
            if isinstance(command, TriggerRuns) and isinstance(reply, QuotaReached):
                wanted = sum(self._tasks_of_latest(request.workflow_name) for request in command.requests)
                limit = self.tables.quotas[Resource.TASK_RUN]
                has_room = limit is None or self._value(Resource.TASK_RUN, now_us) + wanted <= limit
                hold(not has_room, "refused in spite of room", command)

    def check_forgotten(self, keys: set[str], now_us: int) -> None:
        """These rate limits were forgotten because nobody uses them."""
        for key in keys:
            row = self.books.limits[key]
            hold(row.is_dynamic, "a limit that was put is forgotten", row)
            hold(now_us - row.last_refill_us > row.window_us, "a limit in use is forgotten", row)
            for run_id in self.tables.live.keys() & self.books.words.keys():
                wants = any(key in words.limits for words in self.books.words[run_id].tasks)
                hold(not wants, "a limit is forgotten that is needed", row, run_id)

    def lacks_room(self, workflow_id: str, now_us: int) -> bool:
        """Whether a run of the workflow cannot be made now."""
        limit = self.tables.quotas.get(Resource.TASK_RUN) if self.is_enforced else None
        if limit is None:
            return False
        return self._value(Resource.TASK_RUN, now_us) + self._tasks_of(self._latest(workflow_id)) > limit

    def never_fits(self, workflow_id: str) -> bool:
        limit = self.tables.quotas.get(Resource.TASK_RUN) if self.is_enforced else None
        return limit is not None and self._tasks_of(self._latest(workflow_id)) > limit

    def room_at_us(self) -> int:
        """When the window of task runs ends."""
        return self.used[Resource.TASK_RUN].since_us + self.window_us

    def _value(self, resource: Resource, now_us: int) -> int:
        used = self.used.get(resource)
        return 0 if used is None or now_us - used.since_us >= self.window_us else used.value

    def _tasks_of(self, version_id: str) -> int:
        return len(self.tables.versions[version_id].definition.tasks)

    def _latest(self, workflow_id: str) -> str:
        versions = [row for row in self.tables.versions.values() if row.workflow_id == workflow_id]
        return max(versions, key=lambda row: row.ordinal).id

    def _tasks_of_latest(self, name: str) -> int:
        found = [row.id for row in self.tables.workflows.values() if row.name == name and row.deleted_at_us is None]
        return self._tasks_of(self._latest(found[0]))
