"""Lives of the whole engine, and of several, on a virtual loop. See `shell/life.py`; `make simulate-shell` and
`make simulate-cluster` run more."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys

import pytest

from tests.simulation.shell.life import ShellLife
from tests.simulation.shell.seeds import listening_to_logs

LIVES = 30
LIVES_PER_TEST = 5
CLUSTER_LIVES = 8


@pytest.mark.parametrize("first", range(0, LIVES, LIVES_PER_TEST))
def test_whatever_fails_every_run_ends_right_and_everybody_is_told(first: int) -> None:
    live("--shell", first, LIVES_PER_TEST)


def test_whatever_happens_between_nodes_every_run_ends_right_and_everybody_is_told() -> None:
    live("--cluster", 0, CLUSTER_LIVES)


def live(kind: str, first: int, lives: int) -> None:
    """In a process of its own, where a seed lives the life that it lives when it is tried again."""
    told = subprocess.run(
        [sys.executable, "-m", "tests.simulation", kind, "--first", str(first), "--seeds", str(lives), "--processes=1"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONHASHSEED": "0"},
    )
    assert told.returncode == 0, told.stderr


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
