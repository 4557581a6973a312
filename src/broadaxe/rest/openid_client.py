"""One OpenID provider as we speak to it: discovery, its keys, exchanging a code, and what an ID token must be.

Owns what is known of the provider: its document, read when it is first needed and again after `DISCOVERY_S`, and its
keys, read again when a token names one that is not among them, at most once in `KEYS_AGAIN_S`. Refuses a document of
another issuer, and a token that is not signed by the provider's keys, not from it, not for us, not of this sign-in or
not of now. Invariants: every request has a bound in time and size and follows no redirect; secrets are in no error.
"""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote_plus, urlencode, urlsplit

import httpx
from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet

from broadaxe.errors import InvalidArgument, Unavailable
from broadaxe.openid_providers import OpenIdProvider

__all__ = ["OpenIdClient", "Voucher", "openid_clients"]

REQUEST_S: Final = 10.0
ANSWER_BYTES_MAX: Final = 1_000_000
DISCOVERY_S: Final = 3600.0
KEYS_AGAIN_S: Final = 60.0
CLOCK_SKEW_S: Final = 60
GROUPS_MAX: Final = 1_000
#: Signatures by a key that only the provider has.
ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})


@dataclass(frozen=True, slots=True)
class Voucher:
    """For whom the provider vouches."""

    issuer: str
    subject: str
    email: str
    is_verified: bool
    name: str
    groups: frozenset[str]
    id_token: str = field(repr=False)


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
        """Unavailable, in words for an administrator, unless the provider says of itself what a sign-in needs."""
        await self._discovered()

    async def address(self, redirect_uri: str, state: str, nonce: str, verifier: str) -> str:
        """Where a browser signs in. Unavailable if the provider does not say."""
        document = await self._discovered()
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        query = {
            "response_type": "code",
            "client_id": self.provider.client_id,
            "redirect_uri": redirect_uri,
            "scope": " ".join(self.provider.scopes),
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        return _with_query(str(document["authorization_endpoint"]), query)

    async def logout_address(self, back: str, id_token: str) -> str:
        """Where a browser ends its session at the provider, which then leads it `back`; empty if it has no such
        place or is not to be asked. `id_token` is what it gave when the session began, empty if that is not known.
        Unavailable if the provider does not answer."""
        if not self.provider.signs_out:
            return ""
        # One that was read long ago will do: nobody waits for a provider that is away in order to leave.
        address = str((self._document or await self._discovered()).get("end_session_endpoint", ""))
        if not _is_safe(address):
            return ""
        query = {"client_id": self.provider.client_id, "post_logout_redirect_uri": back}
        if id_token:
            query["id_token_hint"] = id_token
        return _with_query(address, query)

    async def voucher(self, code: str, redirect_uri: str, nonce: str, verifier: str) -> Voucher:
        """For whom the provider vouches with this code. InvalidArgument, in words for whoever signs in, if it does not;
        Unavailable if it cannot be asked."""
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
                if not _is_safe(str(document.get(name, ""))):
                    raise Unavailable(f"{self.provider.name} does not say its {name}")
            self._document, self._document_at = document, self._clock()
        return self._document

    async def _asked(self, method: str, address: str, **more: Any) -> dict[str, Any]:
        """A JSON object of the provider's, errors of OAuth 2 included."""
        try:
            async with self._http.stream(method, address, timeout=REQUEST_S, follow_redirects=False, **more) as answer:
                body = b""
                async for part in answer.aiter_bytes():
                    body += part
                    if len(body) > ANSWER_BYTES_MAX:
                        raise Unavailable(f"{self.provider.name} answers too much")
            found = httpx.Response(answer.status_code, content=body).json()
        except httpx.HTTPError as error:
            raise Unavailable(f"{self.provider.name} cannot be reached: {type(error).__name__}") from None
        except ValueError:
            raise Unavailable(f"{self.provider.name} answers HTTP {answer.status_code} without JSON") from None
        if not isinstance(found, dict) or answer.status_code >= 500:
            raise Unavailable(f"{self.provider.name} answers HTTP {answer.status_code}")
        return found


def _is_safe(address: str) -> bool:
    try:
        parts = urlsplit(address)
    except ValueError:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)


def _with_query(address: str, query: dict[str, str]) -> str:
    return f"{address}{'&' if urlsplit(address).query else '?'}{urlencode(query)}"


def openid_clients(providers: Iterable[OpenIdProvider]) -> dict[str, OpenIdClient]:
    """A client for each provider, by its id. Nothing is asked of any of them before somebody signs in."""
    http = httpx.AsyncClient(trust_env=True) if providers else None
    return {} if http is None else {provider.id: OpenIdClient(provider, http) for provider in providers}
