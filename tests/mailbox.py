"""A mail server on this machine, which does what a test tells it to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import TYPE_CHECKING, Any

from aiosmtpd.smtp import SMTP, Envelope, Session

if TYPE_CHECKING:
    import ssl


@dataclass
class Mailbox:
    """What a mail server took, and whether it takes anything."""

    mails: asyncio.Queue[EmailMessage] = field(default_factory=asyncio.Queue)
    recipients: list[list[str]] = field(default_factory=list)
    refusal: str | None = None
    unknown: str | None = None
    """The address that is refused while others are not."""
    url: str = ""

    async def handle_RCPT(self, server: SMTP, session: Session, envelope: Envelope, address: str, _: list[str]) -> str:
        if address == self.unknown:
            return "550 nobody of that name"
        envelope.rcpt_tos.append(address)
        return "250 known"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if self.refusal is not None:
            return self.refusal
        assert isinstance(envelope.content, bytes)
        parsed = message_from_bytes(envelope.content, policy=default)
        assert isinstance(parsed, EmailMessage)
        self.recipients.append(list(envelope.rcpt_tos))
        await self.mails.put(parsed)
        return "250 taken"


@asynccontextmanager
async def mail_server(
    mailbox: Mailbox, *, ssl: ssl.SSLContext | None = None, port: int = 0, **options: Any
) -> AsyncIterator[int]:
    """An SMTP server on loopback, at this port or any free one; `options` are those of aiosmtpd's SMTP."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: SMTP(mailbox, enable_SMTPUTF8=True, hostname="mail.test", loop=loop, **options),
        "127.0.0.1",
        port,
        ssl=ssl,
    )
    port = int(server.sockets[0].getsockname()[1])
    mailbox.url = f"smtp://127.0.0.1:{port}"
    try:
        yield port
    finally:
        server.close()
