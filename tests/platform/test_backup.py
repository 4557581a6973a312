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

import pytest

from broadaxe.errors import ConfigurationError
from broadaxe.storage.backup import read_manifest
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


MANIFEST = {"form": 1, "postgres": "18.6", "made_at": "2026-01-01T00:00:00+00:00", "databases": ["broadaxe"]}


def archive_of(path: Path, manifest: object, **members: str) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("manifest.json", json.dumps(manifest))
        for name, content in members.items():
            archive.writestr(name, content)


def test_what_cannot_be_backed_up_is_named(tmp_path: Path) -> None:
    nothing = run("backup", tmp_path / "a", "--data-dir", tmp_path / "none")
    assert (nothing.returncode, "there is no database in" in nothing.stderr) == (2, True)


def test_what_cannot_be_restored_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="there is no file"):
        read_manifest(tmp_path / "none")
    (tmp_path / "text").write_text("not an archive")
    with pytest.raises(ConfigurationError, match="is not a backup of Broadaxe, or only a part of one"):
        read_manifest(tmp_path / "text")
    with pytest.raises(ConfigurationError, match="cannot be read: Is a directory"):
        read_manifest(tmp_path)


@pytest.mark.parametrize(
    ("manifest", "members", "said"),
    [
        pytest.param({"form": 99}, {}, "has the form 99", id="of-a-newer-version"),
        pytest.param([1, 2], {}, "is not a backup of Broadaxe: Expected `object`", id="no-object"),
        pytest.param(MANIFEST | {"postgres": "99.1"}, {}, "was made with PostgreSQL 99", id="of-a-newer-postgres"),
        pytest.param({"form": 1}, {}, "does not say which", id="says-nothing"),
        pytest.param(MANIFEST, {}, "has no databases/broadaxe.dump, roles.sql", id="empty"),
        pytest.param(MANIFEST, {"roles.sql": ""}, "it has no databases/broadaxe.dump", id="without-a-database"),
    ],
)
def test_an_archive_that_is_no_backup_is_told_so(
    tmp_path: Path, manifest: object, members: dict[str, str], said: str
) -> None:
    archive_of(tmp_path / "file", manifest, **members)
    with pytest.raises(ConfigurationError) as refused:
        read_manifest(tmp_path / "file")
    assert said in refused.value.message


def test_a_member_that_ends_too_soon_is_told_so(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "file", "w") as archive:
        archive.writestr("manifest.json", json.dumps(MANIFEST))
        entry = archive.getinfo("manifest.json")
        entry.file_size = entry.compress_size = 100_000
    with pytest.raises(ConfigurationError, match=r"is not a backup of Broadaxe: .+"):
        read_manifest(tmp_path / "file")


def test_a_broken_backup_leaves_nothing_that_looks_whole(tmp_path: Path) -> None:
    archive_of(tmp_path / "broken", MANIFEST, **{"roles.sql": "", "databases/broadaxe.dump": "PGDMP but no more"})
    done = run("restore", tmp_path / "broken", "--data-dir", tmp_path / "new")
    assert done.returncode == 1
    assert "pg_restore failed" in done.stderr
    assert not (tmp_path / "new" / "postgres").exists()


def test_a_damaged_backup_is_the_files_fault(tmp_path: Path) -> None:
    archive_of(tmp_path / "damaged", MANIFEST, **{"roles.sql": "-- roles of then", "databases/broadaxe.dump": "PGDMP"})
    file = tmp_path / "damaged"
    file.write_bytes(file.read_bytes().replace(b"-- roles of then", b"-- roles of now."))
    done = run("restore", file, "--data-dir", tmp_path / "new")
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith(f"broadaxe: {file} is damaged: Bad CRC-32")
    assert not (tmp_path / "new" / "postgres").exists()


def test_a_file_that_is_there_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "there").write_text("mine")
    with dev(tmp_path):
        for name in ("there", "no/such/place"):
            done = run("backup", tmp_path / name, "--data-dir", tmp_path / "data")
            assert done.returncode == 2, done.stderr
            assert name in done.stderr
    assert (tmp_path / "there").read_text() == "mine"
