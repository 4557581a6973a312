"""The directory of the test run's server: there as long as one test process uses it, and not a moment longer."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import shared_server
from tests.shared_server import shared_directory


@pytest.fixture
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(shared_server, "FREE_AT_LEAST", 0)
    memory = tmp_path / "memory"
    memory.mkdir()
    return memory


def _nothing_runs(place: Path) -> None:
    raise AssertionError(f"{place} is in use")


def test_processes_of_a_test_run_share_it_and_the_last_one_removes_it(memory: Path, tmp_path: Path) -> None:
    with shared_directory(tmp_path, _nothing_runs, memory) as first:
        with shared_directory(tmp_path, _nothing_runs, memory) as second:
            assert second == first
            (first / "postgres").mkdir()
        assert (first / "postgres").is_dir()
    assert list(memory.iterdir()) == []


def test_test_runs_side_by_side_leave_each_other_alone(memory: Path, tmp_path: Path) -> None:
    with (
        shared_directory(tmp_path / "one", _nothing_runs, memory) as one,
        shared_directory(tmp_path / "two", _nothing_runs, memory) as two,
    ):
        assert one.is_dir() and two.is_dir() and one != two


def test_what_a_killed_test_run_left_is_stopped_and_removed(memory: Path, tmp_path: Path) -> None:
    with shared_directory(tmp_path / "killed", _nothing_runs, memory) as place:
        pass
    place.mkdir()
    stopped: list[Path] = []
    with shared_directory(tmp_path, stopped.append, memory):
        assert stopped == [place]
        assert not place.exists()


def test_where_memory_has_no_room_it_is_on_the_disk(
    memory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_server, "FREE_AT_LEAST", 1 << 60)
    with shared_directory(tmp_path, _nothing_runs, memory) as place:
        assert place == tmp_path
    assert tmp_path.is_dir()
