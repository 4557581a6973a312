"""Where the files of the test run's PostgreSQL are: in memory where there is room for them, else on the disk.

A fresh database is three hundred new files, and making them costs a disk's file system ten times as much of the
processor as it costs memory. All processes of a test run share the directory; whoever leaves last removes it. What a
killed test run left behind is removed by the next one.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import psutil

MEMORY: Final = Path("/dev/shm")
#: Of the file system and of the machine. A test run needs some hundred megabytes.
FREE_AT_LEAST: Final = 2 << 30


@contextmanager
def shared_directory(shared: Path, stop_server_in: Callable[[Path], None], memory: Path = MEMORY) -> Iterator[Path]:
    """A directory for all processes of the test run that has `shared` in common.

    `stop_server_in` stops a server that a killed test run left in its directory.
    """
    if not _has_room(memory):
        yield shared
        return
    mine = f"broadaxe-tests-{os.getuid()}-"
    place = memory / (mine + hashlib.sha256(os.fsencode(shared)).hexdigest()[:12])
    lock = _enter(place)
    for other in memory.glob(f"{mine}*"):
        if other != place:
            with suppress(FileNotFoundError):
                _remove_unless_used(other, os.open(other, os.O_RDONLY), stop_server_in)
    try:
        yield place
    finally:
        _remove_unless_used(place, lock)


def _has_room(memory: Path) -> bool:
    """Whoever says that there is a place in memory may still have given it 64 MB, as containers do."""
    return (
        memory.is_dir()
        and shutil.disk_usage(memory).free > FREE_AT_LEAST
        and psutil.virtual_memory().available > 2 * FREE_AT_LEAST
    )


def _enter(place: Path) -> int:
    """The directory's descriptor, with a shared lock, which the kernel releases when the process dies."""
    while True:
        # Somebody who leaves may remove it at any moment before the lock is there.
        with suppress(FileNotFoundError):
            place.mkdir(mode=0o711, exist_ok=True)
            lock = os.open(place, os.O_RDONLY)
            fcntl.flock(lock, fcntl.LOCK_SH)
            if os.fstat(lock).st_nlink and os.path.samestat(os.fstat(lock), place.stat()):
                return lock
            os.close(lock)


def _remove_unless_used(place: Path, lock: int, first: Callable[[Path], None] = lambda _: None) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return
    else:
        first(place)
        shutil.rmtree(place)
    finally:
        os.close(lock)
