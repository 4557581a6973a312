"""A server of the protocol as its REST API shows it: the only client of that API there is here.

Owns how it is spoken to: bounds on what is read and on how long it takes, which answers are tried again, and the
sentence that names server, address and answer when something is wrong. Refuses to know what it is asked for. Redirects
are not followed, so a token goes to no server but the one that was named.

Invariants: an answer has at most `ANSWER_BYTES_MAX` and takes at most `PATIENCE_S`; only reading is tried again here,
because who writes has to find out first what became of the first try. Safe to use from several threads.
"""

from __future__ import annotations

import base64
import hashlib
import http.client
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import BinaryIO, Final, NamedTuple, NoReturn, TypeVar
from urllib.parse import SplitResult, quote, urlencode, urlsplit

import msgspec

from broadaxe.errors import ConfigurationError, InvalidArgument, NotFound, Unavailable

__all__ = ["Claims", "Server", "checked_url", "claims_of", "described", "path_part"]

ANSWER_BYTES_MAX: Final = 64 * 1024 * 1024
#: How long one answer may take, however steadily it drips.
PATIENCE_S: Final = 300.0
TRIES: Final = 4
FIRST_PAUSE_S: Final = 0.5
#: A connection that was idle for longer is not used again.
IDLE_S: Final = 2.0
#: Answers that say that nothing was done.
UNTOUCHED: Final = (429, 503)
#: Rows of one list, and their size.
ROWS_MAX: Final = 200_000
LIST_BYTES_MAX: Final = 512 * 1024 * 1024
TEXT_SHOWN_MAX: Final = 300
_CHUNK_BYTES: Final = 1 << 16

#: The server says something at least every 20 s on a stream, and ends one after 15 minutes.
STREAM_SILENCE_S: Final = 60.0
EVENT_BYTES_MAX: Final = 8 * 1024 * 1024

Row = TypeVar("Row")
Query = Mapping[str, str | int | list[str]]


class Claims(msgspec.Struct, frozen=True):
    """What a token says, for clients to read."""

    sub: str
    server_url: str = ""


class _Untouched(Exception):
    """Nothing was done, and the same may work in a moment. Its text is that of the error to tell in the end."""


class _Page(msgspec.Struct, frozen=True):
    rows: list[msgspec.Raw] | None = None


class _Pagination(msgspec.Struct, frozen=True):
    next_cursor: str | None = None


class _Listed(msgspec.Struct, frozen=True):
    rows: list[msgspec.Raw] | None = None
    pagination: _Pagination = _Pagination()


class _Said(msgspec.Struct, frozen=True):
    description: str = ""


class _Refusal(msgspec.Struct, frozen=True):
    errors: list[_Said] = []
    message: str = ""
    description: str = ""


class ServerEvent(NamedTuple):
    """A server-sent event; the id is empty if it has none of its own."""

    name: str
    data: bytes
    id: str


class Server:
    """One server, seen with one token, which is that of one tenant."""

    def __init__(
        self,
        name: str,
        url: str,
        token: str,
        *,
        timeout_s: float,
        url_flag: str,
        token_flag: str,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        """`name` is what messages call it; `timeout_s` is how long it may say nothing."""
        parts = checked_url(url, url_flag)
        self.name = name
        self.url = url.rstrip("/")
        self._secure = parts.scheme == "https"
        self._host, self._base, self._port = parts.hostname or "", parts.path.rstrip("/"), parts.port
        self._url_flag, self._token_flag = url_flag, token_flag
        self._timeout_s, self._pause = timeout_s, pause
        self.tenant_id = claims_of(token, token_flag).sub
        self._headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
        self._local = threading.local()
        self._is_known = False

    @property
    def tenant(self) -> str:
        """The path of the tenant's older addresses."""
        return f"/api/v1/tenants/{self.tenant_id}"

    @property
    def stable(self) -> str:
        """The path of the tenant's newer addresses."""
        return f"/api/v1/stable/tenants/{self.tenant_id}"

    def get(self, path: str, shape: type[Row], query: Query | None = None) -> Row:
        """What is there. NotFound, InvalidArgument and ConfigurationError for what it refuses; Unavailable after
        several tries."""
        address = f"{path}?{urlencode(query, doseq=True)}" if query else path
        for left in range(TRIES - 1, -1, -1):
            try:
                return self._decoded(self._ask("GET", address, None), shape, address)
            except Unavailable:
                if left == 0:
                    raise
            except _Untouched as error:
                if left == 0:
                    raise Unavailable(str(error)) from None
            self._wait(left)
        raise AssertionError("the last try returns or raises")

    def pages(self, path: str, shape: type[Row], limit: int, query: Query | None = None) -> Iterator[list[Row]]:
        """The rows of a list, page by page, none twice."""
        seen, offset, size = set[bytes](), 0, 0
        while True:
            rows = self.get(path, _Page, {**(query or {}), "offset": offset, "limit": limit}).rows or []
            digests = {hashlib.blake2b(row, digest_size=16).digest(): row for row in rows}
            fresh = {digest: row for digest, row in digests.items() if digest not in seen}
            # An empty page ends a list, and so does one that only repeats: some servers ignore the offset.
            if not fresh:
                return
            seen.update(fresh)
            offset += len(rows)
            size += sum(len(bytes(row)) for row in rows)
            if offset > ROWS_MAX or size > LIST_BYTES_MAX:
                raise InvalidArgument(
                    f"{self.name} lists more than {ROWS_MAX} rows or {LIST_BYTES_MAX >> 20} MiB at {path}; "
                    "that is more than can be moved"
                )
            yield [self._row(bytes(row), shape, path) for row in fresh.values()]

    def rows(self, path: str, shape: type[Row], limit: int, query: Query | None = None) -> list[Row]:
        """All rows of a list."""
        return [row for page in self.pages(path, shape, limit, query) for row in page]

    def newest(self, path: str, shape: type[Row], count: int, page: int, query: Query | None = None) -> Iterator[Row]:
        """The first `count` rows of a list that tells cursors, `page` of them at a time."""
        cursor: str | None = None
        while count > 0:
            size = min(count, page)
            asked = {**(query or {}), "limit": size, **({} if cursor is None else {"cursor": cursor})}
            answer = self.get(path, _Listed, asked)
            rows = (answer.rows or [])[:size]
            yield from (self._row(bytes(row), shape, path) for row in rows)
            count -= len(rows)
            cursor = answer.pagination.next_cursor
            if cursor is None:
                return

    def send(self, method: str, path: str, body: object) -> None:
        """Asks it to do something, which it does at most once: it is asked again only after it said, or could not be
        told, to do nothing. InvalidArgument and NotFound when it refuses; Unavailable when it may have done it."""
        self._done(method, path, msgspec.json.encode(body))

    def ask(self, method: str, path: str, body: object, shape: type[Row]) -> Row:
        """The same, and what it answers."""
        return self._decoded(self._done(method, path, msgspec.json.encode(body)), shape, path)

    def post_bytes(self, path: str, content: bytes, shape: type[Row]) -> Row:
        """The same with a body that is no JSON."""
        return self._decoded(self._done("POST", path, content), shape, path)

    def events(self, path: str) -> Iterator[ServerEvent]:
        """Server-sent events until the server ends the stream. Unavailable when it breaks."""
        kind = http.client.HTTPSConnection if self._secure else http.client.HTTPConnection
        connection = kind(self._host, self._port, timeout=STREAM_SILENCE_S)
        try:
            connection.request("GET", self._base + path, headers={**self._headers, "Accept": "text/event-stream"})
            response = connection.getresponse()
            if response.status != 200:
                self._refuse(response.status, "", response.read(EVENT_BYTES_MAX), "GET", path)
            name, data, id_ = "message", list[bytes](), ""
            while line := response.readline(EVENT_BYTES_MAX + 1):
                if len(line) + sum(map(len, data)) > EVENT_BYTES_MAX:
                    raise Unavailable(f"{self.name} {self.url} sent more than {EVENT_BYTES_MAX >> 20} MiB in one event")
                field, _, value = line.rstrip(b"\r\n").partition(b":")
                value = value.removeprefix(b" ")
                if field == b"event":
                    name = value.decode(errors="replace")
                elif field == b"data":
                    data.append(value)
                elif field == b"id":
                    id_ = value.decode(errors="replace")
                elif not field and data:
                    yield ServerEvent(name, b"\n".join(data), id_)
                    name, data, id_ = "message", [], ""
        except (OSError, http.client.HTTPException, UnicodeError) as error:
            raise self._unreached(error, Unavailable) from None
        except _Untouched as error:
            raise Unavailable(str(error)) from None
        finally:
            connection.close()

    def save(self, path: str, to: BinaryIO, say: Callable[[int], None]) -> int:
        """Writes the whole answer, however large it is, and says on the way how many bytes there are; how many there
        were. Unavailable when it breaks off."""
        kind = http.client.HTTPSConnection if self._secure else http.client.HTTPConnection
        connection = kind(self._host, self._port, timeout=STREAM_SILENCE_S)
        size = 0
        try:
            connection.connect()
        except (OSError, UnicodeError) as error:
            raise self._unreached(error, Unavailable) from None
        try:
            connection.request("GET", self._base + path, headers=self._headers)
            response = connection.getresponse()
            if response.status != 200:
                location = response.headers.get("Location", "")
                self._refuse(response.status, location, response.read(EVENT_BYTES_MAX), "GET", path)
            while chunk := response.read1(_CHUNK_BYTES):
                to.write(chunk)
                size += len(chunk)
                say(size)
        except (http.client.HTTPException, ConnectionError, TimeoutError, UnicodeError) as error:
            raise self._unreached(error, Unavailable) from None
        except _Untouched as error:
            raise Unavailable(str(error)) from None
        finally:
            connection.close()
        return size

    def _done(self, method: str, path: str, content: bytes) -> bytes:
        for left in range(TRIES - 1, -1, -1):
            try:
                return self._ask(method, path, content)
            except _Untouched as error:
                if left == 0:
                    raise Unavailable(str(error)) from None
            self._wait(left)
        raise AssertionError("the last try returns or raises")

    def _wait(self, left: int) -> None:
        self._pause(FIRST_PAUSE_S * 2 ** (TRIES - 1 - left) * random.uniform(0.75, 1.25))

    def _decoded(self, content: bytes, shape: type[Row], address: str) -> Row:
        decoded = self._row(content, shape, address)
        self._is_known = True
        return decoded

    def _row(self, content: bytes, shape: type[Row], address: str) -> Row:
        try:
            return msgspec.json.decode(content, type=shape)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            sentence = f"{self.name} {self.url} answered what this protocol does not say, to {_shown(address)}: {error}"
            if not self._is_known:
                raise ConfigurationError(
                    f"{sentence}; is {self._url_flag} the address of a REST API?", field=self._url_flag
                ) from None
            raise Unavailable(sentence) from None

    def _ask(self, method: str, address: str, body: bytes | None) -> bytes:
        status, location, content = self._exchange(method, address, body)
        if not 200 <= status < 300:
            self._refuse(status, location, content, method, address)
        return content

    def _refuse(self, status: int, location: str, content: bytes, method: str, address: str) -> NoReturn:
        said = described(content)
        sentence = (
            f"{self.name} {self.url} answered {status} to {method} {_shown(address)}{f': {said}' if said else ''}"
        )
        if 300 <= status < 400:
            raise ConfigurationError(
                f"{self.name} {self.url} sends us on to {location[:TEXT_SHOWN_MAX]}; if you trust it, give that as "
                f"{self._url_flag}",
                field=self._url_flag,
            )
        if status in (401, 403):
            raise ConfigurationError(f"{sentence}; look at {self._token_flag}", field=self._token_flag)
        if status == 404:
            raise NotFound(sentence)
        if status in UNTOUCHED:
            raise _Untouched(sentence)
        if status >= 500:
            raise Unavailable(sentence)
        raise InvalidArgument(said or sentence)

    def _exchange(self, method: str, address: str, body: bytes | None) -> tuple[int, str, bytes]:
        """Status, where a redirect leads, and body."""
        headers = self._headers if body is None else {**self._headers, "Content-Type": "application/json"}
        deadline = time.monotonic() + PATIENCE_S
        connection = self._open()
        try:
            connection.request(method, self._base + address, body, headers)
            response = connection.getresponse()
            parts, size = [], 0
            while chunk := response.read1(_CHUNK_BYTES):
                parts.append(chunk)
                size += len(chunk)
                if size > ANSWER_BYTES_MAX:
                    raise Unavailable(
                        f"{self.name} {self.url} answered more than {ANSWER_BYTES_MAX >> 20} MiB to {_shown(address)}"
                    )
                if time.monotonic() > deadline:
                    raise Unavailable(f"{self.name} {self.url} took more than {PATIENCE_S:g} s over {_shown(address)}")
            if response.length:
                raise http.client.IncompleteRead(b"", response.length)
            # Read in parts, it does not see by itself that it is over, and the connection would not be used again.
            response.close()
        except (OSError, http.client.HTTPException, UnicodeError) as error:
            connection.close()
            raise self._unreached(error, Unavailable) from None
        except Unavailable:
            connection.close()
            raise
        if response.will_close:
            connection.close()
        self._local.used_at = time.monotonic()
        return response.status, response.headers.get("Location", ""), b"".join(parts)

    def _open(self) -> http.client.HTTPConnection:
        """The connection of this thread. One that was idle is opened anew: the server may just be closing it."""
        connection = getattr(self._local, "connection", None)
        if not isinstance(connection, http.client.HTTPConnection):
            kind = http.client.HTTPSConnection if self._secure else http.client.HTTPConnection
            connection = self._local.connection = kind(self._host, self._port, timeout=self._timeout_s)
        elif time.monotonic() - self._local.used_at > IDLE_S:
            connection.close()
        self._local.used_at = time.monotonic()
        if connection.sock is None:
            try:
                connection.connect()
            except (OSError, http.client.HTTPException, UnicodeError) as error:
                connection.close()
                raise self._unreached(error, _Untouched) from None
        return connection

    def _unreached(self, error: Exception, kind: type[Unavailable | _Untouched]) -> Exception:
        reason = str(error) or type(error).__name__
        if isinstance(error, TimeoutError):
            reason = f"it said nothing for {self._timeout_s:g} s"
        sentence = f"{self.name} {self.url} cannot be reached: {reason}"
        if self._is_known or isinstance(error, TimeoutError):
            return kind(sentence)
        return ConfigurationError(f"{sentence}; is it running, and is {self._url_flag} right?", field=self._url_flag)


def checked_url(url: str, flag: str) -> SplitResult:
    """The parts of an address of a REST API. ConfigurationError naming `flag` for what is none."""
    try:
        parts = urlsplit(url)
        is_one = parts.scheme in ("http", "https") and bool(parts.hostname) and url.isascii() and url.isprintable()
    except ValueError:
        is_one = False
    if not is_one:
        raise ConfigurationError(
            f"{flag} {url[:TEXT_SHOWN_MAX]!r}: write the address of the REST API, such as http://host:8080", field=flag
        )
    try:
        _ = parts.port
    except ValueError:
        raise ConfigurationError(f"{flag} {url[:TEXT_SHOWN_MAX]!r}: no such port", field=flag) from None
    return parts


def claims_of(token: str, flag: str) -> Claims:
    """What the token says of itself. ConfigurationError naming `flag` for what is none."""
    try:
        payload = token.split(".")[1]
        claims = msgspec.json.decode(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)), type=Claims)
    except (IndexError, ValueError):
        claims = None
    if claims is None or len(claims.sub) != 36 or not token.isascii() or not token.isprintable():
        raise ConfigurationError(
            f"{flag}: this is no API token; a whole one has three parts with dots between, the first beginning with ey",
            field=flag,
        )
    return claims


def described(content: bytes) -> str:
    """What a server said of its refusal, in one line."""
    try:
        refusal = msgspec.json.decode(content, type=_Refusal)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        text = content[:TEXT_SHOWN_MAX].decode(errors="replace")
    else:
        text = "; ".join(said.description for said in refusal.errors) or refusal.message or refusal.description
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())[:TEXT_SHOWN_MAX]


def _shown(address: str) -> str:
    return address if len(address) <= TEXT_SHOWN_MAX else f"{address[:TEXT_SHOWN_MAX]}..."


def path_part(name: str) -> str:
    """A name as one part of an address."""
    return quote(name, safe="")
