"""The page about testing is a project, and its tests pass: a real engine, real workers, run as a reader would."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest


@pytest.mark.timeout(900)
def test_the_project_of_the_page_passes_its_own_tests(docs: dict[str, Any], tmp_path: Path) -> None:
    names = []
    for block in docs["testing"].fences:
        if block.language in ("python", "ini"):
            name = block.text.splitlines()[0].removeprefix("# ")
            (tmp_path / name).write_text(block.text, encoding="utf-8")
            names.append(name)
    assert names == [
        "pytest.ini", "shop.py", "test_functions.py", "test_shop.py", "test_time.py", "test_faults.py",
        "test_recorded.py",
    ]  # fmt: skip
    command = [sys.executable, "-m", "pytest", "-q", "--broadaxe", "."]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=850, check=False)
    assert done.returncode == 0, done.stdout[-5_000:] + done.stderr[-2_000:]
    assert "15 passed" in done.stdout
