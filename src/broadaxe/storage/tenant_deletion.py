"""The end of a tenant: its row at once, with everything that lets anybody in; then all its other rows, in portions.

With the row goes the lease, so that the engine that has the tenant in memory cannot commit for it any more, and no
other one gets it. The rest is swept in the background: at once, and again when `SETTLE_S` have passed, because log
lines and the like may still have been on their way. What a process that died left over is found again.

Refuses to delete a tenant whose slug was not given. Invariant: the entry in the installation's audit log is written in
the commit that deletes the row; the tenant's own log goes with the tenant.
"""

from __future__ import annotations

from typing import Final

import asyncpg
import structlog

from broadaxe.core.audit import Action, Subject
from broadaxe.core.commands.asked import Initiator
from broadaxe.errors import InvalidArgument, NotFound
from broadaxe.storage import audit
from broadaxe.storage.statements import statement

__all__ = ["CHANNEL", "SETTLE_S", "delete_tenant", "sweep"]

#: Where engines hear that a tenant was deleted.
CHANNEL: Final = "broadaxe_tenant_deleted"
#: How long somebody may go on writing past the lease, at most.
SETTLE_S: Final = 60.0
#: Rows of each table that go in one transaction.
SWEPT_AT_ONCE_MAX: Final = 5_000

_log = structlog.get_logger(__name__)


async def delete_tenant(db: audit.Queryable, tenant_id: str, confirm: str, by: Initiator) -> str:
    """Deletes a tenant, and answers its name. `confirm` is its slug. NotFound if there is none."""
    async with audit.transaction(db) as connection:
        row = await connection.fetchrow(statement("tenants/lock"), tenant_id)
        if row is None:
            raise NotFound(f"there is no tenant {tenant_id}")
        if confirm != row["slug"]:
            raise InvalidArgument(f"to delete this tenant, give its slug: {row['slug']}", field="confirm")
        await connection.execute(statement("tenants/delete_users_of_workflows"), tenant_id)
        await connection.execute(statement("tenants/delete"), tenant_id)
        await connection.execute(statement("tenants/tell"), CHANNEL, tenant_id)
        subject, before = Subject(tenant_id, row["name"], None), {"slug": row["slug"]}
        await audit.write(connection, audit.INSTALLATION, by, Action.TENANT_DELETE, subject, before=before)
    name: str = row["name"]
    return name


async def sweep(db: asyncpg.Pool | asyncpg.Connection, settle_s: float = SETTLE_S) -> int:
    """Deletes the rows of all deleted tenants, and returns how many tenants may still have some."""
    left = 0
    for row in await db.fetch(statement("tenants/deleted"), settle_s):
        tenant_id, total = str(row["id"]), 0
        while swept := await db.fetchval(statement("tenants/sweep"), tenant_id, SWEPT_AT_ONCE_MAX):
            total += swept
        if total:
            _log.info("rows of a deleted tenant are gone", tenant=tenant_id, count=total)
        if row["is_settled"]:
            await db.execute(statement("tenants/forget"), tenant_id)
        else:
            left += 1
    return left
