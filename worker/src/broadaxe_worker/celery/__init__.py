"""For programs written for Celery: the same definitions and calls, run by the engine.

    from broadaxe_worker.celery import Celery

    app = Celery("shop")


    @app.task(autoretry_for=(OSError,), retry_backoff=True)
    def resize(name, width): ...

    resize.delay("cat", 640).get(timeout=10)

A worker: `broadaxe-worker shop:app`. What is not possible raises NotPossible, mostly when the program is imported, with
a sentence that says what to do instead. docs/celery.md says what is the same and what is not.
"""

from __future__ import annotations

from typing import NoReturn

from broadaxe_worker.celery.app import Celery, current_app, shared_task
from broadaxe_worker.celery.canvas import Signature, chain, chord, chunks, group
from broadaxe_worker.celery.exceptions import (
    CeleryError,
    ChordError,
    MaxRetriesExceededError,
    NotPossible,
    Retry,
    TaskRevokedError,
    TimeoutError,
)
from broadaxe_worker.celery.results import AsyncResult, EagerResult, GroupResult
from broadaxe_worker.celery.schedules import crontab, schedule
from broadaxe_worker.celery.task import Task

__all__ = [
    "AsyncResult",
    "Celery",
    "CeleryError",
    "ChordError",
    "EagerResult",
    "GroupResult",
    "MaxRetriesExceededError",
    "NotPossible",
    "Retry",
    "Signature",
    "Task",
    "TaskRevokedError",
    "TimeoutError",
    "chain",
    "chord",
    "chunks",
    "crontab",
    "current_app",
    "group",
    "schedule",
    "shared_task",
]

_INSTEAD = {
    "bootsteps": "a worker has a lifespan instead",
    "signals": "tasks have hooks (base=), a worker has a lifespan",
    "solar": "there are no schedules by the sun; use a crontab",
    "starmap": "give the task a list, or make a group",
    "xmap": "give the task a list, or make a group",
}


def __getattr__(name: str) -> NoReturn:
    if name in _INSTEAD:
        raise NotPossible(f"{name} of Celery's is not possible here: {_INSTEAD[name]}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
