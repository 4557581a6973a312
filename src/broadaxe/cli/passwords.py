"""Where commands get a password from: a prompt on a terminal, a variable of the environment, or the standard input.

Never a flag, because flags are seen in process lists and kept in shell histories. Refuses to know what a good password
is: that is `storage.accounts`.
"""

from __future__ import annotations

import os
import sys
from typing import Final

import click

from broadaxe.errors import ConfigurationError

__all__ = ["ACCOUNT_PASSWORD", "OWNER_PASSWORD", "ask_password", "read_password"]

OWNER_PASSWORD: Final = "BROADAXE_OWNER_PASSWORD"
ACCOUNT_PASSWORD: Final = "BROADAXE_ACCOUNT_PASSWORD"
LINE_CHARS_MAX: Final = 1_000


def ask_password(whose: str, variable: str) -> str:
    """The password in `variable`, else what is typed twice. `whose` ends the question: `the new account a@b`."""
    given = os.environ.get(variable)
    if given:
        return given
    if not sys.stdin.isatty():
        raise ConfigurationError(
            f"a password is needed for {whose}: run this on a terminal to be asked for it, or set {variable}",
            field=variable,
        )
    answer: str = click.prompt(f"Password for {whose}", hide_input=True, confirmation_prompt=True)
    return answer


def read_password() -> str:
    """The password in the first line of the standard input."""
    line = sys.stdin.readline(LINE_CHARS_MAX).rstrip("\r\n")
    if not line:
        raise ConfigurationError("the standard input is empty; write the password into it as one line", field="--stdin")
    return line
