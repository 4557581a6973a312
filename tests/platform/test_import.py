"""`broadaxe import` and servers that misbehave. The servers here say what they are told to: what a whole engine says is
in `tests/wire/test_moving.py`."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from click.testing import CliRunner

from broadaxe import dev_secrets
from broadaxe.cli.main import cli
from broadaxe.errors import ConfigurationError, InvalidArgument, Unavailable
from broadaxe.moving.mover import move
from broadaxe.moving.plan import Kind, queued_runs, survey
from broadaxe.moving.rows import MOVED_FROM
from broadaxe.remote import server as server_module
from broadaxe.remote.server import Server

THEIRS, OURS = "707d0855-80ab-4e1f-a156-f1c4546cbf52", "0b1d2c3e-0000-4000-8000-000000000001"

#: (status, headers, body)
Answer = tuple[int, dict[str, str], bytes]
Query = dict[str, list[str]]


def says(value: object, status: int = 200, **headers: str) -> Answer:
    return status, headers, value if isinstance(value, bytes) else json.dumps(value).encode()


class Stub:
    """What each address answers: by the end of its path. Everything that is a list is empty unless told otherwise."""

    def __init__(self) -> None:
        self.answers: dict[str, Callable[[Query], Answer]] = {}
        self.requests: list[tuple[str, str]] = []
        self.bodies: list[Any] = []
        self.url = ""
        self.let_go = threading.Event()

    def answer(self, method: str, path: str, query: Query, body: bytes) -> Answer:
        self.requests.append((method, path))
        if body:
            self.bodies.append(json.loads(body))
        for end, found in self.answers.items():
            if path.endswith(end):
                return found(query)
        if method != "GET":
            return says({})
        return says([] if path.endswith("metrics") else {"name": "somebody", "rows": []})


@contextmanager
def serving(stub: Stub) -> Iterator[Stub]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            parts = urlsplit(self.path)
            content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, headers, body = stub.answer(self.command, parts.path, parse_qs(parts.query), content)
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PUT = handle_any

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        httpd.daemon_threads = True
        stub.url = f"http://127.0.0.1:{httpd.server_address[1]}"
        thread = threading.Thread(target=httpd.serve_forever, daemon=True)
        thread.start()
        yield stub
        stub.let_go.set()
        httpd.shutdown()
        thread.join()


@pytest.fixture
def source() -> Iterator[Stub]:
    with serving(Stub()) as stub:
        yield stub


@pytest.fixture
def target() -> Iterator[Stub]:
    with serving(Stub()) as stub:
        yield stub


def token(tenant_id: str, **claims: str) -> str:
    payload = base64.urlsafe_b64encode(json.dumps({"sub": tenant_id, **claims}).encode()).decode().rstrip("=")
    return f"eyJhbGciOiJFUzI1NiJ9.{payload}.c2ln"


def reading(stub: Stub, *, timeout_s: float = 30.0, tenant_id: str = THEIRS) -> Server:
    return Server(
        "the server to move from",
        stub.url,
        token(tenant_id),
        timeout_s=timeout_s,
        url_flag="--from-url",
        token_flag="--from-token",
        pause=lambda _: None,
    )


def quiet(what: str, count: int) -> None:
    pass


def run(*words: str, **environment: str) -> tuple[int, str]:
    """Exit code, and all that was said."""
    clean = {"BROADAXE_FROM_TOKEN": None, "BROADAXE_TOKEN": None, **environment}
    done = CliRunner(env=clean).invoke(cli, ["import", *words], standalone_mode=False)
    error = done.exception
    if isinstance(error, ConfigurationError | InvalidArgument | Unavailable):
        return (1 if isinstance(error, Unavailable) else 2), error.message
    return (error.code if isinstance(error, SystemExit) else done.exit_code), done.output  # type: ignore[return-value]


def row(run_id: str, at: str, **more: object) -> dict[str, object]:
    return {
        "metadata": {"id": run_id},
        "createdAt": at,
        "workflowId": "w1",
        "workflowName": "etl",
        "additionalMetadata": {},
        **more,
    }


def test_a_token_that_is_refused_is_named(source: Stub, target: Stub) -> None:
    source.answers[THEIRS] = lambda _: says({"errors": [{"description": "this token\nis over"}]}, 403)
    words = ("--from-url", source.url, "--from-token", token(THEIRS), "--url", target.url, "--token", token(OURS))
    code, said = run(*words, "--dry-run")
    assert code == 2
    assert said == (
        f"the server to move from {source.url} answered 403 to GET /api/v1/tenants/{THEIRS}: this token is over; "
        "look at --from-token"
    )
    assert token(THEIRS) not in said


@pytest.mark.parametrize(
    ("answer", "code", "words"),
    [
        pytest.param(says({"message": "no"}, 401), 2, "answered 401", id="unauthorised"),
        pytest.param(says(b"<html>hello</html>"), 2, "is --from-url the address of a REST API?", id="garbage"),
        pytest.param(says(b'{"name":' + b"[" * 100_000), 2, "is --from-url the address", id="deep-garbage"),
        pytest.param(says(b"\xff\xfe\x00"), 2, "is --from-url the address of a REST API?", id="no-text"),
        pytest.param(
            says({}, 302, Location="http://elsewhere.example/"), 2, "http://elsewhere.example/", id="redirect"
        ),
        pytest.param(says({}, 404), 2, "answered 404", id="not-found"),
    ],
)
def test_a_first_answer_that_cannot_be_right_is_the_users_to_correct(
    source: Stub, target: Stub, answer: Answer, code: int, words: str
) -> None:
    source.answers[THEIRS] = lambda _: answer
    with pytest.raises(Exception, match=r".") as raised:
        survey(reading(source), reading(target, tenant_id=OURS), {}, quiet)
    assert words in str(raised.value)
    assert not isinstance(raised.value, Unavailable)
    assert len(source.requests) == 1


def test_a_server_in_trouble_is_asked_again_and_then_named(source: Stub, target: Stub) -> None:
    answers = [says({}, 500), says({}, 503), says({}, 429), says({"name": "back"})]
    source.answers[THEIRS] = lambda _: answers.pop(0)
    assert survey(reading(source), reading(target, tenant_id=OURS), {}, quiet).source_tenant == "back"
    source.answers[THEIRS] = lambda _: says({"errors": [{"description": "disk full"}]}, 500)
    source.requests.clear()
    with pytest.raises(Unavailable, match=rf"the server to move from {source.url} answered 500 .*: disk full"):
        survey(reading(source), reading(target, tenant_id=OURS), {}, quiet)
    assert len(source.requests) == server_module.TRIES


def test_a_server_that_says_nothing_is_given_up(source: Stub) -> None:
    def slow(_: Query) -> Answer:
        source.let_go.wait(60)
        return says({"name": "late"})

    source.answers[THEIRS] = slow
    with pytest.raises(Unavailable, match=r"cannot be reached: it said nothing for 0.2 s"):
        reading(source, timeout_s=0.2).get(f"/api/v1/tenants/{THEIRS}", server_module._Page)


def test_garbage_in_the_middle_stops_and_changes_nothing(source: Stub, target: Stub) -> None:
    source.answers["/workflows/crons"] = lambda _: says({"rows": [{"cron": 5}]})
    with pytest.raises(Unavailable, match=r"answered what this protocol does not say, to .*/workflows/crons"):
        survey(reading(source), reading(target, tenant_id=OURS), {}, quiet)
    assert {method for method, _ in target.requests} == {"GET"}


def test_an_answer_is_bounded(source: Stub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "ANSWER_BYTES_MAX", 1_000)
    source.answers[THEIRS] = lambda _: says({"name": "x" * 2_000})
    with pytest.raises(Unavailable, match="answered more than"):
        reading(source).get(f"/api/v1/tenants/{THEIRS}", server_module._Page)


def test_an_answer_that_is_cut_off_is_not_taken(source: Stub) -> None:
    source.answers[THEIRS] = lambda _: says(b'{"rows":[]}', **{"Content-Length": "500", "Connection": "close"})
    with pytest.raises(ConfigurationError, match="IncompleteRead"):
        reading(source).get(f"/api/v1/tenants/{THEIRS}", server_module._Page)


def test_a_list_that_ignores_its_offset_ends(source: Stub) -> None:
    source.answers["/things"] = lambda _: says({"rows": [{"rows": None}]})
    assert len(reading(source).rows("/things", server_module._Page, 10)) == 1


def test_queued_runs_are_listed_once_while_workers_take_some(source: Stub) -> None:
    # All of one bulk were made at one instant, and after each page the front of the line is taken.
    waiting = [row(f"r{n:04}", "2026-01-02T00:00:00.000000Z") for n in range(450)]
    waiting += [row(f"s{n:04}", f"2026-01-01T00:00:00.{n:06}Z") for n in reversed(range(450))]

    def page(query: Query) -> Answer:
        until, offset = query.get("until", ["9"])[0], int(query["offset"][0])
        found = [each for each in waiting if str(each["createdAt"]) <= until]
        rows = found[offset : offset + int(query["limit"][0])]
        del waiting[:1]
        return says({"rows": rows})

    source.answers["/workflow-runs"] = page
    found = [each.metadata.id for each in queued_runs(reading(source))]
    assert len(found) == len(set(found))
    assert {each for each in found if each[0] == "s"} == {f"s{n:04}" for n in range(450)}
    assert len(found) >= 895, "what moved up meanwhile comes with the next import"


def test_a_list_of_runs_that_repeats_itself_is_given_up(source: Stub) -> None:
    source.answers["/workflow-runs"] = lambda _: says({"rows": [row("r1", "2026-01-01T00:00:00Z")]})
    with pytest.raises(Unavailable, match="the same queued runs again and again"):
        list(queued_runs(reading(source)))


def listing(source: Stub, target: Stub, *rows: dict[str, object], **workflow: object) -> None:
    """The source has these runs, and both have the workflow."""
    source.answers["/workflow-runs"] = lambda query: says({"rows": rows if query["offset"] == ["0"] else []})
    registered = {"metadata": {"id": "w1"}, "name": "etl"}
    source.answers["/workflows"] = lambda _: says({"rows": [registered | workflow]})
    target.answers["/workflows"] = lambda _: says({"rows": [registered]})


def test_children_and_runs_of_filters_with_payloads_stay(source: Stub, target: Stub) -> None:
    at = "2026-01-01T00:00:00Z"
    listing(
        source,
        target,
        row("child", at, parentTaskExternalId="p"),
        row("event", at, additionalMetadata={"hatchet__event_id": "e"}),
        row("plain", at),
    )
    source.answers["/filters"] = lambda _: says(
        {"rows": [{"workflowId": "w1", "scope": "s", "expression": "true", "payload": {"a": 1}, "isDeclarative": True}]}
    )
    plan = survey(reading(source), reading(target, tenant_id=OURS), {}, quiet)
    assert [each.id for each in plan.runs] == ["plain"]
    assert list(plan.sections[Kind.RUN].left.values()) == [["etl child"], ["etl event"]]


def test_runs_are_moved_with_what_the_source_says_of_them(source: Stub, target: Stub) -> None:
    at = "2026-01-01T00:00:00Z"
    listing(source, target, *(row(f"r{n}", at) for n in range(30)))
    for n in range(30):
        # Run 1 is told as Hatchet does, which says nothing of a priority.
        details = {"run": {"status": "QUEUED" if n else "RUNNING", "input": {"n": n}, "additionalMetadata": None}}
        if n > 1:
            details["run"]["priority"] = 2
        source.answers[f"/r{n}"] = lambda _, details=details: says(details)  # type: ignore[misc]
    ours, theirs = reading(target, tenant_id=OURS), reading(source)
    plan = survey(theirs, ours, {}, quiet)
    move(plan, theirs, ours, quiet)
    section = plan.sections[Kind.RUN]
    assert (section.moved, section.left) == (29, {"was started or ended there in the meantime": ["etl r0"]})
    assert [body["input"]["n"] for body in target.bodies] == list(range(29, 0, -1)), "the oldest first"
    assert [body.get("priority") for body in target.bodies] == [2] * 28 + [None]
    assert [body["additionalMetadata"] for body in target.bodies] == [{MOVED_FROM: f"r{n}"} for n in range(29, 0, -1)]


def test_a_refused_run_is_told_and_the_rest_goes_on(source: Stub, target: Stub) -> None:
    listing(source, target, *(row(f"r{n}", "2026-01-01T00:00:00Z") for n in range(3)))
    for n in range(3):
        source.answers[f"/r{n}"] = lambda _: says({"run": {"status": "QUEUED", "input": {}}})
    answers = [says({"errors": [{"description": "run 1 holds the idempotency key"}]}, 400), says({}), says({})]
    target.answers["/trigger"] = lambda _: answers.pop(0)
    ours, theirs = reading(target, tenant_id=OURS), reading(source)
    plan = survey(theirs, ours, {}, quiet)
    move(plan, theirs, ours, quiet)
    assert plan.sections[Kind.RUN].moved == 2
    assert plan.sections[Kind.RUN].left == {"refused here: run 1 holds the idempotency key": ["etl r2"]}
    assert not plan.is_whole


@pytest.mark.parametrize(("status", "asked"), [pytest.param(500, 1, id="maybe"), pytest.param(503, 4, id="untouched")])
def test_what_may_have_been_done_is_not_asked_for_twice(source: Stub, target: Stub, status: int, asked: int) -> None:
    listing(source, target, row("r1", "2026-01-01T00:00:00Z"))
    source.answers["/r1"] = lambda _: says({"run": {"status": "QUEUED", "input": {}}})
    target.answers["/trigger"] = lambda _: says({}, status)
    ours, theirs = reading(target, tenant_id=OURS), reading(source)
    plan = survey(theirs, ours, {}, quiet)
    with pytest.raises(Unavailable):
        move(plan, theirs, ours, quiet)
    assert sum(path.endswith("/trigger") for _, path in target.requests) == asked
    assert plan.sections[Kind.RUN].moved == 0


def test_without_a_word_nothing_is_moved(source: Stub, target: Stub) -> None:
    source.answers["/rate-limits"] = lambda _: says({"rows": [{"key": "api", "limitValue": 5, "window": "MINUTE"}]})
    words = ("--from-url", source.url, "--url", target.url)
    tokens = {"BROADAXE_FROM_TOKEN": token(THEIRS), "BROADAXE_TOKEN": token(OURS)}
    assert run(*words, **tokens) == (2, "nothing was moved: give --yes to move this, or --dry-run only to look")
    assert target.bodies == []
    code, said = run(*words, "--yes", **tokens)
    assert code == 0
    assert target.bodies == [{"key": "api", "limit": 5, "window": "1m"}]
    assert "rate limits" in said


def test_the_target_is_the_engine_of_the_data_directory(source: Stub, target: Stub, tmp_path: Path) -> None:
    words = ("--from-token", token(THEIRS, server_url=source.url), "--dry-run", "--data-dir", str(tmp_path))
    code, said = run(*words)
    assert code == 2
    assert said.startswith(f"`broadaxe dev` never ran in {tmp_path}; give --token")
    kept = dev_secrets.DevSecrets(token=token(OURS), server_url=target.url)
    dev_secrets.write(dev_secrets.place(tmp_path), kept)
    assert run(*words)[0] == 0
    assert target.requests


@pytest.mark.parametrize(
    ("words", "named"),
    [
        pytest.param(("--from-token", "abc"), "--from-token", id="no-token"),
        pytest.param(("--from-token", token(THEIRS), "--from-url", "old:8080"), "--from-url", id="no-scheme"),
        pytest.param(("--from-token", token(THEIRS), "--from-url", "http://h:99999"), "--from-url", id="port"),
        pytest.param(("--from-token", token(OURS), "--from-url", "http://h"), "are the same tenant", id="same-tenant"),
        pytest.param(("--from-token", token(THEIRS), "--webhook-secrets", "/none"), "--webhook-secrets", id="no-file"),
    ],
)
def test_a_mistake_is_named(target: Stub, words: tuple[str, ...], named: str) -> None:
    code, said = run(*words, "--dry-run", "--url", target.url, "--token", token(OURS))
    assert code == 2
    assert named in said


def test_secrets_of_no_webhook_are_refused(source: Stub, target: Stub, tmp_path: Path) -> None:
    file = tmp_path / "secrets.json"
    file.write_text('{"gone": {"apiKey": "k"}}')
    words = ("--from-url", source.url, "--from-token", token(THEIRS), "--url", target.url, "--token", token(OURS))
    assert run(*words, "--webhook-secrets", str(file)) == (
        2,
        "--webhook-secrets names 'gone', which is no webhook of the server to move from",
    )
