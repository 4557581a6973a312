"""Commands named in the pages exist, with the flags they are shown with, and every flag is named."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import click
import pytest

from broadaxe.cli.main import cli

COMMAND = re.compile(r"(?:^|[\s/`&(])broadaxe ((?:[a-z]+|--[a-z-]+)\b.*)")
GLOBAL_FLAGS = {"--help", "-h", "--version"}


def leaves(group: click.Group, path: tuple[str, ...] = ()) -> dict[tuple[str, ...], click.Command]:
    """Every command that does something, by its words."""
    found: dict[tuple[str, ...], click.Command] = {}
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            found |= leaves(command, (*path, name))
        else:
            found[(*path, name)] = command
    return found


def flags_of(command: click.Command) -> set[str]:
    return {
        flag
        for parameter in command.params
        if isinstance(parameter, click.Option)
        for flag in (*parameter.opts, *parameter.secondary_opts)
    }


def calls(page: Any) -> list[list[str]]:
    """The words after `broadaxe` wherever the page shows such a command in code."""
    found = []
    for line in page.code_lines:
        for part in re.split(r"&&|\|\||;|\|", line):
            match = COMMAND.search(part)
            if match is not None:
                found.append(shlex.split(match[1], comments=True))
    return found


def test_commands_named_in_the_pages_exist_with_their_flags(pages: list[Any]) -> None:
    known = leaves(cli)
    checked = 0
    for page in pages:
        for words in calls(page):
            if words[0] in GLOBAL_FLAGS:
                continue
            path = next((tuple(words[:n]) for n in (2, 1) if tuple(words[:n]) in known), None)
            if path is None:
                group = cli.commands.get(words[0])
                assert isinstance(group, click.Group), f"{page.name}: there is no `broadaxe {words[0]}`"
                assert len(words) == 1, f"{page.name}: there is no `broadaxe {' '.join(words[:2])}`"
                continue
            used = {word.split("=")[0] for word in words if word.startswith("--")}
            unknown = used - flags_of(known[path]) - GLOBAL_FLAGS
            assert not unknown, f"{page.name}: `broadaxe {' '.join(path)}` has no {unknown}"
            checked += 1
    assert checked > 20


@pytest.mark.parametrize("name", sorted(cli.commands))
def test_every_command_has_a_section_that_names_its_flags(docs: dict[str, Any], name: str) -> None:
    text = docs["cli"].text
    assert f"\n## broadaxe {name}\n" in text
    section = text.split(f"\n## broadaxe {name}\n")[1].split("\n## ")[0]
    command = cli.commands[name]
    commands = command.commands.values() if isinstance(command, click.Group) else [command]
    for leaf in commands:
        for flag in sorted(flags_of(leaf) - GLOBAL_FLAGS):
            assert f"`{flag}`" in section, f"docs/cli.md: `broadaxe {name}` lacks {flag}"


def test_commands_of_a_group_are_shown(docs: dict[str, Any]) -> None:
    for path in leaves(cli):
        assert f"broadaxe {' '.join(path)}" in docs["cli"].text


def test_make_targets_named_in_the_pages_exist(pages: list[Any], root: Path) -> None:
    makefile = (root / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z][a-z-]*):", makefile, re.MULTILINE))
    checked = 0
    for page in pages:
        for line in page.code_lines:
            for part in re.split(r"&&|\|\||;", line):
                match = re.match(r"\s*(?:[A-Z_]+=\S+\s+)*make((?:\s+[a-z][a-z-]*)+)", part.split("#")[0])
                if match is not None:
                    checked += 1
                    unknown = set(match[1].split()) - targets
                    assert not unknown, f"{page.name}: there is no `make {' '.join(unknown)}`"
    assert checked > 20


def test_the_readme_names_what_a_newcomer_types(root: Path) -> None:
    readme = (root / "README.md").read_text(encoding="utf-8")
    for words in ("make demo", "make test", "make bench", "broadaxe dev"):
        assert words in readme


def test_files_named_in_the_architecture_exist(pages: list[Any], root: Path) -> None:
    architecture = next(page for page in pages if page.path.name == "ARCHITECTURE.md")
    package = root / "src" / "broadaxe"
    places = [
        root,
        package,
        *(package / room for room in ("core", "rpc", "cluster", "link", "rest", "storage", "engine", "cli")),
        *(package / room for room in ("alerting", "moving", "remote", "testing")),
    ]
    places += [root / "web" / "dashboard", root / "examples" / "rag_chat", root / "proto"]
    named = {span for span in architecture.spans if re.fullmatch(r"[\w./-]+(\.(py|md|sql|toml)|/)", span)}
    missing = {name for name in named if not any((place / name).exists() for place in places)}
    assert not missing
    assert len(named) > 40
