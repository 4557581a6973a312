"""One bounded, polite HTTP GET.

Owns the limits of a single fetch: time, size after decompression, number of redirects, content type. Every hop of a
redirect is judged by `addresses` again before anything is sent to it, and connections are never shared between host
names. Environment proxies are not used, because they would connect to addresses nobody judged.
"""

from __future__ import annotations

import asyncio
import ssl
import zlib
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

import httpx

from rag_chat.addresses import CheckedAddress, Resolver, check_address, resolve_with_system
from rag_chat.errors import PageError, PageTooLarge, PageUnavailable
from rag_chat.settings import ReadingLimits

USER_AGENT = "rag-chat/0.1 (reads one page for one question; honours robots.txt)"
ROBOTS_NAME = "rag-chat"
TEXT_TYPES = ("text/html", "application/xhtml+xml", "text/plain", "text/markdown")
XML_TYPES = ("application/xml", "text/xml")
PAGE_TYPES = (*TEXT_TYPES, "application/pdf")
REDIRECTS = (301, 302, 303, 307, 308)
RETRYABLE_STATUSES = (408, 425, 429, 500, 502, 503, 504)


@dataclass(frozen=True, slots=True)
class FetchedPage:
    url: str
    content_type: str
    charset: str | None
    body: bytes
    etag: str | None
    last_modified: str | None


@dataclass(frozen=True, slots=True)
class NotModified:
    url: str


class Fetcher:
    """Fetches pages within `limits`. One per process; close it when done."""

    def __init__(
        self,
        limits: ReadingLimits,
        allowed_private_hosts: frozenset[tuple[str, int]],
        resolve: Resolver = resolve_with_system,
    ) -> None:
        self._limits = limits
        self._allowed_private_hosts = allowed_private_hosts
        self._resolve = resolve
        # A kept-alive connection is found by IP address, so it could carry a request for another host name past the
        # certificate check made for the first one. Each request opens its own.
        self._client = httpx.AsyncClient(
            follow_redirects=False,
            trust_env=False,
            verify=ssl.create_default_context(),
            limits=httpx.Limits(max_connections=32, max_keepalive_connections=0),
            timeout=httpx.Timeout(limits.page_time_s_max, connect=8.0),
        )

    async def close(self) -> None:
        await self._client.aclose()

    async def fetch(
        self,
        url: str,
        *,
        etag: str | None = None,
        last_modified: str | None = None,
        content_types: tuple[str, ...] = PAGE_TYPES,
    ) -> FetchedPage | NotModified:
        """Get a page, or learn that it is still as it was; raises PageError or PageUnavailable with the reason."""
        try:
            async with asyncio.timeout(self._limits.page_time_s_max):
                return await self._follow(url, etag, last_modified, content_types)
        except TimeoutError:
            raise PageUnavailable(f"{url} did not answer within {self._limits.page_time_s_max:g} s.") from None

    async def _follow(
        self, url: str, etag: str | None, last_modified: str | None, content_types: tuple[str, ...]
    ) -> FetchedPage | NotModified:
        for _hop in range(self._limits.redirects_max + 1):
            address = await check_address(url, self._allowed_private_hosts, self._resolve)
            answer = await self._get(address, etag, last_modified, content_types)
            if not isinstance(answer, str):
                return answer
            url = urljoin(address.url, answer)
        raise PageError(f"{url} redirects more than {self._limits.redirects_max} times.")

    async def _get(
        self, address: CheckedAddress, etag: str | None, last_modified: str | None, content_types: tuple[str, ...]
    ) -> FetchedPage | NotModified | str:
        """One hop: the page, or the address it redirects to."""
        request = self._request(address, etag, last_modified, content_types)
        try:
            response = await self._client.send(request, stream=True)
        except httpx.TimeoutException:
            raise PageUnavailable(f"{address.url} did not answer in time.") from None
        except httpx.HTTPError as error:
            raise PageUnavailable(f"{address.url} could not be reached: {_reason(error)}.") from None
        try:
            if response.status_code in REDIRECTS and "location" in response.headers:
                return response.headers["location"]
            if response.status_code == 304:
                return NotModified(address.url)
            _refuse_bad_status(address.url, response.status_code)
            content_type, charset = _content_type(response)
            if content_type not in content_types:
                raise PageError(
                    f"{address.url} is {content_type or 'of an unknown type'}; "
                    "the chat reads HTML, PDF, plain text and Markdown."
                )
            return FetchedPage(
                url=address.url,
                content_type=content_type,
                charset=charset,
                body=await self._read_body(address.url, response, content_type),
                etag=_bounded_header(response, "etag"),
                last_modified=_bounded_header(response, "last-modified"),
            )
        except httpx.TimeoutException:
            raise PageUnavailable(f"{address.url} stopped sending before the page was complete.") from None
        except httpx.HTTPError as error:
            raise PageUnavailable(f"{address.url} broke off while sending: {_reason(error)}.") from None
        finally:
            await response.aclose()

    def _request(
        self, address: CheckedAddress, etag: str | None, last_modified: str | None, content_types: tuple[str, ...]
    ) -> httpx.Request:
        """A request that connects to the judged IP address, and names the host in Host and in the TLS handshake."""
        parts = urlsplit(address.url)
        ip = f"[{address.ip}]" if ":" in address.ip else address.ip
        host = f"[{address.host}]" if ":" in address.host else address.host
        default_port = 443 if address.scheme == "https" else 80
        headers = {
            "Host": host if address.port == default_port else f"{host}:{address.port}",
            "User-Agent": USER_AGENT,
            "Accept": ", ".join(content_types) + ", */*;q=0.1",
            "Accept-Encoding": "gzip",
        }
        if etag is not None:
            headers["If-None-Match"] = etag
        if last_modified is not None:
            headers["If-Modified-Since"] = last_modified
        url = parts._replace(netloc=f"{ip}:{address.port}", path=parts.path or "/").geturl()
        return self._client.build_request("GET", url, headers=headers, extensions={"sni_hostname": address.host})

    async def _read_body(self, url: str, response: httpx.Response, content_type: str) -> bytes:
        """The body, decompressed by hand so that a small bomb cannot grow past the limit."""
        is_document = content_type == "application/pdf"
        limit = self._limits.document_size_bytes_max if is_document else self._limits.page_size_bytes_max
        declared = response.headers.get("content-length", "")
        if declared.isdigit() and int(declared) > limit:
            raise PageTooLarge(_too_large(url, limit))
        encoding = response.headers.get("content-encoding", "identity").strip().lower()
        if encoding not in ("identity", "gzip", "x-gzip", "deflate"):
            raise PageError(f"{url} is sent with the encoding {encoding!r}, which the chat did not ask for.")
        inflate = None if encoding == "identity" else zlib.decompressobj(wbits=47)
        body = bytearray()
        try:
            async for piece in response.aiter_raw():
                body += piece if inflate is None else inflate.decompress(piece, limit - len(body) + 1)
                if len(body) > limit:
                    raise PageTooLarge(_too_large(url, limit))
        except zlib.error:
            raise PageError(f"{url} is damaged: its compression cannot be undone.") from None
        return bytes(body)


def _refuse_bad_status(url: str, status: int) -> None:
    if status == 200:
        return
    if status in RETRYABLE_STATUSES:
        raise PageUnavailable(f"{url} answered with HTTP {status}.")
    meaning = {401: " (it wants a login)", 403: " (it refuses readers like this one)", 404: " (there is no such page)"}
    raise PageError(f"{url} answered with HTTP {status}{meaning.get(status, '')}.")


def _content_type(response: httpx.Response) -> tuple[str, str | None]:
    content_type, _, parameters = response.headers.get("content-type", "").partition(";")
    charset = None
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset":
            charset = value.strip().strip("\"'")[:40] or None
    return content_type.strip().lower(), charset


def _bounded_header(response: httpx.Response, name: str) -> str | None:
    value: str | None = response.headers.get(name)
    return value if value is not None and len(value) <= 512 else None


def _too_large(url: str, limit: int) -> str:
    return f"{url} is larger than {limit / 1_000_000:g} MB, more than the chat reads of one page."


def _reason(error: httpx.HTTPError) -> str:
    if isinstance(error, httpx.ConnectError):
        text = str(error)
        return "its certificate is not valid" if "CERTIFICATE" in text.upper() else "nothing accepts connections there"
    return type(error).__name__
