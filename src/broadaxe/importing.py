"""How an engine imports what it does not need at once: inside a function, in a thread, under `kept`.

Modules at the top of a file are those that the first second needs; `tests/platform/test_start.py` names what must not
be among them.
"""

from __future__ import annotations

import contextlib
import gc
import sys
from collections.abc import Iterator
from typing import Final

__all__ = ["giving_way", "kept"]

#: How long a thread that gives way keeps the loop waiting, seconds.
TURN_S: Final = 0.001
_USUAL_TURN_S: Final = sys.getswitchinterval()


@contextlib.contextmanager
def kept() -> Iterator[None]:
    """What is imported or built inside stays for good. Looking through all of it for garbage, again and again, would
    take a fifth of the time."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


@contextlib.contextmanager
def giving_way() -> Iterator[None]:
    """What is done inside, in a thread, takes turns with the loop, which answers calls meanwhile: five times as often
    as Python's threads do by themselves."""
    sys.setswitchinterval(TURN_S)
    try:
        yield
    finally:
        sys.setswitchinterval(_USUAL_TURN_S)
