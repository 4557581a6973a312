"""Files that only their owner may open: locks, which whoever opens them could hold, and logs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

__all__ = ["open_to_append"]

MODE: Final = 0o600


def open_to_append(path: Path) -> int:
    """A descriptor for reading and appending. The file is made when missing, and an older one of ours closed to others.

    Raises OSError.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, MODE)
    status = os.fstat(descriptor)
    if status.st_uid == os.geteuid() and status.st_mode & 0o077:
        os.fchmod(descriptor, MODE)
    return descriptor
