"""The audit log on a real PostgreSQL: entries come with what they tell of, and chains show what was done to them."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from broadaxe.core.audit import Action, Subject
from broadaxe.core.commands import Command
from broadaxe.core.commands.asked import Asked, Initiator, InitiatorKind
from broadaxe.core.commands.ratelimits import PutRateLimit
from broadaxe.core.tenant import Tenant
from broadaxe.errors import LeaseLost
from broadaxe.storage import audit
from broadaxe.storage.audit import AuditFilter, Chain
from broadaxe.storage.ids import new_id
from broadaxe.storage.journal import Journal
from tests.storage.ground import OTHER_NODE, make_journal, make_tenant, take_lease

ANN = Initiator(InitiatorKind.ACCOUNT, "ann-id", "ann@example.com", "192.0.2.7")


async def decide(journal: Journal, tenant: Tenant, *commands: Command) -> None:
    decision = tenant.decide([Asked(command, ANN) for command in commands], 1_767_268_800_000_001)
    await journal.commit(decision.writes)


def limit(number: int) -> PutRateLimit:
    return PutRateLimit(f"limit {number}", number, 1_000_000)


async def note(pool: asyncpg.Pool, tenant_id: str, name: str = "x") -> None:
    async with pool.acquire() as connection, connection.transaction():
        await audit.write(connection, tenant_id, ANN, Action.WEBHOOK_CREATE, Subject("id", name, {"name": name}))


async def read(pool: asyncpg.Pool, tenant_id: str, wanted: AuditFilter | None = None) -> list[audit.AuditEntry]:
    return [entry async for entry in audit.entries(pool, tenant_id, wanted or AuditFilter())]


async def test_what_a_round_decides_and_its_entries_are_one_commit(pool: asyncpg.Pool) -> None:
    tenant_id = await make_tenant(pool)
    journal, tenant = await make_journal(pool, tenant_id), Tenant(new_id)
    await decide(journal, tenant, limit(1), limit(2))
    await decide(journal, tenant, limit(3))
    found = await read(pool, tenant_id)
    assert [(e.seq, e.row.object_name, e.row.by_name) for e in found] == [
        (3, "limit 3", "ann@example.com"),
        (2, "limit 2", "ann@example.com"),
        (1, "limit 1", "ann@example.com"),
    ]
    assert found[0].row.at_us == 1_767_268_800_000_001
    heads, faults, _ = await audit.verify(pool, tenant_id)
    assert [(head.chain, head.seq, head.first_seq) for head in heads] == [(Chain.TENANT, 3, 1)]
    assert faults == []
    # Somebody else has the tenant: neither the thing nor its entry.
    await pool.execute("update broadaxe.lease set expires_at = clock_timestamp() - interval '1 s'")
    await take_lease(pool, tenant_id, OTHER_NODE)
    with pytest.raises(LeaseLost):
        await decide(journal, tenant, limit(4))
    assert len(await read(pool, tenant_id)) == await pool.fetchval("select count(*) from broadaxe.rate_limit") == 3


async def test_what_is_rolled_back_leaves_no_entry_and_no_gap(pool: asyncpg.Pool) -> None:
    tenant_id = await make_tenant(pool)
    await note(pool, tenant_id)

    async def fail() -> None:
        async with pool.acquire() as connection, connection.transaction():
            await audit.write(connection, tenant_id, ANN, Action.WEBHOOK_CREATE, Subject("id", "lost", None))
            raise RuntimeError("lost")

    with pytest.raises(RuntimeError, match="lost"):
        await fail()
    await note(pool, tenant_id)
    assert [entry.seq for entry in await read(pool, tenant_id)] == [2, 1]
    assert (await audit.verify(pool, tenant_id))[1] == []


async def test_many_who_write_the_first_entries_at_once_make_one_chain(pool: asyncpg.Pool) -> None:
    tenant_id = await make_tenant(pool)
    await asyncio.gather(*(note(pool, tenant_id, str(number)) for number in range(20)))
    assert sorted(entry.seq for entry in await read(pool, tenant_id)) == list(range(1, 21))
    assert (await audit.verify(pool, tenant_id))[1] == []


async def test_an_edge_that_hangs_in_its_transaction_does_not_hold_up_the_tenant(pool: asyncpg.Pool) -> None:
    tenant_id = await make_tenant(pool)
    journal = await make_journal(pool, tenant_id)
    async with pool.acquire() as connection, connection.transaction():
        await audit.write(connection, tenant_id, ANN, Action.WEBHOOK_CREATE, Subject("id", "slow", None))
        await asyncio.wait_for(decide(journal, Tenant(new_id), limit(1)), 10)
    assert {entry.chain for entry in await read(pool, tenant_id)} == {Chain.TENANT, Chain.EDGE}


async def test_a_commit_without_entries_does_not_touch_the_log(pool: asyncpg.Pool) -> None:
    tenant_id = await make_tenant(pool)
    journal, tenant = await make_journal(pool, tenant_id), Tenant(new_id)
    await journal.commit(tenant.decide([limit(1)], 1_767_268_800_000_001).writes)
    assert await pool.fetchval("select count(*) from broadaxe.audit_chain") == 0


TAMPERING = {
    "changed": ("update broadaxe.audit_entry set by_name = 'bob' where seq = 3", 3),
    "value-changed": ("update broadaxe.audit_entry set after = '{}' where seq = 2", 2),
    "moved-to-another-time": ("update broadaxe.audit_entry set at = at + interval '1 us' where seq = 4", 4),
    "taken-out": ("delete from broadaxe.audit_entry where seq = 2", 2),
    "newest-taken-out": ("delete from broadaxe.audit_entry where seq = 5", 5),
    "oldest-taken-out": ("delete from broadaxe.audit_entry where seq = 1", 1),
    "order-changed": ("update broadaxe.audit_entry set seq = case seq when 2 then 1002 else 2 end where seq = 2", 2),
    "end-set-back": ("update broadaxe.audit_chain set seq = 4", 4),
    "end-changed": ("update broadaxe.audit_chain set hash = sha256('x')", 5),
    "beginning-changed": ("update broadaxe.audit_chain set trimmed_hash = sha256('x')", 0),
}


@pytest.mark.parametrize(("statement", "seq"), TAMPERING.values(), ids=TAMPERING)
async def test_what_was_done_to_the_log_shows(pool: asyncpg.Pool, statement: str, seq: int) -> None:
    tenant_id = await make_tenant(pool)
    for number in range(5):
        await note(pool, tenant_id, str(number))
    await pool.execute(statement)
    _, faults, _ = await audit.verify(pool, None)
    assert [(fault.tenant_id, fault.chain, fault.seq) for fault in faults] == [(tenant_id, Chain.EDGE, seq)]


async def test_a_log_that_was_written_anew_is_told_by_an_end_kept_elsewhere(pool: asyncpg.Pool) -> None:
    tenant_id = await make_tenant(pool)
    await note(pool, tenant_id)
    (kept,), _, _ = await audit.verify(pool, tenant_id)
    await note(pool, tenant_id)
    assert (await audit.verify(pool, tenant_id, [kept.hash.upper()]))[1:] == ([], [])
    await pool.execute("truncate broadaxe.audit_entry, broadaxe.audit_chain")
    await note(pool, tenant_id)
    await note(pool, tenant_id)
    assert (await audit.verify(pool, tenant_id, [kept.hash]))[1:] == ([], [kept.hash])


async def test_old_entries_go_and_the_rest_still_holds(pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "TRIMMED_AT_ONCE_MAX", 2)
    tenant_id, other = await make_tenant(pool), await make_tenant(pool)
    for number in range(5):
        await note(pool, tenant_id, str(number))
    await note(pool, other)
    now = datetime.now(UTC)
    assert await audit.trim(pool, now, 1) == 0
    assert await audit.trim(pool, now + timedelta(days=2), 1) == 6
    await note(pool, tenant_id, "new")
    assert [(entry.seq, entry.row.object_name) for entry in await read(pool, tenant_id)] == [(6, "new")]
    heads, faults, _ = await audit.verify(pool, None)
    assert faults == []
    assert {(head.tenant_id, head.seq, head.first_seq) for head in heads} == {(tenant_id, 6, 6), (other, 1, 2)}


async def test_entries_are_found_by_what_they_say_and_in_their_tenant_only(pool: asyncpg.Pool) -> None:
    tenant_id, other = await make_tenant(pool), await make_tenant(pool)
    await note(pool, other)
    await note(pool, tenant_id, "first")
    async with pool.acquire() as connection, connection.transaction():
        by = Initiator(InitiatorKind.CLI, "", "root")
        await audit.write(
            connection, tenant_id, by, Action.TOKEN_REVOKE, Subject("t-1", "ci", None), before={"name": "ci"}
        )
        await audit.write(
            connection, tenant_id, by, Action.TENANT_CHANGE, Subject("", "", None), refusal="it is not yours"
        )
    wanted = {
        "all": (AuditFilter(), ["tenant.change", "token.revoke", "webhook.create"]),
        "action": (AuditFilter(action=Action.TOKEN_REVOKE), ["token.revoke"]),
        "who": (AuditFilter(by_id="ann-id"), ["webhook.create"]),
        "kind": (AuditFilter(by_kind=InitiatorKind.CLI), ["tenant.change", "token.revoke"]),
        "object": (AuditFilter(object_id="t-1"), ["token.revoke"]),
        "refused": (AuditFilter(is_refused=True), ["tenant.change"]),
        "later": (AuditFilter(since=datetime.now(UTC) + timedelta(hours=1)), []),
        "earlier": (AuditFilter(until=datetime.now(UTC) - timedelta(hours=1)), []),
    }
    for name, (filter_, actions) in wanted.items():
        assert [entry.row.action for entry in await read(pool, tenant_id, filter_)] == actions, name
