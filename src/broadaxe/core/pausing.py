"""Paused workflows: nothing of theirs is given to workers, and time counts otherwise while they wait (section 5.11).

A task of a paused workflow stays in the place where it waits. Its queue does not look at the workflow's shapes, and a
ripe batch is not sent; so it costs nothing per task to pause, to wait or to go on, and order stays what it was: by
priority, then age. Runs come to be, tasks that end set their successors in motion, retries queue up, concurrency groups
go on admitting: what was admitted waits with its slot, which the end of the task gives back, whatever ends it.

Deadlines of waiting tasks follow from their rows and the workflow's (`Workflow.queue_deadline_us`), so neither pausing
nor unpausing writes a row per task. Only alarms are set anew.

Cost: O(tasks of the tenant in memory + segments of its backlog) for each pause and unpause.
"""

from __future__ import annotations

from broadaxe.core import backlog
from broadaxe.core.commands.workflows import PauseWorkflow
from broadaxe.core.durations import DURATION_US_MAX
from broadaxe.core.lifecycle import TaskStatus
from broadaxe.core.model import Pause, Workflow
from broadaxe.core.state import State
from broadaxe.core.timers import AlarmKind
from broadaxe.errors import InvalidArgument, NotFound


def pause(state: State, command: PauseWorkflow, now_us: int) -> None:
    """InvalidArgument for a TTL that is not positive, or longer than durations can be."""
    workflow = _find(state, command.workflow_id)
    if not 0 < command.queue_ttl_us <= DURATION_US_MAX:
        raise InvalidArgument("the queue TTL must be longer than nothing", field="pause.pausedWorkflowQueueTTL")
    since_us = now_us if workflow.pause is None else workflow.pause.since_us
    changed = Pause(since_us, command.queue_ttl_us, command.crons, command.schedules, state.asked_by_name)
    deadlines_move = workflow.pause is None or workflow.pause.queue_ttl_us != changed.queue_ttl_us
    workflow.pause = changed
    workflow.was_paused = True
    state.ledger.touch_workflow(workflow)
    if deadlines_move:
        # An alarm that is set again for the instant it had would be there twice.
        _rearm(state, workflow)


def unpause(state: State, workflow_id: str, now_us: int) -> None:
    workflow = _find(state, workflow_id)
    if workflow.pause is None:
        return
    workflow.pause = None
    workflow.unpaused_at_us = now_us
    state.ledger.touch_workflow(workflow)
    _rearm(state, workflow)
    for queue in state.queues.values():
        if len(queue):
            queue.are_batches_blocked = False
            state.heat(queue)


def _find(state: State, workflow_id: str) -> Workflow:
    workflow = state.workflows.get(workflow_id)
    if workflow is None or workflow.deleted_at_us is not None:
        raise NotFound(f"there is no workflow {workflow_id}", field="workflow")
    return workflow


def _rearm(state: State, workflow: Workflow) -> None:
    """Sets the alarms of all waiting tasks to what their deadlines are now."""
    for task in state.tasks.values():
        if task.run.version.workflow is workflow and task.status is TaskStatus.QUEUED:
            deadline_us = task.deadline_us
            assert deadline_us is not None
            state.timers.disarm()
            state.timers.arm(deadline_us, AlarmKind.TASK_DUE, task)
    backlog.rearm(state, workflow)
