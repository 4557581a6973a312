"""Moving: what a plan says is asked for, thing by thing, and what became of it is written into the plan's sections.

Owns the order (what runs need comes before the runs, and the run that waited longest first) and what is asked of the
source once more right before a run is moved: its input, and whether it still waits. Refuses to change the source.

Invariants: a thing is asked for at most once; whoever stops this at any instant, or is stopped by an error, imports
again and goes on where it ended, because `plan.survey` finds what arrived.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Any, Final, NamedTuple

from broadaxe.errors import InvalidArgument, NotFound
from broadaxe.moving import rows
from broadaxe.moving.plan import REFUSED, Creation, Kind, Plan, QueuedRun, Say, Section, Source
from broadaxe.remote.server import Server

__all__ = ["move"]

#: Runs that are read from the source while others are made.
READERS: Final = 4
AHEAD: Final = 8


class _Read(NamedTuple):
    """What the source says of a run now: how to make it, or why it stays."""

    creation: Creation | None
    reason: str


def move(plan: Plan, source: Source, target: Server, say: Say) -> None:
    """Does what the plan says. Unavailable when a server does not answer; what was moved by then is in the sections."""
    for kind, section in plan.sections.items():
        for count, creation in enumerate(section.wanted, 1):
            _make(target, section, creation)
            say(kind, count)
    runs = plan.sections[Kind.RUN]
    for count, read in enumerate(_read_ahead(plan.runs, source, target), 1):
        run, found = read
        if found.creation is None:
            runs.leave(found.reason, f"{run.workflow_name} {run.id}")
        else:
            _make(target, runs, found.creation)
        say(Kind.RUN, count)


def _make(target: Server, section: Section, creation: Creation) -> None:
    try:
        target.send(creation.method, creation.path, creation.body)
    except (InvalidArgument, NotFound) as error:
        section.leave(f"{REFUSED}{error.message}", creation.label)
    else:
        section.moved += 1


def _read_ahead(runs: list[QueuedRun], source: Source, target: Server) -> Iterator[tuple[QueuedRun, _Read]]:
    """The runs in their order, each as it is when its turn is near."""
    path = f"{target.stable}/workflow-runs/trigger"
    remaining = iter(runs)
    under_way: deque[tuple[QueuedRun, Future[_Read]]] = deque()
    pool = ThreadPoolExecutor(READERS, thread_name_prefix="reading")
    try:
        under_way.extend((run, pool.submit(_read, run, source, path)) for run in islice(remaining, AHEAD))
        while under_way:
            run, future = under_way.popleft()
            found = future.result()
            under_way.extend(
                (next_run, pool.submit(_read, next_run, source, path)) for next_run in islice(remaining, 1)
            )
            yield run, found
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _read(run: QueuedRun, source: Source, path: str) -> _Read:
    address = f"/api/v1/stable/workflow-runs/{run.id}"
    try:
        found = source.get(address, rows.RunDetails).run
    except NotFound:
        return _Read(None, "is gone there")
    if found.status != "QUEUED":
        return _Read(None, "was started or ended there in the meantime")
    if found.payloads_restricted:
        return _Read(None, "its input is hidden from this token")
    body: dict[str, Any] = {
        "workflowName": run.workflow_name,
        "input": rows.object_text(found.input),
        "additionalMetadata": rows.with_origin(found.additional_metadata, run.id),
        "return_only_id": True,
    }
    if found.priority is not None:
        body["priority"] = found.priority
    label = f"{run.workflow_name} {run.id}"
    return _Read(Creation(label, "POST", path, body, run.id), "")
