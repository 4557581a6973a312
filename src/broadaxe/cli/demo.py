"""`broadaxe demo`: its flags, what it needs before it starts, and the rule of one demo per data directory.

What the group of processes consists of is in `demo_group`.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click

from broadaxe import file_lock, private_file
from broadaxe.cli import options
from broadaxe.errors import ConfigurationError

__all__ = ["demo"]

CHAT_PORT_DEFAULT: Final = 8000


@click.command(short_help="Run the engine and the RAG chat, and say where to click.")
@options.data_dir
@click.option("--grpc-port", metavar="PORT", help="Port for SDKs and workers. [default: 7077]")
@click.option("--http-port", metavar="PORT", help="Port of the dashboard. [default: 8080]")
@click.option("--chat-port", metavar="PORT", help="Port of the chat. [default: 8000; BROADAXE_CHAT_PORT]")
def demo(chat_port: str | None, **given: str | None) -> None:
    """Run the engine, the RAG worker and the chat together, and say where to click.

    Needs a checkout that was prepared with `make setup`. Each part logs into a file of its own below the data
    directory. A part that dies is started again. Ctrl-C stops all of them; a second Ctrl-C at once.

    \b
    Try this while an answer is being written:
      kill -9 the worker or the engine (their process ids are in the logs), and watch the answer arrive all the same.

    \b
    With a language model:
      OPENAI_BASE_URL=http://127.0.0.1:11434/v1 OPENAI_MODEL=llama3.2 broadaxe demo
    """
    settings = options.settings_from({**given, "host": "127.0.0.1"})
    wanted_chat_port = _chat_port(chat_port)
    checkout = _checkout()
    import asyncio

    from broadaxe.cli.demo_group import Places, run
    from broadaxe.cli.ports import WantedPort, claim

    with _only_demo(settings.data_dir / "demo"):
        grpc_port, http_port, chat = claim(
            settings.host,
            [
                WantedPort(settings.grpc_port, "gRPC", "--grpc-port"),
                WantedPort(settings.http_port, "dashboard", "--http-port"),
                WantedPort(wanted_chat_port, "chat", "--chat-port"),
            ],
        )
        settings = options.settings_from(
            {
                "data_dir": settings.data_dir.absolute(),
                "host": settings.host,
                "grpc_port": grpc_port,
                "http_port": http_port,
            }
        )
        code = asyncio.run(run(Places(settings, chat, checkout)))
    raise SystemExit(code)


def _checkout() -> Path:
    """The directory that holds `examples/rag_chat`, checked to be ready for use."""
    import broadaxe

    installed = Path(broadaxe.__file__).resolve().parents[2]
    for place in (installed, Path.cwd()):
        chat = place / "examples" / "rag_chat"
        if (chat / "pyproject.toml").is_file():
            missing = (
                importlib.util.find_spec("rag_chat") is None or not (chat / "web" / "dist" / "index.html").is_file()
            )
            if missing:
                raise ConfigurationError("the chat is not prepared yet; run `make setup` (or simply `make demo`)")
            return place
    raise ConfigurationError("the demo needs a checkout of Broadaxe, because the chat lives in its examples/rag_chat")


def _chat_port(given: str | None) -> int:
    text = given or os.environ.get("BROADAXE_CHAT_PORT") or str(CHAT_PORT_DEFAULT)
    if not text.isdigit() or int(text) > 65535:
        raise ConfigurationError(f"--chat-port: {text!r} is no port; use 1 to 65535, or 0 for any free one")
    return int(text)


@contextlib.contextmanager
def _only_demo(directory: Path) -> Iterator[None]:
    """Hold the demo's directory, so that a second `make demo` touches nothing of the first."""
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        # The engine's env file holds a token.
        directory.mkdir(mode=0o700, exist_ok=True)
        file = os.fdopen(private_file.open_to_append(directory / "demo.lock"), "a+", encoding="ascii")
    except OSError as error:
        raise ConfigurationError(f"cannot use {directory}: {error.strerror}; choose another with --data-dir") from None
    with file:
        if not file_lock.take(file.fileno()):
            file.seek(0)
            pid = file.read(20).strip() or "unknown"
            raise ConfigurationError(
                f"a demo (process {pid}) already runs on {directory.parent}; use that one, stop it with Ctrl-C in its "
                f"terminal or kill {pid}, or run a second one with --data-dir and other ports"
            )
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
