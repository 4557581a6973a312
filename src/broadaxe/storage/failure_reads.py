"""What failed tasks said, for those who look for what goes wrong most.

Decides nothing. Invariants as in `reads.py`. An error may be megabytes long, so its front and its end are read: SDKs
write the kind of error first and the frames after it, the outermost or the innermost one last.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import msgspec

from broadaxe.storage.ids import id_range
from broadaxe.storage.read_replica import Queries
from broadaxe.storage.statements import statement

__all__ = ["FAILURES_LOOKED_AT_MAX", "FailedTask", "FailureReads"]

FAILURES_LOOKED_AT_MAX: Final = 5_000
#: Characters.
HEAD_MAX: Final = 2_000
TAIL_MAX: Final = 6_000


class FailedTask(msgspec.Struct, frozen=True, gc=False):
    id: str
    run_id: str
    workflow_id: str
    workflow_name: str
    name: str
    failed_at: datetime
    error: str
    """Without its middle if it is long."""


class FailureReads:
    """Holds nothing but the pool."""

    def __init__(self, pool: Queries) -> None:
        self._pool = pool

    async def newest(
        self, tenant_id: str, since: datetime, until: datetime, workflow_ids: Sequence[str] | None
    ) -> list[FailedTask]:
        """Tasks made between these instants (both included) that stand FAILED, the newest first; at most
        `FAILURES_LOOKED_AT_MAX`."""
        rows = await self._pool.fetch(
            statement("reads/failed_tasks"),
            tenant_id,
            *id_range(since, until),
            since,
            until,
            workflow_ids,
            HEAD_MAX,
            TAIL_MAX,
            FAILURES_LOOKED_AT_MAX,
        )
        return [
            FailedTask(
                id=str(row["id"]),
                run_id=str(row["run_id"]),
                workflow_id=str(row["workflow_id"]),
                workflow_name=row["workflow_name"],
                name=row["name"],
                failed_at=row["finished_at"],
                error=f"{row['head'] or ''}{row['tail']}",
            )
            for row in rows
        ]
