"""How the sender of a webhook request proves who it is. Pure: parts of the request and the time in, a verdict out.

Owns the three kinds of proof, and what Slack, Stripe and Svix sign differently from everybody else. Every comparison
with a secret takes the same time wherever the difference is. A signature that covers a timestamp is worth nothing once
that is older, or further ahead, than the source's tolerance, so that a recorded request cannot be sent again later.
Until then, and where no time is signed, the signature tells a request that was taken already: `REPLAY_WINDOWS_S` says
for how long it has to be remembered.

Refuses with `NotProven` (the proof is missing or wrong) or `MalformedProof` (it cannot be read as one). Their messages
go to strangers and into the list of failures, so they say which header is to blame and never what was expected.
Source: behaviour specification 5.8, REST specification 7.10.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Mapping
from typing import Final, Literal

import msgspec

__all__ = ["ApiKeyProof", "BasicProof", "HmacProof", "MalformedProof", "NotProven", "Proof", "check", "svix_key"]

Source = Literal["GENERIC", "GITHUB", "STRIPE", "SLACK", "LINEAR", "SVIX"]
Algorithm = Literal["SHA1", "SHA256", "SHA512", "MD5"]
Encoding = Literal["HEX", "BASE64", "BASE64URL"]

SLACK_TOLERANCE_S: Final = 5 * 60
STRIPE_TOLERANCE_S: Final = 10 * 60
SVIX_TOLERANCE_S: Final = 5 * 60
#: How long a request counts as taken already. Where the time is signed, as long as it could be sent again. GitHub and
#: Linear sign bodies of which no two are alike. Others may well send one body twice and mean it, though not at once.
REPLAY_WINDOWS_S: Final[Mapping[str, float]] = {
    "SLACK": 2.0 * SLACK_TOLERANCE_S,
    "STRIPE": 2.0 * STRIPE_TOLERANCE_S,
    "SVIX": 2.0 * SVIX_TOLERANCE_S,
    "GITHUB": 7 * 86_400.0,
    "LINEAR": 7 * 86_400.0,
    "GENERIC": 10 * 60.0,
}
#: A header holds several signatures while a secret is being replaced; nobody needs more than this.
SIGNATURES_MAX: Final = 20

_PREFIX: Final = re.compile(r"\A(?:sha1|sha256|sha512|md5)=", re.IGNORECASE)
_TIMESTAMP: Final = re.compile(r"\A[0-9]{1,12}\Z")


class NotProven(Exception):
    """The proof is missing, wrong or too old."""


class MalformedProof(Exception):
    """What was sent as a proof cannot be read as one."""


class BasicProof(msgspec.Struct, frozen=True, tag="BASIC"):
    """A user name and a password, as HTTP basic credentials."""

    username: str
    password: str


class ApiKeyProof(msgspec.Struct, frozen=True, tag="API_KEY"):
    """A key in a header."""

    header_name: str
    api_key: str


class HmacProof(msgspec.Struct, frozen=True, tag="HMAC"):
    """A signature of the body in a header."""

    algorithm: Algorithm
    encoding: Encoding
    signature_header_name: str
    signing_secret: str


Proof = BasicProof | ApiKeyProof | HmacProof


def check(proof: Proof, source: str, headers: Mapping[str, str], body: bytes, *, now_s: float) -> bytes | None:
    """Returns if the request proves itself. `headers` by lower-cased name, `body` as received, `now_s` Unix seconds.

    What it returns tells this request from any other that was signed, in 32 bytes; None where nothing is signed.
    """
    match proof:
        case BasicProof():
            _check_basic(proof, headers)
            return None
        case ApiKeyProof(header_name, api_key):
            if not _equal(_header(headers, header_name).encode("latin-1", "replace"), api_key.encode()):
                raise NotProven(f"the key in {header_name} is not the right one")
            return None
        case HmacProof() if source == "SLACK":
            signature = _check_slack(proof, headers, body, now_s)
        case HmacProof() if source == "STRIPE":
            signature = _check_stripe(proof, headers, body, now_s)
        case HmacProof() if source == "SVIX":
            signature = _check_svix(proof, headers, body, now_s)
        case HmacProof():
            signature = _check_hmac(proof, headers, body)
    return hashlib.sha256(signature).digest()


def svix_key(signing_secret: str) -> bytes:
    """The bytes of a `whsec_…` secret. ValueError unless base64 follows the prefix."""
    try:
        key = base64.b64decode(signing_secret.removeprefix("whsec_"), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not key:
        raise ValueError("a Svix secret is whsec_ and base64 behind it")
    return key


def _check_basic(proof: BasicProof, headers: Mapping[str, str]) -> None:
    scheme, _, credentials = _header(headers, "Authorization").partition(" ")
    try:
        given = base64.b64decode(credentials.strip(), validate=True) if scheme.lower() == "basic" else b""
    except (binascii.Error, ValueError):
        given = b""
    if not _equal(given, f"{proof.username}:{proof.password}".encode()):
        raise NotProven("the user name or the password is wrong")


def _check_hmac(proof: HmacProof, headers: Mapping[str, str], body: bytes) -> bytes:
    name = proof.signature_header_name
    given = _decoded(_PREFIX.sub("", _header(headers, name).strip()), proof.encoding, name)
    signature = _sign(proof.signing_secret.encode(), body, proof.algorithm.lower())
    if not hmac.compare_digest(given, signature):
        raise NotProven(f"the signature in {name} does not fit the body")
    return signature


def _check_slack(proof: HmacProof, headers: Mapping[str, str], body: bytes, now_s: float) -> bytes:
    name = proof.signature_header_name
    timestamp = _fresh(_header(headers, "X-Slack-Request-Timestamp"), now_s, SLACK_TOLERANCE_S)
    version, _, value = _header(headers, name).strip().partition("=")
    if version != "v0":
        raise MalformedProof(f"{name} is not v0=<hex>")
    signature = _sign(proof.signing_secret.encode(), b"v0:" + timestamp + b":" + body, "sha256")
    if not hmac.compare_digest(_decoded(value, "HEX", name), signature):
        raise NotProven(f"the signature in {name} does not fit the body")
    return signature


def _check_stripe(proof: HmacProof, headers: Mapping[str, str], body: bytes, now_s: float) -> bytes:
    name = proof.signature_header_name
    timestamp, given = "", []
    for part in _header(headers, name).split(",")[:SIGNATURES_MAX]:
        key, _, value = part.strip().partition("=")
        if key == "t":
            timestamp = value
        elif key == "v1":
            given.append(_decoded(value, "HEX", name))
    if not timestamp or not given:
        raise MalformedProof(f"{name} is not t=<seconds>,v1=<hex>")
    signed = _fresh(timestamp, now_s, STRIPE_TOLERANCE_S) + b"." + body
    signature = _sign(proof.signing_secret.encode(), signed, "sha256")
    if not _any_equal(given, signature):
        raise NotProven(f"the signature in {name} does not fit the body")
    return signature


def _check_svix(proof: HmacProof, headers: Mapping[str, str], body: bytes, now_s: float) -> bytes:
    family = "svix" if "svix-signature" in headers else "webhook"
    message_id = _header(headers, f"{family}-id").encode("latin-1", "replace")
    timestamp = _fresh(_header(headers, f"{family}-timestamp"), now_s, SVIX_TOLERANCE_S)
    name = f"{family}-signature"
    # Other versions stand beside v1 for other kinds of keys; they are not ours to check.
    texts = [text.removeprefix("v1,") for text in _header(headers, name).split(" ") if text.startswith("v1,")]
    if not texts:
        raise MalformedProof(f"{name} has no v1,<base64>")
    given = [_decoded(text, "BASE64", name) for text in texts[:SIGNATURES_MAX]]
    signature = _sign(svix_key(proof.signing_secret), message_id + b"." + timestamp + b"." + body, "sha256")
    if not _any_equal(given, signature):
        raise NotProven(f"the signature in {name} does not fit the body")
    return signature


def _header(headers: Mapping[str, str], name: str) -> str:
    value = headers.get(name.lower(), "")
    if not value:
        raise NotProven(f"the header {name} is missing")
    return value


def _fresh(text: str, now_s: float, tolerance_s: int) -> bytes:
    """The timestamp as it was signed."""
    if not _TIMESTAMP.match(text):
        raise MalformedProof("the timestamp is not a number of seconds")
    if abs(now_s - int(text)) > tolerance_s:
        raise NotProven(f"the timestamp is more than {tolerance_s} s away from now")
    return text.encode()


def _decoded(text: str, encoding: Encoding, name: str) -> bytes:
    try:
        if encoding == "HEX":
            return bytes.fromhex(text)
        if encoding == "BASE64URL":
            text = text.replace("-", "+").replace("_", "/")
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise MalformedProof(f"{name} is not a signature in {encoding.lower()}") from None


def _sign(key: bytes, message: bytes, algorithm: str) -> bytes:
    return hmac.digest(key, message, algorithm)


def _any_equal(given: list[bytes], expected: bytes) -> bool:
    # All are compared, so that the time does not tell which one came close.
    return sum(hmac.compare_digest(one, expected) for one in given) > 0


def _equal(given: bytes, expected: bytes) -> bool:
    """Takes the same time whatever the lengths."""
    return hmac.compare_digest(hashlib.sha256(given).digest(), hashlib.sha256(expected).digest())
