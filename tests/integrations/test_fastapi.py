"""The FastAPI application of the page, over real HTTP, with its worker beside it on a real engine."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from types import ModuleType
from typing import Any
from uuid import uuid4

import httpx
import pytest
import uvicorn

from broadaxe.testing.engine_under_test import EngineUnderTest
from tests.integrations.examples import example, shown, source


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.is_up = threading.Event()

    async def startup(self, sockets: list[Any] | None = None) -> None:
        await super().startup(sockets)
        self.is_up.set()


class Site:
    """An application that uvicorn serves on a thread."""

    def __init__(self, module: ModuleType) -> None:
        self.module = module
        self._server = _Server(uvicorn.Config(module.app, port=0, log_level="warning", lifespan="on"))
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        assert self._server.is_up.wait(120), "the application did not start"
        port = self._server.servers[0].sockets[0].getsockname()[1]
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=120)

    def order(self, **order: Any) -> str:
        answer = self.client.post("/reports", json=order)
        assert answer.status_code == 202, answer.text
        found: str = answer.json()["id"]
        return found

    def events(self, report_id: str) -> list[tuple[str, Any]]:
        """All of them, until the stream ends."""
        found = []
        with self.client.stream("GET", f"/reports/{report_id}/events") as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            kind = ""
            for line in answer.iter_lines():
                if line.startswith("event: "):
                    kind = line.removeprefix("event: ")
                elif line.startswith("data: "):
                    found.append((kind, json.loads(line.removeprefix("data: "))))
        return found

    def stop(self) -> None:
        self.client.close()
        self._server.should_exit = True
        self._thread.join(120)
        assert not self._thread.is_alive()


@pytest.fixture
def site(engine: EngineUnderTest) -> Iterator[Site]:
    site = Site(example("fastapi/app.py"))
    yield site
    site.stop()


def test_who_orders_watches_it_being_made(site: Site) -> None:
    report_id = site.order(title="Lamps", rows=50)
    *progress, last = site.events(report_id)
    assert last == ("done", {"text": "Lamps: 50 rows"})
    # Who listens a moment later has missed pieces, and knows as much.
    done = [piece["done"] for kind, piece in progress if kind == "progress"]
    assert len(done) == len(progress) and done == sorted(done)
    # Whoever comes afterwards is told the end, for as long as the run is kept.
    assert site.events(report_id) == [last]
    assert site.client.get("/health").json() == {"worker": "at work"}


def test_what_failed_is_told_as_well(site: Site) -> None:
    *_, last = site.events(site.order(title="Too long", rows=501))
    assert last == ("failed", {"error": "there are only 500 rows"})


def test_what_is_wrong_is_said_before_the_stream_begins(site: Site) -> None:
    wrong = site.client.post("/reports", json={"title": "", "rows": 0})
    assert wrong.status_code == 422
    assert [each["loc"] for each in wrong.json()["detail"]] == [["body", "title"], ["body", "rows"]]
    nothing = site.client.get(f"/reports/{uuid4()}/events")
    assert nothing.status_code == 404 and "there is no report" in nothing.json()["detail"]
    assert site.client.get("/reports/lamps/events").status_code == 422


def test_a_run_of_something_else_is_no_report(site: Site) -> None:
    secret = site.module.Order(title="Secret")
    for metadata in (None, {"application": "accounts"}):
        other = site.module.report.run(secret, wait_for_result=False, additional_metadata=metadata)
        assert site.client.get(f"/reports/{other.workflow_run_id}/events").status_code == 404


def test_a_stop_of_the_application_loses_nothing(engine: EngineUnderTest) -> None:
    first = Site(module := example("fastapi/app.py"))
    ids = [first.order(title=f"Report {n}", rows=100) for n in range(20)]
    first.stop()
    assert module.app.state.worker.result() is True
    second = Site(example("fastapi/app.py"))
    assert [second.events(report_id)[-1][1]["text"] for report_id in ids] == [
        f"Report {n}: 100 rows" for n in range(20)
    ]
    second.stop()


def test_the_page_shows_the_application() -> None:
    assert shown("fastapi") == [source("fastapi/app.py")]
