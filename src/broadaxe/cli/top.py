"""`broadaxe top`: what a tenant is doing, on one screen that the server keeps up to date.

The screen is in `top_screen.py`, and stands on `textual`, which is an extra.
"""

from __future__ import annotations

import sys
from typing import Unpack

import click

from broadaxe.cli.connection import Connection, connecting
from broadaxe.cli.run_flags import Words, query_of, searching
from broadaxe.errors import ConfigurationError

__all__ = ["top"]


@click.command(short_help="Watch runs, queues and workers on one screen.")
@searching
@connecting
def top(connection: Connection, **words: Unpack[Words]) -> None:
    """Watch what runs, what waits and who works. Arrows and Enter open a run, c cancels it, r replays it, q ends.

    The server says when something changes; nothing is asked for meanwhile.

    \b
    Examples:
      broadaxe top
      broadaxe top --workflow orders --since 2h
      broadaxe top --profile production --status failed
    """
    query = query_of(words)
    server = connection.open()
    try:
        import textual
    except ImportError:
        raise ConfigurationError("this needs one more package: pip install 'broadaxe[top]'") from None
    del textual
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise ConfigurationError("this is a screen for a terminal; `broadaxe runs watch` writes lines")
    # Said now, before the screen is taken.
    server.get(server.tenant, dict[str, object])
    from broadaxe.cli.top_screen import TopScreen

    TopScreen(server, query).run()
