"""Mail: one text, to one person or to a few, through the SMTP server that the settings name.

Owns how the server's URL is read, how it is spoken to, and what a mail looks like. `send` answers once the server has
taken the mail, or raises within `SEND_S`; it keeps nothing, so whoever needs a mail to survive a crash makes it durable
work of their own. Refuses an address or a subject that would break out of its header, and to send a password over a
line that is not encrypted, unless the URL asks for it or
the server is on this machine. Invariants: the password of the server is in no error, log
line or `repr`; nothing leaves before `send` is called.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, unquote, urlsplit

from broadaxe.errors import InvalidArgument, Unavailable

if TYPE_CHECKING:
    import ssl
    from email.headerregistry import Address
    from email.message import EmailMessage

__all__ = ["MailServer", "Mailer", "StartTls", "check_address", "parse_mail_from", "parse_smtp_url"]

#: From the first byte to the server's word that it has the mail.
SEND_S: Final = 20.0
SUBJECT_CHARS_MAX: Final = 200
TEXT_CHARS_MAX: Final = 100_000
ADDRESS_CHARS_MAX: Final = 254
SUBMISSION_PORT: Final = 587
SUBMISSIONS_PORT: Final = 465
#: Of what a server says when it refuses.
ANSWER_CHARS_SHOWN: Final = 200

_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})
_EXAMPLE: Final = "smtp://user:password@mail.example.com:587, or smtps:// where TLS comes first"


class StartTls(StrEnum):
    REQUIRED = "required"
    AUTO = "auto"
    """If the server offers it."""
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where mails go. `starttls` counts only if `is_tls` is false."""

    host: str
    port: int
    user: str = ""
    password: str = field(default="", repr=False)
    is_tls: bool = False
    """TLS from the first byte on."""
    starttls: StartTls = StartTls.REQUIRED


def parse_smtp_url(text: str) -> MailServer:
    """The server of `smtp(s)://user:password@host:port?starttls=...`. ValueError, without the password, for another
    text. STARTTLS is required unless the server is on this machine or the URL says otherwise."""
    try:
        parts = urlsplit(text)
        port = parts.port
        host = parts.hostname or ""
    except ValueError:
        raise ValueError(
            f"the URL cannot be read; it looks like {_EXAMPLE}. A password with one of @ : / ? # % in it has to be "
            "percent-encoded (@ is %40)"
        ) from None
    if parts.scheme not in ("smtp", "smtps") or not host or parts.path not in ("", "/") or parts.fragment:
        raise ValueError(f"the URL of a mail server looks like {_EXAMPLE}")
    if port == 0:
        raise ValueError("0 is no port of a mail server; 587 is usual, or 465 with smtps://")
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    starttls = options.pop("starttls", None)
    if options:
        raise ValueError(f"the URL has the unknown parameter {next(iter(options))[:40]!r}; there is only starttls")
    is_tls = parts.scheme == "smtps"
    if starttls is not None and (is_tls or starttls not in list(StartTls)):
        raise ValueError("starttls is one of required, auto and never, and goes with smtp:// alone")
    if bool(parts.username) != bool(parts.password):
        raise ValueError("a user goes with a password, and a password with a user")
    return MailServer(
        host,
        port or (SUBMISSIONS_PORT if is_tls else SUBMISSION_PORT),
        unquote(parts.username or ""),
        unquote(parts.password or ""),
        is_tls,
        StartTls(starttls or (StartTls.AUTO if host in _LOOPBACK else StartTls.REQUIRED)),
    )


def parse_mail_from(text: str) -> str:
    """`ada@example.com` or `Broadaxe <broadaxe@example.com>`, as it stands in From. ValueError for another text."""
    from email.errors import HeaderParseError
    from email.headerregistry import Address
    from email.utils import parseaddr

    name, spec = parseaddr(text)
    try:
        if "@" not in spec or any(letter.isspace() for letter in spec):
            raise ValueError
        return str(Address(name, addr_spec=spec))
    except (ValueError, HeaderParseError, IndexError):
        raise ValueError(
            f"{text[:80]!r} is no sender; use one like broadaxe@example.com, or 'Broadaxe <broadaxe@example.com>'"
        ) from None


def check_address(text: str, field: str = "email") -> None:
    """InvalidArgument unless a mail can be sent to it: `ada@example.com`, without a name."""
    _addressee(text, field)


def _addressee(text: str, field: str = "email") -> Address:
    from email.errors import HeaderParseError
    from email.headerregistry import Address

    try:
        if len(text) > ADDRESS_CHARS_MAX or not text.isprintable():
            raise ValueError
        address = Address(addr_spec=text)
        if not address.username or not address.domain:
            raise ValueError
    except (ValueError, HeaderParseError, IndexError):
        raise InvalidArgument(
            f"no mail can be sent to {text[:80]!r}; use an address like ada@example.com", field=field
        ) from None
    return address


class Mailer:
    """Sends mails from `sender`, which `parse_mail_from` has read. Safe to use from several tasks: each mail has a
    connection of its own."""

    def __init__(self, server: MailServer, sender: str) -> None:
        self._server = server
        self._sender = sender
        self._tls: ssl.SSLContext | None = None

    async def send(
        self, to: str | tuple[str, ...], subject: str, text: str, *, html: str = "", key: str = "", thread: str = ""
    ) -> str | None:
        """Hands one mail to the server, to one address or to several, who see each other. `html` says the same as
        `text`. A mail that is sent again under the same `key` has the same Message-ID, and mails of one `thread` stand
        together in a mailbox; both are texts of ours, such as ids.

        None, or in words which of several addresses the server refuses. InvalidArgument for an address that no mail can
        be sent to; Unavailable, in words for an administrator, if the server does not take it within `SEND_S`.
        """
        from email.utils import parseaddr

        recipients = [to] if isinstance(to, str) else list(to)
        message = self._message(recipients, subject, text)
        domain = parseaddr(self._sender)[1].rpartition("@")[2]
        if html:
            message.add_alternative(html, subtype="html")
        if key:
            message.replace_header("Message-ID", f"<{key}@{domain}>")
        if thread:
            # Of no mail that was ever sent, so that each finds the others whichever of them got lost.
            message["References"] = message["In-Reply-To"] = f"<{thread}@{domain}>"
        return await self._visit(message, recipients)

    async def check(self) -> None:
        """Connects, encrypts and signs in as for a mail, but sends none. Unavailable as `send` says it."""
        await self._visit(None, [])

    async def _visit(self, message: EmailMessage | None, recipients: list[str]) -> str | None:
        # Not before it is needed: most processes send nothing, and settings are read by commands that do not even wait.
        import asyncio
        from email.utils import parseaddr

        import aiosmtplib

        sender = parseaddr(self._sender)[1]
        server = self._server
        where = f"{server.host}:{server.port}"
        taken = "take the mail" if message is not None else "let us in"
        client = aiosmtplib.SMTP(
            hostname=server.host,
            port=server.port,
            username=server.user or None,
            password=server.password or None,
            use_tls=server.is_tls,
            start_tls=_START_TLS[server.starttls] if not server.is_tls else False,
            tls_context=self._tls_context(),
            local_hostname=sender.rpartition("@")[2],
            timeout=SEND_S,
        )
        refused: Mapping[str, object] = {}
        try:
            async with asyncio.timeout(SEND_S), client:
                if message is not None:
                    refused, _ = await client.send_message(message, sender=sender, recipients=recipients)
        except aiosmtplib.SMTPAuthenticationError as error:
            raise Unavailable(f"the mail server {where} refuses the user or the password: {_said(error)}") from None
        except (aiosmtplib.SMTPTimeoutError, TimeoutError):
            raise Unavailable(f"the mail server {where} did not {taken} within {SEND_S:.0f} s") from None
        except aiosmtplib.SMTPRecipientsRefused as error:
            said = _said(error.recipients[0]) if error.recipients else "no reason given"
            raise Unavailable(f"the mail server {where} refuses the address {', '.join(recipients)}: {said}") from None
        except aiosmtplib.SMTPException as error:
            hint = "; append ?starttls=never to the URL if that is meant" if _lacks_starttls(error) else ""
            raise Unavailable(f"the mail server {where} did not {taken}: {_said(error)}{hint}") from None
        except (OSError, UnicodeError) as error:
            raise Unavailable(f"the mail server {where} cannot be reached: {error}") from None
        if refused:
            return f"the mail server {where} refuses the address {', '.join(sorted(refused))}"
        return None

    def _tls_context(self) -> ssl.SSLContext:
        import ssl

        if self._tls is None:
            self._tls = ssl.create_default_context()
        return self._tls

    def _message(self, to: list[str], subject: str, text: str) -> EmailMessage:
        from email.message import EmailMessage
        from email.utils import format_datetime, localtime, make_msgid, parseaddr

        message = EmailMessage()
        message["From"] = self._sender
        message["To"] = tuple(map(_addressee, to))
        message["Subject"] = " ".join(subject.split())[:SUBJECT_CHARS_MAX]
        message["Date"] = format_datetime(localtime())
        message["Message-ID"] = make_msgid(domain=parseaddr(self._sender)[1].rpartition("@")[2])
        # So that holidays are not told to us.
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(text[:TEXT_CHARS_MAX])
        return message


_START_TLS: Final[dict[StartTls, bool | None]] = {StartTls.REQUIRED: True, StartTls.AUTO: None, StartTls.NEVER: False}


def _said(error: Exception) -> str:
    """What a server answered, in one line."""
    return " ".join(str(getattr(error, "message", "") or error).split())[:ANSWER_CHARS_SHOWN]


def _lacks_starttls(error: Exception) -> bool:
    return "STARTTLS" in str(error) and "not supported" in str(error)
