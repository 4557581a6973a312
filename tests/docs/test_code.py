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
            assert fence.language in {
                "python",
                "bash",
                "json",
                "text",
                "ini",
                "mermaid",
                "nginx",
                "sql",
                "toml",
                "yaml",
            }, f"{page.name}:{fence.line}: say which language this is, or `text`"
            assert fence.mark in ("", "theirs"), f"{page.name}:{fence.line}"


def test_python_blocks_compile(pages: list[Any]) -> None:
    for place, text in fences(pages, "python"):
        compile(text, place, "exec")


def test_python_blocks_import_only_what_is_public(pages: list[Any]) -> None:
    # Users program against the SDK; most of the engine's modules are nobody's interface.
    public = {"broadaxe", "broadaxe.errors", "broadaxe.testing"}
    for place, text in fences(pages, "python"):
        for node in ast.walk(ast.parse(text)):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                modules = [node.module or ""]
            assert all(module.split(".")[0] != "broadaxe" or module in public for module in modules), place


def test_code_of_other_systems_is_marked(pages: list[Any]) -> None:
    # What bears no mark is run somewhere, and has only our SDK and what its page tells to install.
    theirs = {"celery", "temporalio", "airflow", "dbos"}
    for page in pages:
        for fence in page.fences:
            if fence.language == "python":
                trees = ast.walk(ast.parse(fence.text))
                named = {
                    node.module.split(".")[0] for node in trees if isinstance(node, ast.ImportFrom) and node.module
                }
                assert (fence.mark == "theirs") == bool(named & theirs), f"{page.name}:{fence.line}"


def test_durable_tasks_that_pages_show_outlast_their_waits(pages: list[Any]) -> None:
    # With the SDK's defaults an attempt times out long before it is evicted: whoever copies such a task loses it.
    checked = 0
    for place, text in fences(pages, "python"):
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "durable_task":
                checked += 1
                given = {keyword.arg for keyword in node.keywords}
                assert given & {"eviction_policy", "execution_timeout"}, place
    assert checked >= 4


def test_shell_blocks_parse(pages: list[Any]) -> None:
    for place, text in fences(pages, "bash"):
        done = subprocess.run(["bash", "-n"], input=text, capture_output=True, text=True, timeout=30)
        assert done.returncode == 0, f"{place}: {done.stderr}"


def test_json_blocks_parse(pages: list[Any]) -> None:
    for _, text in fences(pages, "json"):
        json.loads(text)
