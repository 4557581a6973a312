"""Ports that several processes of one user listen on, among which the system shares out what connects.

On Linux and macOS an option of the socket says so. Windows has nothing of the kind.
"""

from __future__ import annotations

import socket
import sys

__all__ = ["are_there", "share"]


def are_there() -> bool:
    """Whether this system has them."""
    return sys.platform != "win32" and hasattr(socket, "SO_REUSEPORT")


def share(listener: socket.socket) -> None:
    """Before it is bound. OSError where there are none."""
    if sys.platform == "win32":
        raise OSError("this system does not share a port among processes")
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
