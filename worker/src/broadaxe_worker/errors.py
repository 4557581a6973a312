"""What can go wrong before a worker works, each as one sentence for the person who started it.

WorkerError
|-- Mistake          something to be corrected: a target, a workflow, a setting. The command ends with 2
`-- EngineTooOld     the engine does not speak the session protocol; the official one still works
"""

from __future__ import annotations

__all__ = ["EngineTooOld", "Mistake", "WorkerError"]


class WorkerError(Exception):
    """The message is a sentence that says what to do."""


class Mistake(WorkerError):
    """Trying again without a change comes to the same."""


class EngineTooOld(WorkerError):
    """The engine answered that it knows no sessions."""
