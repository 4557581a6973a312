"""The programs under examples/ as modules, and as the documentation shows them."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parents[2]


def example(path: str) -> ModuleType:
    """The program, imported anew: it makes its client for the engine that is there now."""
    file = ROOT / "examples" / path
    name = "example_" + re.sub(r"\W", "_", path.removesuffix(".py"))
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # The SDK and FastAPI look annotations up in the module of the function.
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def source(path: str) -> str:
    """Without its docstring."""
    text = (ROOT / "examples" / path).read_text(encoding="utf-8")
    return re.sub(r'\A""".*?"""\n+', "", text, flags=re.DOTALL).strip()


def shown(page: str) -> list[str]:
    """The Python blocks of a page of the documentation."""
    text = (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8")
    return [block.strip() for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL)]
