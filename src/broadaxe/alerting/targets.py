"""Where a channel leads, as it is kept: sealed, as JSON. Each kind has its own form."""

from __future__ import annotations

import base64
import re
import secrets
from typing import Final

import msgspec

from broadaxe.alerting.addresses import check_url
from broadaxe.errors import InvalidArgument
from broadaxe.mail import check_address

__all__ = [
    "EmailTarget",
    "PagerDutyTarget",
    "SlackTarget",
    "Target",
    "WebhookTarget",
    "check",
    "check_addresses",
    "new_secret",
    "secret_bytes",
    "shown",
]

PAGERDUTY_URL: Final = "https://events.pagerduty.com/v2/enqueue"
SECRET_PREFIX: Final = "whsec_"
SECRET_BYTES: Final = 32
SECRET_BYTES_MIN: Final = 24
SECRET_BYTES_MAX: Final = 64
#: Of one channel. More people than that are what lists are for.
ADDRESSES_MAX: Final = 20


class WebhookTarget(msgspec.Struct, frozen=True, tag="WEBHOOK"):
    """Requests signed as Standard Webhooks are; `secret` is `whsec_` and base64."""

    url: str
    secret: str


class SlackTarget(msgspec.Struct, frozen=True, tag="SLACK"):
    """An incoming webhook of Slack, or of what understands the same: Mattermost, Rocket.Chat, Discord's /slack."""

    url: str


class PagerDutyTarget(msgspec.Struct, frozen=True, tag="PAGERDUTY"):
    """The Events API v2 of PagerDuty, or of what understands the same."""

    routing_key: str
    url: str = PAGERDUTY_URL


class EmailTarget(msgspec.Struct, frozen=True, tag="EMAIL"):
    """Mails, each to all of these addresses, through the server of the settings."""

    addresses: tuple[str, ...]


Target = WebhookTarget | SlackTarget | PagerDutyTarget | EmailTarget


def new_secret() -> str:
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def secret_bytes(secret: str) -> bytes:
    """InvalidArgument unless it is `whsec_` and the base64 of 24 to 64 bytes."""
    try:
        found = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except ValueError:
        found = b""
    if not secret.startswith(SECRET_PREFIX) or not SECRET_BYTES_MIN <= len(found) <= SECRET_BYTES_MAX:
        raise InvalidArgument(
            f"a secret is {SECRET_PREFIX} and the base64 of {SECRET_BYTES_MIN} to {SECRET_BYTES_MAX} random bytes; "
            "leave it out to have one made",
            field="secret",
        )
    return found


def check(target: Target) -> None:
    """InvalidArgument for what cannot be one. What its address leads to is looked at by `addresses.place_of`."""
    if not isinstance(target, EmailTarget):
        check_url(target.url)
    match target:
        case WebhookTarget(secret=secret):
            secret_bytes(secret)
        case PagerDutyTarget(routing_key=key):
            if not re.fullmatch(r"[A-Za-z0-9_-]{8,128}", key):
                raise InvalidArgument("a routing key is letters and digits, 32 of them usually", field="routingKey")
        case EmailTarget(addresses):
            check_addresses(addresses)
        case SlackTarget():
            pass


def check_addresses(addresses: tuple[str, ...], field: str = "addresses") -> None:
    """InvalidArgument when they are too many, none, there twice, or not what a mail can be sent to."""
    if not 1 <= len(addresses) <= ADDRESSES_MAX:
        raise InvalidArgument(f"give 1 to {ADDRESSES_MAX} addresses", field=field)
    for address in addresses:
        check_address(address, field=field)
    if len({address.lower() for address in addresses}) < len(addresses):
        raise InvalidArgument("an address is there twice", field=field)


def shown(target: Target) -> str:
    """What people may read of it: not what lets somebody send in its name."""
    match target:
        case WebhookTarget(url=url):
            return url.partition("?")[0]
        case SlackTarget(url=url):
            # All of the path is the secret.
            scheme, _, rest = url.partition("://")
            return f"{scheme}://{rest.partition('/')[0]}/…"
        case PagerDutyTarget(routing_key=key, url=url):
            where = "" if url == PAGERDUTY_URL else f" at {url.partition('?')[0]}"
            return f"routing key …{key[-4:]}{where}"
        case EmailTarget(addresses):
            return ", ".join(addresses)
