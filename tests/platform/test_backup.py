"""A data directory as one file and back: nothing acknowledged is missing, tokens still count, mistakes are named."""

from __future__ import annotations

import base64
import json
import stat
import subprocess
import urllib.request
import zipfile
from pathlib import Path
from typing import Any

from tests.platform.test_dev import PATIENCE_S, command, dev, environment


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments), env=environment(), capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )


def tenant_of(values: dict[str, str]) -> str:
    payload = values["HATCHET_CLIENT_TOKEN"].split(".")[1]
    tenant: str = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["sub"]
    return tenant


def call(values: dict[str, str], path: str, body: object = None, *, token: str | None = None) -> Any:
    request = urllib.request.Request(
        f"{values['HATCHET_CLIENT_SERVER_URL']}{path}",
        data=None if body is None else json.dumps(body).encode(),
        headers={
            "Authorization": f"Bearer {token or values['HATCHET_CLIENT_TOKEN']}",
            "Content-Type": "application/json",
        },
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.loads(answer.read())


def push(values: dict[str, str], number: int) -> str:
    """Returns when the event is acknowledged."""
    body = {"key": "kept", "data": {"number": number}}
    event: str = call(values, f"/api/v1/tenants/{tenant_of(values)}/events", body)["metadata"]["id"]
    return event


def test_a_backup_of_a_running_engine_has_all_that_was_acknowledged(tmp_path: Path) -> None:
    file = tmp_path / "kept.broadaxe"
    with dev(tmp_path, "--extra-database", "mine") as (_, values, _):
        acknowledged = {push(values, number) for number in range(20)}
        done = run("backup", file, "--data-dir", tmp_path / "data")
        assert done.returncode == 0, done.stderr
        later = push(values, 99)
        token = values["HATCHET_CLIENT_TOKEN"]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []

    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    done = run("restore", file, "--data-dir", elsewhere / "data")
    assert done.returncode == 0, done.stderr
    assert "broadaxe, mine" in done.stdout
    with dev(elsewhere, "--extra-database", "mine") as (_, values, _):
        # The token of then, which names the tenant of then, counts.
        rows = call(values, f"/api/v1/stable/tenants/{tenant_of(values)}/events?limit=100", token=token)["rows"]
        found = {row["metadata"]["id"] for row in rows}
        assert found == acknowledged
        assert later not in found
        push(values, 100)


def test_what_cannot_be_backed_up_or_restored_is_named(tmp_path: Path) -> None:
    nothing = run("backup", tmp_path / "a", "--data-dir", tmp_path / "none")
    assert (nothing.returncode, "there is no database in" in nothing.stderr) == (2, True)
    missing = run("restore", tmp_path / "a", "--data-dir", tmp_path / "new")
    assert (missing.returncode, "there is no file" in missing.stderr) == (2, True)
    (tmp_path / "b").write_text("not an archive")
    other = run("restore", tmp_path / "b", "--data-dir", tmp_path / "new")
    assert (other.returncode, "is not a backup of Broadaxe" in other.stderr) == (2, True)
    with zipfile.ZipFile(tmp_path / "c", "w") as archive:
        archive.writestr("manifest.json", json.dumps({"form": 99}))
    newer = run("restore", tmp_path / "c", "--data-dir", tmp_path / "new")
    assert (newer.returncode, "has the form 99" in newer.stderr) == (2, True)
    assert not (tmp_path / "new").exists()


def test_a_broken_backup_leaves_nothing_that_looks_whole(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "broken", "w") as archive:
        manifest = {"form": 1, "postgres": "18.6", "made_at": "2026-01-01T00:00:00+00:00", "databases": ["broadaxe"]}
        archive.writestr("manifest.json", json.dumps(manifest))
        archive.writestr("roles.sql", "")
        archive.writestr("databases/broadaxe.dump", b"PGDMP but no more")
    done = run("restore", tmp_path / "broken", "--data-dir", tmp_path / "new")
    assert done.returncode == 1
    assert "pg_restore failed" in done.stderr
    assert not (tmp_path / "new" / "postgres").exists()


def test_a_file_that_is_there_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "there").write_text("mine")
    with dev(tmp_path):
        for name in ("there", "no/such/place"):
            done = run("backup", tmp_path / name, "--data-dir", tmp_path / "data")
            assert done.returncode == 2, done.stderr
            assert name in done.stderr
    assert (tmp_path / "there").read_text() == "mine"
