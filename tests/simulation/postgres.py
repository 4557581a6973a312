"""The real journal and loader as a store, each load held against the tables in memory.

A life is synchronous; it runs in a thread of its own and reaches the loop that has the connections from there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import asyncpg
import msgspec

from broadaxe.core.backlog import ColdTasks
from broadaxe.core.commands.quotas import Resource
from broadaxe.core.decision import Writes
from broadaxe.core.loaded import Loaded, Missing
from broadaxe.storage.audit import command_line
from broadaxe.storage.journal import Journal
from broadaxe.storage.loader import load_live, load_missing
from broadaxe.storage.quotas import change_quotas
from tests.simulation.books import hold
from tests.simulation.tables import Tables

T = TypeVar("T")

#: Columns of type jsonb, whose text comes back in another form.
_JSON_FIELDS = ("additional_metadata", "keys", "desired_labels")


class Postgres:
    def __init__(
        self, pool: asyncpg.Pool, loop: asyncio.AbstractEventLoop, tenant_id: str, journal: Journal, tables: Tables
    ) -> None:
        self._pool = pool
        self._loop = loop
        self._tenant_id = tenant_id
        self._journal = journal
        self._tables = tables
        self.loads = 0

    def commit(self, writes: Writes) -> None:
        self._wait(self._journal.commit(writes))

    def load_live(self, now_us: int, waiting_max: int) -> Loaded:
        found = self._wait(load_live(self._pool, self._tenant_id, now_us, waiting_max, with_quotas=True))
        return self._same(found, self._tables.load_live(now_us, waiting_max), "load_live")

    def load_missing(self, missing: Missing) -> Loaded:
        found = self._wait(load_missing(self._pool, self._tenant_id, missing))
        return self._same(found, self._tables.load_missing(missing), "load_missing")

    def set_quotas(self, limits: dict[Resource, int | None]) -> None:
        async def change() -> None:
            async with self._pool.acquire() as connection:
                await change_quotas(
                    connection, self._tenant_id, command_line("root"), limits, frozenset(Resource) - limits.keys()
                )

        self._wait(change())

    def _same(self, real: Loaded, model: Loaded, name: str) -> Loaded:
        self.loads += 1
        for kind in Loaded.__struct_fields__:
            if kind == "schedule_page":
                hold(_page(real) == _page(model), "the database and its model differ:", name, kind)
                continue
            if kind in ("claims", "quotas", "topic_count"):
                hold(getattr(real, kind) == getattr(model, kind), "the database and its model differ:", name, kind)
                continue
            found, expected = _plain(getattr(real, kind)), _plain(getattr(model, kind))
            hold(len(found) == len(expected), "the database and its model differ:", name, kind, found, expected)
            for row, model_row in zip(found, expected, strict=True):
                hold(row == model_row, "the database and its model differ:", name, kind, *_differences(row, model_row))
        return real

    def _wait(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)


def _plain(rows: tuple[object, ...]) -> list[Any]:
    plain: list[Any] = msgspec.to_builtins(rows)
    for loaded in plain:
        for log in loaded.get("logs", ()):
            log["branches"] = sorted(log["branches"], key=lambda branch: branch["branch_id"])
        if "gates" in loaded:
            loaded["gates"] = sorted(loaded["gates"], key=lambda gate: gate["task_id"])
        row = loaded.get("row", loaded)
        for name in _JSON_FIELDS:
            if row.get(name) is not None:
                row[name] = msgspec.json.decode(row[name])
    # The order in which versions and rate limits come is the database's to choose; that of cold tasks is not.
    return plain if rows and isinstance(rows[0], ColdTasks) else sorted(plain, key=_id)


def _differences(real: Any, model: Any, path: str = "") -> list[str]:
    if isinstance(real, dict) and isinstance(model, dict):
        keys = sorted({*real, *model})
        return [d for key in keys for d in _differences(real.get(key), model.get(key), f"{path}.{key}")]
    if isinstance(real, list | tuple) and isinstance(model, list | tuple) and len(real) == len(model):
        pairs = enumerate(zip(real, model, strict=True))
        return [d for place, pair in pairs for d in _differences(*pair, f"{path}[{place}]")]
    return [] if real == model else [f"{path}: {real} and {model}"]


def _page(loaded: Loaded) -> object:
    page = loaded.schedule_page
    return None if page is None else (page.is_last, [row.id for row in page.rows], _plain(page.rows))


def _id(row: dict[str, Any]) -> str:
    if "payload" in row and "seen_at_us" in row and "id" not in row:
        return str(sorted(row.items()))
    return str(row.get("id") or row.get("task_id") or row.get("key") or row.get("resource") or row["row"]["id"])
