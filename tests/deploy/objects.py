"""What has to be true of every Kubernetes object that we give to people."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Any

import kubernetes_validate

from tests.deploy.conftest import SOME_DATABASE, check_command, check_environment

#: The oldest and the newest release whose schemas the objects are held against.
KUBERNETES = ("1.27", "1.37")
#: Settings that name a file of a Secret.
FILES = {
    f"BROADAXE_{name}"
    for name in ("TLS_CERTIFICATE", "TLS_KEY", "TLS_CLIENT_CA", "LINK_TLS_CERTIFICATE", "LINK_TLS_KEY", "LINK_TLS_CA")
}
#: Kinds of other projects, which have no schema here.
OTHERS = {"ScaledObject", "ServiceMonitor", "TriggerAuthentication"}


def check_objects(objects: list[dict[str, Any]]) -> None:
    """Fails unless all objects are valid, fit each other, and start what we have with settings that we read."""
    names = {(made["kind"], made["metadata"]["name"]) for made in objects}
    assert len(names) == len(objects), "two objects have one name"
    for made in objects:
        if made["kind"] not in OTHERS:
            for version in KUBERNETES:
                kubernetes_validate.validate(made, version, strict=True)
    pods = [made["spec"]["template"] for made in objects if made["kind"] in ("Deployment", "Job")]
    for pod in pods:
        # A Service called broadaxe-grpc would otherwise set BROADAXE_GRPC_PORT to tcp://...
        assert pod["spec"]["enableServiceLinks"] is False
        assert pod["spec"]["automountServiceAccountToken"] is False
        for container in pod["spec"]["containers"]:
            if container["name"] in ("engine", "migrate"):
                _check_ours(container)
            mounted = {mount["name"] for mount in container.get("volumeMounts", [])}
            assert mounted == {volume["name"] for volume in pod["spec"].get("volumes", [])}
    for made in objects:
        if made["kind"] in ("Service", "NetworkPolicy", "PodDisruptionBudget"):
            selector = made["spec"].get("selector") or made["spec"]["podSelector"]
            wanted = selector.get("matchLabels", selector).items()
            chosen = [pod for pod in pods if wanted <= pod["metadata"]["labels"].items()]
            assert len(chosen) == 1, f"{made['kind']} {made['metadata']['name']} chooses {len(chosen)} kinds of pods"
            ports = {port["name"]: port["containerPort"] for port in chosen[0]["spec"]["containers"][0]["ports"]}
            for port in made["spec"].get("ports", []):
                assert port["targetPort"] in ports
        if made["kind"] == "Ingress":
            for rule in made["spec"]["rules"]:
                for path in rule["http"]["paths"]:
                    assert ("Service", path["backend"]["service"]["name"]) in names
        if made["kind"] == "ServiceMonitor":
            labels = made["spec"]["selector"]["matchLabels"].items()
            watched = [it for it in objects if it["kind"] == "Service" and labels <= it["metadata"]["labels"].items()]
            assert [port["name"] for it in watched for port in it["spec"]["ports"]] == ["http"]
        if made["kind"] == "ScaledObject":
            _check_scaling(made, names)


def _check_ours(container: dict[str, Any]) -> None:
    check_command(container["args"])
    values = {one["name"]: one.get("value", SOME_DATABASE) for one in container["env"]}
    assert len(values) == len(container["env"])
    values.pop("BROADAXE_SECRET_KEY", None)
    places = {mount["mountPath"] for mount in container["volumeMounts"]}
    for variable in FILES & values.keys():
        assert str(PurePosixPath(values[variable]).parent) in places
        # Files of the cluster; here any that is there.
        values[variable] = __file__
    if values.pop("BROADAXE_OPENID_PROVIDERS", None) is not None:
        assert "/etc/broadaxe/openid" in places
    if "BROADAXE_SMTP_URL" in values:
        assert values["BROADAXE_SMTP_URL"] == SOME_DATABASE, "it has a password, so it comes from the Secret"
        values["BROADAXE_SMTP_URL"] = "smtp://broadaxe:secret@mail.example.com"
    check_environment(values)
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    probes = [container.get(f"{kind}Probe") for kind in ("startup", "liveness", "readiness")]
    if container["name"] == "engine":
        paths = [probe["httpGet"]["path"] for probe in probes if probe is not None]
        assert paths == ["/api/live", "/api/live", "/api/ready"]
        declared = {port["name"]: str(port["containerPort"]) for port in container["ports"]}
        named = {"grpc": "BROADAXE_GRPC_PORT", "http": "BROADAXE_HTTP_PORT", "link": "BROADAXE_LINK_PORT"}
        assert declared == {port: values[variable] for port, variable in named.items()}
        assert values["BROADAXE_PUBLIC_LINK"] == f"$(POD_IP):{values['BROADAXE_LINK_PORT']}"


def _check_scaling(made: dict[str, Any], names: set[tuple[str, str]]) -> None:
    spec = made["spec"]
    assert ("Deployment", spec["scaleTargetRef"]["name"]) in names
    terms = [trigger["name"] for trigger in spec["triggers"]]
    assert spec["advanced"]["scalingModifiers"]["formula"].split(" + ") == terms
    for trigger in spec["triggers"]:
        assert ("TriggerAuthentication", trigger["authenticationRef"]["name"]) in names
        task = re.search(r"/task-stats\?taskNames=(.+)$", trigger["metadata"]["url"])
        assert task is not None
        # The place of the figure in the answer, where a dot of a name must not divide it.
        place = re.split(r"(?<!\\)\.", trigger["metadata"]["valueLocation"])
        assert place[0].replace("\\.", ".") == task[1]
        assert place[1:] in (["queued", "total"], ["running", "total"])
