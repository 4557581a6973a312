"""Running a seed: what came of it, and for a broken one the story that leads there."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import dataclass

from broadaxe.core import backlog, calendar, firing
from broadaxe.storage import loader
from tests.simulation.life import START_US, Life
from tests.simulation.tables import Store, Tables

#: Steps of a life before everything is drained.
STEPS = 120
#: Tasks in a segment of backlog.
SEGMENT_TASKS = 3
#: Schedules read at a time.
PAGE_SCHEDULES = 4
_SHOWN_STEPS = 8
_SHOWN_LENGTH = 1_500


@dataclass(frozen=True, slots=True)
class Outcome:
    seed: int
    steps: int
    commands: int
    crashes: int
    broken: str | None
    """The broken promise with a short trace, None when all held."""


def live(seed: int, steps: int = STEPS, make_store: Callable[[Tables], Store] | None = None) -> Outcome:
    life = Life(seed, make_store)
    broken: str | None = None
    page = calendar.PAGE_SCHEDULES_MAX
    segment, thawed = backlog.SEGMENT_TASKS_MAX, backlog.THAW_SEGMENTS_MAX
    try:
        # Small, so that the backlogs of a short life have several.
        backlog.SEGMENT_TASKS_MAX, backlog.THAW_SEGMENTS_MAX = SEGMENT_TASKS, 2  # type: ignore[misc]
        loader.SEGMENT_TASKS_MAX = SEGMENT_TASKS  # type: ignore[misc]
        for module in (calendar, firing, loader):
            module.PAGE_SCHEDULES_MAX = PAGE_SCHEDULES  # type: ignore[attr-defined]
        life.live(steps)
    except Exception as error:
        broken = _story(life, error, steps)
    finally:
        backlog.SEGMENT_TASKS_MAX, backlog.THAW_SEGMENTS_MAX = segment, thawed  # type: ignore[misc]
        loader.SEGMENT_TASKS_MAX = segment  # type: ignore[misc]
        for module in (calendar, firing, loader):
            module.PAGE_SCHEDULES_MAX = page  # type: ignore[attr-defined]
    return Outcome(seed, life.steps, life.commands, life.crashes, broken)


def _story(life: Life, error: Exception, wanted: int) -> str:
    frames = traceback.extract_tb(error.__traceback__)[-4:]
    where = " < ".join(f"{frame.filename.rsplit('/', 1)[-1]}:{frame.lineno} {frame.name}" for frame in reversed(frames))
    steps = "\n".join(f"    {step[:_SHOWN_LENGTH]}" for step in list(life.trace)[-_SHOWN_STEPS:])
    return (
        f"seed {life.seed} broke at step {life.steps}, +{life.now_us - START_US}us: {type(error).__name__}: {error}\n"
        f"  at {where}\n  the last steps:\n{steps}\n  again: make simulate SEED={life.seed} STEPS={wanted}"
    )
