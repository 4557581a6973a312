"""The Dockerfile and the compose file: linted, and what they start is started here without a container."""

from __future__ import annotations

import base64
import json
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.conftest import (
    DEPLOY,
    ROOT,
    SCRIPTS,
    check_command,
    check_environment,
    clean_environment,
    environment_file,
    interpolated,
    served,
)

DOCKERFILE = DEPLOY / "Dockerfile"
EXAMPLE = {
    **environment_file(DEPLOY / "compose.env.example"),
    "POSTGRES_PASSWORD": "secret",
    "DEMO_PASSWORD": "Correct-Horse-7",
    "BROADAXE_SECRET_KEY": base64.b64encode(bytes(32)).decode(),
}
RAW = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
COMPOSE: dict[str, Any] = interpolated(RAW, EXAMPLE)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if service["image"] == "broadaxe"}


def instructions() -> list[tuple[str, str]]:
    """(word, rest) of every instruction of the Dockerfile, continued lines joined."""
    text = re.sub(r"^#.*\n", "", DOCKERFILE.read_text(), flags=re.MULTILINE)
    lines = re.sub(r"\\\n\s*", "", text).splitlines()
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in lines) if word]


def last_stage() -> list[tuple[str, str]]:
    made = instructions()
    return made[max(i for i, (word, _) in enumerate(made) if word == "FROM") :]


def image_environment() -> dict[str, str]:
    """What the engine's image sets; without PATH, which a test has its own of."""
    words = [part for word, rest in last_stage() if word == "ENV" for part in shlex.split(rest)]
    values = dict(word.split("=", 1) for word in words)
    del values["PATH"]
    return values


def test_the_dockerfile_has_nothing_that_hadolint_finds() -> None:
    done = subprocess.run([SCRIPTS / "hadolint", DOCKERFILE], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (0, "")


def test_what_the_dockerfile_copies_from_the_checkout_is_there() -> None:
    ignored = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
    copied = [rest.split()[:-1] for word, rest in instructions() if word == "COPY" and "--from" not in rest]
    assert len(copied) > 5
    for source in (source for sources in copied for source in sources):
        assert (ROOT / source).exists(), source
        assert source.split("/")[0] not in ignored, source


def test_the_image_is_built_with_what_the_project_is_built_with() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    asked = (ROOT / "requirements" / "build.in").read_text().splitlines()
    assert {line for line in asked if not line.startswith("#")} == set(project["build-system"]["requires"])


def test_the_image_runs_the_engine_as_somebody_who_is_not_root() -> None:
    stage = last_stage()
    assert ("USER", "10001:10001") in stage
    assert [rest for word, rest in stage if word == "ENTRYPOINT"] == ['["broadaxe"]']
    check_command(json.loads(next(rest for word, rest in stage if word == "CMD")))
    check_environment(image_environment())


def test_variables_of_the_compose_file_are_in_its_example() -> None:
    used = set(re.findall(r"\$\{(\w+)", (DEPLOY / "compose.yaml").read_text()))
    assert used - {"BROADAXE_IMAGE", "BROADAXE_CHAT_IMAGE"} == set(EXAMPLE)


def test_without_a_password_compose_is_told_what_to_do() -> None:
    with pytest.raises(LookupError, match=r"POSTGRES_PASSWORD: copy compose\.env\.example"):
        interpolated(RAW, {**EXAMPLE, "POSTGRES_PASSWORD": ""})


def test_services_depend_on_services_of_their_profile_and_use_volumes_that_are_declared() -> None:
    stages = {rest.rpartition(" AS ")[2] for word, rest in instructions() if word == "FROM"}
    for name, service in SERVICES.items():
        for other, wanted in service.get("depends_on", {}).items():
            target = SERVICES[other]
            assert set(target.get("profiles", [])) <= set(service.get("profiles", [])), f"{name} -> {other}"
            if wanted["condition"] == "service_healthy":
                image_has_check = target["image"] == "broadaxe"
                assert "healthcheck" in target or image_has_check, f"{name} waits for {other}, which has no check"
            else:
                assert target["restart"] == "no", f"{name} waits for the end of {other}"
        for mount in service.get("volumes", []):
            assert mount.split(":")[0] in COMPOSE["volumes"], f"{name}: {mount}"
        if "build" in service:
            assert (DEPLOY / service["build"]["context"] / service["build"]["dockerfile"]).resolve() == DOCKERFILE
            assert service["build"]["target"] in stages
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:"), f"{name} is open to everybody"


def test_services_of_the_engines_image_run_commands_that_exist() -> None:
    assert set(OURS) == {"migrate", "migrate-post", "engine", "demo-tenant"}
    for service in OURS.values():
        check_environment(service["environment"])
        if "entrypoint" not in service:
            check_command(service["command"])


def test_the_chat_is_given_only_what_it_reads() -> None:
    sources = "".join(path.read_text() for path in (ROOT / "examples/rag_chat/src/rag_chat").glob("*.py"))
    for name in ("worker", "chat"):
        for variable in SERVICES[name]["environment"]:
            assert variable.startswith("HATCHET_CLIENT_") or f'"{variable}"' in sources, variable


def test_demo_tenant_makes_one_tenant_and_one_token_however_often_it_runs(database: str, tmp_path: Path) -> None:
    service = OURS["demo-tenant"]
    values = clean_environment({**service["environment"], "BROADAXE_DATABASE_URL": database})
    command = [*service["entrypoint"], *service["command"]]
    tokens = []
    for _ in range(2):
        done = subprocess.run(command, cwd=tmp_path, env=values, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        tokens.append((tmp_path / "demo.token").read_text().strip())
    assert tokens[0] == tokens[1]
    assert (tmp_path / "demo.token").stat().st_mode & 0o077 == 0
    claims = json.loads(base64.urlsafe_b64decode(tokens[0].split(".")[1] + "=="))
    assert claims["grpc_broadcast_address"] == "engine:7077"
    listed = subprocess.run(
        [SCRIPTS / "broadaxe", "tenant", "list"], env=values, capture_output=True, text=True, timeout=60, check=True
    )
    assert len(listed.stdout.splitlines()) == 1


def test_the_health_check_tells_a_live_engine_from_none(database: str, tmp_path: Path) -> None:
    health = json.loads(next(rest for word, rest in last_stage() if word == "HEALTHCHECK").split(" CMD ")[1])
    health[0] = sys.executable
    engine = {**image_environment(), **OURS["engine"]["environment"]}
    engine |= {"BROADAXE_DATABASE_URL": database, "BROADAXE_DATA_DIR": str(tmp_path)}
    # Its own addresses, so that the test learns the port that was free.
    del engine["BROADAXE_PUBLIC_URL"], engine["BROADAXE_PUBLIC_GRPC"]
    with served(
        tmp_path, OURS["engine"]["command"], {**engine, "BROADAXE_HTTP_PORT": "0", "BROADAXE_GRPC_PORT": "0"}
    ) as url:
        port = url.rpartition(":")[2]
        checked = subprocess.run(health, env=clean_environment({"BROADAXE_HTTP_PORT": port}), timeout=60)
        assert checked.returncode == 0
    gone = subprocess.run(health, env=clean_environment({"BROADAXE_HTTP_PORT": port}), capture_output=True, timeout=60)
    assert gone.returncode == 1
