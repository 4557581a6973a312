"""Every command, called wrongly in every way we can think of: exit code 2, one sentence, no stack trace, nothing made.

The commands are walked, so a new one is in here from its first day, and a new flag has to be given a wrong value.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import click
import pytest

from broadaxe.cli import main as command_line
from broadaxe.cli.embedded import embedded
from broadaxe.cli.main import cli

#: What each command cannot do without, right in itself.
NEEDED: dict[tuple[str, ...], tuple[str, ...]] = {
    ("tenant", "create"): ("Acme",),
    ("tenant", "limits"): ("acme",),
    ("tenant", "delete"): ("acme", "--confirm", "acme"),
    ("account", "add"): ("ada@example.com",),
    ("account", "remove"): ("ada@example.com",),
    ("account", "password"): ("ada@example.com",),
    ("account", "reset"): ("ada@example.com",),
    ("account", "operator"): ("ada@example.com",),
    ("cluster", "drain"): ("0199b6a2",),
    ("token", "create"): ("--name", "workers"),
    ("token", "revoke"): ("0199b6a2-7c1e-7f00-8000-0123456789ab",),
    ("token", "rotate"): ("0199b6a2-7c1e-7f00-8000-0123456789ab",),
    ("backup",): ("new.broadaxe",),
    ("restore",): ("none.broadaxe",),
    ("open",): ("none.json",),
    ("export",): ("new.jsonl",),
    ("completion",): ("bash",),
    ("profiles", "use"): ("nobody",),
    ("runs", "show"): ("0199b6a2",),
    ("runs", "logs"): ("0199b6a2",),
    ("runs", "save"): ("0199b6a2",),
    ("runs", "values"): ("0199b6a2",),
    ("runs", "set-value"): ("0199b6a2", "progress", "1"),
    ("runs", "cancel"): ("0199b6a2",),
    ("runs", "replay"): ("0199b6a2",),
    ("trigger",): ("greet",),
    ("workflows", "show"): ("greet",),
    ("workflows", "pause"): ("greet",),
    ("workflows", "unpause"): ("greet",),
    ("workers", "show"): ("worker-a",),
    ("crons", "create"): ("nightly", "--workflow", "greet", "--expression", "0 3 * * *"),
    ("crons", "delete"): ("nightly",),
    ("crons", "pause"): ("nightly",),
    ("crons", "unpause"): ("nightly",),
    ("crons", "run"): ("nightly",),
    ("schedules", "create"): ("--workflow", "greet", "--at", "2027-01-31T03:00:00Z"),
    ("schedules", "delete"): ("0199b6a2-7c1e-7f00-8000-0123456789ab",),
    ("schedules", "run"): ("0199b6a2-7c1e-7f00-8000-0123456789ab",),
    ("events", "push"): ("order:paid",),
    ("streams", "publish"): ("orders", "text"),
    ("streams", "tail"): ("orders",),
    ("rate-limits", "set"): ("mail-api", "--units", "100", "--window", "1m"),
    ("import",): (
        *("--from-token", "eyJ.eyJzdWIiOiI3MDdkMDg1NS04MGFiLTRlMWYtYTE1Ni1mMWM0NTQ2Y2JmNTIifQ.c2ln"),
        *("--from-url", "http://127.0.0.1:1"),
    ),
}
#: Values that are wrong whatever else is said.
WRONG = {
    "--at": "sometime",
    "--count": "0",
    "--last": "-1",
    "--file": "/none/message",
    "--namespace": "a/b",
    "--cause": "fate",
    "--chat-port": "many",
    "--cron-catch-up-minutes": "soon",
    "--crons": "maybe",
    "--data-dir": "/dev/null/data",
    "--database-schema": "pg_mine",
    "--database-url": "mysql://user@host/broadaxe",
    "--direct-database-url": "mysql://user@host/broadaxe",
    "--edges": "-1",
    "--env-file": "/dev/null/engine.env",
    "--event": "0199b6a2",
    "--expires-in": "5q",
    "--expression": "every day",
    "--extra-database": "No Name",
    "--from-file": "/none/tenant.jsonl",
    "--from-token": "abc",
    "--from-url": "old:8080",
    "--field": "no value",
    "--grpc-port": "70000",
    "--id": "no id",
    "--in": "soon",
    "--input": "/none/input.json",
    "--is": "nowhere",
    "--level": "quiet",
    "--metadata": "no value",
    "--output": "no value",
    "--parent": "0199b6a2",
    "--priority": "9",
    "--profile": "no profile",
    "--queue-ttl": "long",
    "--schedule": "0199b6a2",
    "--schedules": "maybe",
    "--status": "lost",
    "--units": "few",
    "--window": "wide",
    "--worker": "0199b6a2",
    "--link-port": "70000",
    "--link-tls-ca": "/none/ca.crt",
    "--link-tls-certificate": "/none/link.crt",
    "--link-tls-key": "/none/link.key",
    "--http-port": "many",
    "--log-format": "xml",
    "--log-level": "loud",
    "--overlap": "5q",
    "--mail-from": "nobody",
    "--openid-providers": "/none/providers.toml",
    "--phase": "middle",
    "--port": "many",
    "--public-grpc": "grpc.example.com",
    "--public-link": "link.example.com",
    "--public-url": "example.com",
    "--read-database-url": "mysql://user@host/broadaxe",
    "--retention-days": "-1",
    "--audit-retention-days": "-1",
    "--action": "no.action",
    "--since": "yesterday",
    "--smtp-url": "mail.example.com",
    "--until": "tomorrow",
    "--limit": "0",
    "--expect": "no hash",
    "--role": "KING",
    "--timeout": "long",
    "--topic": "x" * 256,
    "--tls-certificate": "/none/tls.crt",
    "--tls-client-ca": "/none/ca.crt",
    "--tls-key": "/none/tls.key",
    "--token": "abc",
    "--alert-networks": "everywhere",
    "--trusted-proxies": "everybody",
    "--url": "new:8080",
    "--webhook-secrets": "/none/secrets.json",
}
#: Flags that take any text, or whose value only a database can call wrong.
FREE = {
    "--cursor",
    "--confirm",
    "--name",
    "--slug",
    "--tenant",
    "--owner-email",
    "--host",
    "--scope",
    "--text",
    "--workflow",
    "--cron",
    "--key",
}
#: Commands that make a database where there is none, or need none.
WITHOUT_DATABASE = {("dev",), ("serve",), ("demo",), ("doctor",), ("open",), ("completion",), ("restore",)} | {
    ("logout",),
    ("profiles", "list"),
    ("profiles", "use"),
}


def leaves(group: click.Group, path: tuple[str, ...] = ()) -> dict[tuple[str, ...], click.Command]:
    found: dict[tuple[str, ...], click.Command] = {}
    for name, command in sorted(group.commands.items()):
        if isinstance(command, click.Group):
            found |= leaves(command, (*path, name))
        else:
            found[(*path, name)] = command
    return found


COMMANDS = leaves(cli)
#: What it says is another package's, and tested there (worker/tests/test_mistakes.py).
del COMMANDS["worker",]
#: A data directory that cannot be one: `doctor` reports it, `restore` looks at the file first, `serve` needs none.
NOT_REFUSED = {(("doctor",), "--data-dir"), (("restore",), "--data-dir"), (("serve",), "--data-dir")}
VALUES = [
    pytest.param(path, flag, id=f"{'-'.join(path)}{flag}")
    for path, command in COMMANDS.items()
    for option in command.params
    if isinstance(option, click.Option) and not option.is_flag
    for flag in option.opts
    if flag not in FREE and (path, flag) not in NOT_REFUSED
]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty directory, and no setting of whoever runs the tests."""
    monkeypatch.chdir(tmp_path)
    # Where there is nothing.
    monkeypatch.setenv("XDG_CONFIG_HOME", str(Path(__file__).with_name("none")))
    for name in list(os.environ):
        if name.startswith(("BROADAXE_", "HATCHET_CLIENT_")):
            monkeypatch.delenv(name)


def refusal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *words: str) -> str:
    """What is said to somebody who called it wrongly."""
    monkeypatch.setattr(sys, "argv", ["broadaxe", *words])
    with pytest.raises(SystemExit) as ended:
        command_line.main()
    said = capsys.readouterr()
    assert ended.value.code == 2, said
    assert said.out == ""
    assert "Traceback" not in said.err
    assert list(Path().iterdir()) == []
    return said.err


@pytest.mark.parametrize("path", [pytest.param(path, id="-".join(path)) for path in COMMANDS])
def test_an_unknown_flag(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, path: tuple[str, ...]
) -> None:
    assert "No such option '--nonsense'" in refusal(capsys, monkeypatch, *path, *NEEDED.get(path, ()), "--nonsense")


@pytest.mark.parametrize("words", [(), ("app.main:hatchet",), ("--help",)], ids=" ".join)
def test_a_worker_without_its_package(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    monkeypatch.setitem(sys.modules, "broadaxe_worker", None)
    assert "pip install broadaxe-worker" in refusal(capsys, monkeypatch, "worker", *words)


@pytest.mark.parametrize("path", [pytest.param(path, id="-".join(path)) for path in NEEDED])
def test_something_missing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, path: tuple[str, ...]
) -> None:
    assert "Missing" in refusal(capsys, monkeypatch, *path)


@pytest.mark.parametrize("words", [("nonsense",), ("tenant", "nonsense"), ("token", "nonsense"), ("account", "x")])
def test_an_unknown_command(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    assert f"No such command '{words[-1]}'" in refusal(capsys, monkeypatch, *words)


@pytest.mark.parametrize(("path", "flag"), VALUES)
def test_a_wrong_value(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, path: tuple[str, ...], flag: str
) -> None:
    words = [*NEEDED.get(path, ()), flag, WRONG[flag]]
    if path == ("serve",) and flag != "--database-url":
        words += ["--database-url", "postgresql://nobody@127.0.0.1:1/none"]
    said = refusal(capsys, monkeypatch, *path, *words)
    assert flag in said or WRONG[flag] in said


@pytest.mark.parametrize(
    "path", [pytest.param(path, id="-".join(path)) for path in COMMANDS if path not in WITHOUT_DATABASE]
)
def test_no_engine(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, path: tuple[str, ...]) -> None:
    said = refusal(capsys, monkeypatch, *path, *NEEDED.get(path, ()))
    assert "broadaxe dev" in said
    assert len(said.splitlines()) == 1


@pytest.mark.parametrize("path", [("restore",), ("open",)])
def test_no_such_file(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, path: tuple[str, ...]
) -> None:
    assert NEEDED[path][0] in refusal(capsys, monkeypatch, *path, *NEEDED[path])


@pytest.mark.parametrize("flag", ["--nonsense", "--grpc-port=many"])
def test_the_command_for_sdks(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, flag: str) -> None:
    monkeypatch.setattr(sys, "argv", ["broadaxe-embedded", flag])
    with pytest.raises(SystemExit) as ended:
        command_line.main_embedded()
    assert ended.value.code == 2, capsys.readouterr()
    assert embedded.name is not None


def test_lists_are_json_when_asked() -> None:
    # Whatever lists something has the flag; what it prints is tested with the command.
    listing = {path for path in COMMANDS if path[-1] == "list"} | {
        ("tenant", "limits"),
        ("cluster", "nodes"),
        ("doctor",),
        ("migrate",),
    }
    for path in listing | {("import",)}:
        assert any("--json" in option.opts for option in COMMANDS[path].params), path


def test_doctor_tells_programs_what_it_tells_people(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
        words = ["doctor", "--json", "--data-dir", str(tmp_path), "--grpc-port", "0", "--http-port", port]
        done = subprocess.run(
            [sys.executable, "-m", "broadaxe", *words], capture_output=True, text=True, timeout=100, check=False
        )
    findings = {row["subject"]: row for row in json.loads(done.stdout)}
    assert done.returncode == 1
    assert findings["Python"]["isOk"] and findings["Python"]["remedy"] is None
    assert "--http-port" in findings[f"port {port} (HTTP)"]["remedy"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_ask_the_command(shell: str) -> None:
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}

    def said(*words: str, **more: str) -> str:
        return subprocess.run(
            words, env=environment | more, capture_output=True, text=True, timeout=100, check=True
        ).stdout

    script = said("broadaxe", "completion", shell)
    assert f"_BROADAXE_COMPLETE={shell}_complete" in script
    # What the script calls, with the words of somebody who pressed Tab after `broadaxe token cr`.
    asked = {"bash": "2", "zsh": "2", "fish": "cr"}[shell]
    answer = said("broadaxe", _BROADAXE_COMPLETE=f"{shell}_complete", COMP_WORDS="broadaxe token cr", COMP_CWORD=asked)
    assert "create" in answer
    assert "revoke" not in answer
    if shell == "bash":
        typed = "COMP_WORDS=(broadaxe tenant l); COMP_CWORD=2; _broadaxe_completion broadaxe; echo ${COMPREPLY[@]}"
        assert said("bash", "-c", f"{script}\n{typed}").split() == ["limits", "list"]
