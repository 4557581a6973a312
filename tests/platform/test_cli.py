"""The command line as scripts and people meet it: real processes, exit codes and messages."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

from broadaxe.cli import database_checks, env_file
from broadaxe.cli.ports import WantedPort, claim
from broadaxe.errors import ConfigurationError


def broadaxe(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("BROADAXE_")}
    return subprocess.run(
        [sys.executable, "-m", "broadaxe.cli.main", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=100,
        env={**clean, **environment},
    )


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def test_help_names_every_command() -> None:
    done = broadaxe("--help")
    assert done.returncode == 0
    for command in ("dev", "serve", "demo", "tenant", "token", "migrate", "doctor"):
        assert command in done.stdout


@pytest.mark.parametrize("command", ["dev", "serve", "demo", "tenant", "token", "migrate", "doctor"])
def test_help_of_each_command_has_an_example(command: str) -> None:
    done = broadaxe(command, "--help")
    assert done.returncode == 0
    assert f"broadaxe {command}" in done.stdout.split("Options:")[0]


def test_module_is_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "broadaxe", "token", "revoke", "x"], capture_output=True, text=True, timeout=100
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "broadaxe: 'x' is no token id; `broadaxe token list` shows them\n"


@pytest.mark.parametrize(
    ("words", "example"),
    [
        pytest.param(("token", "create"), 'broadaxe token create --name "billing workers" --expires-in 90d', id="flag"),
        pytest.param(("token", "revoke"), "broadaxe token revoke 0199b6a2-", id="argument"),
        pytest.param(("tenant", "create"), "broadaxe tenant create Billing --owner-email", id="own-example"),
    ],
)
def test_what_is_missing_is_named_with_an_example(words: tuple[str, ...], example: str) -> None:
    done = broadaxe(*words)
    assert done.returncode == 2
    assert "Missing" in done.stderr
    assert f"Example: {example}" in done.stderr.splitlines()[-1]


def test_help_imports_neither_the_engine_nor_a_web_framework() -> None:
    heavy = "asyncpg fastapi grpc uvicorn asyncio"
    code = f"import sys, broadaxe.cli.main\nprint([name for name in {heavy!r}.split() if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=100)
    assert done.stdout.strip() == "[]", done.stderr


def test_database_opens_before_the_engines_code_is_there() -> None:
    # A start does both at once; whatever the database's module imported would be waited for first.
    edges = "fastapi uvicorn pydantic broadaxe.app broadaxe.engine broadaxe.rest broadaxe.rpc"
    code = f"import sys, broadaxe.database\nprint([name for name in {edges!r}.split() if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=100)
    assert done.stdout.strip() == "[]", done.stderr


@pytest.mark.parametrize("flag", ["--grpc-port", "--http-port", "--link-port"])
def test_taken_port_is_named_with_its_holder_and_flag_before_anything_starts(
    tmp_path: Path, taken_port: int, flag: str
) -> None:
    ports = {"--grpc-port": "0", "--http-port": "0", flag: str(taken_port)}
    variables = {f"BROADAXE_{name.strip('-').replace('-', '_').upper()}": number for name, number in ports.items()}
    done = broadaxe("dev", "--data-dir", tmp_path / "data", **variables)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert f"port {taken_port}" in done.stderr
    assert f"process {os.getpid()}" in done.stderr
    assert flag in done.stderr
    assert not (tmp_path / "data" / "postgres").exists()


def test_one_port_for_two_purposes_is_refused_before_anything_starts(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
    words = ("--data-dir", tmp_path / "data", "--grpc-port", port, "--http-port", port)
    done = broadaxe("dev", *words)
    assert done.returncode == 2
    assert done.stderr == f"broadaxe: port {port} (HTTP) is wanted twice; choose another with --http-port\n"
    assert not (tmp_path / "data" / "postgres").exists()
    looked = broadaxe("doctor", *words)
    assert looked.returncode == 1
    assert f"port {port} (HTTP)" in looked.stdout
    assert "choose another with --http-port" in looked.stdout


def test_value_that_is_no_port_is_one_line(tmp_path: Path) -> None:
    done = broadaxe("dev", "--data-dir", tmp_path, BROADAXE_GRPC_PORT="many")
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert "BROADAXE_GRPC_PORT" in done.stderr


def test_serve_without_a_database_says_what_to_give() -> None:
    done = broadaxe("serve")
    assert done.returncode == 2
    assert "--database-url" in done.stderr


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        pytest.param("127.0.0.1:1", "at 127.0.0.1:1: nothing listens there", id="nobody-there"),
        pytest.param("no-such-host.invalid", "at no-such-host.invalid:5432: there is no such host", id="no-host"),
    ],
)
@pytest.mark.parametrize("words", ["serve", "migrate", "token list", "tenant list"])
def test_database_that_cannot_be_reached_is_one_line_without_the_password(
    words: str, address: str, reason: str
) -> None:
    done = broadaxe(*words.split(), "--database-url", f"postgresql://user:secret@{address}/broadaxe")
    assert done.returncode == (2 if words == "serve" else 1)
    expected = f"broadaxe: cannot connect to the database {reason}; check --database-url (BROADAXE_DATABASE_URL)\n"
    assert done.stderr == expected


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        pytest.param("sslmode=maybe", "`sslmode` parameter must be one of", id="sslmode"),
        pytest.param(
            "sslmode=verify-full&sslrootcert=/none/ca.pem", "sslrootcert names no file: /none/ca.pem", id="ca"
        ),
    ],
)
def test_a_database_url_that_can_never_lead_anywhere_is_the_users_mistake(query: str, reason: str) -> None:
    done = broadaxe("migrate", "--database-url", f"postgresql://user:secret@127.0.0.1:1/broadaxe?{query}")
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert reason in done.stderr
    assert "secret" not in done.stderr


def test_token_without_a_database_creates_none(tmp_path: Path) -> None:
    done = broadaxe("token", "list", "--data-dir", tmp_path / "typo")
    assert done.returncode == 2
    assert "there is no database" in done.stderr
    assert not (tmp_path / "typo").exists()


def test_doctor_finds_nothing_wrong_with_an_empty_directory(tmp_path: Path) -> None:
    done = broadaxe("doctor", "--data-dir", tmp_path / "new", "--grpc-port", "0", "--http-port", "0")
    assert done.returncode == 0, done.stdout
    assert "FAIL" not in done.stdout
    assert "PostgreSQL" in done.stdout
    assert not (tmp_path / "new").exists()


def test_doctor_says_what_to_do_about_a_taken_port_and_a_dead_database(tmp_path: Path, taken_port: int) -> None:
    done = broadaxe(
        "doctor",
        *("--data-dir", tmp_path),
        *("--database-url", f"postgresql://nobody@127.0.0.1:{taken_port + 1 if taken_port < 65535 else 1}/none"),
        *("--grpc-port", str(taken_port)),
        *("--http-port", "0"),
        BROADAXE_LINK_PORT=str(taken_port),
    )
    assert done.returncode == 1
    failures = [line for line in done.stdout.splitlines() if line.startswith("FAIL")]
    assert len(failures) == 3
    assert any("database" in line for line in failures)
    assert any(f"port {taken_port} (gRPC)" in line for line in failures)
    assert any(f"port {taken_port} (link)" in line for line in failures)
    assert "--grpc-port" in done.stdout


@pytest.fixture
def mail_server() -> Iterator[tuple[int, list[object]]]:
    """Takes ada with the password `right`; its port, and the mails it was given."""
    given: list[object] = []

    class Mailbox:
        async def handle_DATA(self, server: object, session: object, envelope: object) -> str:
            given.append(envelope)
            return "250 taken"

    def authenticate(server: object, session: object, envelope: object, mechanism: str, data: object) -> AuthResult:
        return AuthResult(success=data == LoginPassword(b"ada", b"right"), handled=False)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    # The library asks the server for a sign of life itself, on the port it was told.
    controller = Controller(
        Mailbox(), "127.0.0.1", port, authenticator=authenticate, auth_required=True, auth_require_tls=False
    )
    controller.start()
    yield port, given
    controller.stop()


def test_doctor_signs_in_at_the_mail_server_and_asks_who_vouches_for_people(
    tmp_path: Path, mail_server: tuple[int, list[object]]
) -> None:
    port, given = mail_server
    providers = tmp_path / "providers.toml"
    providers.write_text("[[provider]]\nid = 'acme'\nissuer = 'http://127.0.0.1:1'\nclient_id = 'broadaxe'\n")

    def examined(password: str) -> dict[str, dict[str, str | None]]:
        done = broadaxe(
            *("doctor", "--json", "--data-dir", tmp_path / "new", "--grpc-port", "0", "--http-port", "0"),
            *("--smtp-url", f"smtp://ada:{password}@127.0.0.1:{port}", "--mail-from", "broadaxe@example.com"),
            *("--openid-providers", providers),
        )
        assert done.returncode == 1 and password not in done.stdout, done.stdout + done.stderr
        return {finding["subject"]: finding for finding in json.loads(done.stdout)}

    found = examined("right")
    assert (found["mail server"]["detail"], found["mail server"]["remedy"]) == (f"127.0.0.1:{port}, as ada", None)
    assert found["sign-in acme"]["detail"] == "acme cannot be reached: ConnectError"
    assert "--openid-providers" in str(found["sign-in acme"]["remedy"])
    refused = examined("wrong")["mail server"]
    assert "refuses the user or the password" in str(refused["detail"]) and "--smtp-url" in str(refused["remedy"])
    assert not given


@pytest.mark.parametrize(
    ("embedded", "remedy"),
    [(True, None), (False, "run: broadaxe migrate, with the same --database-url")],
    ids=["its-own-is-migrated-by-dev", "yours-is-migrated-by-you"],
)
async def test_doctor_tells_who_brings_an_older_schema_up_to_date(
    pool: asyncpg.Pool, database: str, embedded: bool, remedy: str | None
) -> None:
    await pool.execute("delete from broadaxe.migration where name = (select max(name) from broadaxe.migration)")
    findings = [finding async for finding in database_checks.findings_of(database, embedded=embedded)]
    (schema,) = [finding for finding in findings if finding.subject == "schema"]
    assert schema.detail.startswith("1 migration is missing")
    assert schema.remedy == remedy


def test_demo_outside_a_prepared_checkout_or_on_a_taken_port_starts_nothing(tmp_path: Path, taken_port: int) -> None:
    done = broadaxe("demo", "--data-dir", tmp_path / "data", "--chat-port", str(taken_port), "--grpc-port", "0")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) >= 1
    assert not (tmp_path / "data" / "postgres").exists()


def test_two_zeros_get_two_different_ports() -> None:
    wanted = [WantedPort(0, "one", "--one"), WantedPort(0, "two", "--two")]
    first, second = claim("127.0.0.1", wanted)
    assert first != second


def test_address_of_another_machine_is_refused_with_the_flag() -> None:
    with pytest.raises(ConfigurationError, match="--host"):
        claim("192.0.2.1", [WantedPort(0, "gRPC", "--grpc-port")])


def test_env_file_is_private_and_reads_back(tmp_path: Path) -> None:
    path = tmp_path / "engine.env"
    assert env_file.read(path) is None
    env_file.write(path, {"A": "1", "B": "postgresql://x?host=a%2Fb&port=1"})
    assert path.stat().st_mode & 0o777 == 0o600
    assert env_file.read(path) == {"A": "1", "B": "postgresql://x?host=a%2Fb&port=1"}
    assert [entry.name for entry in tmp_path.iterdir()] == ["engine.env"]


def test_env_file_of_an_earlier_engine_is_gone_before_the_new_one_is_ready(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "engine.env"
    env_file.check_writable(path)
    env_file.write(path, {"A": "1"})
    env_file.check_writable(path)
    assert not path.exists()


def test_directory_made_for_the_env_file_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    env_file.check_writable(tmp_path / "a" / "b" / "engine.env")
    assert capsys.readouterr().err == f"broadaxe: made the directory {tmp_path / 'a' / 'b'} for --env-file\n"
    env_file.check_writable(tmp_path / "a" / "b" / "engine.env")
    assert capsys.readouterr().err == ""


def test_env_file_in_an_impossible_place_is_refused_before_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="--env-file"):
        env_file.check_writable(tmp_path / "file" / "engine.env")


def test_trying_whether_the_env_file_can_be_written_never_makes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever waits for the file reads it in the instant it is there."""
    moved: list[Path] = []
    monkeypatch.setattr(Path, "replace", lambda self, target: moved.append(target))
    env_file.check_writable(tmp_path / "engine.env")
    assert moved == []
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_runs_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text("{}")
    for name, complaint in (("other.json", "not the file of a run"), ("missing.json", "No such file")):
        done = broadaxe("open", tmp_path / name)
        assert done.returncode == 2
        assert name in done.stderr
        assert complaint in done.stderr
        assert "Traceback" not in done.stderr
