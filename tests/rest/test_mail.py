"""Mails of the HTTP edge, through a real SMTP server: invites, and links for forgotten passwords."""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from email.message import EmailMessage
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import trustme
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from broadaxe.core.audit import Action
from broadaxe.errors import InvalidArgument, Unavailable
from broadaxe.mail import Mailer, parse_smtp_url
from broadaxe.rest.letters import RESETS_BURST
from broadaxe.storage import accounts
from tests import mailbox as mailbox_module
from tests.mailbox import Mailbox
from tests.rest.test_members import Browser, invited, owner, written

if TYPE_CHECKING:
    from .conftest import Serve, Site

FORGOT, RESET = "/api/v1/users/password/forgot", "/api/v1/users/password/reset"
NEW_PASSWORD = "Another-horse-8"
SENDER = "Broadaxe <broadaxe@example.com>"


Postbox = Callable[..., Awaitable[int]]


@pytest.fixture
async def mail_server() -> AsyncIterator[Postbox]:
    """Starts an SMTP server on loopback and answers its port."""
    async with AsyncExitStack() as stack:

        async def start(mailbox: Mailbox, **options: Any) -> int:
            return await stack.enter_async_context(mailbox_module.mail_server(mailbox, **options))

        yield start


@pytest.fixture
async def mailbox(mail_server: Postbox) -> Mailbox:
    made = Mailbox()
    await mail_server(made)
    return made


@pytest.fixture
async def mailing(serve: Serve, mailbox: Mailbox) -> Site:
    """A server that sends mails."""
    return await serve(mailer=Mailer(parse_smtp_url(mailbox.url), SENDER))


def link_in(mail: EmailMessage, page: str) -> str:
    """The secret of the one link in a mail."""
    (secret,) = re.findall(rf"http://\S+/{page}#(\S+)", mail.get_content())
    return str(secret)


async def forgot(site: Site, email: str) -> tuple[int, bytes]:
    answer = await Browser(site).ask("POST", FORGOT, {"email": email})
    return answer.status_code, answer.content


async def reset(site: Site, secret: str, password: str = NEW_PASSWORD) -> Any:
    return await Browser(site).ask("POST", RESET, {"secret": secret, "newPassword": password})


async def test_a_forgotten_password_is_set_anew_by_a_link_in_a_mail(mailing: Site, mailbox: Mailbox) -> None:
    ada = await owner(mailing)
    assert await forgot(mailing, "Ada@example.com") == (200, b"")
    mail = await mailbox.mails.get()
    assert (mail["To"], mail["From"]) == ("ada@example.com", SENDER)
    assert mail["Auto-Submitted"] == "auto-generated" and mail.get_content_type() == "text/plain"
    secret = link_in(mail, "reset-password")
    assert f"{mailing.url}/reset-password#" in mail.get_content()
    assert secret not in str(await mailing.seeds.pool.fetch("select * from broadaxe.password_reset"))
    weak = await reset(mailing, secret, "short")
    assert (weak.status_code, weak.json()["errors"][0]["field"]) == (400, "newPassword")
    done = await reset(mailing, secret)
    assert (done.status_code, done.json()["email"]) == (200, "ada@example.com"), done.text
    # Every session ended, the link is used up, and the password is the new one.
    assert (await ada.ask("GET", "/api/v1/users/current")).status_code == 403
    again = await reset(mailing, secret, "Third-horse-9")
    assert again.status_code == 400 and "does not count any more" in again.text
    assert (await accounts.login(mailing.seeds.pool, "ada@example.com", NEW_PASSWORD)).id == mailing.owner.id
    assert [action for action, _, _ in await written(mailing)] == [
        Action.ACCOUNT_ASK_RESET,
        Action.ACCOUNT_RESET_PASSWORD,
    ]


async def test_nobody_learns_who_has_an_account(mailing: Site, mailbox: Mailbox) -> None:
    assert await forgot(mailing, "nobody@example.com") == await forgot(mailing, "ada@example.com") == (200, b"")
    assert (await mailbox.mails.get())["To"] == "ada@example.com"
    assert mailbox.mails.empty()
    assert (await forgot(mailing, "no address"))[0] == 400


async def test_a_mailbox_is_not_filled_and_an_address_does_not_ask_for_ever(mailing: Site, mailbox: Mailbox) -> None:
    statuses = [(await forgot(mailing, "ada@example.com"))[0] for _ in range(RESETS_BURST + 8)]
    assert statuses == [200] * 10 + [429]
    for _ in range(RESETS_BURST):
        await mailbox.mails.get()
    # Those beyond the burst were never on their way, so nothing is to be waited for.
    assert mailbox.mails.empty()
    count = "select count(*) from broadaxe.password_reset"
    assert await mailing.seeds.pool.fetchval(count) == RESETS_BURST


async def test_a_link_ends_with_time_and_when_the_password_changes(mailing: Site, mailbox: Mailbox) -> None:
    pool = mailing.seeds.pool
    await forgot(mailing, "ada@example.com")
    first = link_in(await mailbox.mails.get(), "reset-password")
    await pool.execute("update broadaxe.password_reset set expires_at = now()")
    assert (await reset(mailing, first)).status_code == 400
    await forgot(mailing, "ada@example.com")
    second = link_in(await mailbox.mails.get(), "reset-password")
    # The next link swept what had expired.
    assert await pool.fetchval("select count(*) from broadaxe.password_reset") == 1
    ada = await owner(mailing)
    changed = await ada.ask(
        "POST", "/api/v1/users/password", {"password": "Correct-horse-7", "newPassword": NEW_PASSWORD}
    )
    assert changed.status_code == 200
    assert (await reset(mailing, second, "Third-horse-9")).status_code == 400


async def test_a_server_without_mail_says_who_makes_a_link(site: Site) -> None:
    answer = await Browser(site).ask("POST", FORGOT, {"email": "ada@example.com"})
    assert answer.status_code == 400 and "broadaxe account reset" in answer.text
    assert "resetByMail" not in (await Browser(site).ask("GET", "/api/v1/meta")).json()


async def test_an_invite_is_mailed_and_mailed_again(mailing: Site, mailbox: Mailbox) -> None:
    ada = await owner(mailing)
    assert (await ada.ask("GET", "/api/v1/meta")).json()["resetByMail"] is True
    invite_id, secret = await invited(mailing, ada, "bob@example.com", "VIEWER")
    mail = await mailbox.mails.get()
    assert (mail["To"], mail["Subject"]) == ("bob@example.com", "ada@example.com invites you to Default")
    assert "as VIEWER" in mail.get_content() and link_in(mail, "invite") == secret
    again = (await ada.ask("POST", f"{mailing.stable}/invites/{invite_id}/resend")).json()
    assert again["mailed"] is True and "mailProblem" not in again
    assert again["link"].endswith(f"#{link_in(await mailbox.mails.get(), 'invite')}")


async def test_an_invite_that_cannot_be_mailed_is_there_all_the_same(mailing: Site, mailbox: Mailbox) -> None:
    mailbox.refusal = "550 we do not want this"
    answer = await (await owner(mailing)).ask(
        "POST", f"{mailing.tenant}/invites", {"email": "bob@example.com", "role": "MEMBER"}
    )
    made = answer.json()
    assert (answer.status_code, made["mailed"]) == (201, False)
    assert "we do not want this" in made["mailProblem"] and made["link"]


# The mailer by itself -------------------------------------------------------------------------------------------------


async def test_a_password_goes_over_tls_to_a_server_whose_certificate_is_checked(
    mail_server: Postbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = trustme.CA()
    ours = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(ours)

    def check(server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
        is_right = isinstance(data, LoginPassword) and data == LoginPassword(b"user", b"pass word")
        return AuthResult(success=is_right, handled=False)

    mailbox = Mailbox()
    port = await mail_server(mailbox, tls_context=ours, require_starttls=True, authenticator=check, auth_required=True)
    url = f"smtp://user:pass%20word@127.0.0.1:{port}?starttls=required"
    with pytest.raises(Unavailable, match=r"(?i)certificate"):
        await Mailer(parse_smtp_url(url), SENDER).send("bob@example.com", "Hello", "Bob")
    trusted = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(trusted))
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    await Mailer(parse_smtp_url(url), SENDER).send("bob@example.com", "Hello", "Bob")
    assert (await mailbox.mails.get()).get_content().strip() == "Bob"
    wrong = Mailer(parse_smtp_url(url.replace("pass%20word", "geheim")), SENDER)
    with pytest.raises(Unavailable, match="refuses the user or the password") as refused:
        await wrong.send("bob@example.com", "Hello", "Bob")
    assert "geheim" not in str(refused.value)
    tls_port = await mail_server(mailbox, ssl=ours, authenticator=check, auth_required=True, auth_require_tls=False)
    await Mailer(parse_smtp_url(f"smtps://user:pass%20word@127.0.0.1:{tls_port}"), SENDER).send("b@x.org", "S", "T")
    assert (await mailbox.mails.get())["To"] == "b@x.org"


async def test_a_server_that_offers_no_tls_gets_nothing_where_tls_is_required(mailbox: Mailbox) -> None:
    mailer = Mailer(parse_smtp_url(f"{mailbox.url}?starttls=required"), SENDER)
    with pytest.raises(Unavailable, match=r"\?starttls=never"):
        await mailer.send("bob@example.com", "Hello", "Bob")
    assert mailbox.mails.empty()


async def test_a_server_that_is_silent_or_away_is_not_waited_for_for_ever(
    mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("broadaxe.mail.SEND_S", 0.05)
    silent = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    with pytest.raises(Unavailable, match="did not take the mail within"):
        await Mailer(parse_smtp_url(f"smtp://127.0.0.1:{port}"), SENDER).send("bob@example.com", "Hello", "Bob")
    silent.close()
    monkeypatch.undo()
    with pytest.raises(Unavailable, match=f"the mail server 127.0.0.1:{port} "):
        await Mailer(parse_smtp_url(f"smtp://127.0.0.1:{port}"), SENDER).send("bob@example.com", "Hello", "Bob")


async def test_a_mail_goes_to_one_person_whatever_its_words_are(mailbox: Mailbox) -> None:
    mailer = Mailer(parse_smtp_url(mailbox.url), SENDER)
    await mailer.send("bob@example.com", "One\r\nBcc: eve@example.com\n two", "Füße\n.\nQUIT\n")
    mail = await mailbox.mails.get()
    assert mail["Subject"] == "One Bcc: eve@example.com two" and mail["Bcc"] is None
    assert mail.get_content().splitlines() == ["Füße", ".", "QUIT"]
    assert mailbox.recipients == [["bob@example.com"]]
    for odd in ("bob", "bob@example.com\nBcc: eve@example.com", "<bob>@x, eve@example.com", ""):
        with pytest.raises(InvalidArgument):
            await mailer.send(odd, "Hello", "Bob")
    assert mailbox.mails.empty()
