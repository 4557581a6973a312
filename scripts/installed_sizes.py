"""Prints the table of docs/install.md: each distribution of an environment with its size on disk, the largest first.

    python -m venv /tmp/sizes && /tmp/sizes/bin/pip install --no-compile dist/broadaxe-*.whl
    /tmp/sizes/bin/python scripts/installed_sizes.py

Bytecode is left out: whether there is any depends on who installs. What comes with every environment is left out too.
"""

from __future__ import annotations

from importlib.metadata import Distribution, distributions
from typing import Final

NOT_OURS: Final = {"broadaxe", "pip", "setuptools", "wheel"}
BYTES_PER_MB: Final = 1_000_000


def size_bytes(distribution: Distribution) -> int:
    """What its files take, bytecode left out."""
    places = (distribution.locate_file(file) for file in distribution.files or () if file.suffix != ".pyc")
    return sum(place.stat().st_size for place in places if place.is_file())  # type: ignore[attr-defined]


def main() -> None:
    sizes = {
        name: size_bytes(distribution)
        for distribution in distributions()
        if (name := distribution.name.lower().replace("_", "-")) not in NOT_OURS
    }
    for name, size in sorted(sizes.items(), key=lambda item: (-item[1], item[0])):
        print(f"| `{name}` | {size / BYTES_PER_MB:.1f} |")
    print(f"{len(sizes)} distributions, {sum(sizes.values()) / BYTES_PER_MB:.0f} MB")


if __name__ == "__main__":
    main()
