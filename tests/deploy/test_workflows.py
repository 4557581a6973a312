"""The workflows: no hole that zizmor knows, and nothing in them but targets of the Makefile."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from tests.deploy.conftest import ROOT, SCRIPTS

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yaml"))
TARGETS = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def jobs() -> Iterator[tuple[str, dict[str, Any]]]:
    for path in WORKFLOWS:
        for name, job in yaml.safe_load(path.read_text())["jobs"].items():
            yield f"{path.name}: {name}", job


def test_workflows_have_nothing_that_zizmor_finds() -> None:
    assert len(WORKFLOWS) == 3
    command: list[str | Path] = [SCRIPTS / "zizmor", "--offline", "--persona", "pedantic", "--quiet", *WORKFLOWS]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_step_is_a_target_of_the_makefile_or_an_action_of_a_fixed_commit() -> None:
    steps = [(place, step) for place, job in jobs() for step in job["steps"]]
    assert len(steps) > 15
    for place, step in steps:
        if "uses" in step:
            assert re.search(r"@[0-9a-f]{40}$", step["uses"]), place
            continue
        words = step["run"].split()
        assert words[0] == "make", place
        assert set(words[1:]) <= TARGETS, place


def test_every_job_has_an_end_and_says_what_it_may() -> None:
    for place, job in jobs():
        assert job["timeout-minutes"] <= 90, place
        assert "permissions" in job, place


def test_pythons_of_the_matrix_are_those_the_project_names() -> None:
    project = (ROOT / "pyproject.toml").read_text()
    named = re.findall(r"Programming Language :: Python :: (3\.\d+)", project)
    matrix = next(job for place, job in jobs() if place == "ci.yaml: test")["strategy"]["matrix"]["python"]
    assert matrix[: len(named)] == named


def test_issue_forms_ask_for_what_can_be_answered() -> None:
    forms = [path for path in (ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml") if path.name != "config.yml"]
    assert len(forms) == 2
    for path in forms:
        form = yaml.safe_load(path.read_text())
        assert {"name", "description", "body"} <= form.keys() <= {"name", "description", "body", "labels", "title"}
        fields = [field for field in form["body"] if field["type"] != "markdown"]
        assert len({field["id"] for field in fields}) == len(fields)
        for field in fields:
            assert field["type"] in {"checkboxes", "dropdown", "input", "textarea"}, path.name
            assert field["attributes"]["label"]
        assert any(field.get("validations", {}).get("required") for field in fields)
