"""One OpenID provider as we speak to it: discovery, its keys, exchanging a code, and what an ID token must be.

Owns what is known of the provider: its document, read when it is first needed and again after `DISCOVERY_S`, and its
keys, read again when a token names one that is not among them, at most once in `KEYS_AGAIN_S`. Refuses a document of
another issuer, and a token that is not signed by the provider's keys, not from it, not for us, not of this sign-in or
not of now. Invariants as of `vouching.py`.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Iterable
from typing import Any, Final, assert_never
from urllib.parse import quote_plus

import httpx
from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet

from broadaxe.errors import InvalidArgument, Unavailable
from broadaxe.openid_providers import OpenIdProvider, Speaks
from broadaxe.rest.github_client import GitHubClient
from broadaxe.rest.vouching import GROUPS_MAX, Client, Voucher, ask, is_safe, pkce_challenge, provider_http, with_query

__all__ = ["OpenIdClient", "clients"]

DISCOVERY_S: Final = 3600.0
KEYS_AGAIN_S: Final = 60.0
CLOCK_SKEW_S: Final = 60
#: Signatures by a key that only the provider has.
ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")


class OpenIdClient:
    """Safe to use from several requests at once."""

    def __init__(
        self,
        provider: OpenIdProvider,
        http: httpx.AsyncClient,
        *,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.provider = provider
        self._http = http
        self._clock = clock
        self._now = now
        self._document: dict[str, Any] = {}
        self._document_at = 0.0
        self._keys: KeySet | None = None
        self._keys_at = 0.0

    async def check(self) -> None:
        await self._discovered()

    async def address(self, redirect_uri: str, state: str, nonce: str, verifier: str) -> str:
        document = await self._discovered()
        query = {
            "response_type": "code",
            "client_id": self.provider.client_id,
            "redirect_uri": redirect_uri,
            "scope": " ".join(self.provider.scopes),
            "state": state,
            "nonce": nonce,
            "code_challenge": pkce_challenge(verifier),
            "code_challenge_method": "S256",
        }
        return with_query(str(document["authorization_endpoint"]), query)

    def is_named(self, issuer: str) -> bool:
        return issuer == self.provider.issuer

    async def logout_address(self, back: str, id_token: str) -> str:
        if not self.provider.signs_out:
            return ""
        # One that was read long ago will do: nobody waits for a provider that is away in order to leave.
        address = str((self._document or await self._discovered()).get("end_session_endpoint", ""))
        if not is_safe(address):
            return ""
        query = {"client_id": self.provider.client_id, "post_logout_redirect_uri": back}
        if id_token:
            query["id_token_hint"] = id_token
        return with_query(address, query)

    async def voucher(self, code: str, redirect_uri: str, nonce: str, verifier: str) -> Voucher:
        document = await self._discovered()
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": verifier,
        }
        headers = {"accept": "application/json"}
        if self.provider.client_secret:
            # RFC 6749, 2.3.1: both are form-encoded first.
            login = f"{quote_plus(self.provider.client_id)}:{quote_plus(self.provider.client_secret)}"
            headers["authorization"] = f"Basic {base64.b64encode(login.encode()).decode()}"
        else:
            form["client_id"] = self.provider.client_id
        answer = await self._asked("POST", str(document["token_endpoint"]), data=form, headers=headers)
        token = answer.get("id_token")
        if not isinstance(token, str):
            raise InvalidArgument(f"{self.provider.name} gave no ID token: {str(answer.get('error', ''))[:80]}")
        claims = await self._claims(token, nonce)
        access_token = answer.get("access_token")
        if isinstance(access_token, str) and ("email" not in claims or self.provider.groups_claim not in claims):
            claims = await self._with_userinfo(claims, access_token)
        groups = claims.get(self.provider.groups_claim, [])
        return Voucher(
            issuer=self.provider.issuer,
            subject=str(claims["sub"]),
            email=str(claims.get("email", "")).strip().lower(),
            # Only the word itself: some providers say it as a text, and "false" is one as well.
            is_verified=claims.get("email_verified") in (True, "true"),
            name=str(claims.get("name", ""))[:255].replace("\0", ""),
            groups=frozenset(str(group) for group in groups[:GROUPS_MAX]) if isinstance(groups, list) else frozenset(),
            id_token=token,
        )

    async def _with_userinfo(self, claims: dict[str, Any], access_token: str) -> dict[str, Any]:
        address = self._document.get("userinfo_endpoint")
        if not isinstance(address, str):
            return claims
        more = await self._asked("GET", address, headers={"authorization": f"Bearer {access_token}"})
        if more.get("sub") != claims["sub"]:
            raise InvalidArgument(f"{self.provider.name} answered about somebody else; sign in again")
        return more | claims

    async def _claims(self, token: str, nonce: str) -> dict[str, Any]:
        refused = f"what {self.provider.name} vouches with does not count"
        try:
            decoded = await self._decoded(token)
            registry = jwt.JWTClaimsRegistry(
                now=lambda: int(self._now()),
                leeway=CLOCK_SKEW_S,
                iss={"essential": True, "value": self.provider.issuer},
                aud={"essential": True, "value": self.provider.client_id},
                sub={"essential": True},
                exp={"essential": True},
                iat={"essential": True},
                nonce={"essential": True, "value": nonce},
            )
            registry.validate(decoded.claims)
        except (JoseError, ValueError) as error:
            raise InvalidArgument(f"{refused}: {error}") from None
        claims = dict(decoded.claims)
        if claims.get("azp", self.provider.client_id) != self.provider.client_id:
            raise InvalidArgument(f"{refused}: it is for another client")
        return claims

    async def _decoded(self, token: str) -> jwt.Token:
        keys = await self._known_keys(again=False)
        try:
            return jwt.decode(token, keys, algorithms=ALGORITHMS)
        except (InvalidKeyIdError, ValueError):
            # Signed with a key that we have not seen: the provider has changed them.
            return jwt.decode(token, await self._known_keys(again=True), algorithms=ALGORITHMS)

    async def _known_keys(self, *, again: bool) -> KeySet:
        age_s = self._clock() - self._keys_at
        if self._keys is None or (again and age_s >= KEYS_AGAIN_S):
            document = await self._discovered()
            answer = await self._asked("GET", str(document["jwks_uri"]))
            try:
                self._keys = KeySet.import_key_set(answer)  # type: ignore[arg-type]
            except (JoseError, ValueError, KeyError, TypeError):
                raise Unavailable(f"the keys of {self.provider.name} cannot be read") from None
            self._keys_at = self._clock()
        return self._keys

    async def _discovered(self) -> dict[str, Any]:
        if not self._document or self._clock() - self._document_at > DISCOVERY_S:
            address = f"{self.provider.issuer.rstrip('/')}/.well-known/openid-configuration"
            document = await self._asked("GET", address)
            if document.get("issuer") != self.provider.issuer:
                raise Unavailable(
                    f"{self.provider.name} calls itself {str(document.get('issuer'))[:200]!r}, not "
                    f"{self.provider.issuer!r}; correct the issuer in the settings"
                )
            for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
                if not is_safe(str(document.get(name, ""))):
                    raise Unavailable(f"{self.provider.name} does not say its {name}")
            self._document, self._document_at = document, self._clock()
        return self._document

    async def _asked(self, method: str, address: str, **more: Any) -> dict[str, Any]:
        """A JSON object of the provider's, errors of OAuth 2 included."""
        name = self.provider.name
        return (await ask(self._http, name, method, address, **more)).object(name)


def clients(providers: Iterable[OpenIdProvider]) -> dict[str, Client]:
    """A client for each provider, by its id. Nothing is asked of any of them before somebody signs in."""
    if not providers:
        return {}
    http = provider_http()
    return {provider.id: _client(provider, http) for provider in providers}


def _client(provider: OpenIdProvider, http: httpx.AsyncClient) -> Client:
    match provider.speaks:
        case Speaks.OPENID:
            return OpenIdClient(provider, http)
        case Speaks.GITHUB:
            return GitHubClient(provider, http)
    assert_never(provider.speaks)
