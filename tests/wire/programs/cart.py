"""The worker of the page about steps (`python -m programs.cart`)."""

from __future__ import annotations

import runpy
from pathlib import Path

EXAMPLE = Path(__file__).parents[3] / "examples" / "durable_cart" / "cart.py"

if __name__ == "__main__":
    runpy.run_path(str(EXAMPLE), run_name="__main__")
