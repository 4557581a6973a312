"""Running a seed of the shell: what came of it, and for a broken one the story that leads there."""

from __future__ import annotations

import gc
import traceback
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any

import structlog

from tests.simulation.seeds import Outcome
from tests.simulation.shell.life import STEPS, ShellLife, in_words

_SHOWN_LINES = 25
_SHOWN_LENGTH = 300


def live(seed: int, steps: int = STEPS) -> Outcome:
    return _live(ShellLife(seed), steps)


def live_cluster(seed: int, steps: int = STEPS) -> Outcome:
    """Of two or three nodes on one database."""
    return _live(ShellLife(seed, 2 + seed % 2), steps)


def _live(life: ShellLife, steps: int) -> Outcome:
    broken: str | None = None
    # What was there before is not looked through at the end of the life.
    gc.freeze()
    with listening_to_logs(life):
        try:
            life.live(steps)
        except Exception as error:
            broken = _story(life, error)
    gc.unfreeze()
    return Outcome(life.seed, life.steps, life.commands, life.crashes, broken)


@contextmanager
def listening_to_logs(life: ShellLife) -> Iterator[None]:
    """What the engine logs as an error is a broken promise; nothing is printed."""

    def listen(_: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        if method in ("error", "exception", "critical"):
            life.mistake(f"{event} {traceback.format_exc()}")
        elif method == "warning":
            life.note("log:", {key: str(value) for key, value in event.items()})
        raise structlog.DropEvent

    processors = structlog.get_config()["processors"]
    kept = processors.copy()
    processors[:] = [listen]
    try:
        yield
    finally:
        processors[:] = kept


def _story(life: ShellLife, error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)[-4:]
    where = " < ".join(f"{frame.filename.rsplit('/', 1)[-1]}:{frame.lineno} {frame.name}" for frame in reversed(frames))
    lines = "\n".join(f"    {in_words(line)[:_SHOWN_LENGTH]}" for line in list(life.trace)[-_SHOWN_LINES:])
    return (
        f"seed {life.seed} of the {life.kind} broke after {life.steps} disturbances, at {life.loop.time():.3f} s: "
        f"{type(error).__name__}: {str(error)[:4_000]}\n"
        f"  at {where}\n  what happened last:\n{lines}\n  again: make simulate-{life.kind} SEED={life.seed}"
    )
