"""Code that people copy from the pages is at least well-formed."""

from __future__ import annotations

import ast
import json
import subprocess
from typing import Any


def fences(pages: list[Any], language: str) -> list[tuple[str, str]]:
    """(place, text) of every block of a language."""
    found = [
        (f"{page.name}:{fence.line}", fence.text)
        for page in pages
        for fence in page.fences
        if fence.language == language
    ]
    assert found, f"no {language} block was found"
    return found


def test_every_block_names_its_language(pages: list[Any]) -> None:
    for page in pages:
        for fence in page.fences:
            assert fence.language in {"python", "bash", "json", "text", "ini", "mermaid", "nginx", "sql", "yaml"}, (
                f"{page.name}:{fence.line}: say which language this is, or `text`"
            )


def test_python_blocks_compile(pages: list[Any]) -> None:
    for place, text in fences(pages, "python"):
        compile(text, place, "exec")


def test_python_blocks_import_only_the_public_sdk(pages: list[Any]) -> None:
    # Users program against the SDK; the engine's modules are nobody's interface.
    for place, text in fences(pages, "python"):
        for node in ast.walk(ast.parse(text)):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                modules = [node.module or ""]
            assert all(module.split(".")[0] != "broadaxe" for module in modules), place


def test_shell_blocks_parse(pages: list[Any]) -> None:
    for place, text in fences(pages, "bash"):
        done = subprocess.run(["bash", "-n"], input=text, capture_output=True, text=True, timeout=30)
        assert done.returncode == 0, f"{place}: {done.stderr}"


def test_json_blocks_parse(pages: list[Any]) -> None:
    for _, text in fences(pages, "json"):
        json.loads(text)
