"""What needs the same worker goes to one test process, and begins before what waits for nobody."""

from __future__ import annotations

from pathlib import Path

from tests.sharing_out import BEGIN, END, TOGETHER, begins_at, group_of

ROOT = Path(__file__).parent.parent.parent
FILES = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "tests").rglob("test_*.py"))


def test_every_file_that_is_named_exists() -> None:
    in_groups = [file for file in FILES if not group_of(file).endswith((".py", ": one engine"))]
    assert len(in_groups) == sum(len(names) for names in TOGETHER.values())


def test_files_of_one_worker_are_one_group_and_others_are_by_themselves() -> None:
    assert group_of("tests/wire/test_flow_limits.py") == group_of("tests/wire/test_flow_waiting.py")
    assert group_of("tests/wire/test_flow_waiting.py") != group_of("tests/wire/test_waiting.py")
    assert group_of("tests/wire/sdk047/test_old_rest.py") == group_of("tests/wire/sdk047/test_old_times.py")
    assert group_of("tests/core/test_cron.py") == "tests/core/test_cron.py"


def test_groups_begin_before_files_and_what_waits_before_what_does_not() -> None:
    shuffled = [
        "tests/core/test_cron.py",
        "tests/rpc_http2/test_fuzz.py",
        "tests/platform/test_dev.py",
        "tests/wire/test_moving.py",
        "tests/rest/test_runs.py",
        "tests/wire/test_runs.py",
    ]
    assert sorted(shuffled, key=begins_at) == [
        "tests/wire/test_runs.py",
        "tests/wire/test_moving.py",
        "tests/platform/test_dev.py",
        "tests/rest/test_runs.py",
        "tests/rpc_http2/test_fuzz.py",
        "tests/core/test_cron.py",
    ]


def test_every_directory_that_is_named_exists() -> None:
    assert set(BEGIN) | set(END) <= {file.split("/")[1] for file in FILES}
