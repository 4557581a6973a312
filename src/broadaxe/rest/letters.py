"""What the mails of the HTTP edge say, and how many of them there may be. Each is a subject and a plain text."""

from __future__ import annotations

from typing import Final

from broadaxe.rest.bursts import Bursts
from broadaxe.storage.invites import Invite

__all__ = ["MailBursts", "invite", "password_reset"]

#: Links for a forgotten password that one address is sent: so many at once, and then one in so many seconds.
RESETS_BURST: Final = 3
RESET_EVERY_S: Final = 600
#: Invites that a tenant mails.
INVITES_BURST: Final = 50
INVITE_EVERY_S: Final = 60


class MailBursts:
    """Keeps anybody from filling somebody's mailbox through us; per process."""

    def __init__(self) -> None:
        self.resets = Bursts(rate_per_s=1 / RESET_EVERY_S, burst=RESETS_BURST)
        """By address."""
        self.invites = Bursts(rate_per_s=1 / INVITE_EVERY_S, burst=INVITES_BURST)
        """By tenant."""


def invite(asked: Invite, link: str) -> tuple[str, str]:
    return (
        f"{asked.made_by} invites you to {asked.tenant_name}",
        f"{asked.made_by} invites you to {asked.tenant_name} on Broadaxe, as {asked.role}.\n\n"
        f"Open this link to join, before {asked.expires_at:%Y-%m-%d %H:%M} UTC:\n\n{link}\n\n"
        "It is for you alone, and works once. If you do not know what this is about, do nothing.\n",
    )


def password_reset(email: str, server_url: str, link: str) -> tuple[str, str]:
    return (
        "Set a new password for Broadaxe",
        f"Somebody, probably you, has forgotten the password of {email} at {server_url}.\n\n"
        f"Open this link within an hour to set another one:\n\n{link}\n\n"
        "It works once, and signs you out everywhere. If it was not you, do nothing: your password stays as it is.\n",
    )
