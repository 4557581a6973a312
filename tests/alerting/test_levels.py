"""Each kind of rule on a real engine, through a real receiver: it is told of, and later that it is over."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest

from broadaxe.alerting.lookout import AlertLookout
from broadaxe.alerting.targets import WebhookTarget
from broadaxe.core.commands.alerts import AlertKind, NoteAlertFacts, PutAlertRule
from broadaxe.core.commands.crons import CreateCron, DeleteCron
from broadaxe.core.durations import US_PER_S
from broadaxe.storage.ids import new_id
from tests.alerting.receiver import Receiver, receiver
from tests.alerting.test_delivery import NOW_US, SECRET, Post, post
from tests.core.world import task
from tests.engine.house import House, ManualClock, house
from tests.storage.ground import make_tenant

MINUTE_S = 60


class Watched:
    """An engine whose clock is moved by hand, with a receiver of what it tells."""

    def __init__(self, home: House, clock: ManualClock, hook: Receiver, office: Post) -> None:
        self.home = home
        self.clock = clock
        self.hook = hook
        self.office = office

    async def rule(self, kind: AlertKind, *, window_s: int, threshold: int = 1, workflow: str = "") -> str:
        channel_id = await self.office.channel(self.home.tenant_id, WebhookTarget(self.hook.url, SECRET))
        put = PutAlertRule(
            name=kind,
            kind=kind,
            workflow=workflow,
            threshold=threshold,
            window_us=window_s * US_PER_S,
            quiet_us=3600 * US_PER_S,
            channel_ids=(channel_id,),
        )
        return str(await self.home.submit(put))

    async def passes(self, *seconds: float) -> None:
        for each in seconds:
            self.clock.us += round(each * US_PER_S)
            await self.home.put(task("other"), name="other")

    async def told(self, occasion: str, subject: str) -> dict[str, object]:
        self.office.pump.tell()
        request = await self.hook.next()
        data = request.json["data"]
        assert isinstance(data, dict)
        assert (request.json["type"], data["subject"]) == (f"alert.{occasion}", subject)
        return data


@asynccontextmanager
async def watched(
    database: str, pool: asyncpg.Pool, *, enforce_quotas: bool = False, tenant_id: str | None = None
) -> AsyncIterator[Watched]:
    clock = ManualClock(NOW_US)
    tenant_id = tenant_id or await make_tenant(pool)
    async with (
        receiver() as hook,
        post(pool) as office,
        house(database, pool, tenant_id=tenant_id, clock=clock, enforce_quotas=enforce_quotas) as home,
    ):
        await home.put(task("a", schedule_timeout="24h"))
        yield Watched(home, clock, hook, office)


async def test_an_old_queue(database: str, pool: asyncpg.Pool) -> None:
    async with watched(database, pool) as it:
        await it.rule(AlertKind.QUEUE_AGE, window_s=10 * MINUTE_S)
        await it.home.trigger()
        await it.passes(1, 10 * MINUTE_S)
        assert (await it.told("fired", "flow"))["error"] == "1 tasks of it wait for a worker."
        await it.home.session()
        await it.passes(MINUTE_S)
        await it.told("resolved", "flow")


async def test_no_worker(database: str, pool: asyncpg.Pool) -> None:
    async with watched(database, pool) as it:
        await it.rule(AlertKind.NO_WORKER, window_s=5 * MINUTE_S, workflow="flow")
        await it.passes(1, 5 * MINUTE_S)
        assert (await it.told("fired", "flow"))["text"] == "No worker listens for flow:a."
        await it.home.session()
        await it.passes(2)
        await it.told("resolved", "flow")


async def test_a_missed_cron(database: str, pool: asyncpg.Pool) -> None:
    async with watched(database, pool) as it:
        await it.rule(AlertKind.CRON_MISSED, window_s=60 * MINUTE_S)
        made = CreateCron(workflow_name="flow", name="c", expression="* * * * *", input="{}")
        cron_id = str(await it.home.submit(made))
        await it.home.engine.stop()
        it.clock.us += 30 * MINUTE_S * US_PER_S
        async with house(database, pool, tenant_id=it.home.tenant_id, clock=it.clock) as again:
            it.home = again
            await it.passes(0)
            await it.told("fired", "flow")
            await again.submit(DeleteCron(cron_id))
            await it.passes(70 * MINUTE_S)
            await it.told("resolved", "flow")


async def test_a_limit_that_is_nearly_used(database: str, pool: asyncpg.Pool) -> None:
    async with watched(database, pool, enforce_quotas=True) as it:
        await it.rule(AlertKind.LIMIT_NEARLY_USED, window_s=MINUTE_S, threshold=30)
        await it.passes(2)
        session = await it.home.session(slots=1)
        await it.passes(2)
        assert (await it.told("fired", "WORKER"))["text"] == "1 of 3 are used."
        it.home.engine.close_session(it.home.tenant_id, session)
        await it.passes(2, MINUTE_S)
        await it.told("resolved", "WORKER")


def lookout(it: Watched) -> AlertLookout:
    async def submit(tenant_id: str, command: NoteAlertFacts) -> object:
        return await it.home.engine.submit(tenant_id, command)

    return AlertLookout(it.office.alerts, submit)


async def test_a_token_that_ends_soon(database: str, pool: asyncpg.Pool) -> None:
    async with watched(database, pool) as it:
        looking = lookout(it)
        await looking.look()
        await it.rule(AlertKind.TOKEN_EXPIRING, window_s=7 * 24 * 3600)
        other_id = await make_tenant(pool)
        insert = (
            "insert into broadaxe.api_token (id, tenant_id, name, token_hash, expires_at) "
            "values ($1, $2, $3, $4, now() + make_interval(days => $5))"
        )
        for name, tenant_id, days in (("ci", it.home.tenant_id, 3), ("far", it.home.tenant_id, 30), ("x", other_id, 3)):
            await pool.execute(insert, new_id(), tenant_id, name, f"{tenant_id}{name}".encode(), days)
        await looking.look()
        data = await it.told("fired", "ci")
        assert data["title"] == "The API token ci expires soon"
        assert str(data["text"]).startswith("It ends at 2")
        await pool.execute("update broadaxe.api_token set revoked_at = now() where name = 'ci'")
        await looking.look()
        await it.told("resolved", "ci")
        assert await it.office.alerts.facts(10) == [], "nothing is asked of the tenant any more"


@pytest.mark.parametrize("has_successor", [False, True])
async def test_a_lost_node(database: str, pool: asyncpg.Pool, has_successor: bool) -> None:
    async with watched(database, pool) as it:
        looking = lookout(it)
        await it.rule(AlertKind.NODE_LOST, window_s=MINUTE_S)
        node_id = new_id()
        insert = (
            "insert into broadaxe.node (id, address, link_address, version, renewed_at, expires_at) values "
            "($1, 'a:1', '10.0.0.7:7071', '1', now() - make_interval(mins => $2), now() + make_interval(mins => $3))"
        )
        await pool.execute(insert, node_id, 5, -5)
        await looking.look()
        assert (await it.told("fired", "10.0.0.7:7071"))["title"] == "The node 10.0.0.7:7071 is lost"
        if has_successor:
            await pool.execute(insert, new_id(), 0, 5)
        else:
            await pool.execute("delete from broadaxe.node where id = $1", node_id)
        await looking.look()
        await it.told("resolved", "10.0.0.7:7071")
