"""How far a long command is, on standard error: one line that is written over on a terminal, elsewhere a line now and
then."""

from __future__ import annotations

import sys

import click

__all__ = ["Progress"]

EVERY = 500


class Progress:
    def __init__(self) -> None:
        self._is_terminal = sys.stderr.isatty()
        self._is_open = False

    def __call__(self, what: str, count: int) -> None:
        """So many of this are done; 0 when their number is not known yet."""
        text = f"{what}: {count}" if count else f"{what} ..."
        if self._is_terminal:
            click.echo(f"\r\x1b[K{text}", nl=False, err=True)
            self._is_open = True
        elif count and count % EVERY == 0:
            click.echo(text, err=True)

    def end(self) -> None:
        """What is written next begins a line of its own."""
        if self._is_open:
            click.echo("\r\x1b[K", nl=False, err=True)
            self._is_open = False
