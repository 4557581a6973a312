"""The manifests, and what can be said of the chart without helm; `tests/deploy/tools` renders it."""

from __future__ import annotations

import hashlib
import json
import re

import jsonschema
import pytest
import yaml

from broadaxe.app import GRPC_GRACE_S
from broadaxe.engine.actor import STOP_GRACE_S
from broadaxe.engine.moves import STOP_S
from broadaxe.rest.shapes import counts as count_shapes
from tests.deploy.conftest import DEPLOY, documents
from tests.deploy.objects import check_objects

CHART = DEPLOY / "chart"
MANIFESTS = (DEPLOY / "kubernetes" / "broadaxe.yaml").read_text()
SCHEMA = json.loads((CHART / "values.schema.json").read_text())
VALUES = yaml.safe_load((CHART / "values.yaml").read_text())
EXAMPLES = sorted((CHART / "ci").glob("*.yaml"))


def merged(base: dict[str, object], over: dict[str, object]) -> dict[str, object]:
    """Values as helm lays one file over another."""
    result = dict(base)
    for key, value in over.items():
        below = result.get(key)
        result[key] = merged(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return result


def test_the_manifests_are_valid_and_fit_each_other() -> None:
    objects = documents(MANIFESTS)
    assert {"Deployment", "Job", "NetworkPolicy", "Service", "ServiceAccount"} == {made["kind"] for made in objects}
    check_objects(objects)


def test_an_engine_that_is_told_to_stop_serves_until_services_have_forgotten_it_and_has_time_to_hand_over() -> None:
    (deployment,) = (
        made for made in documents(MANIFESTS) if made["metadata"]["name"] == "broadaxe" and made["kind"] == "Deployment"
    )
    pod = deployment["spec"]["template"]["spec"]
    words = pod["containers"][0]["lifecycle"]["preStop"]["exec"]["command"]
    assert words[0] == "sleep"
    assert pod["terminationGracePeriodSeconds"] >= int(words[1]) + STOP_S + STOP_GRACE_S + GRPC_GRACE_S


def test_the_manifests_were_rendered_from_the_chart_as_it_is() -> None:
    lines = b"".join(
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  ./{path.relative_to(CHART)}\n".encode()
        for path in sorted(CHART.rglob("*"), key=lambda path: f"./{path.relative_to(CHART)}".encode())
        if path.is_file()
    )
    assert f"# chart: sha256:{hashlib.sha256(lines).hexdigest()}" in MANIFESTS, "run make manifests"


def test_the_schema_allows_the_values_and_every_example() -> None:
    jsonschema.validate(VALUES, SCHEMA)
    assert len(EXAMPLES) > 3
    for example in EXAMPLES:
        jsonschema.validate(merged(VALUES, yaml.safe_load(example.read_text())), SCHEMA)
    assert SCHEMA["properties"].keys() - {"global"} == VALUES.keys()


@pytest.mark.parametrize(
    "wrong",
    [
        {"replicas": "many"},
        {"database": {"url": "mysql://db/broadaxe"}},
        {"settings": {"BROADAXE_DATABASE_URL": "postgresql://db/broadaxe"}},
        {"settings": {"RETENTION_DAYS": "3"}},
        {"settings": {"BROADAXE_SMTP_URL": "smtp://mail"}},
        {"mail": {"from": "broadaxe@example.com", "smtpUrl": "mail.example.com:587"}},
        {"mail": {"smtpUrl": "smtp://mail.example.com"}},
        {"service": {"grpc": {"port": "7077"}}},
        {"worker": {"enabled": True}},
        {"worker": {"autoscaling": {"enabled": True}}},
    ],
    ids=str,
)
def test_the_schema_refuses_values_that_would_mean_nothing(wrong: dict[str, object]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(merged(VALUES, wrong), SCHEMA)


def test_the_chart_is_of_the_version_that_is_being_made() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    coming = re.search(r'fallback_version = "(.+?)"', (DEPLOY.parent / "pyproject.toml").read_text())
    assert coming is not None
    assert coming[1] in (chart["appVersion"], f"{chart['appVersion']}.dev0")


def test_figures_that_scale_workers_are_in_the_answer_of_task_stats() -> None:
    stat = count_shapes.TaskStat(
        queued=count_shapes.LiveTasks(total=7), running=count_shapes.LiveTasks(total=2)
    ).model_dump(by_alias=True)
    assert (stat["queued"]["total"], stat["running"]["total"]) == (7, 2)
