"""Signing in through GitHub, as `github.py` plays it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from broadaxe.openid_providers import GroupRole, OpenIdProvider, Speaks, parse_openid_providers
from broadaxe.rest.github_client import GitHubClient
from broadaxe.rest.server import HttpServer
from broadaxe.storage import accounts
from broadaxe.storage.accounts import Role
from tests.rest.github import CLIENT_ID, SECRET, GitHub
from tests.rest.test_openid import new_browser, sign_in, whoever

if TYPE_CHECKING:
    from .conftest import Serve, Site


@dataclass
class House:
    """A site that trusts a GitHub."""

    site: Site
    hub: GitHub
    url: str
    http: httpx.AsyncClient = field(default_factory=lambda: httpx.AsyncClient(timeout=60))

    def trust(self, **changes: Any) -> GitHubClient:
        terms: dict[str, Any] = {
            "id": "acme",
            "name": "GitHub",
            "issuer": self.url,
            "client_id": CLIENT_ID,
            "client_secret": SECRET,
            "speaks": Speaks.GITHUB,
            "scopes": ("read:user", "user:email"),
        }
        made = GitHubClient(OpenIdProvider(**terms | changes), self.http)
        self.site.app.state.context = replace(self.site.app.state.context, openid={"acme": made})
        return made


@pytest.fixture
async def house(serve: Serve) -> AsyncIterator[House]:
    site, hub, server = await serve(), GitHub(), HttpServer(grace_s=1)
    url = f"http://127.0.0.1:{await server.start(hub.app(), '127.0.0.1', 0)}"
    made = House(site, hub, url)
    yield made
    await made.http.aclose()
    await server.stop()


async def test_somebody_signs_in_by_their_primary_address_and_is_known_by_their_number(house: House) -> None:
    await house.trust().check()
    async with new_browser() as browser:
        assert await sign_in(house.site, browser) == ("/runs", "")
        assert await whoever(house.site, browser) == "ada@example.com"
        # There is nowhere to log out at GitHub.
        answer = await browser.post(f"{house.site.url}/api/v1/users/logout")
        assert answer.status_code == 200 and "providerLogoutUrl" not in answer.json()
    # The login and the address are another's now; the number is theirs.
    house.hub.user |= {"login": "countess"}
    house.hub.emails[0]["email"] = "countess@example.com"
    async with new_browser() as again:
        assert await sign_in(house.site, again) == ("/runs", "")
        assert await whoever(house.site, again) == "ada@example.com"


async def test_only_a_verified_primary_address_lets_somebody_in(house: House) -> None:
    house.trust(creates_accounts=True)
    house.hub.emails[0]["verified"] = False
    assert await sign_in(house.site) == (
        "/login",
        "GitHub has not verified the address ada@example.com; have it verified there first",
    )
    house.hub.emails[0] |= {"primary": False, "verified": True}
    path, problem = await sign_in(house.site)
    assert path == "/login" and "does not say your e-mail address" in problem
    assert await house.site.seeds.pool.fetchval("select count(*) from broadaxe.openid_identity") == 0


async def test_what_github_refuses_is_said(house: House) -> None:
    house.trust()
    house.hub.denies = True
    path, problem = await sign_in(house.site)
    assert path == "/login" and "access_denied" in problem
    house.hub.denies = False
    house.hub.grants = {"read:user"}
    path, problem = await sign_in(house.site)
    assert path == "/login" and "HTTP 404 to /user/emails; have its scopes granted" in problem
    house.hub.grants = None
    house.trust(client_secret="wrong")
    path, problem = await sign_in(house.site)
    assert path == "/login" and "incorrect_client_credentials" in problem and "wrong" not in problem
    house.trust(issuer="http://127.0.0.1:9")
    async with new_browser() as browser:
        answer = await browser.get(
            f"{house.site.url}/api/v1/stable/openid/acme/callback", params={"code": "a", "state": "b"}
        )
        assert answer.headers["location"] == "/login"


async def test_organisations_and_teams_are_groups(house: House) -> None:
    roles = (GroupRole("acme", "default", "VIEWER"), GroupRole("acme/ops", "default", "ADMIN"))
    house.trust(creates_accounts=True, roles=roles, scopes=("read:user", "user:email", "read:org"))
    house.hub.emails = [{"email": "bob@example.com", "primary": True, "verified": True}]
    pool, tenant_id = house.site.seeds.pool, house.site.seeds.tenant_id

    async def role() -> Role | None:
        assert await sign_in(house.site) == ("/runs", "")
        account = await accounts.account_by_email(pool, "bob@example.com")
        assert account is not None
        person = await accounts.person_of_account(pool, account.id)
        return None if person is None else person.roles.get(tenant_id)

    # The second page counts as well, and a team of the same name elsewhere does not.
    house.hub.orgs = [f"org-{number}" for number in range(100)] + ["Acme"]
    house.hub.teams = [("other", "ops")]
    assert await role() is Role.VIEWER
    house.hub.teams = [("Acme", "ops")]
    assert await role() is Role.ADMIN
    house.hub.orgs, house.hub.teams = [], []
    assert await role() is None


def test_a_file_names_github(tmp_path: Path) -> None:
    file = tmp_path / "providers.toml"
    base = "[[provider]]\npreset = 'github'\nclient_id = 'g'\n"
    file.write_text(base)
    with pytest.raises(ValueError, match="client_secret or client_secret_file is missing"):
        parse_openid_providers(str(file))
    file.write_text(f"{base}client_secret = 's'\ngroups_claim = 'teams'")
    with pytest.raises(ValueError, match="groups_claim is not for GitHub"):
        parse_openid_providers(str(file))
    file.write_text(f"{base}client_secret = 's'\nroles = [{{group = 'Acme/Ops', tenant = 'default', role = 'ADMIN'}}]")
    (github,) = parse_openid_providers(str(file))
    assert (github.speaks, github.issuer, github.name) == (Speaks.GITHUB, "https://github.com", "GitHub")
    assert github.scopes == ("read:user", "user:email", "read:org")
    assert github.roles == (GroupRole("acme/ops", "default", "ADMIN"),)


@pytest.mark.parametrize(
    ("issuer", "api"),
    [
        ("https://github.com", "https://api.github.com"),
        ("https://octocorp.ghe.com/", "https://api.octocorp.ghe.com"),
        ("https://github.example.com", "https://github.example.com/api/v3"),
    ],
    ids=["github.com", "ghe.com", "own"],
)
async def test_each_github_has_its_api_elsewhere(issuer: str, api: str) -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        return httpx.Response(200, json={})

    provider = OpenIdProvider(id="a", name="A", issuer=issuer, client_id="c", speaks=Speaks.GITHUB)
    await GitHubClient(provider, httpx.AsyncClient(transport=httpx.MockTransport(answer))).check()
    assert asked == [f"{api}/meta"]
