"""What only the real tools can say of `deploy/` and the workflows. `make test-deploy` fetches them and runs this."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.deploy.conftest import DEPLOY, ROOT, documents
from tests.deploy.objects import OTHERS, check_objects
from tests.deploy.test_container import COMPOSE
from tests.deploy.test_kubernetes import CHART, EXAMPLES
from tests.deploy.test_watching import ALERTS

TOOLS = ROOT / ".tools" / "bin"
KUBERNETES = "1.31.0"
#: Of systemd's own scale, from 0 (nothing is exposed) to 100.
EXPOSURE_MAX = 20


def run(tool: str, *arguments: str | Path, cwd: Path = ROOT, fails: bool = False) -> str:
    """What a tool prints; the test fails when it does not end as expected."""
    command = [str(TOOLS / tool), *map(str, arguments)]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=250)
    assert (done.returncode != 0) is fails, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr


@pytest.mark.parametrize("values", EXAMPLES, ids=lambda path: path.stem)
def test_the_chart_renders_valid_objects(values: Path) -> None:
    run("helm", "lint", "--strict", "--kube-version", KUBERNETES, CHART, "--values", values)
    rendered = run(
        *("helm", "template", "try", CHART, "--namespace", "try"), "--kube-version", KUBERNETES, "--values", values
    )
    objects = documents(rendered)
    check_objects(objects)
    if values.stem == "everything":
        wanted = {"Deployment", "Ingress", "Job", "NetworkPolicy", "PodDisruptionBudget", "Secret", "Service"}
        assert {made["kind"] for made in objects} == wanted | OTHERS | {"ServiceAccount"}


def test_the_chart_says_what_is_missing() -> None:
    said = run("helm", "template", "try", CHART, "--kube-version", KUBERNETES, fails=True)
    assert "set database.url, or database.existingSecret" in said


def test_the_job_has_its_secret_before_the_release_has_one() -> None:
    rendered = run(
        *("helm", "template", "try", CHART, "--kube-version", KUBERNETES),
        *("--set", "database.url=postgresql://db/broadaxe"),
    )
    before, after = [], []
    for made in documents(rendered):
        hook = made["metadata"].get("annotations", {}).get("helm.sh/hook", "")
        (before if hook.startswith("pre-") else after).append(made)
    assert {made["kind"] for made in before} == {"Secret", "Job"}
    for objects in (before, after):
        secret = next(made["metadata"]["name"] for made in objects if made["kind"] == "Secret")
        pods = [made["spec"]["template"]["spec"] for made in objects if made["kind"] in ("Job", "Deployment")]
        assert pods
        for pod in pods:
            assert pod["containers"][0]["env"][0]["valueFrom"]["secretKeyRef"]["name"] == secret


def test_an_engine_that_sends_mails_may_reach_the_server_and_needs_its_url() -> None:
    given = ("--set", "database.url=postgresql://db/broadaxe", "--set", "mail.from=broadaxe@example.com")
    command = ("helm", "template", "try", CHART, "--kube-version", KUBERNETES, *given)
    assert "set mail.smtpUrl as well as mail.from" in run(*command, fails=True)
    rendered = documents(
        run(*command, "--set", "mail.smtpUrl=smtp://me:secret@mail", "--set", "networkPolicy.enabled=true")
    )
    told = {made["metadata"]["name"]: made["stringData"]["smtp-url"] for made in rendered if made["kind"] == "Secret"}
    assert told == {"try-broadaxe": "smtp://me:secret@mail", "try-broadaxe-migrate": "smtp://me:secret@mail"}
    assert [made["kind"] for made in rendered if "smtp://" in yaml.safe_dump(made)] == ["Secret", "Secret"]
    (policy,) = (made for made in rendered if made["kind"] == "NetworkPolicy")
    reached = [port["port"] for rule in policy["spec"]["egress"] for port in rule["ports"]]
    assert reached == [7078, 53, 53, 5432, 587, 443]


def test_the_manifests_are_what_the_chart_renders() -> None:
    environment = {"PATH": f"{TOOLS}:/usr/bin:/bin"}
    script = [str(ROOT / "scripts" / "render_manifests.sh"), "--check"]
    done = subprocess.run(script, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


def test_alerts_are_rules_and_fire_when_they_should(tmp_path: Path) -> None:
    rules = DEPLOY / "prometheus" / "alerts.yaml"
    run("promtool", "check", "rules", rules)
    # What is played has the labels of each alert; its words are for people.
    for group in ALERTS["groups"]:
        for rule in group["rules"]:
            rule.pop("annotations", None)
    (tmp_path / "alerts.yaml").write_text(yaml.safe_dump(ALERTS))
    played = yaml.safe_load((Path(__file__).parents[1] / "alerts_test.yaml").read_text())
    (tmp_path / "test.yaml").write_text(yaml.safe_dump({**played, "rule_files": ["alerts.yaml"]}))
    assert "SUCCESS" in run("promtool", "test", "rules", "test.yaml", cwd=tmp_path)


def test_the_scrape_example_is_a_configuration_of_prometheus() -> None:
    run("promtool", "check", "config", "--syntax-only", DEPLOY / "prometheus" / "prometheus.yaml")


def test_compose_reads_its_file(tmp_path: Path) -> None:
    # The loader knows neither profiles nor .env; both are applied to what it is given.
    services = {name: {k: v for k, v in it.items() if k != "profiles"} for name, it in COMPOSE["services"].items()}
    (tmp_path / "compose.yaml").write_text(yaml.safe_dump({**COMPOSE, "services": services}))
    run("compose-load", "-no-path-resolution", "compose.yaml", cwd=tmp_path)


@pytest.mark.parametrize("is_all_turned_on", [False, True], ids=["as it is", "all turned on"])
def test_systemd_accepts_the_unit_and_finds_little_exposed(tmp_path: Path, is_all_turned_on: bool) -> None:
    unit = (DEPLOY / "systemd" / "broadaxe.service").read_text()
    if is_all_turned_on:
        unit, turned_on = re.subn(r"^#(?=\w+=)", "", unit, flags=re.MULTILINE)
        assert turned_on == 2
    # The program has to be there for the check.
    (tmp_path / "broadaxe.service").write_text(
        re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", unit, flags=re.MULTILINE)
    )
    assert run("systemd-analyze", "verify", "./broadaxe.service", cwd=tmp_path) == ""
    run(
        "systemd-analyze",
        "security",
        "--offline=true",
        f"--threshold={EXPOSURE_MAX}",
        "./broadaxe.service",
        cwd=tmp_path,
    )


def test_workflows_have_nothing_that_actionlint_finds() -> None:
    assert run("actionlint", "-color=false") == ""
