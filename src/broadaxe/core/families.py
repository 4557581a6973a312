"""Tasks that wait for their children do not take the slots these need.

A task that runs child runs and waits for them keeps its slot meanwhile. When calls have piled up, say after an outage,
such tasks would come to hold every slot of a worker, each waiting for children that find none. So while children of a
running task wait in a queue for a slot that their parent's action could have as well, that action's queue comes after
the others. No slot stays empty for that: whoever stands back is served when nobody else can be. Nothing is promised
between different queues (section 2.2), and inside a queue nothing changes.

Remembers how many children wait, by the actions of both sides; what is outdated in it is dropped when it surfaces.
Cost: nothing for tasks that no other task has started; for those O(1).
"""

from __future__ import annotations

from broadaxe.core.lifecycle import TaskStatus
from broadaxe.core.model import Task
from broadaxe.core.queues import ActionQueue
from broadaxe.core.state import State


def joined(state: State, task: Task) -> None:
    """The task waits in its queue from now on."""
    parent = _parent(state, task)
    if parent is not None:
        families = state.families.setdefault(parent.definition.action_id, {})
        waiting = families.setdefault(task.definition.action_id, {})
        waiting[parent.id] = waiting.get(parent.id, 0) + 1


def left(state: State, task: Task) -> None:
    """It does not wait there any more."""
    parent = _parent(state, task)
    if parent is None:
        return
    waiting = state.families.get(parent.definition.action_id, {}).get(task.definition.action_id)
    if waiting is None or parent.id not in waiting:
        return
    waiting[parent.id] -= 1
    if not waiting[parent.id]:
        _forget(state, parent.definition.action_id, task.definition.action_id, parent.id)


def stands_back(state: State, queue: ActionQueue) -> bool:
    """Whether the queue comes after the others for now."""
    families = state.families.get(queue.action_id)
    if not families:
        return False
    for child_action, waiting in list(families.items()):
        # Those of its own kind could never go before it.
        if child_action == queue.action_id or child_action not in state.hot:
            continue
        for parent_id in list(waiting):
            parent = state.tasks.get(parent_id)
            if parent is not None and parent.status is TaskStatus.RUNNING and not parent.slot_released:
                return True
            _forget(state, queue.action_id, child_action, parent_id)
    return False


def _parent(state: State, task: Task) -> Task | None:
    parent_id = task.run.row.parent_task_id
    return None if parent_id is None else state.tasks.get(parent_id)


def _forget(state: State, action_id: str, child_action: str, parent_id: str) -> None:
    families = state.families[action_id]
    waiting = families[child_action]
    del waiting[parent_id]
    if not waiting:
        del families[child_action]
        if not families:
            del state.families[action_id]
