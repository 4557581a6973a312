"""The nodes of the installation: operators see and drain them, tenants' people and tokens do not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from broadaxe.storage import accounts, audit
from broadaxe.storage.ids import new_id
from tests.storage.ground import make_tenant, take_lease

if TYPE_CHECKING:
    from .conftest import Site

NODES = "/api/v1/cluster/nodes"
PASSWORD = "Correct-horse-7"


async def test_only_an_operator_sees_and_drains_nodes(site: Site) -> None:
    pool = site.seeds.pool
    node_id = new_id()
    await pool.execute(
        "insert into broadaxe.node (id, address, link_address, version, load, expires_at)"
        " values ($1, 'far:7077', 'far:7079', '9.9.9', 0.5, now() + interval '1 hour')",
        node_id,
    )
    for _ in range(2):
        await take_lease(pool, await make_tenant(pool), node_id)
    await pool.execute("update broadaxe.lease set expires_at = 'infinity' where node_id = $1", node_id)
    drain = f"{NODES}/{node_id}/drain"
    assert (await site.client.get(NODES)).status_code == 403, "a token is a program's"
    await site.anonymous.post("/api/v1/users/login", json={"email": "ada@example.com", "password": PASSWORD})
    refused = await site.anonymous.put(drain)
    assert refused.status_code == 401
    assert "broadaxe account operator ada@example.com" in refused.text
    assert (await site.anonymous.get(NODES)).status_code == 401

    await accounts.set_operator(pool, site.owner.id, True)
    answer = await site.anonymous.get(NODES)
    (row,) = [row for row in answer.json()["rows"] if row["id"] == node_id]
    assert (row["tenants"], row["load"], row["version"], row["isLost"]) == (2, 0.5, "9.9.9", False)
    assert site.tenant.rsplit("/", 1)[-1] not in answer.text, "how many tenants, never which"
    (row,) = [row for row in (await site.anonymous.put(drain)).json()["rows"] if row["id"] == node_id]
    assert row["drainingAt"]
    (row,) = [row for row in (await site.anonymous.delete(drain)).json()["rows"] if row["id"] == node_id]
    assert "drainingAt" not in row
    log = (await audit.page(pool, audit.INSTALLATION, audit.AuditFilter(), limit=2)).rows
    assert [(entry.row.action, entry.row.by_name) for entry in log] == [
        ("node.undrain", "ada@example.com"),
        ("node.drain", "ada@example.com"),
    ]
    assert (await site.anonymous.put(f"{NODES}/{new_id()}/drain")).status_code == 404
