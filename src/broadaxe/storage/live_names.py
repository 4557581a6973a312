"""What live memory knows by id only, or has forgotten: names of runs that sleep outside memory, and the worker that
offered an action last.

Refuses to decide anything: whether there is a worker is for the tenant to say.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import asyncpg
import msgspec

from broadaxe.storage.statements import statement

__all__ = ["LastWorker", "RunName", "last_workers", "run_names"]


class LastWorker(msgspec.Struct, frozen=True, gc=False):
    id: str
    name: str
    seen_at: datetime


class RunName(msgspec.Struct, frozen=True, gc=False):
    display_name: str
    workflow_id: str
    workflow_name: str


async def last_workers(pool: asyncpg.Pool, tenant_id: str, actions: Iterable[str]) -> dict[str, LastWorker]:
    """By action id; an action that no worker in the tables has offered is left out."""
    wanted = sorted(set(actions))
    if not wanted:
        return {}
    rows = await pool.fetch(statement("reads/last_workers"), tenant_id, wanted)
    return {row["action_id"]: LastWorker(str(row["id"]), row["name"], row["seen_at"]) for row in rows}


async def run_names(pool: asyncpg.Pool, tenant_id: str, run_ids: Iterable[str]) -> dict[str, RunName]:
    """By run id; unknown runs are left out."""
    wanted = sorted(set(run_ids))
    if not wanted:
        return {}
    rows = await pool.fetch(statement("reads/run_names"), tenant_id, wanted)
    return {str(row["id"]): RunName(row["display_name"], str(row["workflow_id"]), row["workflow_name"]) for row in rows}
