"""A long backlog, of which only the front is in memory.

A lane keeps its first `hot_tasks_max` waiting tasks as objects. What joins behind them is frozen in the round that
made it: a segment in the line remembers the ids, 16 bytes a task, and when the first of them is due. The rows are all
in the tables, so nothing is lost by forgetting them. Segments are read back (thawed), first come first, before the
front runs out or when their first timeout is due; the tasks take exactly the places they had. So a million waiting
tasks cost a few dozen megabytes, and order, priority and timeouts stay what they are.

Only tasks that are nothing but waiting are frozen: the single task of a run, in its first attempt, with no concurrency
slot, rate limit, label or worker of its own. A command that names a frozen task has it adopted first
(`Tenant.missing`); its id in the segment is then skipped when the segment thaws.

Cost: freezing and thawing are O(1) per task amortised, plus one pass over the lane's front per segment thawed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

import msgspec

from broadaxe.core import attempts, families
from broadaxe.core.definition import TaskDefinition
from broadaxe.core.lifecycle import TaskStatus
from broadaxe.core.model import Task, Workflow
from broadaxe.core.queues import ID_BYTES, Lane, Segment, Waiting
from broadaxe.core.state import State
from broadaxe.core.timers import AlarmKind

SEGMENT_TASKS_MAX: Final = 1_000
#: Segments read back at a time: nothing else is decided while one is taken in.
THAW_SEGMENTS_MAX: Final = 1


class ColdTasks(msgspec.Struct, frozen=True, gc=False):
    """Waiting tasks that were never in memory, as the loader read them: ids in queue order, 16 bytes each."""

    definition_id: str
    priority: int
    ids: bytes
    created_at_us: int
    """When the oldest of them was made."""
    due_at_us: int
    """The earliest deadline in their rows."""


def freeze(state: State) -> None:
    """Forgets tasks that joined a long lane. Call after their rows were handed over for the commit."""
    by_line: dict[tuple[Lane, int], list[Task]] = defaultdict(list)
    for task in state.freezable:
        if task.waiting is not None and _is_plain(task):
            by_line[task.waiting.lane, task.queue_priority].append(task)
    state.freezable.clear()
    for (lane, priority), tasks in by_line.items():
        _freeze_line(state, lane, priority, tasks)


def want(state: State) -> None:
    """Notes the segments that shall be read back because the front before them is getting short."""
    for lane in list(state.cold_lanes):
        if not lane.cold:
            del state.cold_lanes[lane]
            continue
        for line in lane.cold_lines():
            if len(line.front) <= state.hot_tasks_max // 4:
                demand(state, line.segments[0])


def demand(state: State, segment: Segment) -> None:
    """The segment shall be read back, and every one before it."""
    for earlier in list(segment.lane.line(segment.priority).segments):
        _demand(state, earlier)
        if earlier is segment:
            return


def _demand(state: State, segment: Segment) -> None:
    if not segment.is_wanted:
        segment.is_wanted = True
        state.wanted.append(segment)


def rearm(state: State, workflow: Workflow) -> None:
    """The deadlines of the workflow's tasks have changed, those of the frozen ones too. O(segments)."""
    for lane in state.cold_lanes:
        if lane.shape.key.workflow is workflow:
            for segment in (segment for line in lane.cold_lines() for segment in line.segments):
                if segment.due_at_us is not None:
                    state.timers.disarm()
                    _arm(state, segment)


def wanted_ids(state: State) -> frozenset[str]:
    """Ids of the tasks to read back next."""
    return frozenset(task_id for segment in state.wanted[:THAW_SEGMENTS_MAX] for task_id in _ids(segment))


def thaw(state: State, adopt_run: Callable[[str], Task | None]) -> None:
    """Puts tasks back into their places. `adopt_run` brings one into memory by its id; None if it no longer waits."""
    segments = state.wanted[:THAW_SEGMENTS_MAX]
    del state.wanted[:THAW_SEGMENTS_MAX]
    for segment in segments:
        lane = segment.lane
        if segment.due_at_us is not None:
            segment.due_at_us = None
            state.timers.disarm()
        turn = lane.turn(segment.priority, None)
        waitings: list[Waiting] = []
        for offset, task_id in enumerate(_ids(segment)):
            task = None if task_id in state.tasks else adopt_run(task_id)
            if task is not None:
                task.waiting = Waiting(task, segment.arrival + offset, lane, turn)
                families.joined(state, task)
                waitings.append(task.waiting)
        lane.replace_segment(segment, waitings)
        queue = lane.shape.queue
        queue.joined(turn, len(waitings))
        queue.count(len(waitings) - len(segment))
        lane.shape.announce(lane)
        state.heat(queue)
        queue.tidy(lane)


def place(state: State, cold: Iterable[ColdTasks], definitions: Mapping[str, tuple[Workflow, TaskDefinition]]) -> None:
    """After a load: the backlog takes its places without having been in memory."""
    for tasks in cold:
        workflow, definition = definitions[tasks.definition_id]
        queue = state.queue(definition.action_id)
        lane = queue.lane(attempts.shape_of(workflow, definition, definition.labels, None, False))
        count = len(tasks.ids) // ID_BYTES
        segment = Segment(lane, tasks.priority, queue.next_arrival(count))
        segment.append(tasks.ids, tasks.created_at_us, tasks.due_at_us, definition.schedule_timeout_us)
        lane.append_segment(segment)
        queue.count(count)
        state.cold_lanes[lane] = None
        _arm(state, segment)
        state.heat(queue)


def _freeze_line(state: State, lane: Lane, priority: int, tasks: list[Task]) -> None:
    """Freezes those of `tasks` that stand at the very end of their line."""
    line = lane.line(priority)
    end = line.back if line.segments else line.front
    if line.segments and len(line.back) != len(tasks):
        return  # somebody who cannot be frozen stands between the segments and these
    frozen: list[tuple[Task, int]] = []
    while tasks and lane.hot > state.hot_tasks_max and end and end[-1] is tasks[-1].waiting:
        lane.cold += 1
        frozen.append((tasks.pop(), end.pop().arrival))
    for task, arrival in reversed(frozen):
        segment = line.segments[-1] if line.segments else None
        if segment is None or segment.is_wanted or len(segment) >= SEGMENT_TASKS_MAX:
            segment = Segment(lane, priority, arrival)
            line.segments.append(segment)
        assert task.due_at_us is not None
        was_due_us = segment.deadline_us
        id_bytes = bytes.fromhex(task.id.replace("-", ""))
        segment.append(id_bytes, task.created_at_us, task.due_at_us, task.definition.schedule_timeout_us)
        if segment.deadline_us != was_due_us:
            if was_due_us is not None:
                state.timers.disarm()
            _arm(state, segment)
        families.left(state, task)
        task.due_at_us = task.waiting = None
        state.timers.disarm()
        del state.tasks[task.id]
        del state.runs[task.run.id]
    if frozen:
        queue = lane.shape.queue
        queue.joined(lane.turn(priority, None), -len(frozen))
        state.cold_lanes[lane] = None


def _is_plain(task: Task) -> bool:
    run = task.run
    return (
        task.status is TaskStatus.QUEUED
        and not run.version.is_dag
        and task.retry_count == 0
        and task.log is None
        and not task.was_requeued
        and run.keys is None
        and run.labels is None
        and run.row.desired_worker_id is None
    )


def _arm(state: State, segment: Segment) -> None:
    deadline_us = segment.deadline_us
    assert deadline_us is not None
    state.timers.arm(deadline_us, AlarmKind.SEGMENT_DUE, segment)


def _ids(segment: Segment) -> Iterator[str]:
    digits = segment.ids.hex()
    for start in range(0, len(digits), 2 * ID_BYTES):
        d = digits[start : start + 2 * ID_BYTES]
        yield f"{d[:8]}-{d[8:12]}-{d[12:16]}-{d[16:20]}-{d[20:]}"
