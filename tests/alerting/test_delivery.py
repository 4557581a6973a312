"""Messages reach their channels: signed, again if need be, not lost with an engine, never to a private address."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from ipaddress import ip_network

import asyncpg
import msgspec
import pytest

from broadaxe import mail
from broadaxe.alerting import pump as pump_module
from broadaxe.alerting import sending
from broadaxe.alerting.addresses import Networks
from broadaxe.alerting.pump import AT_ONCE_OF_TENANT_MAX, ATTEMPTS_MAX, AlertPump
from broadaxe.alerting.sending import Sender
from broadaxe.alerting.targets import EmailTarget, PagerDutyTarget, SlackTarget, Target, WebhookTarget, new_secret
from broadaxe.core.alert_texts import AlertMessage, AlertOccasion
from broadaxe.core.commands.alerts import AlertKind, PutAlertRule
from broadaxe.core.commands.attempts import Outcome
from broadaxe.core.durations import US_PER_S
from broadaxe.mail import Mailer, parse_smtp_url
from broadaxe.rest.webhook_proofs import HmacProof, NotProven, check
from broadaxe.storage.alerts import AlertDeliveryRecord, Alerts
from broadaxe.storage.audit import command_line
from broadaxe.storage.ids import new_id
from broadaxe.storage.outbox import OutboxListener
from broadaxe.storage.vault import Vault
from tests.alerting.receiver import PATIENCE_S, Request, receiver
from tests.engine.house import House, ManualClock, house
from tests.mailbox import Mailbox, mail_server
from tests.storage.ground import make_tenant

LOOPBACK = (ip_network("127.0.0.1"),)
KEY = bytes(range(32))
SECRET = new_secret()
NOW_US = 1_767_268_800_000_000


class Post:
    """A pump and the channels of tenants."""

    def __init__(self, pool: asyncpg.Pool, alerts: Alerts, pump: AlertPump, settled: asyncio.Queue[str]) -> None:
        self.pool = pool
        self.alerts = alerts
        self.pump = pump
        self._settled = settled

    async def channel(self, tenant_id: str, target: Target) -> str:
        text = msgspec.json.encode(target).decode()
        made = await self.alerts.create_channel(
            tenant_id, name=new_id(), kind="WEBHOOK", target=text, shown="", by=command_line("root")
        )
        return made.id

    async def send(self, tenant_id: str, channel_id: str, occasion: AlertOccasion = AlertOccasion.FIRED) -> str:
        delivery_id = await self.alerts.add(tenant_id, channel_id, message(occasion))
        self.pump.tell()
        return delivery_id

    async def settled(self) -> None:
        """Something came of a message."""
        async with asyncio.timeout(PATIENCE_S):
            await self._settled.get()

    async def deliveries(self, tenant_id: str) -> list[AlertDeliveryRecord]:
        return (await self.alerts.deliveries(tenant_id, alert_id=None, channel_id=None, limit=50)).rows


@asynccontextmanager
async def post(
    pool: asyncpg.Pool,
    *,
    allowed: Networks = LOOPBACK,
    again_first_s: float = 0.0,
    mailer: Mailer | None = None,
    now: Callable[[], datetime] = lambda: datetime(2026, 1, 1, 12, 30, tzinfo=UTC),
) -> AsyncIterator[Post]:
    alerts = Alerts(pool, Vault((KEY,)))
    settled: asyncio.Queue[str] = asyncio.Queue()
    sender = Sender(allowed, lambda: "http://console.test", mailer)
    pump = AlertPump(alerts, sender, settled.put_nowait, again_first_s, now)
    pump.start()
    try:
        yield Post(pool, alerts, pump, settled)
    finally:
        await pump.stop()


def message(occasion: AlertOccasion = AlertOccasion.FIRED) -> AlertMessage:
    return AlertMessage(
        occasion=occasion,
        title="flow: a run failed",
        text="The last error: <b> & more",
        rule="failures",
        rule_id=new_id(),
        alert_id="00000000-0000-7000-8000-0000000000a1",
        kind=AlertKind.RUN_FAILED,
        subject="flow",
        count=3,
        opened_at_us=NOW_US,
        at_us=NOW_US,
        run_id="00000000-0000-7000-8000-0000000000b1",
        error="<b> & more",
    )


def prove(request: Request, secret: str = SECRET) -> None:
    """As our own webhooks check what they are sent in this form."""
    proof = HmacProof("SHA256", "BASE64", "webhook-signature", secret)
    check(proof, "SVIX", request.headers, request.body, now_s=time.time())


async def rule(home: House, channel_id: str) -> None:
    put = PutAlertRule(
        name="failures",
        kind=AlertKind.RUN_FAILED,
        threshold=1,
        window_us=60 * US_PER_S,
        quiet_us=0,
        channel_ids=(channel_id,),
    )
    await home.submit(put)


async def fail_a_run(home: House) -> str:
    await home.session()
    run_id = await home.trigger()
    await home.report(run_id, Outcome.FAILED, "it broke")
    return run_id


async def test_a_failed_run_is_told_by_a_signed_request_and_later_that_it_is_over(
    database: str, pool: asyncpg.Pool
) -> None:
    tenant_id = await make_tenant(pool)
    clock = ManualClock(NOW_US)
    async with (
        receiver() as hook,
        post(pool) as office,
        house(database, pool, tenant_id=tenant_id, clock=clock) as home,
    ):
        await home.put()
        await rule(home, await office.channel(tenant_id, WebhookTarget(hook.url, SECRET)))
        run_id = await fail_a_run(home)
        office.pump.tell()
        fired = await hook.next()
        prove(fired)
        data = fired.json["data"]
        assert isinstance(data, dict)
        assert fired.json["type"] == "alert.fired"
        assert (data["subject"], data["runId"], data["error"], data["count"]) == ("flow", run_id, "it broke", 1)
        assert data["url"] == f"http://console.test/runs/{run_id}"
        assert (fired.path, fired.headers["broadaxe-attempt"]) == ("/hook?team=1", "1")
        clock.us += 120 * US_PER_S
        await home.put(name="other")
        office.pump.tell()
        over = await hook.next()
        prove(over)
        assert over.json["type"] == "alert.resolved"
        await office.settled()
        await office.settled()
        rows = await office.deliveries(tenant_id)
        assert [(row.occasion, row.status) for row in rows] == [("RESOLVED", "DELIVERED"), ("FIRED", "DELIVERED")]
        (alert,) = (await office.alerts.page(tenant_id, rule_id=None, status="RESOLVED", limit=10)).rows
        assert alert.id == rows[0].alert_id == rows[1].alert_id


async def test_what_was_committed_is_told_after_the_engine_went_away(database: str, pool: asyncpg.Pool) -> None:
    tenant_id = await make_tenant(pool)
    clock = ManualClock(NOW_US)
    async with receiver() as hook:
        async with house(database, pool, tenant_id=tenant_id, clock=clock) as home:
            await home.put()
            alerts = Alerts(pool, Vault((KEY,)))
            text = msgspec.json.encode(WebhookTarget(hook.url, SECRET)).decode()
            channel = await alerts.create_channel(
                tenant_id, name="team", kind="WEBHOOK", target=text, shown="", by=command_line("root")
            )
            await rule(home, channel.id)
            await fail_a_run(home)
        # Whoever takes it breaks off as well.
        assert await alerts.claim(0.0) is not None
        clock.us += 120 * US_PER_S
        async with post(pool) as office:
            fired = await hook.next()
            assert (fired.json["type"], fired.headers["broadaxe-attempt"]) == ("alert.fired", "2")
            listener = OutboxListener(database, lambda *_: None, lambda: None, on_alerts=office.pump.tell)
            await listener.start()
            # Nobody asks for the tenant: it comes back because its alert is not over.
            async with house(database, pool, tenant_id=tenant_id, clock=clock):
                assert (await hook.next()).json["type"] == "alert.resolved"
            await listener.stop()


async def test_a_receiver_that_fails_is_asked_again_with_the_same_id(pool: asyncpg.Pool) -> None:
    tenant_id = await make_tenant(pool)
    async with receiver(500, 404, 204) as hook, post(pool) as office:
        await office.send(tenant_id, await office.channel(tenant_id, WebhookTarget(hook.url, SECRET)))
        requests = [await hook.next() for _ in range(3)]
        for request in requests:
            prove(request)
        assert [request.headers["broadaxe-attempt"] for request in requests] == ["1", "2", "3"]
        assert len({request.headers["webhook-id"] for request in requests}) == 1
        for _ in requests:
            await office.settled()
        (row,) = await office.deliveries(tenant_id)
        assert (row.status, row.attempts, row.error) == ("DELIVERED", 3, None)


async def test_what_nobody_takes_is_given_up_in_the_end_and_says_why(pool: asyncpg.Pool) -> None:
    tenant_id = await make_tenant(pool)
    async with receiver(503) as hook, post(pool) as office:
        await office.send(tenant_id, await office.channel(tenant_id, WebhookTarget(hook.url, SECRET)))
        for _ in range(ATTEMPTS_MAX):
            await office.settled()
        (row,) = await office.deliveries(tenant_id)
        assert (row.status, row.attempts) == ("FAILED", ATTEMPTS_MAX)
        assert row.error == "127.0.0.1 answered 503: no luck"


async def test_a_receiver_that_answers_late_hears_that_it_is_asked_again(
    pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "ANSWER_S", 0.2)
    tenant_id = await make_tenant(pool)
    async with receiver(None, 200) as hook, post(pool) as office:
        await office.send(tenant_id, await office.channel(tenant_id, WebhookTarget(hook.url, SECRET)))
        # Under load a request may be given up before it arrives; one that arrived and got no answer is among them.
        async with asyncio.timeout(PATIENCE_S):
            while (await office.deliveries(tenant_id))[0].status == "WAITING":
                await office.settled()
        (row,) = await office.deliveries(tenant_id)
        assert row.status == "DELIVERED"
        requests = [hook.requests.get_nowait() for _ in range(hook.requests.qsize())]
        assert len(requests) > 1
        assert len({request.headers["webhook-id"] for request in requests}) == 1
        numbers = [int(request.headers["broadaxe-attempt"]) for request in requests]
        assert numbers == sorted(set(numbers))
        assert numbers[-1] == row.attempts


async def test_receivers_that_hang_keep_no_other_tenant_waiting(pool: asyncpg.Pool) -> None:
    slow_id, quick_id = await make_tenant(pool), await make_tenant(pool)
    async with receiver(None) as slow, receiver() as quick, post(pool) as office:
        channel_id = await office.channel(slow_id, WebhookTarget(slow.url, SECRET))
        for _ in range(AT_ONCE_OF_TENANT_MAX + 3):
            await office.send(slow_id, channel_id)
        for _ in range(AT_ONCE_OF_TENANT_MAX):
            await slow.next()
        await office.send(quick_id, await office.channel(quick_id, WebhookTarget(quick.url, SECRET)))
        await quick.next()
        assert slow.requests.empty()
        (row,) = await office.deliveries(quick_id)
        assert row.channel_name is not None


async def test_another_answer_is_not_followed_elsewhere(pool: asyncpg.Pool) -> None:
    tenant_id = await make_tenant(pool)
    async with receiver(307) as hook, post(pool, again_first_s=1000.0) as office:
        await office.send(tenant_id, await office.channel(tenant_id, WebhookTarget(hook.url, SECRET)))
        await office.settled()
        (row,) = await office.deliveries(tenant_id)
        assert row.error == "127.0.0.1 answered 307 and points elsewhere, which is not followed"
        assert (await hook.next()).path == "/hook?team=1"
        assert hook.requests.empty()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0x7f.1", "169.254.169.254"])
async def test_a_private_address_is_refused_at_the_last_moment_too(pool: asyncpg.Pool, host: str) -> None:
    tenant_id = await make_tenant(pool)
    async with receiver() as hook, post(pool, allowed=(), again_first_s=1000.0) as office:
        url = f"http://{host}:{hook.port}/"
        await office.send(tenant_id, await office.channel(tenant_id, WebhookTarget(url, SECRET)))
        await office.settled()
        (row,) = await office.deliveries(tenant_id)
        assert "private address" in (row.error or "")
        assert "--alert-networks" in (row.error or "")
        assert hook.requests.empty()


async def test_slack_gets_a_text_that_means_what_it_says(pool: asyncpg.Pool) -> None:
    tenant_id = await make_tenant(pool)
    async with receiver() as hook, post(pool) as office:
        await office.send(tenant_id, await office.channel(tenant_id, SlackTarget(hook.url)))
        request = await hook.next()
        assert request.json["text"] == (
            "*flow: a run failed*\nThe last error: &lt;b&gt; &amp; more\n"
            "<http://console.test/runs/00000000-0000-7000-8000-0000000000b1|test>"
        )


async def test_pagerduty_gets_an_incident_and_its_end(pool: asyncpg.Pool) -> None:
    tenant_id = await make_tenant(pool)
    async with receiver(202) as hook, post(pool) as office:
        channel_id = await office.channel(tenant_id, PagerDutyTarget("R" * 32, hook.url))
        await office.send(tenant_id, channel_id)
        fired = (await hook.next()).json
        assert (fired["event_action"], fired["dedup_key"]) == ("trigger", "00000000-0000-7000-8000-0000000000a1")
        payload = fired["payload"]
        assert isinstance(payload, dict)
        assert (payload["summary"], payload["severity"], payload["source"]) == (
            "flow: a run failed",
            "error",
            "broadaxe test",
        )
        await office.send(tenant_id, channel_id, AlertOccasion.RESOLVED)
        assert (await hook.next()).json == {
            "routing_key": "R" * 32,
            "event_action": "resolve",
            "dedup_key": "00000000-0000-7000-8000-0000000000a1",
        }


@asynccontextmanager
async def mail_office(
    pool: asyncpg.Pool, now: Callable[[], datetime] = lambda: datetime(2026, 1, 1, 12, 30, tzinfo=UTC)
) -> AsyncIterator[tuple[Mailbox, Post]]:
    mailbox = Mailbox()
    async with mail_server(mailbox):
        mailer = Mailer(parse_smtp_url(mailbox.url), "Broadaxe <broadaxe@example.com>")
        async with post(pool, mailer=mailer, now=now) as office:
            yield mailbox, office


async def test_a_mail_says_it_in_two_forms_and_stands_with_the_others_of_its_alert(pool: asyncpg.Pool) -> None:
    tenant_id = await make_tenant(pool)
    async with mail_office(pool) as (mailbox, office):
        channel_id = await office.channel(tenant_id, EmailTarget(("ada@example.com", "bob@example.com")))
        fired_id = await office.send(tenant_id, channel_id)
        await office.settled()
        await office.send(tenant_id, channel_id, AlertOccasion.RESOLVED)
        await office.settled()
        await office.send(tenant_id, channel_id, AlertOccasion.TEST)
        await office.settled()
        fired, over, test = [mailbox.mails.get_nowait() for _ in range(3)]
    assert mailbox.recipients[0] == ["ada@example.com", "bob@example.com"]
    assert fired["To"] == "ada@example.com, bob@example.com"
    assert fired["Subject"] == "[test] flow: a run failed"
    plain, page = (part.get_content() for part in fired.iter_parts())
    link = "http://console.test/runs/00000000-0000-7000-8000-0000000000b1"
    assert "The last error: <b> & more" in plain and link in plain and "The rule failures of test" in plain
    assert "The last error: &lt;b&gt; &amp; more" in page and f'<a href="{link}">' in page and "<b>" not in page
    assert fired["Message-ID"] == f"<{fired_id}@example.com>"
    thread = "<alert.00000000-0000-7000-8000-0000000000a1@example.com>"
    assert [each["References"] for each in (fired, over, test)] == [thread, thread, None]
    assert len({each["Message-ID"] for each in (fired, over, test)}) == 3


async def test_a_mail_is_tried_again_as_the_same_one_until_the_server_takes_it(pool: asyncpg.Pool) -> None:
    tenant_id = await make_tenant(pool)
    async with mail_office(pool) as (mailbox, office):
        channel_id = await office.channel(tenant_id, EmailTarget(("ada@example.com",)))
        mailbox.refusal = "451 not now"
        delivery_id = await office.send(tenant_id, channel_id)
        await office.settled()
        (row,) = await office.deliveries(tenant_id)
        assert "451" in (row.error or "") or "not now" in (row.error or "")
        mailbox.refusal = None
        async with asyncio.timeout(PATIENCE_S):
            taken = await mailbox.mails.get()
        assert taken["Message-ID"] == f"<{delivery_id}@example.com>"
        while (await office.deliveries(tenant_id))[0].status == "WAITING":
            await office.settled()
        assert mailbox.mails.empty()
        (row,) = await office.deliveries(tenant_id)
        assert (row.status, row.error) == ("DELIVERED", None) and row.attempts > 1


async def test_one_address_that_is_refused_keeps_the_mail_from_nobody_else(pool: asyncpg.Pool) -> None:
    tenant_id = await make_tenant(pool)
    async with mail_office(pool) as (mailbox, office):
        mailbox.unknown = "bob@example.com"
        await office.send(tenant_id, await office.channel(tenant_id, EmailTarget(("ada@example.com", mailbox.unknown))))
        await office.settled()
        (row,) = await office.deliveries(tenant_id)
        assert (row.status, row.attempts) == ("DELIVERED", 1)
        assert "refuses the address bob@example.com" in (row.error or "")
        assert mailbox.recipients == [["ada@example.com"]]


async def test_a_tenant_gets_so_many_mails_in_an_hour_and_the_last_one_says_so(
    pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pump_module, "MAILS_PER_HOUR_MAX", 2)
    tenant_id, other_id = await make_tenant(pool), await make_tenant(pool)
    at = datetime(2026, 1, 1, 12, 59, tzinfo=UTC)
    async with mail_office(pool, lambda: at) as (mailbox, office):
        channel_id = await office.channel(tenant_id, EmailTarget(("ada@example.com",)))

        async def given(of: str, channel: str) -> AlertDeliveryRecord:
            sent = await office.send(of, channel)
            await office.settled()
            return next(row for row in await office.deliveries(of) if row.id == sent)

        # One that the server refuses is none: it may still be sent.
        mailbox.refusal = "550 no"
        monkeypatch.setattr(pump_module, "ATTEMPTS_MAX", 1)
        assert (await given(tenant_id, channel_id)).status == "FAILED"
        mailbox.refusal = None
        assert [(await given(tenant_id, channel_id)).status for _ in range(2)] == ["DELIVERED", "DELIVERED"]
        first, last = [mailbox.mails.get_nowait() for _ in range(2)]
        said = "this is the last one until 13:00 UTC"
        assert said not in str(first) and said in " ".join(str(last).replace("=\n", "").split())
        held = await given(tenant_id, channel_id)
        assert (held.status, held.error) == ("FAILED", pump_module.HELD_BACK)
        assert mailbox.mails.empty()
        # Others are told of theirs, and the next hour is another one.
        others = await office.channel(other_id, EmailTarget(("eve@example.com",)))
        assert (await given(other_id, others)).status == "DELIVERED"
        at = datetime(2026, 1, 1, 13, 0, tzinfo=UTC)
        assert (await given(tenant_id, channel_id)).status == "DELIVERED"


async def test_an_engine_without_a_mail_server_says_so(pool: asyncpg.Pool) -> None:
    tenant_id = await make_tenant(pool)
    async with post(pool, again_first_s=1000.0) as office:
        await office.send(tenant_id, await office.channel(tenant_id, EmailTarget(("ada@example.com",))))
        await office.settled()
        (row,) = await office.deliveries(tenant_id)
        assert "--smtp-url" in (row.error or "")


async def test_a_channel_that_is_gone_is_no_reason_to_try_again(pool: asyncpg.Pool) -> None:
    tenant_id = await make_tenant(pool)
    async with post(pool) as office:
        await office.send(tenant_id, new_id())
        await office.settled()
        (row,) = await office.deliveries(tenant_id)
        assert (row.status, row.error) == ("FAILED", "the channel is gone")


def test_a_message_is_held_for_longer_than_giving_it_takes() -> None:
    assert pump_module.CLAIM_S > pump_module.GIVE_S > max(sending.ANSWER_S, mail.SEND_S)


def test_another_secret_signs_otherwise() -> None:
    body, now_s = b"{}", int(time.time())
    headers = {
        "webhook-id": "1",
        "webhook-timestamp": str(now_s),
        "webhook-signature": sending.signature(SECRET, "1", now_s, body),
    }
    prove(Request("/", headers, body))
    with pytest.raises(NotProven):
        prove(Request("/", headers, body), new_secret())
