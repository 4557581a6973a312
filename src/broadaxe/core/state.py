"""Everything a tenant holds in memory, and the few look-ups its modules share. No decisions are made here."""

from __future__ import annotations

from collections.abc import Callable

from broadaxe.core.ledger import Ledger
from broadaxe.core.model import Run, Task, Version, Worker, Workflow
from broadaxe.core.queues import ActionQueue
from broadaxe.core.timers import Timers


class State:
    __slots__ = (
        "finished",
        "hot",
        "ledger",
        "new_id",
        "queues",
        "runs",
        "tasks",
        "timers",
        "versions",
        "workers",
        "workflows",
        "workflows_by_name",
    )

    def __init__(self, new_id: Callable[[], str]) -> None:
        self.new_id = new_id
        self.workflows: dict[str, Workflow] = {}
        self.workflows_by_name: dict[str, Workflow] = {}
        self.versions: dict[str, Version] = {}
        self.workers: dict[str, Worker] = {}
        self.runs: dict[str, Run] = {}
        self.tasks: dict[str, Task] = {}
        self.queues: dict[str, ActionQueue] = {}
        self.timers = Timers()
        self.ledger = Ledger()
        self.hot: dict[str, ActionQueue] = {}
        """Queues in which an assignment may have become possible since the last settle, in the order that happened."""
        self.finished: dict[str, Run] = {}
        """Runs to forget at the next settle: finished now, or loaded only to look at them."""

    def queue(self, action_id: str) -> ActionQueue:
        found = self.queues.get(action_id)
        if found is None:
            found = self.queues[action_id] = ActionQueue(action_id)
            found.workers = [worker for worker in self.workers.values() if action_id in worker.actions]
        return found

    def heat(self, queue: ActionQueue) -> None:
        self.hot[queue.action_id] = queue

    def heat_worker(self, worker: Worker) -> None:
        """The worker may take something again. O(actions of the worker)."""
        queues, hot = self.queues, self.hot
        for action_id in worker.actions:
            queue = queues.get(action_id)
            if queue is not None and queue.is_waiting():
                hot[action_id] = queue

    def add_run(self, run: Run) -> None:
        self.runs[run.id] = run

    def add_task(self, task: Task) -> None:
        task.run.tasks[task.position] = task
        self.tasks[task.id] = task

    def forget_finished(self) -> None:
        """Drops runs that ended; one that was replayed meanwhile stays."""
        for run in self.finished.values():
            if run.finished_at_us is None:
                continue
            self.runs.pop(run.id, None)
            for task in run.existing():
                self.tasks.pop(task.id, None)
        self.finished.clear()
