"""`broadaxe runs`, `trigger` and their neighbours, against a real engine and a real worker."""

from __future__ import annotations

import asyncio
import json
import os
import stat
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import Any

import pytest
from wirekit import EngineProcess, eventually

from broadaxe.cli import main as command_line


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    err: str

    @property
    def rows(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]

    def done(self) -> Said:
        assert self.code == 0, self.err
        return self


Call = Callable[..., Said]


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Call]:
    """The command as somebody calls it who has never used it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    for name in list(os.environ):
        if name.startswith(("BROADAXE_", "HATCHET_CLIENT_")):
            monkeypatch.delenv(name)

    def call(*words: str, stdin: str = "") -> Said:
        monkeypatch.setattr(sys, "argv", ["broadaxe", *words])
        monkeypatch.setattr(sys, "stdin", TextIOWrapper(BytesIO(stdin.encode())))
        with pytest.raises(SystemExit) as ended:
            command_line.main()
        said = capsys.readouterr()
        return Said(int(ended.value.code or 0), said.out, said.err)

    return call


@pytest.fixture
def call(bare: Call, shared_engine: EngineProcess, gallery: str) -> Call:
    """The command as somebody calls it who has logged in."""
    bare("login", "--url", shared_engine.url, "--token", shared_engine.token).done()
    return bare


def test_login_keeps_a_token_that_works_where_only_its_owner_reads_it(bare: Call, shared_engine: EngineProcess) -> None:
    assert bare("runs", "list").code == 2
    refused = bare("login", "--url", shared_engine.url, "--token", shared_engine.token[:-4] + "AAAA")
    assert refused.code == 2 and "--token" in refused.err
    assert bare("profiles", "list", "--json").rows == []
    said = bare("login", "--profile", "here", "--url", shared_engine.url, "--token", "-", stdin=shared_engine.token)
    assert shared_engine.url in said.done().out
    kept = Path("config/broadaxe/profiles.json")
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert [(row["name"], row["isInUse"]) for row in bare("profiles", "list", "--json").rows] == [("here", True)]
    bare("runs", "list").done()
    assert "here" in bare("runs", "list", "--profile", "there").err
    bare("logout").done()
    assert bare("runs", "list").code == 2
    assert bare("profiles", "use", "here").code == 2


def test_the_variables_of_an_sdk_are_enough(
    bare: Call, shared_engine: EngineProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HATCHET_CLIENT_TOKEN", shared_engine.token)
    monkeypatch.setenv("HATCHET_CLIENT_API_URL", shared_engine.url)
    bare("runs", "list").done()


def test_a_run_is_triggered_waited_for_and_shown(call: Call, key: str) -> None:
    Path("input.json").write_text(json.dumps({"key": key, "n": 1}))
    words = ("--input", "input.json", "--field", "n=7", "--field", "text=seven", "--metadata", f"mark={key}")
    said = call("trigger", "echo", *words, "--wait").done()
    assert "STARTED" in said.err
    (row,) = call("runs", "list", "--metadata", f"mark={key}", "--status", "completed", "--json").rows
    assert row["input"] == {"key": key, "n": 7, "text": "seven"}
    assert json.loads(said.out) == row["output"]
    run_id = row["workflowRunExternalId"]
    table = call("runs", "list", "--metadata", f"mark={key}").out
    assert run_id in table and "Completed" in table
    shown = call("runs", "show", run_id).out
    assert "Completed" in shown and f'"mark":"{key}"' in shown
    assert call("runs", "show", run_id, "--json").rows[0]["run"]["status"] == "COMPLETED"
    assert (
        call("runs", "list", "--input", f"key={key}", "--workflow", "echo", "--json").rows[0]["metadata"]
        == (row["metadata"])
    )
    assert call("runs", "watch", run_id).code == 0
    saved = call("runs", "save", run_id[:18], "kept/echo.json").done()
    assert "kept/echo.json" in saved.err
    assert json.loads(Path("kept/echo.json").read_text())["run"]["run"]["metadata"]["id"] == run_id
    assert call("runs", "values", run_id).err == "the run has said nothing of itself\n"
    for name, said in (("a/b", '{"done": 1}'), ("verdict", "approved")):
        call("runs", "set-value", run_id[:18], name, said).done()
    assert call("runs", "values", run_id).out == 'a/b  {"done":1}\nverdict  "approved"\n'
    assert call("runs", "values", run_id, "a/b").out == '{"done":1}\n'
    unsaid = call("runs", "values", run_id, "c")
    assert unsaid.code == 2 and "has no value 'c'" in unsaid.err
    Path("taken").mkdir()
    refused = call("runs", "save", run_id, "taken")
    assert refused.code == 2 and "taken" in refused.err


def test_a_run_that_fails_ends_the_command_with_1_and_its_error(call: Call, key: str) -> None:
    piped = json.dumps({"key": key, "fail": True})
    said = call("trigger", "gives-up", "--input", "-", "--wait", "--metadata", f"mark={key}", stdin=piped)
    assert said.code == 1
    assert "__hatchet_error_metadata__" not in said.err
    assert "Failed in" in said.err and said.out == ""
    (row,) = call("runs", "list", "--metadata", f"mark={key}", "--status", "failed", "--json").rows
    assert call("runs", "watch", row["workflowRunExternalId"]).code == 1


def test_what_cannot_be_meant_is_refused_before_anything_is_done(call: Call) -> None:
    for words, named in (
        (("trigger", "no-such-workflow"), "no-such-workflow"),
        (("runs", "show", "0000"), "0000"),
        (("runs", "cancel"), "--workflow"),
        (("runs", "cancel", "0000", "--workflow", "echo"), "not both"),
        (("runs", "list", "--tasks", "--oldest-first"), "--oldest-first"),
    ):
        said = call(*words)
        assert said.code == 2 and named in said.err, words


def test_many_are_cancelled_and_replayed_at_once_after_a_yes(call: Call, key: str) -> None:
    for number in range(3):
        call("trigger", "hold", "--field", f"key={key}{number}", "--metadata", f"mark={key}").done()
    these = ("--metadata", f"mark={key}", "--since", "1h")
    asked = call("runs", "cancel", *these)
    assert asked.code == 2 and "cancel 3 runs" in asked.err
    assert len(call("runs", "cancel", *these, "--yes", "--json").done().rows[0]["ids"]) == 3
    assert call("runs", "cancel", *these, "--yes").err == "no run matches\n"
    cancelled = call("runs", "list", *these, "--status", "cancelled", "--json").rows
    assert len(cancelled) == 3
    one = cancelled[0]["workflowRunExternalId"]
    assert "queued 1 task again" in call("runs", "replay", one).done().out
    call("runs", "cancel", one).done()


def test_what_tasks_log_is_printed_oldest_first(call: Call, key: str) -> None:
    run_id = call("trigger", "log", "--field", f"key={key}").done().out.strip()

    async def lines() -> int:
        return len(call("runs", "logs", run_id, "--json").done().rows)

    # The SDK sends lines beside the outcome, and not all at once.
    asyncio.run(eventually(lines, until=lambda number: number >= 2, what="the lines are there"))
    assert call("runs", "watch", run_id).code == 0
    followed = call("runs", "logs", run_id, "--follow", "--json").done().rows
    assert [row["message"].split()[0] for row in followed[:2]] == ["a", "some"]
    assert [row["createdAt"] for row in followed] == sorted(row["createdAt"] for row in followed)
    assert call("runs", "logs", run_id, "--text", "nobody wrote this").err == "nothing was logged\n"


def test_workflows_and_workers_are_found_by_name(call: Call) -> None:
    names = [row["name"] for row in call("workflows", "list", "--limit", "1000", "--json").done().rows]
    assert "echo" in names
    schema = call("workflows", "show", "ECHO", "--json").done().rows[0]["inputJsonSchema"]
    assert "key" in schema["properties"]
    assert '"key"' in call("workflows", "show", "echo").done().out
    unknown = call("workflows", "show", "ech")
    assert unknown.code == 2 and "echo" in unknown.err
    call("workflows", "pause", "a-nul", "--crons", "drop").done()
    assert (
        call("workflows", "list", "--text", "a-nul", "--json").rows[0]["pausedWorkflowCronRunQueueBehavior"] == "DROP"
    )
    call("workflows", "unpause", "a-nul").done()
    assert not call("workflows", "list", "--text", "a-nul", "--json").rows[0].get("isPaused")
    worker = next(
        row for row in call("workers", "list", "--status", "active", "--json").done().rows if row["name"] == "gallery"
    )
    assert worker["metadata"]["id"] in call("workers", "show", worker["metadata"]["id"]).done().out
    assert call("workers", "show", "nobody").code == 2


def test_crons_and_schedules_are_made_run_and_deleted(call: Call, key: str) -> None:
    words = ("--workflow", "nothing", "--expression", "0 0 1 1 *", "--field", f"key={key}")
    cron_id = call("crons", "create", key, *words).done().out.strip()
    assert cron_id in call("crons", "list").done().out
    call("crons", "pause", key).done()
    assert not next(row for row in call("crons", "list", "--json").rows if row["name"] == key)["enabled"]
    call("crons", "unpause", cron_id).done()
    run_id = call("crons", "run", key).done().out.strip()
    assert call("runs", "list", "--cron", key, "--json").rows[0]["workflowRunExternalId"] == run_id
    call("crons", "delete", key).done()
    assert call("crons", "delete", key).code == 2
    made = [
        call("schedules", "create", "--workflow", "nothing", "--in", "2h", "--field", f"key={key}").done().out.strip()
        for _ in range(2)
    ]
    assert set(made) <= {row["metadata"]["id"] for row in call("schedules", "list", "--json").done().rows}
    assert call("runs", "show", call("schedules", "run", made[0]).done().out.strip()).code == 0
    call("schedules", "delete", made[1]).done()
    assert call("schedules", "delete", made[1]).code == 2


def test_events_start_runs_and_limits_are_set(call: Call, key: str) -> None:
    pushed = call("events", "push", "wire:exact", "--field", f"key={key}", "--metadata", f"mark={key}", "--json").done()
    (event,) = pushed.rows
    assert event["payload"] == {"key": key} and event["triggeredRuns"]
    listed = call("events", "list", "--key", "wire:exact", "--since", "1h", "--json").done().rows
    assert event["metadata"]["id"] in [row["metadata"]["id"] for row in listed]
    assert call("events", "push", f"nobody:{key}").done().err == "no run was started by it\n"
    call("rate-limits", "set", key, "--units", "100", "--window", "1m").done()
    (limit,) = call("rate-limits", "list", "--text", key, "--json").done().rows
    assert (limit["limitValue"], limit["window"]) == (100, "1m0s")
    call("webhooks", "list").done()


def test_messages_are_published_and_read(call: Call, key: str) -> None:
    first = call("streams", "publish", key, "one\ntwo").done().out.strip()
    call("streams", "publish", key, "--file", "-", stdin="three").done()
    Path("scan").write_bytes(b"\x00\xff")
    number = call("streams", "publish", key, "--file", "scan", "--json").done().rows[0]["number"]
    assert number == 3
    assert call("streams", "tail", key, "--count", "2").done().out == "one\ntwo\nthree\n"
    told = call("streams", "tail", key, "--cursor", first, "--count", "2", "--json").done().rows
    assert [(row.get("payload"), row.get("payloadBase64")) for row in told] == [("three", None), (None, "AP8=")]
    assert call("streams", "tail", key, "--last", "2", "--count", "1").done().out == "three\n"
    (row,) = call("streams", "list", "--text", key, "--json").done().rows
    assert (row["topic"], row["messageCount"]) == (key, 3)
    assert key in call("streams", "list", "--text", key).done().out
    refused = call("streams", "tail", key, "--cursor", "nonsense")
    assert refused.code == 2 and "cursor" in refused.err
    assert call("streams", "publish", key).code == 2
