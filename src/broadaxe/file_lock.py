"""Locks on open files, which the kernel lets go of when their holder dies, whatever it dies of.

Several may hold a file shared, or one may hold it alone. Nobody waits here: whoever does not get a lock is told so.
"""

from __future__ import annotations

import sys

__all__ = ["take"]

if sys.platform == "win32":
    import ctypes
    import msvcrt
    from ctypes import wintypes
    from typing import Final

    FAIL_IMMEDIATELY: Final = 1
    EXCLUSIVE: Final = 2
    LOCK_VIOLATION: Final = 33
    #: Windows keeps others from reading what is locked, so the lock is on a byte where nothing ever is.
    OFFSET: Final = 0x7FFF_FFFF

    class _Overlapped(ctypes.Structure):
        _fields_ = (
            ("internal", ctypes.c_void_p),
            ("internal_high", ctypes.c_void_p),
            ("offset", wintypes.DWORD),
            ("offset_high", wintypes.DWORD),
            ("event", wintypes.HANDLE),
        )

    def take(descriptor: int, *, shared: bool = False) -> bool:
        """False when another holds it. Closing the descriptor gives it back."""
        kernel = ctypes.WinDLL("kernel32", use_last_error=True)
        kernel.LockFileEx.argtypes = (
            wintypes.HANDLE,
            wintypes.DWORD,
            wintypes.DWORD,
            wintypes.DWORD,
            wintypes.DWORD,
            ctypes.POINTER(_Overlapped),
        )
        kernel.LockFileEx.restype = wintypes.BOOL
        flags = FAIL_IMMEDIATELY if shared else FAIL_IMMEDIATELY | EXCLUSIVE
        place = _Overlapped(offset=OFFSET)
        if kernel.LockFileEx(msvcrt.get_osfhandle(descriptor), flags, 0, 1, 0, ctypes.byref(place)):
            return True
        error = ctypes.get_last_error()
        if error == LOCK_VIOLATION:
            return False
        raise ctypes.WinError(error)

else:
    import fcntl

    def take(descriptor: int, *, shared: bool = False) -> bool:
        """False when another holds it. Closing the descriptor gives it back."""
        try:
            fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
