"""Errors that are the same mistake: of one kind, at one place of their author's own code.

Owns reading that place out of the text that an SDK sends, a traceback of Python or a stack of JavaScript, and grouping
failed tasks by it. The place is the innermost frame that is not a library's. A text without frames is known by its
first line, with what differs from run to run (numbers, ids, quoted values) left out. Pure: what is grouped is given.

Invariants: the same texts make the same groups with the same fingerprints, in every process. Line numbers are no part
of a fingerprint where the text shows the line itself, so that a group outlives a change above it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from hashlib import blake2b
from typing import Final

import msgspec

from broadaxe.storage.failure_reads import FailedTask

__all__ = ["ErrorGroup", "Mistake", "group_failures", "mistake_of"]

MESSAGE_MAX: Final = 300
CODE_MAX: Final = 200

_TRAILER: Final = '{"__hatchet_error_metadata__"'
_PYTHON_FRAME: Final = re.compile(
    r'^[ |+]*File "(?P<file>[^"\n]+)", line (?P<line>\d+), in (?P<function>[^\n]+)'
    r'(?:\n(?P<code>[ |]+(?! *File ")[^\n]*))?',
    re.MULTILINE,
)
_SCRIPT_FRAME: Final = re.compile(
    r"^[ \t]+at (?:(?P<function>[^\n(]+) \()?(?P<file>(?:[a-z]+:)?[^\n():]+):(?P<line>\d+):\d+\)?$", re.MULTILINE
)
_LIBRARY: Final = re.compile(
    r"[/\\](?:site-packages|dist-packages|node_modules|hatchet_sdk|lib[/\\]python\d[^/\\]*)[/\\]|^<|^node:|^internal[/\\]"
)
_KIND: Final = re.compile(r"[A-Za-z_][\w.]*(?:: [A-Za-z_][\w.]*)?(?=:|\Z)")
_VARIES: Final = re.compile(
    r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|0x[0-9a-fA-F]+|\d+(?:\.\d+)?|'[^'\n]{0,200}'|\"[^\"\n]{0,200}\""
)


class Mistake(msgspec.Struct, frozen=True):
    """What an error text says went wrong, and where in its author's own code."""

    kind: str
    """The exception's type; empty for a text that names none."""
    message: str
    """The first line, without the type."""
    file: str | None
    line: int | None
    function: str | None
    code: str | None
    """The line itself, as far as the text shows it."""

    def fingerprint(self) -> str:
        """16 hexadecimal digits that are the same for the same mistake."""
        if self.file is None:
            parts: tuple[str, ...] = (self.kind, _VARIES.sub("…", self.message))
        else:
            parts = (self.kind, self.file, self.function or "", self.code or str(self.line))
        return blake2b("\0".join(parts).encode(errors="replace"), digest_size=8).hexdigest()


class ErrorGroup(msgspec.Struct, frozen=True):
    """Failed tasks with the same mistake, the newest of them as the example."""

    fingerprint: str
    mistake: Mistake
    tasks: tuple[FailedTask, ...]
    """Newest first."""
    first_at: datetime
    last_at: datetime
    workflows: tuple[tuple[str, str, int], ...]
    """Id, name and number of tasks, the most frequent first."""


def mistake_of(text: str) -> Mistake:
    """What the text says."""
    trailer = text.rfind(_TRAILER)
    text = (text if trailer < 0 else text[:trailer]).replace("\\\n", " ").strip()
    if text.startswith("Traceback ("):
        # A bare traceback ends with what others begin with.
        head = next((line for line in reversed(text.split("\n")) if line and not line.startswith(" ")), "")
    else:
        head = text.partition("\n")[0]
    frame = _own_frame(text)
    kind, message = _kind_and_message(head, has_frames=frame is not None or "Traceback (" in text)
    if frame is None:
        return Mistake(kind, message[:MESSAGE_MAX], None, None, None, None)
    code = (frame.groupdict().get("code") or "").strip(" |")[:CODE_MAX] or None
    function = (frame["function"] or "").strip() or None
    # Beyond nine digits it is no line.
    return Mistake(kind, message[:MESSAGE_MAX], frame["file"], int(frame["line"][:9]), function, code)


def group_failures(tasks: Sequence[FailedTask]) -> list[ErrorGroup]:
    """The most frequent group first, then the one that was seen last."""
    mistakes: dict[str, Mistake] = {}
    members: dict[str, list[FailedTask]] = {}
    known: dict[str, str] = {}
    for task in tasks:
        fingerprint = known.get(task.error)
        if fingerprint is None:
            mistake = mistake_of(task.error)
            fingerprint = known[task.error] = mistake.fingerprint()
            mistakes.setdefault(fingerprint, mistake)
        members.setdefault(fingerprint, []).append(task)
    groups = [_group(fingerprint, mistakes[fingerprint], found) for fingerprint, found in members.items()]
    return sorted(groups, key=lambda group: (len(group.tasks), group.last_at), reverse=True)


def _group(fingerprint: str, mistake: Mistake, tasks: list[FailedTask]) -> ErrorGroup:
    counts = Counter((task.workflow_id, task.workflow_name) for task in tasks)
    return ErrorGroup(
        fingerprint,
        mistake,
        tuple(tasks),
        min(task.failed_at for task in tasks),
        max(task.failed_at for task in tasks),
        tuple((workflow_id, name, count) for (workflow_id, name), count in counts.most_common()),
    )


def _own_frame(text: str) -> re.Match[str] | None:
    """The innermost frame of the author's own code. Python has it last, and the last exception of a chain as well;
    JavaScript has it first."""
    own = [frame for frame in _PYTHON_FRAME.finditer(text) if not _LIBRARY.search(frame["file"])]
    if own:
        return own[-1]
    return _first_own(_SCRIPT_FRAME.finditer(text))


def _first_own(frames: Iterable[re.Match[str]]) -> re.Match[str] | None:
    return next((frame for frame in frames if not _LIBRARY.search(frame["file"])), None)


def _kind_and_message(head: str, *, has_frames: bool) -> tuple[str, str]:
    match = _KIND.match(head)
    if match is None:
        return "", head
    kind, message = match[0], head[match.end() :].lstrip(": ")
    if has_frames and ":::" in head:
        # The SDK writes a colon inside the type as three.
        kind, _, message = head.partition(": ")
        return kind.replace(":::", ": "), message
    first_kind, _, more = kind.partition(": ")
    if more:
        kind, message = first_kind, f"{more}: {message}" if message else more
    looks_like_one = kind.endswith(("Error", "Exception", "Warning", "Exit", "Interrupt", "Group"))
    return (kind, message) if has_frames or looks_like_one else ("", head)
