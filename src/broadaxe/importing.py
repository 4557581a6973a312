"""How an engine imports what it does not need at once: inside a function, in a thread, under `kept`.

Modules at the top of a file are those that the first second needs; `tests/platform/test_start.py` names what must not
be among them.
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator

__all__ = ["kept"]


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
