"""Signing in through OpenID providers, against a real one: `oidc-provider`, a process of Node on loopback."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

import httpx
import pytest
from fastapi import FastAPI

from broadaxe.core.audit import Action
from broadaxe.errors import Unavailable
from broadaxe.openid_providers import GroupRole, OpenIdProvider, parse_openid_providers
from broadaxe.rest.openid_client import KEYS_AGAIN_S, OpenIdClient
from broadaxe.storage import accounts
from broadaxe.storage.accounts import Role
from broadaxe.storage.vault import Vault
from tests.openid_provider.process import SECRET, ProviderProcess
from tests.rest.test_members import written

if TYPE_CHECKING:
    from .conftest import Serve, Site

OPENID = "/api/v1/stable/openid"
ADA: dict[str, Any] = {"sub": "1", "email": "ada@example.com", "email_verified": True, "name": "Ada", "groups": []}
BOB = ADA | {"sub": "2", "email": "bob@example.com", "name": "Bob"}


class Provider:
    """The provider's process, and the site that may trust it."""

    def __init__(self, site: Site, issuer: str, app: FastAPI) -> None:
        self.site = site
        self.issuer = issuer
        self.app = app
        self.client = httpx.AsyncClient(timeout=60)

    def trust(self, **changes: Any) -> OpenIdClient:
        """From here on the installation trusts this provider, on these terms."""
        terms: dict[str, Any] = {
            "id": "acme",
            "name": "Acme",
            "issuer": self.issuer,
            "client_id": "broadaxe",
            "client_secret": SECRET,
        }
        made = OpenIdClient(OpenIdProvider(**terms | changes), httpx.AsyncClient())
        self.app.state.context = replace(self.app.state.context, openid={"acme": made})
        return made

    def keeps_secrets_with(self, key: bytes) -> None:
        self.app.state.context = replace(self.app.state.context, vault=Vault([key]))

    def trust_nobody(self) -> None:
        self.app.state.context = replace(self.app.state.context, openid={})

    async def is_person(self, person: dict[str, Any]) -> None:
        """Whoever comes to the provider is this person."""
        (await self.client.post(f"{self.issuer}/person", json=person)).raise_for_status()


def new_browser() -> httpx.AsyncClient:
    """One that nobody has signed in yet."""
    return httpx.AsyncClient(timeout=60, follow_redirects=False)


async def sign_in(site: Site, browser: httpx.AsyncClient | None = None, to: str = "/runs") -> tuple[str, str]:
    """Follows a sign-in to its end: where the browser is left, and why it was not let in."""
    browser = browser or new_browser()
    answer = await browser.get(f"{site.url}{OPENID}/acme/begin", params={"next": to})
    for _ in range(10):
        if not answer.is_redirect:
            raise AssertionError(f"{answer.url}: {answer.status_code} {answer.text[:500]}")
        place = str(answer.url.join(answer.headers["location"]))
        if place.startswith(site.url) and OPENID not in place:
            break
        answer = await browser.get(place)
    problem = browser.cookies.get("hatchet-problem", "")
    return urlsplit(place).path, unquote(problem)


@pytest.fixture
async def provider(serve: Serve) -> AsyncIterator[Provider]:
    site = await serve()
    process = await asyncio.to_thread(ProviderProcess, f"{site.url}{OPENID}/acme/callback")
    made = Provider(site, process.issuer, site.app)
    yield made
    await made.client.aclose()
    await asyncio.to_thread(process.stop)


async def whoever(site: Site, browser: httpx.AsyncClient) -> str | None:
    answer = await browser.get(f"{site.url}/api/v1/users/current")
    return answer.json()["email"] if answer.status_code == 200 else None


async def test_somebody_signs_in_and_is_known_by_their_subject_from_then_on(provider: Provider) -> None:
    provider.trust()
    assert (await provider.client.get(f"{provider.site.url}{OPENID}/providers")).json() == {
        "rows": [{"id": "acme", "name": "Acme"}]
    }
    browser = new_browser()
    assert await sign_in(provider.site, browser) == ("/runs", "")
    assert await whoever(provider.site, browser) == "ada@example.com"
    # Their address has changed at the provider: it is the same person.
    await provider.is_person(ADA | {"email": "countess@example.com"})
    again = new_browser()
    assert await sign_in(provider.site, again) == ("/runs", "")
    assert await whoever(provider.site, again) == "ada@example.com"
    # Nobody is sent to another site.
    assert (await sign_in(provider.site, to="//evil.example.com/"))[0] == "/"
    actions = [(action, name) for action, name, _ in await written(provider.site)]
    assert actions == [(Action.ACCOUNT_LOG_IN, "ada@example.com")] * 3


async def test_a_provider_is_checked_without_anybody_signing_in(provider: Provider) -> None:
    await provider.trust().check()
    elsewhere = provider.trust(issuer=provider.issuer.replace("127.0.0.1", "localhost"))
    with pytest.raises(Unavailable, match="correct the issuer"):
        await elsewhere.check()


async def test_a_newcomer_gets_an_account_if_the_provider_may_make_them(provider: Provider) -> None:
    await provider.is_person(BOB)
    provider.trust()
    path, problem = await sign_in(provider.site)
    assert path == "/login" and "let an admin invite you" in problem
    provider.trust(creates_accounts=True, domains=("example.org",))
    path, problem = await sign_in(provider.site)
    assert path == "/login" and "not of a domain" in problem
    provider.trust(creates_accounts=True, domains=("example.com",))
    browser = new_browser()
    assert await sign_in(provider.site, browser) == ("/runs", "")
    assert await whoever(provider.site, browser) == "bob@example.com"
    # Without a password nobody logs in with one.
    for password in ("", "None", "Correct-horse-7"):
        answer = await provider.client.post(
            f"{provider.site.url}/api/v1/users/login", json={"email": "bob@example.com", "password": password}
        )
        assert answer.status_code == 400


async def test_an_address_that_is_not_verified_lets_nobody_in(provider: Provider) -> None:
    provider.trust(creates_accounts=True)
    for said in ({"email_verified": False}, {"email_verified": "false"}, {"email_verified": None}):
        await provider.is_person(ADA | said)
        path, problem = await sign_in(provider.site)
        assert path == "/login" and "has not verified" in problem
    assert await provider.site.seeds.pool.fetchval("select count(*) from broadaxe.openid_identity") == 0


async def test_an_answer_counts_once_and_for_the_browser_that_asked(provider: Provider) -> None:
    provider.trust()
    browser = new_browser()
    answer = await browser.get(f"{provider.site.url}{OPENID}/acme/begin")
    while not str(answer.headers["location"]).startswith(f"{provider.site.url}{OPENID}"):
        answer = await browser.get(str(answer.url.join(answer.headers["location"])))
    callback = answer.headers["location"]
    stranger = new_browser()
    assert "/login" in (await stranger.get(callback)).headers["location"]
    assert (await browser.get(callback)).headers["location"] == "/"
    cookie = browser.cookies.get("hatchet")
    replayed = await browser.get(callback)
    assert replayed.headers["location"] == "/login" and "does not count" in unquote(replayed.cookies["hatchet-problem"])
    assert browser.cookies.get("hatchet") == cookie
    other = callback.replace(parse_qs(urlsplit(callback).query)["state"][0], "another")
    assert (await browser.get(other)).headers["location"] == "/login"


async def test_a_token_of_another_issuer_or_another_time_lets_nobody_in(provider: Provider) -> None:
    provider.trust(issuer=provider.issuer.replace("127.0.0.1", "localhost"))
    path, problem = await sign_in(provider.site)
    assert path == "/login" and "calls itself" in problem
    client = provider.trust()
    client._now = lambda: time.time() + 2 * 86_400
    path, problem = await sign_in(provider.site)
    assert path == "/login" and "expired" in problem
    provider.trust(client_secret="wrong")
    path, problem = await sign_in(provider.site)
    assert path == "/login" and "invalid_client" in problem


async def test_a_provider_that_signs_with_another_key_is_asked_for_its_keys_again(provider: Provider) -> None:
    client = provider.trust()
    assert await sign_in(provider.site) == ("/runs", "")
    (await provider.client.post(f"{provider.issuer}/keys")).raise_for_status()
    # Within a minute its keys are not asked for again, whoever sends tokens that name others.
    path, problem = await sign_in(provider.site)
    assert path == "/login" and "does not count" in problem
    client._clock = lambda: time.monotonic() + KEYS_AGAIN_S
    assert await sign_in(provider.site) == ("/runs", "")


async def left(provider: Provider, browser: httpx.AsyncClient) -> str | None:
    """Where the engine sends a browser that logs out."""
    answer = await browser.post(f"{provider.site.url}/api/v1/users/logout")
    assert answer.status_code == 200
    assert await whoever(provider.site, browser) is None
    address: str | None = answer.json().get("providerLogoutUrl")
    return address


async def test_logging_out_ends_the_session_at_the_provider_too(provider: Provider) -> None:
    provider.trust(creates_accounts=True)
    provider.keeps_secrets_with(b"k" * 32)
    browser = new_browser()
    assert await sign_in(provider.site, browser) == ("/runs", "")
    kept = await provider.site.seeds.pool.fetchval("select id_token from broadaxe.session where provider = 'acme'")
    address = await left(provider, browser)
    assert address is not None and address.startswith(f"{provider.issuer}/session/end?")
    told = parse_qs(urlsplit(address).query)
    assert told["post_logout_redirect_uri"] == [f"{provider.site.url}/login"]
    assert told["id_token_hint"][0].encode() not in kept
    # The provider knows them still, whoever would come now; when it has asked, it does not.
    await provider.is_person(BOB)
    page = await browser.get(address)
    assert page.status_code == 200 and "Do you want to sign-out" in page.text
    xsrf = re.findall(r'name="xsrf" value="(\w+)"', page.text)
    back = await browser.post(f"{provider.issuer}/session/end/confirm", data={"xsrf": xsrf[0], "logout": "yes"})
    assert back.headers["location"] == f"{provider.site.url}/login"
    assert await sign_in(provider.site, browser) == ("/runs", "")
    assert await whoever(provider.site, browser) == "bob@example.com"


async def test_a_provider_that_does_not_log_out_keeps_nobody_logged_in(provider: Provider) -> None:
    client = provider.trust()
    browser = new_browser()

    async def left_after(change: Callable[[], object]) -> str | None:
        assert await sign_in(provider.site, browser) == ("/runs", "")
        change()
        return await left(provider, browser)

    def is_away() -> None:
        client._document = {}
        client.provider = replace(client.provider, issuer="http://127.0.0.1:9")

    assert await left_after(lambda: client._document.pop("end_session_endpoint")) is None
    assert await left_after(lambda: client._document.update(end_session_endpoint="javascript:alert(1)")) is None
    assert await left_after(is_away) is None
    client = provider.trust()
    assert await left_after(lambda: provider.trust(signs_out=False)) is None
    # A provider that is not trusted any more, and a password: there is nowhere else to log out.
    provider.trust()
    assert await left_after(lambda: provider.trust_nobody()) is None
    # Without a key for secrets no ID token is kept, and with another it is not read: the provider is told the client.
    provider.trust()
    for change in (lambda: None, lambda: provider.keeps_secrets_with(b"l" * 32)):
        address = await left_after(change)
        assert address is not None
        told = parse_qs(urlsplit(address).query)
        assert told["client_id"] == ["broadaxe"] and "id_token_hint" not in told
        provider.keeps_secrets_with(b"k" * 32)


async def test_groups_decide_who_is_a_member_where_the_provider_has_some(provider: Provider) -> None:
    roles = (GroupRole("staff", "default", "VIEWER"), GroupRole("leads", "default", "ADMIN"))
    provider.trust(creates_accounts=True, roles=roles)
    tenant_id = provider.site.seeds.tenant_id
    pool = provider.site.seeds.pool

    async def role_with(*groups: str) -> Role | None:
        await provider.is_person(BOB | {"groups": list(groups)})
        assert await sign_in(provider.site) == ("/runs", "")
        account = await accounts.account_by_email(pool, "bob@example.com")
        assert account is not None
        person = await accounts.person_of_account(pool, account.id)
        return None if person is None else person.roles.get(tenant_id)

    assert await role_with("staff", "leads") is Role.ADMIN
    assert await role_with("staff") is Role.VIEWER
    assert await role_with("others") is None
    actions = [action for action, name, _ in await written(provider.site) if name == "bob@example.com"]
    assert [action for action in actions if action != Action.ACCOUNT_LOG_IN] == [
        Action.MEMBER_ADD,
        Action.MEMBER_CHANGE,
        Action.MEMBER_REMOVE,
    ]
    # The last owner stays one, whatever the groups say.
    await provider.is_person(ADA)
    assert await sign_in(provider.site) == ("/runs", "")
    person = await accounts.person_of_account(pool, provider.site.owner.id)
    assert person is not None and person.roles[tenant_id] is Role.OWNER


async def test_a_provider_that_is_away_is_said_to_be_and_asked_again(provider: Provider) -> None:
    client = provider.trust()
    issuer = client.provider.issuer
    client.provider = replace(client.provider, issuer="http://127.0.0.1:9")
    path, problem = await sign_in(provider.site)
    assert path == "/login" and "Acme cannot be reached" in problem
    client.provider = replace(client.provider, issuer=issuer)
    assert await sign_in(provider.site) == ("/runs", "")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "one [[provider]]"),
        ("[[provider]]\npreset = 'gogle'", "preset is one of"),
        ("[[provider]]\npreset = 'google'", "client_id is missing"),
        ("[[provider]]\nid = 'a'\nclient_id = 'b'\nissuer = 'http://id.example.com'", "https address"),
        ("[[provider]]\npreset = 'google'\nclient_id = 'b'\nsecret = 'geheim'", "there is no 'secret'"),
        ("[[provider]]\npreset = 'google'\nclient_id = 'b'\nroles = [{group = 'a'}]", "a group, a tenant and a role"),
        ("[[provider]]\npreset = 'google'\nclient_id = 'b'\nsigns_out = 'no'", "signs_out is true or false"),
        ("provider = [", "not valid TOML"),
    ],
    ids=["empty", "preset", "client", "issuer", "unknown", "roles", "signs-out", "toml"],
)
def test_a_wrong_file_is_refused_in_words(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "providers.toml"
    file.write_text(text)
    with pytest.raises(ValueError) as refused:
        parse_openid_providers(str(file))
    assert said in str(refused.value) and "geheim" not in str(refused.value)


def test_a_file_names_several_providers_and_keeps_secrets_to_itself(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("geheim\n")
    file = tmp_path / "providers.toml"
    file.write_text(
        "[[provider]]\npreset = 'google'\nclient_id = 'g'\nclient_secret_file = 'secret'\ndomains = ['@Example.com']\n"
        "[[provider]]\npreset = 'keycloak'\nissuer = 'https://id.example.com/realms/a'\nclient_id = 'k'\n"
        "[[provider.roles]]\ngroup = 'staff'\ntenant = 'billing'\nrole = 'viewer'\n"
    )
    google, keycloak = parse_openid_providers(str(file))
    assert (google.issuer, google.client_secret, google.domains) == (
        "https://accounts.google.com",
        "geheim",
        ("example.com",),
    )
    assert keycloak.roles == (GroupRole("staff", "billing", "VIEWER"),)
    assert "geheim" not in repr(google)
