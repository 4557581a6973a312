"""How `make test` shares the tests out among its processes: by file, and what needs the same worker goes together.

An engine or a worker that tests of one process share takes three to seven seconds of the processor to start. Were
single tests shared out, every process would sooner or later start every one of them.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Final

from xdist.scheduler import LoadFileScheduling

#: Files of the wire tests by the workers they share (tests/wire/conftest.py). The others are files like all, but two
#: directories whose tests have one engine in common.
TOGETHER: Final = {
    "flow": ("batches", "concurrency", "limits", "placement", "triggers", "waiting"),
    "durable": ("conditions", "durable"),
    "gallery": (
        *("calendar", "control", "debounce", "families", "metrics", "other_clients", "pausing", "queueing", "retries"),
        *("runs", "session", "speech", "strict_decoding", "traces", "waiting", "webhooks"),
    ),
}
#: What starts processes and takes minutes by the file begins first, so that nobody waits for it alone at the end: one
#: file of the platform's tests, begun last, keeps one process busy for two minutes while the others have nothing to do.
BEGIN: Final = (
    "wire",
    "chaos",
    "platform",
    "distribution",
    "docs",
    "integrations",
    "cluster",
    "simulation",
    "storage",
    "rest",
)
#: Many short files, which fill the end evenly.
END: Final = ("core",)

_GROUPS: Final = {
    f"tests/wire/test_{'flow_' if group == 'flow' else ''}{name}.py": f"tests/wire: {group}"
    for group, names in TOGETHER.items()
    for name in names
} | {directory: f"{directory}: one engine" for directory in ("tests/wire/sdk047", "tests/integrations")}


class TogetherScheduling(LoadFileScheduling):
    """By file or by group of files."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid.split("::", 1)[0])


def group_of(file: str) -> str:
    """What goes to one process together with the file, which is named from the repository's root."""
    return _GROUPS.get(file) or _GROUPS.get(str(PurePosixPath(file).parent)) or file


def begins_at(file: str) -> tuple[int, str]:
    """Sorts files into the order in which they are shared out."""
    directory = file.split("/")[1]
    place = BEGIN.index(directory) if directory in BEGIN else len(BEGIN) + (directory in END)
    return place, "" if group_of(file) != file else "by itself"
