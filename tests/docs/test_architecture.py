"""ARCHITECTURE.md shows what is there: every module of the core has its room, and the lifecycle is the table's."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.conftest import ROOT

PAGE = (ROOT / "ARCHITECTURE.md").read_text()
MODULES = [path for path in sorted((ROOT / "src/broadaxe/core").glob("*.py")) if path.name != "__init__.py"]


def rooms() -> set[str]:
    """The modules named in the table of the core's rooms."""
    table = PAGE.split("Inside `core/`")[1].split("\n\n")[1]
    return set(re.findall(r"`(\w+\.py)`", table))


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.stem)
def test_every_module_of_the_core_has_a_room(module: Path) -> None:
    assert module.name in rooms()


def test_no_room_of_the_core_is_empty() -> None:
    assert rooms() <= {path.name for path in MODULES}


def test_the_picture_of_the_lifecycle_is_the_tables() -> None:
    script = ROOT / "scripts/draw_lifecycle.py"
    drawn = subprocess.run([sys.executable, str(script), "--check"], check=False, timeout=60)
    assert drawn.returncode == 0, "run scripts/draw_lifecycle.py"


def test_places_where_a_change_goes_exist() -> None:
    table = PAGE.split("## Where does my change go?")[1]
    named = set(re.findall(r"`((?:core|engine|storage|rpc|rest|cli|cluster)/[\w/]+\.(?:py|sql))`", table))
    assert len(named) > 40
    assert [name for name in sorted(named) if not (ROOT / "src/broadaxe" / name).exists()] == []
