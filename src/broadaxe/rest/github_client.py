"""GitHub as we speak to it: OAuth 2 without OpenID, so that its API says who somebody is and not a signed token.

Owns where GitHub's addresses are, on github.com and on servers of one's own, and what of its answers counts: the number
of the account, its primary address and whether that is verified, its organisations (`acme`) and teams (`acme/ops`) if
roles follow from them. Refuses whatever GitHub does not answer with 200. Invariants as of `vouching.py`; an access
token is used for these questions and kept nowhere.
"""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlsplit

import httpx

from broadaxe.errors import InvalidArgument, Unavailable
from broadaxe.openid_providers import OpenIdProvider
from broadaxe.rest.vouching import GROUPS_MAX, Voucher, ask, pkce_challenge, with_query

__all__ = ["GitHubClient"]

PAGE_ROWS: Final = 100


class GitHubClient:
    """Safe to use from several requests at once."""

    def __init__(self, provider: OpenIdProvider, http: httpx.AsyncClient) -> None:
        self.provider = provider
        self._http = http
        self._site = provider.issuer.rstrip("/")
        self._api = _api(self._site)

    async def check(self) -> None:
        answer = await ask(self._http, self.provider.name, "GET", f"{self._api}/meta")
        answer.object(self.provider.name)

    async def address(self, redirect_uri: str, state: str, nonce: str, verifier: str) -> str:
        """`nonce` is for ID tokens, of which there are none."""
        query = {
            "client_id": self.provider.client_id,
            "redirect_uri": redirect_uri,
            "scope": " ".join(self.provider.scopes),
            "state": state,
            "code_challenge": pkce_challenge(verifier),
            "code_challenge_method": "S256",
        }
        return with_query(f"{self._site}/login/oauth/authorize", query)

    def is_named(self, issuer: str) -> bool:
        return issuer in (self._site, f"{self._site}/login/oauth")

    async def logout_address(self, back: str, id_token: str) -> str:
        """GitHub has no such place."""
        return ""

    async def voucher(self, code: str, redirect_uri: str, nonce: str, verifier: str) -> Voucher:
        name = self.provider.name
        form = {
            "client_id": self.provider.client_id,
            "client_secret": self.provider.client_secret,
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": verifier,
        }
        address = f"{self._site}/login/oauth/access_token"
        # Without this header it answers a form. Errors come with 200.
        answer = await ask(self._http, name, "POST", address, data=form, headers={"accept": "application/json"})
        said = answer.object(name)
        token = said.get("access_token")
        if not isinstance(token, str) or not token:
            raise InvalidArgument(f"{name} gave no access token: {str(said.get('error', ''))[:80]}")
        user = await self._asked(token, "/user")
        number = user.get("id") if isinstance(user, dict) else None
        if not isinstance(number, int):
            raise Unavailable(f"{name} does not say who this is")
        email, is_verified = _primary(await self._asked(token, "/user/emails", per_page=PAGE_ROWS))
        return Voucher(
            issuer=self.provider.issuer,
            # A login can be given up and taken by somebody else, its number cannot.
            subject=str(number),
            email=email,
            is_verified=is_verified,
            name=str(user.get("name") or user.get("login") or "")[:255].replace("\0", ""),
            groups=await self._groups(token) if self.provider.roles else frozenset(),
        )

    async def _groups(self, token: str) -> frozenset[str]:
        """The organisations and teams of whose token it is."""
        groups: set[str] = set()
        for path in ("/user/orgs", "/user/teams"):
            for page in range(1, GROUPS_MAX // PAGE_ROWS + 1):
                rows = await self._asked(token, path, per_page=PAGE_ROWS, page=page)
                if not isinstance(rows, list):
                    raise Unavailable(f"{self.provider.name} does not say who belongs where")
                for row in rows:
                    group = _group(row)
                    if group:
                        groups.add(group)
                if len(rows) < PAGE_ROWS:
                    break
        return frozenset(groups)

    async def _asked(self, token: str, path: str, **query: int) -> Any:
        headers = {
            "accept": "application/vnd.github+json",
            "authorization": f"Bearer {token}",
            "x-github-api-version": "2022-11-28",
        }
        name = self.provider.name
        answer = await ask(self._http, name, "GET", f"{self._api}{path}", params=query, headers=headers)
        if answer.status != 200:
            raise InvalidArgument(
                f"{name} answers HTTP {answer.status} to {path}; have its scopes granted and try again"
            )
        return answer.json


def _api(site: str) -> str:
    """Where the API of a GitHub is that people see here."""
    parts = urlsplit(site)
    if parts.netloc == "github.com" or parts.netloc.endswith(".ghe.com"):
        return f"{parts.scheme}://api.{parts.netloc}"
    return f"{site}/api/v3"


def _primary(rows: Any) -> tuple[str, bool]:
    """The primary address and whether it is verified; empty if there is none."""
    for row in rows if isinstance(rows, list) else ():
        if isinstance(row, dict) and row.get("primary") is True:
            return str(row.get("email", "")).strip().lower(), row.get("verified") is True
    return "", False


def _group(row: Any) -> str:
    """`organisation/team`, or an organisation alone."""
    if not isinstance(row, dict):
        return ""
    organisation = row.get("organization")
    if isinstance(organisation, dict):
        return f"{organisation.get('login', '')}/{row.get('slug', '')}".lower()
    return str(row.get("login", "")).lower()
