"""Inputs and outputs, which the core does not hold: a bounded cache over the tables.

The engine puts a payload in when it passes by (a trigger, a report) and asks for it when it dispatches; what has been
evicted is fetched in one query per round. Entries are text exactly as received. The bound counts characters.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection

import asyncpg

from broadaxe.storage.statements import statement

CACHE_CHARS_MAX = 64 * 1024 * 1024


class Payloads:
    """Payloads of one tenant. Keys: run ids for inputs, task ids for outputs; the two never meet in one map."""

    def __init__(self, pool: asyncpg.Pool, tenant_id: str, chars_max: int = CACHE_CHARS_MAX) -> None:
        self._pool = pool
        self._tenant_id = tenant_id
        self._inputs = _Cache(chars_max // 2)
        self._outputs = _Cache(chars_max // 2)

    def put_input(self, run_id: str, text: str) -> None:
        self._inputs.put(run_id, text)

    def put_output(self, task_id: str, text: str) -> None:
        self._outputs.put(task_id, text)

    def drop_output(self, task_id: str) -> None:
        """The task was replayed: its old output is history."""
        self._outputs.drop(task_id)

    async def inputs(self, run_ids: Collection[str]) -> dict[str, str]:
        return await self._get(self._inputs, "payloads/inputs", run_ids)

    async def outputs(self, task_ids: Collection[str]) -> dict[str, str]:
        """Outputs by task id; a task without one is absent."""
        return await self._get(self._outputs, "payloads/outputs", task_ids)

    async def durable_results(
        self, entries: Collection[tuple[str, int, int]]
    ) -> dict[tuple[str, int, int], tuple[str | None, bool, str | None]]:
        """(result, is failure, error) by (task id, branch, node). Not cached: a result is asked for once."""
        rows = await self._pool.fetch(
            statement("payloads/durable_results"), self._tenant_id, *zip(*entries, strict=True)
        )
        return {(row[0], row[1], row[2]): (row[3], row[4], row[5]) for row in rows}

    async def _get(self, cache: _Cache, query: str, ids: Collection[str]) -> dict[str, str]:
        found: dict[str, str] = {}
        absent: list[str] = []
        for key in ids:
            text = cache.get(key)
            if text is None:
                absent.append(key)
            else:
                found[key] = text
        if absent:
            for key, text in await self._pool.fetch(statement(query), self._tenant_id, absent):
                found[key] = text
                cache.put(key, text)
        return found


class _Cache:
    __slots__ = ("_chars", "_chars_max", "_texts")

    def __init__(self, chars_max: int) -> None:
        self._texts: OrderedDict[str, str] = OrderedDict()
        self._chars = 0
        self._chars_max = chars_max

    def get(self, key: str) -> str | None:
        return self._texts.get(key)

    def put(self, key: str, text: str) -> None:
        self.drop(key)
        self._texts[key] = text
        self._chars += len(text)
        while self._chars > self._chars_max:
            _, evicted = self._texts.popitem(last=False)
            self._chars -= len(evicted)

    def drop(self, key: str) -> None:
        text = self._texts.pop(key, None)
        if text is not None:
            self._chars -= len(text)
