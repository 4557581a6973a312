"""Alerts in the tables: rules and what they watch come back after a load, and messages are taken by one at a time."""

from __future__ import annotations

import time

import asyncpg
import msgspec
import pytest

from broadaxe.core.alert_texts import AlertMessage, AlertOccasion
from broadaxe.core.alerts import AlertStatus
from broadaxe.core.commands.alerts import AlertKind, DeleteAlertRule, PutAlertRule
from broadaxe.core.decision import AlertDeliveryRow, AlertRow, Writes
from broadaxe.core.durations import US_PER_S
from broadaxe.core.tenant import Tenant
from broadaxe.errors import AlreadyExists, FailedPrecondition, NotFound, Unavailable
from broadaxe.storage import journal as journal_module
from broadaxe.storage.alerts import AlertChannelRecord, Alerts
from broadaxe.storage.audit import AuditFilter, command_line, page
from broadaxe.storage.ids import new_id
from broadaxe.storage.loader import load_live
from broadaxe.storage.vault import Vault
from tests.storage.ground import make_journal, make_tenant

KEY = bytes(range(32))
ROOT = command_line("root")


def message(occasion: AlertOccasion = AlertOccasion.FIRED) -> AlertMessage:
    return AlertMessage(
        occasion=occasion,
        title="flow: a run failed",
        text="",
        rule="failures",
        rule_id=new_id(),
        alert_id=new_id(),
        kind=AlertKind.RUN_FAILED,
        subject="flow",
        count=1,
        opened_at_us=1,
        at_us=time.time_ns() // 1000,
    )


async def make_channel(alerts: Alerts, tenant_id: str, name: str = "team") -> AlertChannelRecord:
    return await alerts.create_channel(tenant_id, name=name, kind="SLACK", target="secret", shown="shown", by=ROOT)


async def test_rules_and_what_they_watch_come_back(pool: asyncpg.Pool) -> None:
    tenant_id = await make_tenant(pool)
    journal = await make_journal(pool, tenant_id)
    alerts = Alerts(pool, Vault((KEY,)))
    channel = await make_channel(alerts, tenant_id)
    tenant = Tenant(new_id)
    now_us = time.time_ns() // 1000
    put = PutAlertRule(
        name="failures",
        kind=AlertKind.RUN_FAILED,
        threshold=3,
        window_us=60 * US_PER_S,
        quiet_us=0,
        channel_ids=(channel.id,),
        template="{workflow}",
    )
    decision = tenant.decide((put,), now_us)
    await journal.commit(decision.writes)
    (rule_row,) = decision.writes.alert_rules
    watched = AlertRow(
        new_id(), rule_row.id, "failures", "RUN_FAILED", "flow", "FIRING", now_us, now_us, None, 4, new_id(), "no", "{}"
    )
    over = msgspec.structs.replace(watched, id=new_id(), status="RESOLVED", resolved_at_us=now_us, state=None)
    delivery = AlertDeliveryRow(
        new_id(), watched.id, channel.id, "FIRED", msgspec.json.encode(message()).decode(), now_us
    )
    await journal.commit(Writes(alerts=[watched, over], alert_deliveries=[delivery]))
    loaded = await load_live(pool, tenant_id, now_us)
    assert loaded.alert_rules == (rule_row,)
    assert loaded.alerts == (watched,)
    (shown,) = await alerts.rules(tenant_id)
    assert (shown.name, shown.channel_ids, shown.firing) == ("failures", (channel.id,), 1)
    (used,) = await alerts.channels(tenant_id)
    assert used.rules == ("failures",)
    history = await alerts.page(tenant_id, rule_id=None, status=None, limit=10)
    assert [row.status for row in history.rows] == [AlertStatus.RESOLVED, AlertStatus.FIRING]
    (told,) = (await alerts.deliveries(tenant_id, alert_id=watched.id, channel_id=None, limit=10)).rows
    assert (told.channel_name, told.status, told.attempts) == ("team", "WAITING", 0)
    await journal.commit(tenant.decide((DeleteAlertRule(rule_row.id),), now_us).writes)
    await journal.commit(Writes(deleted_alerts=[watched.id]))
    loaded = await load_live(pool, tenant_id, now_us)
    assert (loaded.alert_rules, loaded.alerts) == ((), ())


async def test_the_history_is_bounded(pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    tenant_id = await make_tenant(pool)
    journal = await make_journal(pool, tenant_id)
    alerts = Alerts(pool, Vault((KEY,)))
    steps = tuple(
        step if step.field != "alert_deliveries" else _trimmed(step, 3) for step in journal_module.BEFORE_RUNS
    )
    monkeypatch.setattr(journal_module, "BEFORE_RUNS", steps)
    text = msgspec.json.encode(message()).decode()
    for _ in range(5):
        row = AlertRow(new_id(), new_id(), "r", "RUN_FAILED", "flow", "RESOLVED", 1, 1, 1, 1, None, None, None)
        given = AlertDeliveryRow(new_id(), row.id, new_id(), "FIRED", text, 1)
        await journal.commit(Writes(alerts=[row], alert_deliveries=[given]))
        taken = await alerts.claim(60.0)
        assert taken is not None
        await alerts.delivered(taken)
    # The newest stays out of the count: it is still waiting when it comes.
    assert await pool.fetchval("select count(*) from broadaxe.alert_delivery") == 3
    assert await pool.fetchval("select count(*) from broadaxe.alert") == 3


def _trimmed(step: journal_module.Step, kept_max: int) -> journal_module.Step:
    return journal_module.Step(step.field, step.statement, step.arguments, ("trim_alert_deliveries", kept_max))


async def test_a_message_is_taken_by_one_at_a_time_and_again_if_it_breaks_off(pool: asyncpg.Pool) -> None:
    tenant_id, other_id = await make_tenant(pool), await make_tenant(pool)
    alerts = Alerts(pool, Vault((KEY,)))
    channel = await make_channel(alerts, tenant_id)
    await alerts.add(tenant_id, channel.id, message(AlertOccasion.TEST))
    assert await alerts.claim(60.0, [tenant_id]) is None
    taken = await alerts.claim(0.0, [other_id])
    assert taken is not None
    assert taken.target is not None
    assert (taken.attempts, alerts.target_of(tenant_id, channel.id, taken.target)) == (1, "secret")
    again = await alerts.claim(60.0)
    assert again is not None, "the first one broke off"
    assert (again.id, again.attempts) == (taken.id, 2)
    assert await alerts.claim(60.0) is None
    # Whoever was too slow says nothing any more.
    await alerts.give_up(taken, "too slow")
    await alerts.try_again(again, "no answer", 0.0)
    (shown,) = (await alerts.deliveries(tenant_id, alert_id=None, channel_id=channel.id, limit=10)).rows
    assert (shown.status, shown.error) == ("WAITING", "no answer")
    last = await alerts.claim(60.0)
    assert last is not None
    await alerts.delivered(last)
    assert await alerts.next_in_s() is None
    (shown,) = (await alerts.deliveries(tenant_id, alert_id=None, channel_id=None, limit=10)).rows
    assert (shown.status, shown.attempts, shown.error) == ("DELIVERED", 3, None)


async def test_a_message_of_a_channel_that_is_gone_says_so(pool: asyncpg.Pool) -> None:
    tenant_id = await make_tenant(pool)
    alerts = Alerts(pool, Vault((KEY,)))
    await alerts.add(tenant_id, new_id(), message())
    taken = await alerts.claim(60.0)
    assert taken is not None
    assert taken.target is None


async def test_channels_are_the_tenants_own_and_leave_entries(pool: asyncpg.Pool) -> None:
    tenant_id, other_id = await make_tenant(pool), await make_tenant(pool)
    alerts = Alerts(pool, Vault((KEY,)))
    channel = await make_channel(alerts, tenant_id)
    await make_channel(alerts, other_id)
    assert b"secret" not in channel.target
    with pytest.raises(AlreadyExists):
        await make_channel(alerts, tenant_id)
    with pytest.raises(NotFound):
        await alerts.channel(other_id, channel.id)
    with pytest.raises(NotFound):
        await alerts.delete_channel(other_id, channel.id, ROOT)
    with pytest.raises(Unavailable):
        alerts.target_of(other_id, channel.id, channel.target)
    await alerts.change_channel(tenant_id, channel.id, name="others", target=None, shown=None, by=ROOT)
    await alerts.delete_channel(tenant_id, channel.id, ROOT)
    entries = (await page(pool, tenant_id, AuditFilter(), limit=10)).rows
    assert [entry.row.action for entry in reversed(entries)] == [
        "alert_channel.create",
        "alert_channel.change",
        "alert_channel.delete",
    ]
    assert not any("secret" in f"{entry.row.before}{entry.row.after}" for entry in entries)


async def test_a_channel_that_a_rule_uses_stays(pool: asyncpg.Pool) -> None:
    tenant_id = await make_tenant(pool)
    journal = await make_journal(pool, tenant_id)
    alerts = Alerts(pool, Vault((KEY,)))
    channel = await make_channel(alerts, tenant_id)
    put = PutAlertRule(
        name="failures",
        kind=AlertKind.RUN_FAILED,
        threshold=1,
        window_us=60 * US_PER_S,
        quiet_us=0,
        channel_ids=(channel.id,),
    )
    await journal.commit(Tenant(new_id).decide((put,), 1).writes)
    with pytest.raises(FailedPrecondition, match="'failures'"):
        await alerts.delete_channel(tenant_id, channel.id, ROOT)


async def test_without_a_key_no_secret_is_taken(pool: asyncpg.Pool) -> None:
    tenant_id = await make_tenant(pool)
    with pytest.raises(FailedPrecondition, match="BROADAXE_SECRET_KEY"):
        await make_channel(Alerts(pool, Vault()), tenant_id)
