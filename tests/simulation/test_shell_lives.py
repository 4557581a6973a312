"""Lives of the whole engine, and of several, on a virtual loop. See `shell/life.py`; `make simulate-shell` and
`make simulate-cluster` run more."""

from __future__ import annotations

import hashlib

import pytest

from tests.simulation.shell.life import ShellLife
from tests.simulation.shell.seeds import listening_to_logs, live, live_cluster

LIVES = 30
LIVES_PER_TEST = 5
CLUSTER_LIVES = 8


@pytest.mark.parametrize("first", range(0, LIVES, LIVES_PER_TEST))
def test_whatever_fails_every_run_ends_right_and_everybody_is_told(first: int) -> None:
    for seed in range(first, first + LIVES_PER_TEST):
        outcome = live(seed)
        assert outcome.broken is None, outcome.broken


def test_whatever_happens_between_nodes_every_run_ends_right_and_everybody_is_told() -> None:
    for seed in range(CLUSTER_LIVES):
        outcome = live_cluster(seed)
        assert outcome.broken is None, outcome.broken


@pytest.mark.parametrize("nodes", [1, 3])
def test_a_seed_lives_the_same_life_twice(nodes: int) -> None:
    digests: list[bytes] = []
    for _ in range(2):
        life = ShellLife(7, nodes)
        life.digest = hashlib.sha256()
        with listening_to_logs(life):
            life.live(10)
        digests.append(life.digest.digest())
    assert digests[0] == digests[1]
