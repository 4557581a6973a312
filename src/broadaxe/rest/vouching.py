"""What every client of a provider that vouches for people offers, and how one asks: requests with bounds.

Owns the shape of a voucher and of a client (`openid_client.py`, `github_client.py`). Refuses an answer that is too
large, late, a redirect, or not JSON. Invariant: secrets are in no error.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, Final, NamedTuple, Protocol
from urllib.parse import urlencode, urlsplit

import httpx

from broadaxe.errors import Unavailable
from broadaxe.openid_providers import LOOPBACK, OpenIdProvider

__all__ = ["GROUPS_MAX", "Answer", "Client", "Voucher", "ask", "is_safe", "pkce_challenge", "with_query"]

REQUEST_S: Final = 10.0
ANSWER_BYTES_MAX: Final = 1_000_000
GROUPS_MAX: Final = 1_000


@dataclass(frozen=True, slots=True)
class Voucher:
    """For whom the provider vouches."""

    issuer: str
    subject: str
    email: str
    is_verified: bool
    name: str
    groups: frozenset[str]
    id_token: str = field(default="", repr=False)
    """Empty for a provider that has none."""


class Client(Protocol):
    """One provider as we speak to it."""

    @property
    def provider(self) -> OpenIdProvider: ...

    async def check(self) -> None:
        """Unavailable, in words for an administrator, unless the provider says of itself what a sign-in needs."""

    async def address(self, redirect_uri: str, state: str, nonce: str, verifier: str) -> str:
        """Where a browser signs in. Unavailable if the provider does not say."""

    def is_named(self, issuer: str) -> bool:
        """Whether an answer that says it is from this issuer is from the provider."""

    async def voucher(self, code: str, redirect_uri: str, nonce: str, verifier: str) -> Voucher:
        """For whom the provider vouches with this code. InvalidArgument, in words for whoever signs in, if it does not;
        Unavailable if it cannot be asked."""

    async def logout_address(self, back: str, id_token: str) -> str:
        """Where a browser ends its session at the provider, which then leads it `back`; empty if it has no such
        place or is not to be asked. `id_token` is what it gave when the session began, empty if that is not known.
        Unavailable if the provider does not answer."""


class Answer(NamedTuple):
    """What a provider answered, errors of OAuth 2 included."""

    status: int
    json: Any

    def object(self, name: str) -> dict[str, Any]:
        """A JSON object, and Unavailable, which says `name`, if it is another value."""
        if not isinstance(self.json, dict):
            raise Unavailable(f"{name} answers HTTP {self.status} with something else")
        return self.json


def provider_http() -> httpx.AsyncClient:
    """What providers are asked with. Whoever signs in next is somebody else, so no cookie of theirs is kept."""
    return httpx.AsyncClient(trust_env=True, cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])))


async def ask(http: httpx.AsyncClient, name: str, method: str, address: str, **more: Any) -> Answer:
    """JSON from a provider of this name. Unavailable if it fails or does not answer."""
    try:
        async with http.stream(method, address, timeout=REQUEST_S, follow_redirects=False, **more) as answer:
            body = b""
            async for part in answer.aiter_bytes():
                body += part
                if len(body) > ANSWER_BYTES_MAX:
                    raise Unavailable(f"{name} answers too much")
    except httpx.HTTPError as error:
        raise Unavailable(f"{name} cannot be reached: {type(error).__name__}") from None
    except UnicodeEncodeError:
        # What it gave before goes into a header.
        raise Unavailable(f"{name} gave an access token with characters that no header can have") from None
    try:
        found = httpx.Response(answer.status_code, content=body).json()
    except (ValueError, RecursionError):
        raise Unavailable(f"{name} answers HTTP {answer.status_code} without JSON") from None
    if answer.status_code >= 500:
        raise Unavailable(f"{name} answers HTTP {answer.status_code}")
    return Answer(answer.status_code, found)


def pkce_challenge(verifier: str) -> str:
    """What is said beforehand of a secret that is shown later (RFC 7636, S256)."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def is_safe(address: str) -> bool:
    """Whether it is https, or of this machine."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)


def with_query(address: str, query: dict[str, str]) -> str:
    return f"{address}{'&' if urlsplit(address).query else '?'}{urlencode(query)}"
