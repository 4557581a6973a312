"""A small real web site for the tests: an asyncio HTTP server whose pages can change and whose requests are kept."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass, field
from types import TracebackType


@dataclass(slots=True)
class Page:
    body: bytes
    content_type: str = "text/html; charset=utf-8"
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    # Tests hold a page back by an event that is not set.
    gate: asyncio.Event | None = None
    # Set as soon as somebody asks for the page.
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    etag: bool = True


@dataclass(frozen=True, slots=True)
class Request:
    path: str
    headers: dict[str, str]


def html(title: str, body: str) -> bytes:
    return f"<!doctype html><html><head><title>{title}</title></head><body><main>{body}</main></body></html>".encode()


INSTALL_PAGE = html(
    "Install",
    """<h1 id="install">Install Broadaxe</h1>
    <p>Broadaxe is a single Python package, so there is nothing else to set up on the machine.</p>
    <h2 id="with-pip">With pip</h2>
    <p>Create a virtual environment and install the package from the index with pip:</p>
    <pre><code>pip install broadaxe
broadaxe dev</code></pre>
    <p>The second command starts the engine and prints a token for your workers.</p>
    <h2>Requirements</h2>
    <p>You need Python 3.11 or newer; a PostgreSQL server comes along with the package.</p>""",
)
CONCEPTS_PAGE = html(
    "Concepts",
    """<h1 id="concepts">Concepts</h1>
    <p>A workflow is a graph of tasks, and each task is run by a worker that asked for it.</p>
    <h2 id="retries">Retries</h2>
    <p>A task that fails is tried again with exponential backoff until its retries are used up.</p>""",
)
INDEX_PAGE = html(
    "Docs",
    """<h1>Documentation</h1><p>Everything about the engine, from the first command to running it for years.</p>
    <ul><li><a href="concepts.html">Concepts</a></li><li><a href="/docs/install.html#with-pip">Install</a></li>
    <li><a href="/private/secret.html">Elsewhere</a></li><li><a href="https://example.org/docs/x">Other site</a></li>
    <li><a href="logo.png">Logo</a></li></ul>""",
)


class WebSite:
    """Serves `pages` on a free port of 127.0.0.1."""

    def __init__(self, port: int = 0) -> None:
        self.host = "127.0.0.1"
        self.port = port
        self.requests: list[Request] = []
        self.pages: dict[str, Page] = {
            "/docs/": Page(INDEX_PAGE),
            "/docs/install.html": Page(INSTALL_PAGE),
            "/docs/concepts.html": Page(CONCEPTS_PAGE),
        }
        self._server: asyncio.Server | None = None

    @property
    def address(self) -> str:
        return f"http://{self.host}:{self.port}"

    def paths(self) -> list[str]:
        return [request.path for request in self.requests]

    async def __aenter__(self) -> WebSite:
        self._server = await asyncio.start_server(self._serve, self.host, self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        self._server.close_clients() if hasattr(self._server, "close_clients") else None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            headers = {
                name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)
            }
            path = head[0].split(" ")[1]
            self.requests.append(Request(path, headers))
            writer.write(await self._answer(path, headers))
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            # The client is gone, or the test is over.
            pass
        finally:
            writer.close()

    async def _answer(self, path: str, headers: dict[str, str]) -> bytes:
        page = self.pages.get(path)
        if page is None:
            return (
                b"HTTP/1.1 404 Not Found\r\nContent-Type: text/html\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            )
        page.asked.set()
        if page.gate is not None:
            await page.gate.wait()
        etag = f'"{hashlib.sha256(page.body).hexdigest()[:16]}"'
        if page.etag and headers.get("if-none-match") == etag:
            return b"HTTP/1.1 304 Not Modified\r\nConnection: close\r\n\r\n"
        fields = {"Content-Type": page.content_type, "Content-Length": str(len(page.body)), "Connection": "close"}
        fields |= {"ETag": etag} if page.etag else {}
        fields |= page.headers
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items() if value)
        return f"HTTP/1.1 {page.status} Whatever\r\n{head}\r\n".encode() + page.body
