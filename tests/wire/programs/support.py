"""The worker of the page about durable agents (`python -m programs.support`), there again when it was killed."""

from __future__ import annotations

import runpy
from pathlib import Path

import broadaxe_pydantic_ai  # noqa: F401 imported before the worker is forked
import pydantic_ai.models.openai  # noqa: F401
from programs.reborn import keep_alive

EXAMPLE = Path(__file__).parents[3] / "examples" / "durable_agent" / "support.py"

if __name__ == "__main__":
    keep_alive(lambda: runpy.run_path(str(EXAMPLE), run_name="__main__"))
