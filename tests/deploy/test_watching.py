"""Alerts, dashboard, scrape example, collector and unit name only what exists; a running engine is asked."""

from __future__ import annotations

import configparser
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from broadaxe.rpc.services import traces
from tests.deploy.conftest import (
    DEPLOY,
    SCRIPTS,
    check_command,
    check_environment,
    clean_environment,
    environment_file,
    served,
)

ALERTS = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yaml").read_text())
SCRAPE = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yaml").read_text())
BOARD = json.loads((DEPLOY / "grafana" / "broadaxe.json").read_text())
COLLECTOR = yaml.safe_load((DEPLOY / "otel-collector.yaml").read_text())
#: Words of the query language that are in our queries, and the metric that Prometheus makes by itself.
WORDS = {"and", "changes", "deriv", "histogram_quantile", "increase", "max", "min", "rate", "sum", "unless"}
MADE_BY_PROMETHEUS = {"up"}


def rules() -> list[dict[str, Any]]:
    return [rule for group in ALERTS["groups"] for rule in group["rules"]]


def queries_of_the_board() -> Iterator[str]:
    for panel in BOARD["panels"]:
        yield from (target["expr"] for target in panel.get("targets", []))
    yield from (annotation["expr"] for annotation in BOARD["annotations"]["list"])
    for variable in BOARD["templating"]["list"]:
        if variable["type"] == "query":
            yield variable["query"]["query"].removeprefix("label_values(").partition(",")[0].partition("{")[0]


def metrics_in(query: str) -> set[str]:
    """The names that a query reads."""
    bare = re.sub(r"\{[^{}]*\}|\[[^\]]*\]|\b(?:by|on|without)\s*\([^)]*\)", " ", query)
    return set(re.findall(r"(?<![\w.])[a-zA-Z_:][\w:]*", bare)) - WORDS


@pytest.fixture
def exposed(database: str, tmp_path: Path) -> set[str]:
    """Every name that an engine exposes of itself and of a tenant."""
    values = {
        "BROADAXE_DATABASE_URL": database,
        # No replica, but its figures are there.
        "BROADAXE_READ_DATABASE_URL": database,
        "BROADAXE_DATA_DIR": str(tmp_path),
        "BROADAXE_HTTP_PORT": "0",
        "BROADAXE_GRPC_PORT": "0",
    }

    def broadaxe(*words: str) -> str:
        done = subprocess.run(
            [SCRIPTS / "broadaxe", *words],
            env=clean_environment(values),
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        )
        return done.stdout.strip()

    tenant = re.search(r"\(([0-9a-f-]{36})\)", broadaxe("tenant", "create", "Watched"))
    assert tenant is not None
    token = broadaxe("token", "create", "--tenant", "watched", "--name", "scrape")
    path = SCRAPE["scrape_configs"][1]["metrics_path"].replace("00000000-0000-0000-0000-000000000000", tenant[1])
    with served(tmp_path, ["serve"], values) as url:
        of_the_process = httpx.get(url + SCRAPE["scrape_configs"][0].get("metrics_path", "/metrics"), timeout=60)
        of_a_tenant = httpx.get(url + path, headers={"Authorization": f"Bearer {token}"}, timeout=60)
    names: set[str] = set()
    for answer in (of_the_process, of_a_tenant):
        assert answer.status_code == 200
        for family in text_string_to_metric_families(answer.text):
            names |= {family.name, *(sample.name for sample in family.samples)}
            if family.type == "histogram":
                names |= {f"{family.name}_{end}" for end in ("bucket", "count", "sum")}
    return names


def test_alerts_and_dashboard_name_metrics_that_an_engine_exposes(exposed: set[str]) -> None:
    for rule in rules():
        used = metrics_in(rule["expr"])
        assert used, rule["alert"]
        assert used <= exposed | MADE_BY_PROMETHEUS, rule["alert"]
    for query in queries_of_the_board():
        used = metrics_in(query)
        assert used, query
        assert used <= exposed | MADE_BY_PROMETHEUS, query


def test_a_metric_that_does_not_exist_is_noticed() -> None:
    assert metrics_in('sum by (le) (rate(no_such_thing{job="x"}[5m])) > 0.5 and up == 1') == {"no_such_thing", "up"}


def test_every_alert_says_what_happened_and_what_to_do_and_has_a_series_that_makes_it_fire() -> None:
    played = yaml.safe_load((Path(__file__).parent / "alerts_test.yaml").read_text())
    fired = {
        case["alertname"] for test in played["tests"] for case in test["alert_rule_test"] if case.get("exp_alerts")
    }
    assert fired == {rule["alert"] for rule in rules()}
    for rule in rules():
        assert rule["labels"]["severity"] in ("critical", "warning")
        assert rule["annotations"].keys() == {"summary", "description"}


def test_jobs_of_alerts_are_jobs_that_are_scraped() -> None:
    jobs = {job["job_name"] for job in SCRAPE["scrape_configs"]}
    for rule in rules():
        assert set(re.findall(r'job="([^"]*)"', rule["expr"])) <= jobs
        assert rule["expr"].count("{") == rule["expr"].count('job="'), rule["alert"]
    assert SCRAPE["rule_files"] == ["alerts.yaml"]


def test_panels_of_the_dashboard_do_not_overlap_and_have_ids_of_their_own() -> None:
    panels = BOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert place["x"] + place["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells
    known = {variable["name"] for variable in BOARD["templating"]["list"]} | {"__rate_interval"}
    assert set(re.findall(r"\$\{?(\w+)", json.dumps(BOARD))) <= known


def test_pipelines_of_the_collector_consist_of_what_it_configures() -> None:
    used: dict[str, set[str]] = {"receivers": set(), "processors": set(), "exporters": set()}
    for pipeline in COLLECTOR["service"]["pipelines"].values():
        for kind, names in used.items():
            names |= set(pipeline[kind])
    assert used == {kind: set(COLLECTOR[kind]) for kind in used}
    assert COLLECTOR["processors"]["batch"]["send_batch_max_size"] <= traces.SPANS_PER_REQUEST_MAX


def test_the_unit_runs_a_command_that_exists_with_settings_that_are_valid() -> None:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(DEPLOY / "systemd" / "broadaxe.service")
    words = unit["Service"]["ExecStart"].split()
    assert Path(words[0]).name == "broadaxe"
    check_command(words[1:])
    values = environment_file(DEPLOY / "systemd" / "broadaxe.env.example")
    check_environment({**values, **dict([unit["Service"]["Environment"].split("=", 1)])})
    assert unit["Service"]["DynamicUser"] == "yes"
