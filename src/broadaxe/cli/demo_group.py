"""The demo's group of processes: the engine, the RAG worker and the chat, and how each is known to be ready.

The chat is a program of its own in `examples/rag_chat`: this module knows its two commands and its environment
variables, and never imports it.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import signal
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

import click

from broadaxe.cli import dashboard_link, env_file
from broadaxe.cli.stop_signals import on_signals
from broadaxe.cli.supervisor import Child, Supervisor
from broadaxe.config import Settings

__all__ = ["Places", "chat_environment", "run"]

CHAT_DATABASE: Final = "rag_chat"
COLOURS: Final = {"engine": "yellow", "worker": "green", "chat": "cyan"}
PROBE_TIMEOUT_S: Final = 2.0
PROBE_BYTES_MAX: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Places:
    """Where the demo's parts are, on disk and on the network."""

    settings: Settings
    chat_port: int
    checkout: Path

    @property
    def directory(self) -> Path:
        """What belongs to the demo alone: its lock, its env file and the logs."""
        return self.settings.data_dir / "demo"

    @property
    def environment_file(self) -> Path:
        """Written by the engine when it is ready."""
        return self.directory / "engine.env"

    @property
    def chat_url(self) -> str:
        """The page people open."""
        return f"http://{self.settings.host}:{self.chat_port}"

    @property
    def docs_url(self) -> str:
        """The site the chat reads unless told otherwise."""
        return f"{self.settings.http_url}/docs/"


async def run(places: Places) -> int:
    """Run the group until a signal; returns the exit code."""
    stop = asyncio.Event()
    children = _children(places)
    supervisor = Supervisor(children, places.directory / "logs", _say)

    def heed(number: signal.Signals) -> None:
        if stop.is_set() and number is signal.SIGINT:
            supervisor.stop_at_once()
        elif not stop.is_set():
            click.echo("\nstopping (Ctrl-C again to stop at once)")
        stop.set()

    on_signals((signal.SIGINT, signal.SIGTERM), heed)
    started = time.monotonic()
    click.echo("starting the demo (the first time takes a little longer)")

    def announce() -> None:
        click.echo(f"\nAll is ready ({time.monotonic() - started:.1f} s). Where to click:\n")
        chat, dashboard = _links(places)
        click.echo(f"  chat       {click.style(chat, bold=True)}")
        click.echo(f"  dashboard  {dashboard}")
        click.echo(f"  docs       {places.docs_url}")
        click.echo(f"\n  logs       {places.directory / 'logs'}")
        click.echo("\nStop with Ctrl-C.\n")
        sys.stdout.flush()

    await supervisor.run(stop, announce)
    return 0


def _links(places: Places) -> tuple[str, str]:
    """The chat's and the dashboard's, as they are printed. The chat's leads through the engine, which lets the browser
    into the dashboard on the way: the chat has links into it."""
    link = dashboard_link.kept_link(places.settings.data_dir)
    if link is None:
        return places.chat_url, places.settings.http_url
    shown = dashboard_link.shown(places.settings.data_dir, link, places.settings.http_url)
    through = f"{link}&{urlencode({'to': places.chat_url})}"
    return (through if sys.stdout.isatty() else places.chat_url), shown


def _children(places: Places) -> list[list[Child]]:
    """The engine first; then, with what it wrote into its env file, the worker and the chat side by side."""
    settings = places.settings
    chat_directory = places.checkout / "examples" / "rag_chat"
    engine = Child(
        name="engine",
        command=(
            *(sys.executable, "-m", "broadaxe.cli.main", "dev"),
            *("--data-dir", str(settings.data_dir)),
            *("--host", settings.host),
            *("--grpc-port", str(settings.grpc_port)),
            *("--http-port", str(settings.http_port)),
            *("--env-file", str(places.environment_file)),
            *("--extra-database", CHAT_DATABASE),
        ),
        environment=lambda: {**os.environ, "PYTHONUNBUFFERED": "1"},
        ready=lambda: _engine_is_ready(places),
        directory=places.checkout,
    )
    worker = Child(
        name="worker",
        command=(sys.executable, "-m", "rag_chat.worker"),
        environment=lambda: chat_environment(places),
        ready=_WorkerProbe(places),
        directory=chat_directory,
    )
    chat = Child(
        name="chat",
        command=(sys.executable, "-m", "rag_chat.api"),
        environment=lambda: chat_environment(places),
        ready=lambda: _answers(f"{places.chat_url}/health"),
        directory=chat_directory,
    )
    return [[engine], [worker, chat]]


def chat_environment(places: Places) -> Mapping[str, str]:
    """What the chat is told, read afresh at each start, because a restarted engine writes its file again."""
    engine = env_file.read(places.environment_file) or {}
    settings = places.settings
    own = f"{settings.host}:{settings.http_port}"
    allowed = [part.strip() for part in os.environ.get("RAG_CHAT_ALLOWED_PRIVATE_HOSTS", "").split(",") if part.strip()]
    return {
        "RAG_CHAT_DEFAULT_URL": places.docs_url,
        **os.environ,
        **{name: value for name, value in engine.items() if name.startswith("HATCHET_CLIENT_")},
        "RAG_CHAT_DATABASE_URL": engine.get(f"BROADAXE_DATABASE_URL_{CHAT_DATABASE.upper()}", ""),
        "RAG_CHAT_HOST": settings.host,
        "RAG_CHAT_PORT": str(places.chat_port),
        "RAG_CHAT_DASHBOARD_URL": settings.http_url,
        # What the person allows is theirs to say; the demo only adds the site that it reads unless told otherwise.
        "RAG_CHAT_ALLOWED_PRIVATE_HOSTS": ",".join(dict.fromkeys([own, *allowed])),
        "PYTHONUNBUFFERED": "1",
    }


async def _engine_is_ready(places: Places) -> bool:
    # The file tells a fresh engine from one that is still on its way: it is removed at the start of each.
    if env_file.read(places.environment_file) is None:
        return False
    return await _answers(f"{places.settings.http_url}/api/ready")


async def _answers(url: str) -> bool:
    return await asyncio.to_thread(_get, url, None) is not None


class _WorkerProbe:
    """Whether the worker of the latest start is there. The REST API is how anybody would ask.

    A killed worker counts as active until the engine misses its heartbeats, so those of earlier starts do not count.
    """

    def __init__(self, places: Places) -> None:
        self._places = places
        self._earlier: frozenset[str] = frozenset()

    async def __call__(self) -> bool:
        active = await asyncio.to_thread(self._active)
        if active <= self._earlier:
            return False
        self._earlier |= active
        return True

    def _active(self) -> frozenset[str]:
        token = (env_file.read(self._places.environment_file) or {}).get("HATCHET_CLIENT_TOKEN", "")
        tenant = _tenant_of(token)
        if tenant is None:
            return frozenset()
        body = _get(f"{self._places.settings.http_url}/api/v1/tenants/{tenant}/worker", token)
        try:
            rows = json.loads(body or b"{}").get("rows") or []
            return frozenset(str(row["metadata"]["id"]) for row in rows if row["status"] == "ACTIVE")
        except (ValueError, AttributeError, LookupError, TypeError):
            return frozenset()


def _get(url: str, token: str | None) -> bytes | None:
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"} if token else {})
    # A proxy of the environment must not stand between us and our own children.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=PROBE_TIMEOUT_S) as response:
            body: bytes = response.read(PROBE_BYTES_MAX)
            return body
    except (OSError, urllib.error.URLError, ValueError):
        return None


def _tenant_of(token: str) -> str | None:
    """The tenant a token speaks for: the `sub` claim, which is there for clients to read."""
    try:
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return str(claims["sub"])
    except (IndexError, ValueError, KeyError, TypeError):
        return None


def _say(name: str, line: str) -> None:
    label = click.style(f"{name:>8}", fg=COLOURS.get(name, "white"))
    click.echo(f"{time.strftime('%H:%M:%S')} {label}  {line}")
    sys.stdout.flush()
