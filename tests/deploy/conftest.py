"""What the tests of `deploy/` share: where it is, what the command line and the settings know, and an engine to ask."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import yaml

from broadaxe.cli.main import cli
from broadaxe.config import SETTINGS, load

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
#: Where the console scripts are, as an image has them on its PATH.
SCRIPTS = Path(sys.executable).parent
PATIENCE_S = 120.0
#: Variables that are no settings of an engine but of single commands (docs/configuration.md).
OF_COMMANDS = {"BROADAXE_OWNER_PASSWORD", "BROADAXE_ACCOUNT_PASSWORD"}
#: A database that nobody connects to: settings are only read.
SOME_DATABASE = "postgresql://broadaxe:secret@db.example.com:5432/broadaxe"
INTERPOLATION = re.compile(r"\$\$|\$\{(?P<name>\w+)(?::?(?P<kind>[-?])(?P<text>[^}]*))?\}")


def documents(text: str) -> list[dict[str, Any]]:
    """The objects of a YAML stream."""
    return [document for document in yaml.safe_load_all(text) if document is not None]


def check_command(words: Sequence[str]) -> None:
    """Fails unless `broadaxe` has this command with these flags and arguments; nothing is run."""
    command: click.Command = cli
    context = click.Context(cli, info_name="broadaxe")
    rest = list(words)
    while isinstance(command, click.Group):
        found = command.get_command(context, rest[0]) if rest else None
        assert found is not None, f"there is no `broadaxe {' '.join(words)}`"
        command, rest = found, rest[1:]
        context = click.Context(command, parent=context, info_name=command.name)
    command.parse_args(context, rest)


def check_environment(values: Mapping[str, str]) -> None:
    """Fails unless every BROADAXE_ variable is one that is read, with a value that is valid."""
    ours = {name: value for name, value in values.items() if name.startswith("BROADAXE_")}
    known = {setting.variable for setting in SETTINGS} | OF_COMMANDS
    assert not ours.keys() - known, f"nobody reads {sorted(ours.keys() - known)}"
    load(ours)


def interpolated(value: Any, variables: Mapping[str, str]) -> Any:
    """A part of a compose file with `${NAME}`, `${NAME:-default}` and `${NAME:?why}` filled in."""
    if isinstance(value, dict):
        return {key: interpolated(part, variables) for key, part in value.items()}
    if isinstance(value, list):
        return [interpolated(part, variables) for part in value]
    if not isinstance(value, str):
        return value

    def fill(match: re.Match[str]) -> str:
        if match["name"] is None:
            return "$"
        given = variables.get(match["name"], "")
        if not given and match["kind"] == "?":
            raise LookupError(f"{match['name']}: {match['text']}")
        return given or (match["text"] if match["kind"] == "-" else "")

    return INTERPOLATION.sub(fill, value)


def environment_file(path: Path) -> dict[str, str]:
    """KEY=value lines, as compose and systemd read them."""
    lines = (line.strip() for line in path.read_text(encoding="utf-8").splitlines())
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def clean_environment(values: Mapping[str, str]) -> dict[str, str]:
    """What a process in a container or a unit sees: our scripts on PATH, and `values`."""
    return {"PATH": f"{SCRIPTS}:/usr/bin:/bin", "PYTHONPATH": os.environ.get("PYTHONPATH", ""), **values}


@contextlib.contextmanager
def served(directory: Path, words: Sequence[str], values: Mapping[str, str]) -> Iterator[str]:
    """The HTTP address of a ready engine, started with these words after `broadaxe` and in this environment only."""
    log = directory / "engine.log"
    with log.open("ab") as errors:
        process = subprocess.Popen(
            [str(SCRIPTS / "broadaxe"), *words],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            cwd=directory,
            env=clean_environment(values),
        )
    watchdog = threading.Timer(PATIENCE_S, process.kill)
    watchdog.start()
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.match(r"Broadaxe is ready: (\S+), gRPC", line)
        assert found is not None, line + log.read_text()
        yield found[1]
    finally:
        watchdog.cancel()
        if process.poll() is None:
            process.terminate()
            assert process.wait(PATIENCE_S) == 0
        assert process.stdout is not None
        process.stdout.close()
