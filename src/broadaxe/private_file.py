"""Files that only their owner may open: locks, which whoever opens them could hold, logs, keys, passwords.

On Windows there are no permission bits: such a file is as private as the directory it is made in, and a user's own
directories are.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final

__all__ = ["create", "open_to_append"]

MODE: Final = 0o600
#: Windows would otherwise put a carriage return before each line feed.
BINARY: Final[int] = getattr(os, "O_BINARY", 0)


def create(path: Path) -> int:
    """A descriptor for writing a file that was not there. Raises OSError, FileExistsError among them."""
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | BINARY, MODE)


def open_to_append(path: Path) -> int:
    """A descriptor for reading and appending. The file is made when missing, and an older one of ours closed to others.

    Raises OSError.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | BINARY, MODE)
    if sys.platform != "win32":
        status = os.fstat(descriptor)
        if status.st_uid == os.geteuid() and status.st_mode & 0o077:
            os.fchmod(descriptor, MODE)
    return descriptor
