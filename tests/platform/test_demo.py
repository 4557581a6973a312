"""The whole demo as one command: everything comes up, survives kill -9 of its parts, and goes down on Ctrl-C.

Needs what `make setup` prepares: the chat's package and its built page.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from broadaxe.cli import demo_group
from broadaxe.config import load

PATIENCE_S = 240.0


class Demo:
    """A running demo and what it prints."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.printed: list[str] = []
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("BROADAXE_", "OPENAI_"))}
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "broadaxe.cli.main", "demo", "--data-dir", str(data_dir)),
                *("--grpc-port", "0", "--http-port", "0", "--chat-port", "0"),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=clean,
            start_new_session=True,
        )
        self._watchdog = threading.Timer(PATIENCE_S, self.process.kill)
        self._watchdog.start()

    def read_until(self, words: str) -> str:
        """The first line from here on that has these words."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.printed.append(line)
            if words in line:
                return line
        raise AssertionError(f"ended without saying {words!r}:\n" + "".join(self.printed))

    def url(self, name: str) -> str:
        return re.search(rf"^  {name}\s+(http\S+)", "".join(self.printed), re.MULTILINE)[1]  # type: ignore[index]

    def children(self) -> dict[str, psutil.Process]:
        names = {"broadaxe.cli.main": "engine", "rag_chat.worker": "worker", "rag_chat.api": "chat"}
        found = {}
        for child in psutil.Process(self.process.pid).children():
            with contextlib.suppress(psutil.Error):
                found[names[child.cmdline()[2]]] = child
        return found

    def close(self) -> None:
        self._watchdog.cancel()
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(60)
        assert self.process.stdout is not None
        self.process.stdout.close()


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    running = Demo(tmp_path / "data")
    yield running
    running.close()


def test_what_the_chat_is_told_by_people_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load({}, {"data_dir": str(tmp_path), "http_port": "8080"})
    places = demo_group.Places(settings, 8000, tmp_path)
    told = demo_group.chat_environment(places)
    assert told["RAG_CHAT_ALLOWED_PRIVATE_HOSTS"] == "127.0.0.1:8080"
    assert told["RAG_CHAT_DEFAULT_URL"] == "http://127.0.0.1:8080/docs/"
    monkeypatch.setenv("RAG_CHAT_ALLOWED_PRIVATE_HOSTS", "wiki.internal:80, 127.0.0.1:8080")
    monkeypatch.setenv("RAG_CHAT_DEFAULT_URL", "http://wiki.internal/")
    told = demo_group.chat_environment(places)
    assert told["RAG_CHAT_ALLOWED_PRIVATE_HOSTS"] == "127.0.0.1:8080,wiki.internal:80"
    assert told["RAG_CHAT_DEFAULT_URL"] == "http://wiki.internal/"


def test_demo_comes_up_survives_kills_and_stops_on_ctrl_c(demo: Demo) -> None:
    demo.read_until("Where to click")
    demo.read_until("Stop with Ctrl-C")
    for url in (demo.url("chat"), demo.url("dashboard"), demo.url("docs")):
        with urllib.request.urlopen(url, timeout=30) as page:
            assert page.status == 200
            assert "text/html" in page.headers["content-type"]
    with urllib.request.urlopen(demo.url("chat") + "/config", timeout=30) as config:
        assert demo.url("docs") in json.dumps(json.load(config))

    second = subprocess.run(
        [sys.executable, "-m", "broadaxe.cli.main", "demo", "--data-dir", str(demo.data_dir)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert second.returncode == 2
    assert f"process {demo.process.pid}" in second.stderr

    before = demo.children()
    assert set(before) == {"engine", "worker", "chat"}
    for name in ("worker", "engine"):
        before[name].kill()
        assert name in demo.read_until("was ended by SIGKILL")
        assert name in demo.read_until("ready again")
    after = demo.children()
    assert set(after) == {"engine", "worker", "chat"}
    assert after["worker"].pid != before["worker"].pid

    grandchildren = psutil.Process(demo.process.pid).children(recursive=True)
    demo.process.send_signal(signal.SIGINT)
    assert demo.process.wait(60) == 0
    _, left = psutil.wait_procs([*grandchildren, *before.values()], timeout=10)
    assert left == []
    cluster = str((demo.data_dir / "postgres" / "cluster").resolve())
    assert not any(
        cluster in process.info["cmdline"] for process in psutil.process_iter(["cmdline"]) if process.info["cmdline"]
    )
