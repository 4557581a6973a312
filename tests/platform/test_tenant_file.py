"""`broadaxe export` and the file it makes, where something is wrong; what a whole engine puts into it is in
`tests/wire/test_moving.py`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from broadaxe.cli.main import cli
from broadaxe.errors import InvalidArgument, NotFound
from broadaxe.moving import tenant_file
from broadaxe.moving.plan import queued_runs
from broadaxe.moving.rows import RunDetails
from broadaxe.moving.tenant_file import TenantFile
from tests.platform.test_import import THEIRS, Stub, says, serving, token

HEAD = {"format": "broadaxe-tenant", "form": 1, "tenant": {"id": THEIRS, "name": "Billing", "slug": "billing"}}
END = {"kind": "end", "row": {}}


def run(number: int, status: str = "QUEUED", second: int | None = None) -> dict[str, Any]:
    at = f"2026-01-01T00:00:{number if second is None else second:02}.000000Z"
    row = {
        "metadata": {"id": f"0199b6a2-0000-7000-8000-{number:012}", "createdAt": at},
        "createdAt": at,
        "status": status,
        "workflowId": "w",
        "workflowName": "etl",
        "input": {"n": number},
        "output": {},
        "additionalMetadata": {},
        "priority": 2,
    }
    return {"kind": "run", "row": row}


def written(path: Path, *lines: object) -> Path:
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return path


def test_queued_runs_of_a_file_are_listed_once_and_read_where_they_stand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("broadaxe.moving.plan.PAGE", 3)
    # Several of one instant lie across the end of a page.
    runs = [run(9), run(8, "COMPLETED"), run(7), *(run(number, second=5) for number in (6, 5, 4, 3)), run(2, "RUNNING")]
    file = TenantFile(written(tmp_path / "t.jsonl", HEAD, *runs, {"kind": "later", "row": {}}, END))
    found = [each.metadata.id for each in queued_runs(file)]
    assert found == [row["row"]["metadata"]["id"] for row in runs if row["row"]["status"] == "QUEUED"]
    details = file.get(f"/api/v1/stable/workflow-runs/{found[2]}", RunDetails).run
    assert (bytes(details.input), details.priority, details.status) == (b'{"n": 6}', 2, "QUEUED")
    with pytest.raises(NotFound):
        file.get("/api/v1/stable/workflow-runs/none", RunDetails)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "is no file of a tenant"),
        ("a,b\n", "is no file of a tenant"),
        ('{"format": "broadaxe-run", "form": 1}\n', "is no file of a tenant"),
        (json.dumps(HEAD | {"form": 2}) + "\n", "made by a newer Broadaxe"),
        (json.dumps(HEAD) + "\n" + json.dumps(run(1)) + "\n", "is not whole"),
        (json.dumps(HEAD) + "\n" + json.dumps(END)[:-1], "is not whole"),
        (json.dumps(HEAD) + "\nnonsense\n", "a line that is none of ours"),
        (json.dumps(HEAD) + "\n" + "[" * 2_000 + "\n", "more than 0 MiB"),
        (json.dumps(HEAD) + "\n" + '{"kind": "cron", "row": {}}\n' * 50, "the lists of"),
    ],
    ids=["empty", "no-json", "run", "newer", "cut", "half-a-line", "nonsense", "long", "many"],
)
def test_a_file_that_is_none_is_refused_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str, said: str
) -> None:
    monkeypatch.setattr(tenant_file, "LINE_BYTES_MAX", 1_000)
    monkeypatch.setattr(tenant_file, "LIST_BYTES_MAX", 1_000)
    file = tmp_path / "t.jsonl"
    file.write_text(content)
    with pytest.raises(InvalidArgument) as refused:
        TenantFile(file)
    assert said in str(refused.value) and str(file) in str(refused.value)


def exported(stub: Stub, file: Path) -> Any:
    words = ["export", str(file), "--url", stub.url, "--token", token(THEIRS)]
    return CliRunner().invoke(cli, words)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda _: says({"description": "this needs the role ADMIN; yours is VIEWER"}, 401), "needs the role ADMIN"),
        (lambda _: says({"description": "not here"}, 404), "not here"),
        (lambda _: says(b"", 302, Location="http://elsewhere"), "sends us on to http://elsewhere"),
        (lambda _: says(json.dumps(HEAD).encode() + b"\n"), "ended its answer in the middle"),
        (lambda _: says({}, 503), "answered 503"),
    ],
    ids=["role", "missing", "redirect", "cut", "busy"],
)
def test_an_export_that_fails_leaves_no_file(tmp_path: Path, answer: Callable[[Any], Any], said: str) -> None:
    stub = Stub()
    stub.answers["/file"] = answer
    with serving(stub):
        done = exported(stub, tmp_path / "t.jsonl")
    assert done.exit_code != 0 and said in str(done.exception)
    assert list(tmp_path.iterdir()) == []


def test_an_export_is_saved_whole_and_replaces_nothing(tmp_path: Path) -> None:
    stub, file = Stub(), tmp_path / "t.jsonl"
    content = "".join(f"{json.dumps(line, separators=(',', ':'))}\n" for line in (HEAD, run(1), END)).encode()
    stub.answers["/file"] = lambda _: says(content)
    with serving(stub):
        assert exported(stub, file).exit_code == 0
        assert file.read_bytes() == content and file.stat().st_mode & 0o077 == 0
        again = exported(stub, file)
        assert "is there already" in str(again.exception)
        nowhere = exported(stub, tmp_path / "none" / "t.jsonl")
        assert "No such file" in str(nowhere.exception)
    assert [each.name for each in tmp_path.iterdir()] == ["t.jsonl"]
