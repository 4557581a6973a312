"""Durations as clients declare them, and the words that clients look for."""

from __future__ import annotations

import pytest

from broadaxe.core.durations import US_PER_S, declared_duration
from tests.core.world import World, task


@pytest.mark.parametrize(
    ("seconds", "text"), [(5, "5s"), (60, "1m"), (90, "90s"), (7_200, "2h"), (86_400, "24h"), (1.5, "1.5s")]
)
def test_a_duration_is_told_in_one_unit_where_that_can_say_it(seconds: float, text: str) -> None:
    assert declared_duration(round(seconds * US_PER_S)) == text


def test_an_attempt_over_its_execution_timeout_says_so_in_the_words_clients_look_for() -> None:
    world = World()
    world.put(task("a", execution_timeout="5s"))
    world.worker("flow:a")
    run_id = world.trigger()
    world.started(run_id)
    world.advance(5)
    assert "Task exceeded timeout of 5s" in (world.tasks[run_id].error or "")
