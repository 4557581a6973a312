"""The page about people and roles shows what the routes declare, and the console goes by the same."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_table_of_routes_and_roles_and_the_consoles_are_those_of_the_code() -> None:
    written = subprocess.run([sys.executable, str(ROOT / "scripts/write_roles.py"), "--check"], check=False, timeout=60)
    assert written.returncode == 0, "run scripts/write_roles.py"
