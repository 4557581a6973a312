"""The audit log over HTTP: who may read it, what filters find, its pages, its export, and what changes leave in it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import msgspec
import pytest

from broadaxe.core.audit import Action, Subject
from broadaxe.core.commands.asked import Initiator, InitiatorKind
from broadaxe.storage import accounts, audit, audit_groups
from broadaxe.storage.accounts import Role
from broadaxe.storage.ids import ID_MAX, id_floor
from broadaxe.storage.tokens import create_token
from tests.rest.conftest import Serve, Site, make_account
from tests.rest.test_plans import explain

ANN = Initiator(InitiatorKind.ACCOUNT, "ann-id", "ann@example.com", "192.0.2.7")
PASSWORD = "Correct-horse-1"
WEBHOOK = {
    "name": "in",
    "sourceName": "GENERIC",
    "authType": "BASIC",
    "auth": {"username": "u", "password": "a secret that is nowhere"},
    "eventKeyExpression": "'k'",
}


async def note(pool: asyncpg.Pool, tenant_id: str, name: str, action: Action = Action.CRON_CREATE) -> None:
    async with pool.acquire() as connection, connection.transaction():
        await audit.write(connection, tenant_id, ANN, action, Subject(f"{name}-id", name, {"name": name}))


async def entries(site: Site, **params: Any) -> list[dict[str, Any]]:
    answer = await site.client.get(f"{site.tenant}/audit", params=params)
    assert answer.status_code == 200, answer.text
    rows: list[dict[str, Any]] = answer.json()["rows"]
    return rows


async def test_a_webhook_leaves_entries_with_who_and_what_and_never_its_secret(serve: Serve) -> None:
    site = await serve(secret_keys=(b"k" * 32,))
    base = f"{site.stable}/webhooks"
    assert (await site.client.post(base, json=WEBHOOK)).status_code == 200
    assert (await site.client.post(base, json=WEBHOOK)).status_code != 200, "the name is taken"
    assert (await site.client.patch(f"{base}/in", json={"eventKeyExpression": "'k'"})).status_code == 200
    assert (await site.client.patch(f"{base}/in", json={"eventKeyExpression": "'other'"})).status_code == 200
    assert (await site.client.delete(f"{base}/in")).status_code == 200
    gone, changed, made = await entries(site)
    assert [row["action"] for row in (made, changed, gone)] == ["webhook.create", "webhook.change", "webhook.delete"]
    assert made["initiator"]["kind"] == "TOKEN"
    assert made["initiator"]["address"] == "127.0.0.1"
    assert made["object"]["name"] == "in"
    assert "before" not in made
    assert changed["before"]["event_key_expression"] == "'k'"
    assert changed["after"]["event_key_expression"] == "'other'"
    assert "after" not in gone
    assert "a secret that is nowhere" not in str((made, changed, gone))
    assert (await audit.verify(site.seeds.pool, site.seeds.tenant_id))[1] == []


async def test_pages_filters_and_refusals(site: Site) -> None:
    pool, tenant_id = site.seeds.pool, site.seeds.tenant_id
    for number in range(5):
        await note(pool, tenant_id, str(number), Action.CRON_DELETE if number == 3 else Action.CRON_CREATE)
    await note(pool, str(uuid4()), "another tenant's")
    first = (await site.client.get(f"{site.tenant}/audit", params={"limit": 2})).json()
    assert [row["object"]["name"] for row in first["rows"]] == ["4", "3"]
    cursor = first["pagination"]["next_cursor"]
    assert [row["object"]["name"] for row in await entries(site, limit=9, cursor=cursor)] == ["2", "1", "0"]
    assert [row["object"]["name"] for row in await entries(site, action="cron.delete")] == ["3"]
    assert [row["object"]["name"] for row in await entries(site, object="1-id")] == ["1"]
    assert len(await entries(site, initiator="ann-id", initiatorKind="ACCOUNT")) == 5
    assert await entries(site, refused="true") == []
    assert await entries(site, since=(datetime.now(UTC) + timedelta(hours=1)).isoformat()) == []
    for params in ({"action": "nonsense"}, {"limit": 0}, {"limit": 1001}, {"cursor": "x"}):
        answer = await site.client.get(f"{site.tenant}/audit", params=params)
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, next(iter(params)))


async def test_the_export_has_every_entry_one_a_line(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "READ_AT_ONCE", 2)
    for number in range(5):
        await note(site.seeds.pool, site.seeds.tenant_id, f"{number}\n")
    answer = await site.client.get(f"{site.tenant}/audit/export", params={"action": "cron.create"})
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert "audit.jsonl" in answer.headers["content-disposition"]
    lines = answer.text.splitlines()
    assert [msgspec.json.decode(line) for line in lines] == await entries(site)
    assert len(lines) == 5


@pytest.mark.parametrize("role", [Role.VIEWER, Role.MEMBER], ids=str)
async def test_only_admins_read_it(serve: Serve, role: Role) -> None:
    site = await serve(open_mode=False)
    pool = site.seeds.pool
    bob = await make_account(pool, "Bob", "bob@example.com")
    await accounts.add_member(pool, site.seeds.tenant_id, bob.id, role)
    cookie = await accounts.open_session(pool, bob.id)
    async with httpx.AsyncClient(base_url=site.url, cookies={"hatchet": cookie}, timeout=60) as client:
        for path in ("audit", "audit/export"):
            assert (await client.get(f"{site.tenant}/{path}")).status_code == 401
    assert (await site.anonymous.get(f"{site.tenant}/audit")).status_code == 403


async def test_a_log_of_many_entries_is_read_by_its_indexes(database: str, pool: asyncpg.Pool) -> None:
    tenant_id = str(uuid4())
    await pool.execute(
        """
        insert into broadaxe.audit_entry
        select $1::uuid, (lpad(to_hex(1760000000000 + i), 12, '0') || '70008000000000000000')::uuid, 'EDGE', i,
            sha256('x'), to_timestamp(1760000000 + i / 1000.0), 'ACCOUNT', 'who-' || i % 20000, 'ann', '',
            case i % 50000 when 7 then 'token.revoke' else 'run.cancel' end, 'object-' || i, '', null, '{}',
            case i % 40000 when 9 then 'no' else '' end
        from generate_series(1, 200000) i
        """,
        tenant_id,
    )
    await pool.execute("vacuum analyze broadaxe.audit_entry")
    first, end = id_floor(datetime(2025, 1, 1, tzinfo=UTC)), ID_MAX
    deep = "0199c82e-46a0-7000-8000-000000000000"
    for name, arguments, rows, blocks_max in (
        ("all", (None, None, None, None, False, first, end), 100, 20),
        ("a page deep in it", (None, None, None, None, False, first, deep), 100, 20),
        ("a common action", ("run.cancel", None, None, None, False, first, end), 100, 20),
        ("a rare action", ("token.revoke", None, None, None, False, first, end), 4, 20),
        ("one person", (None, "who-5", None, None, False, first, end), 10, 40),
        ("one object", (None, None, "object-777", None, False, first, end), 1, 10),
    ):
        plan = await explain(database, "audit/list", (tenant_id, *arguments, 100))
        assert plan.rows == rows, name
        assert plan.blocks <= blocks_max, (name, plan)


async def test_logins_passwords_tokens_and_names_leave_entries(site: Site) -> None:
    pool = site.seeds.pool
    await accounts.register(pool, "Bob", "bob@example.com", PASSWORD)
    bob = await accounts.account_by_email(pool, "bob@example.com")
    assert bob is not None
    await accounts.add_member(pool, site.seeds.tenant_id, bob.id, Role.ADMIN)
    async with httpx.AsyncClient(base_url=site.url, timeout=60) as client:
        body = {"email": "Bob@example.com", "password": "wrong"}
        assert (await client.post("/api/v1/users/login", json=body)).status_code == 400
        unknown = {"email": "eve@example.com", "password": "wrong"}
        assert (await client.post("/api/v1/users/login", json=unknown)).status_code == 400
        assert (await client.post("/api/v1/users/login", json=body | {"password": PASSWORD})).status_code == 200
        assert (await client.patch(site.tenant, json={"name": "Renamed"})).status_code == 200
        assert (await client.patch(site.tenant, json={"name": "Renamed"})).status_code == 200
        made = await client.post(f"{site.tenant}/api-tokens", json={"name": "ci"})
        assert made.status_code == 200, made.text
        (token,) = (await client.get(f"{site.tenant}/api-tokens", params={"search": "ci"})).json()["rows"]
        for _ in range(2):
            assert (await client.post(f"/api/v1/api-tokens/{token['metadata']['id']}")).status_code == 204
        change = {"password": PASSWORD, "newPassword": f"{PASSWORD}2"}
        assert (await client.post("/api/v1/users/password", json=change)).status_code == 200
        made = await client.post("/api/v1/tenants", json={"name": "Other", "slug": "other"})
        assert made.status_code == 200, made.text
        other = await accounts.open_session(pool, bob.id, "Old browser")
        assert (await client.delete("/api/v1/stable/users/sessions")).json() == {"ended": 1}
        assert (await client.delete("/api/v1/stable/users/sessions")).json() == {"ended": 0}
        assert await accounts.person_of_session(pool, other) is None
        assert (await client.post("/api/v1/users/logout")).status_code == 200
    found = await entries(site)
    assert [row["action"] for row in found[:2]] == ["account.log_out", "account.end_sessions"]
    assert found[1]["after"] == {"sessions": 1}
    found = found[2:]
    assert [row["action"] for row in reversed(found)] == [
        "account.log_in",
        "account.log_in",
        "tenant.change",
        "token.create",
        "token.revoke",
        "account.change_password",
    ]
    refused, let_in = found[-1], found[-2]
    assert (refused["initiator"]["kind"], "wrong" in refused["refusal"]) == ("NOBODY", True)
    assert (let_in["initiator"]["name"], let_in.get("refusal")) == ("bob@example.com", None)
    assert "after" not in found[1]
    assert found[1]["object"]["name"] == "ci"
    (of_nobody,) = (await audit.page(pool, audit.INSTALLATION, audit.AuditFilter(), limit=9)).rows
    assert of_nobody.row.by_name == "eve@example.com"
    assert len((await audit.page(pool, made.json()["metadata"]["id"], audit.AuditFilter(), limit=9)).rows) == 3
    assert (await audit.verify(pool, None))[1] == []
    assert PASSWORD not in str(found)


@pytest.fixture
def short_windows(monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Windows of refusals end when the test says so."""
    ends = asyncio.Event()

    async def until_then(_: float) -> None:
        await ends.wait()

    monkeypatch.setattr(audit_groups, "sleep", until_then)
    return ends


async def _refused(site: Site, count: int) -> list[dict[str, Any]]:
    """The newest refusals, when there are so many."""
    async with asyncio.timeout(60):
        found = await entries(site, refused="true")
        while len(found) < count:
            found = await entries(site, refused="true")
        return found


async def test_what_a_role_does_not_allow_leaves_entries_and_not_a_flood(
    site: Site, short_windows: asyncio.Event
) -> None:
    pool, tenant_id = site.seeds.pool, site.seeds.tenant_id
    bob = await make_account(pool, "Bob", "bob@example.com")
    await accounts.add_member(pool, tenant_id, bob.id, Role.VIEWER)
    cookie = await accounts.open_session(pool, bob.id)
    async with httpx.AsyncClient(base_url=site.url, cookies={"hatchet": cookie}, timeout=60) as client:
        for _ in range(20):
            assert (await client.patch(site.tenant, json={"name": "Mine"})).status_code == 401
        reader = await create_token(pool, tenant_id, "r", 3600, site.url, "127.0.0.1:2", role=Role.VIEWER)
        bearer = {"Authorization": f"Bearer {reader.token}"}
        run = f"/api/v1/api-tokens/{reader.id}"
        assert (await client.post(run, headers=bearer)).status_code == 401, "of no token's business"
        # An operator's business is nobody's of the tenant.
        assert (await client.get("/api/v1/cluster/nodes")).status_code == 401
    found = await entries(site, refused="true")
    assert [row["action"] for row in found] == ["access.refused"] * 4
    by_token, *by_bob = found
    assert (by_token["initiator"]["kind"], by_token["initiator"]["id"]) == ("TOKEN", reader.id)
    assert {row["initiator"]["name"] for row in by_bob} == {"bob@example.com"}
    assert {row["object"]["name"] for row in by_bob} == {"PATCH /api/v1/tenants/{tenant}"}
    assert "yours is VIEWER" in by_bob[0]["refusal"]
    short_windows.set()
    (others, *_) = await _refused(site, 5)
    assert (others["after"], "17 more" in others["refusal"]) == ({"count": 17}, True)
    installation = (await audit.page(pool, audit.INSTALLATION, audit.AuditFilter(), limit=9)).rows
    assert [(row.row.action, row.row.by_name) for row in installation] == [("access.refused", "bob@example.com")]
    assert (await audit.verify(pool, None))[1] == []


async def test_logins_that_fail_again_and_again_are_counted(site: Site, short_windows: asyncio.Event) -> None:
    pool = site.seeds.pool
    bob = await accounts.register(pool, "Bob", "bob@example.com", PASSWORD)
    await accounts.add_member(pool, site.seeds.tenant_id, bob.id, Role.VIEWER)
    body = {"email": "bob@example.com", "password": "wrong"}
    for _ in range(6):
        assert (await site.anonymous.post("/api/v1/users/login", json=body)).status_code == 400
    assert len(await entries(site, refused="true")) == 3
    short_windows.set()
    others, *_ = await _refused(site, 4)
    assert (others["action"], others["after"]) == ("account.log_in", {"count": 3})
