"""The page about installing lists what an installation brings; the list is that of the pinned packages."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_extras_are_those_of_the_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    page = (ROOT / "docs/install.md").read_text()
    assert set(re.findall(r"`broadaxe\[([a-z]+)\]`", page)) == set(project["optional-dependencies"])


def test_the_list_of_distributions_is_that_of_the_pinned_packages() -> None:
    pinned = set(re.findall(r"^([a-z0-9-]+)==", (ROOT / "requirements/base.txt").read_text(), re.MULTILINE))
    page = (ROOT / "docs/install.md").read_text()
    section = page.partition("## What pip install brings\n")[2].partition("\n## ")[0]
    table = re.findall(r"^\| `([a-z0-9-]+)` \| [\d.]+ \| .+ \|$", section, re.MULTILINE)
    rest = section.partition("half a megabyte each:")[2]
    named = [*table, *re.findall(r"`([a-z0-9-]+)`", rest)]
    assert sorted(named) == sorted(pinned)
    assert section.split()[0] == str(len(pinned))
