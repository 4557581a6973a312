"""Giving one message to one channel: what each kind of channel is sent, and when that counts as taken.

A request is taken if it is answered 2xx within `ANSWER_S`. Redirects are not followed. Nothing of an answer is kept but
its first characters, for people to read. Invariants: targets and secrets are in no error and no log line.

Source: the signature is that of Standard Webhooks (https://www.standardwebhooks.com), symmetric, version 1.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import html
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from typing import TYPE_CHECKING, Final

import msgspec

from broadaxe.alerting.addresses import Networks, Place, place_of
from broadaxe.alerting.targets import EmailTarget, PagerDutyTarget, SlackTarget, Target, WebhookTarget, secret_bytes
from broadaxe.core.alert_texts import AlertMessage, AlertOccasion
from broadaxe.errors import Unavailable
from broadaxe.storage.alerts import ClaimedDelivery

if TYPE_CHECKING:
    import httpx

    from broadaxe.mail import Mailer

__all__ = ["NO_MAIL", "Sender", "signature"]

#: Why a mail is not sent, or its channel not made.
NO_MAIL: Final = "this server sends no mail; whoever runs it sets --smtp-url and --mail-from"

ANSWER_S: Final = 10.0
ANSWER_BYTES_SHOWN: Final = 300
PAGERDUTY_SUMMARY_CHARS_MAX: Final = 1_024

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def signature(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """The header `webhook-signature` of Standard Webhooks."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    digest = hmac.new(secret_bytes(secret), signed, hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode()


class Sender:
    """`server_url` is where people open runs; no mails are sent without a `mailer`. Close it when nobody sends any
    more."""

    def __init__(self, allowed: Networks, server_url: Callable[[], str], mailer: Mailer | None = None) -> None:
        self._allowed = allowed
        self._mailer = mailer
        self._server_url = server_url
        self._client: httpx.AsyncClient | None = None

    async def send(self, taken: ClaimedDelivery, target: Target, last_until: datetime | None = None) -> str | None:
        """Returns when the channel took it, with what people should know of it all the same. Unavailable or
        InvalidArgument, in words for people, when it did not. `last_until`: a mail is the last one until then, and says
        so."""
        message = taken.message
        headers: dict[str, str] = {}
        match target:
            case WebhookTarget(url, secret):
                body = msgspec.json.encode(self._event(taken))
                timestamp = int(time.time())
                headers["webhook-id"] = taken.id
                headers["webhook-timestamp"] = str(timestamp)
                headers["webhook-signature"] = signature(secret, taken.id, timestamp, body)
                headers["broadaxe-attempt"] = str(taken.attempts)
            case SlackTarget(url):
                body = msgspec.json.encode({"text": self._slack_text(taken.tenant_name, message)})
            case PagerDutyTarget(key, url):
                body = msgspec.json.encode(self._pagerduty_event(taken.tenant_name, message, key))
            case EmailTarget(addresses):
                return await self._mail(taken, addresses, last_until)
        await self._post(await place_of(url, self._allowed), headers, body)
        return None

    async def _mail(
        self, taken: ClaimedDelivery, addresses: tuple[str, ...], last_until: datetime | None
    ) -> str | None:
        if self._mailer is None:
            raise Unavailable(NO_MAIL)
        message = taken.message
        link = self._link(message)
        paragraphs = [message.text] if message.text else []
        if message.rule:
            paragraphs.append(f"The rule {message.rule} of {taken.tenant_name} tells you of it.")
        if last_until is not None:
            paragraphs.append(
                f"There were many mails in this hour, so this is the last one until {last_until:%H:%M} UTC. Whatever "
                f"else happens is in the console: {self._server_url()}/settings/alerts"
            )
        text = "\n\n".join([message.title, *paragraphs, link])
        inner = "".join(f'<p style="white-space: pre-line">{html.escape(said)}</p>' for said in paragraphs)
        page = (
            f"<html><body><h3>{html.escape(message.title)}</h3>{inner}"
            f'<p><a href="{html.escape(link)}">{html.escape(link)}</a></p></body></html>'
        )
        return await self._mailer.send(
            addresses,
            f"[{taken.tenant_name}] {message.title}",
            f"{text}\n",
            html=page,
            key=taken.id,
            thread="" if message.occasion is AlertOccasion.TEST else f"alert.{message.alert_id}",
        )

    async def close(self) -> None:
        if self._client is not None:
            await self._client.aclose()

    async def _post(self, place: Place, headers: dict[str, str], body: bytes) -> None:
        # Not before it is needed: most engines send nothing.
        import httpx

        if self._client is None:
            self._client = httpx.AsyncClient(trust_env=False, follow_redirects=False, timeout=ANSWER_S)
        address = f"[{place.address}]" if ":" in place.address else place.address
        host = f"[{place.host}]" if ":" in place.host else place.host
        is_usual = place.port == (443 if place.scheme == "https" else 80)
        request = self._client.build_request(
            "POST",
            f"{place.scheme}://{address}:{place.port}{place.path}",
            content=body,
            headers={
                "host": host if is_usual else f"{host}:{place.port}",
                "content-type": "application/json",
                "user-agent": f"broadaxe/{version('broadaxe')}",
                **headers,
            },
            extensions={"sni_hostname": place.host},
        )
        try:
            async with asyncio.timeout(ANSWER_S):
                response = await self._client.send(request, stream=True)
                try:
                    if response.is_success:
                        return
                    said = await _beginning(response)
                finally:
                    await response.aclose()
        except TimeoutError:
            raise Unavailable(f"{place.host} did not answer within {ANSWER_S:.0f} s") from None
        except httpx.TimeoutException:
            raise Unavailable(f"{place.host} did not answer within {ANSWER_S:.0f} s") from None
        except httpx.HTTPError as error:
            raise Unavailable(f"{place.host} cannot be reached: {str(error) or type(error).__name__}") from None
        where = " and points elsewhere, which is not followed" if response.is_redirect else ""
        raise Unavailable(f"{place.host} answered {response.status_code}{where}" + (f": {said}" if said else ""))

    def _event(self, taken: ClaimedDelivery) -> dict[str, object]:
        message = taken.message
        return {
            "type": f"alert.{message.occasion.lower()}",
            "timestamp": _instant(message.at_us),
            "data": {
                "alertId": message.alert_id,
                "ruleId": message.rule_id,
                "rule": message.rule,
                "kind": message.kind,
                "tenant": taken.tenant_name,
                "tenantId": taken.tenant_id,
                "title": message.title,
                "text": message.text,
                "subject": message.subject,
                "count": message.count,
                "openedAt": _instant(message.opened_at_us),
                "runId": message.run_id,
                "error": message.error,
                "url": self._link(message),
            },
        }

    def _slack_text(self, tenant: str, message: AlertMessage) -> str:
        lines = [f"*{_slack(message.title)}*", _slack(message.text), f"<{self._link(message)}|{_slack(tenant)}>"]
        return "\n".join(line for line in lines if line)

    def _pagerduty_event(self, tenant: str, message: AlertMessage, key: str) -> dict[str, object]:
        event: dict[str, object] = {
            "routing_key": key,
            "event_action": "resolve" if message.occasion is AlertOccasion.RESOLVED else "trigger",
            "dedup_key": message.alert_id,
        }
        if message.occasion is not AlertOccasion.RESOLVED:
            event["client"] = "Broadaxe"
            event["client_url"] = self._link(message)
            event["payload"] = {
                "summary": message.title[:PAGERDUTY_SUMMARY_CHARS_MAX],
                "source": f"broadaxe {tenant}",
                "severity": "info" if message.occasion is AlertOccasion.TEST else "error",
                "timestamp": _instant(message.at_us),
                "component": message.subject,
                "custom_details": {"rule": message.rule, "text": message.text, "count": message.count},
            }
        return event

    def _link(self, message: AlertMessage) -> str:
        base = self._server_url()
        return f"{base}/settings/alerts" if message.run_id is None else f"{base}/runs/{message.run_id}"


async def _beginning(response: httpx.Response) -> str:
    read = b""
    async for chunk in response.aiter_raw():
        read += chunk
        if len(read) >= ANSWER_BYTES_SHOWN:
            break
    text = read[:ANSWER_BYTES_SHOWN].decode("utf-8", "replace")
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())


def _slack(text: str) -> str:
    """With the three characters that mean something there written out."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _instant(at_us: int) -> str:
    return (_EPOCH + timedelta(microseconds=at_us)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
