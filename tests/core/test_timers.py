"""Alarms that nobody needs any more do not keep their subjects in memory."""

from __future__ import annotations

import gc
import weakref
from typing import Any

from broadaxe.core.timers import AlarmKind, Timers


class Sleeper:
    def __init__(self, due_at_us: int | None) -> None:
        self.due_at_us = due_at_us


def test_few_stale_alarms_are_kept_however_many_live_ones_there_are() -> None:
    timers: Any = Timers()
    living = [Sleeper(1_000_000 + at) for at in range(20_000)]
    for sleeper in living:
        timers.arm(sleeper.due_at_us, AlarmKind.DORMANT_DUE, sleeper)
    gone = []
    for _ in range(20_000):
        sleeper = Sleeper(9_000_000)
        timers.arm(9_000_000, AlarmKind.DORMANT_DUE, sleeper)
        sleeper.due_at_us = None
        timers.disarm()
        gone.append(weakref.ref(sleeper))
    del sleeper
    gc.collect()
    assert sum(ref() is not None for ref in gone) <= 20_000 // 7 + 1
    assert [subject for _, subject in timers.pop_due(8_000_000)] == living
