"""The server itself: health, errors, static pages, documentation, stopping."""

from __future__ import annotations

import asyncio
import socket
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
from fastapi import FastAPI
from starlette.responses import StreamingResponse

from broadaxe.errors import ConfigurationError, all_error_types
from broadaxe.rest.parameters import parse_instant
from broadaxe.rest.server import HttpServer
from broadaxe.rest.statuses import STATUS_BY_ERROR
from broadaxe.rest.wire import format_instant
from broadaxe.storage.ids import id_floor, id_time, new_id

if TYPE_CHECKING:
    from .conftest import Serve, Site


async def test_health_version_and_metadata(site: Site) -> None:
    get = site.anonymous.get
    ready = await get("/api/ready")
    assert (ready.status_code, ready.content) == (200, b"")
    site.engine.ready = False
    assert (await get("/api/ready")).status_code == 500
    assert (await get("/api/live")).status_code == 200
    assert (await get("/api/v1/version")).json() == {"version": "v0.111.0"}
    told = (await get("/api/v1/meta")).json()
    assert "authDisabled" not in told
    assert "grpcTlsStrategy" not in told, "it is not known"
    assert (await get("/api/v1/cloud/metadata")).json()["errors"] == [{"description": "oss"}]
    control = await get("/api/v1/control-plane/metadata")
    assert (control.status_code, control.json()["errors"][0]["description"]) == (404, "there is no control plane")
    integrations = (await get("/api/v1/meta/integrations")).json()
    assert integrations == [{"name": "email", "enabled": False}, {"name": "slack", "enabled": False}]
    assert (await site.client.get(f"{site.tenant}/resource-policy")).json() == {"limits": []}
    flag = await site.client.get(f"{site.tenant}/feature-flags", params={"isEnabledIfNoPosthog": "true"})
    assert flag.json() == {"isEnabled": True}
    assert set((await site.client.get(f"{site.tenant}/entitlements")).json().values()) == {False}


async def test_unknown_api_paths_are_json_whatever_the_method(site: Site) -> None:
    for method, path in (
        ("GET", "/api/v1/nothing"),
        ("POST", "/api/nothing"),
        ("GET", "/api"),
        ("GET", f"{site.tenant}/sns"),
        ("GET", f"{site.stable}/nothing"),
    ):
        answer = await site.client.request(method, path)
        assert answer.status_code == 404, path
        assert answer.headers["content-type"] == "application/json"
        assert path in answer.json()["message"]
    wrong_method = await site.client.put(site.tenant)
    assert (wrong_method.status_code, "errors" in wrong_method.json()) == (405, True)


def test_every_error_has_a_status() -> None:
    ours = {error for error in all_error_types() if error.__module__ == "broadaxe.errors"}
    assert ours == set(STATUS_BY_ERROR)


async def test_the_dashboard_is_served_with_a_fallback_to_its_index(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "dist" / "assets").mkdir(parents=True)
    (tmp_path / "dist" / "index.html").write_text("<p>the dashboard</p>")
    (tmp_path / "dist" / "assets" / "app-1a2b.js").write_text("let x")
    (tmp_path / "secret.txt").write_text("secret")
    site = await serve(dashboard_dir=tmp_path / "dist")
    for path in ("/", "/runs/0b1d2c3e-0000-4000-8000-000000000001", "/assets/missing.js", "/%2e%2e/secret.txt"):
        answer = await site.anonymous.get(path)
        assert (answer.status_code, answer.text) == (200, "<p>the dashboard</p>"), path
        assert answer.headers["cache-control"] == "no-cache"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    script = await site.anonymous.get("/assets/app-1a2b.js")
    assert (script.text, "immutable" in script.headers["cache-control"]) == ("let x", True)
    assert (await site.anonymous.post("/runs")).status_code == 404


async def test_without_a_build_the_front_page_says_what_to_do(serve: Serve, tmp_path: Path) -> None:
    site = await serve(dashboard_dir=tmp_path / "absent")
    assert "make setup" in (await site.anonymous.get("/")).text


async def test_the_documentation_is_rendered_with_anchors_and_links(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "index.md").write_text("---\ntitle: Start\n---\n# Welcome\n\nSee [install](install.md#from-source).\n")
    (tmp_path / "install.md").write_text(
        "# Install `broadaxe`\n\n## From source\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n"
        "## From source\n\n<script>x</script>\n"
    )
    site = await serve(docs_dir=tmp_path)
    redirect = await site.anonymous.get("/docs")
    assert (redirect.status_code, redirect.headers["location"]) == (308, "/docs/")
    index = await site.anonymous.get("/docs/")
    assert '<a href="/docs/install#from-source">install</a>' in index.text
    assert '<a href="/docs/install">Install broadaxe</a>' in index.text
    assert '<a class="next" rel="next" href="/docs/install">' in index.text
    assert "<title>Start" in index.text
    page = await site.anonymous.get("/docs/install")
    assert 'id="from-source"' in page.text
    assert 'id="from-source-2"' in page.text
    # Whoever reads the page's text, as the chat does, must not find the sign of the heading's link in it.
    assert ">#<" not in page.text
    assert 'href="#from-source"' in page.text
    assert "<table>" in page.text
    assert '<div class="table" tabindex="0">' in page.text
    assert "<script>" not in page.text
    for headers in (
        {"If-None-Match": page.headers["etag"]},
        {"If-Modified-Since": page.headers["last-modified"]},
    ):
        assert (await site.anonymous.get("/docs/install", headers=headers)).status_code == 304
    assert (await site.anonymous.get("/docs/install", headers={"If-None-Match": '"x"'})).status_code == 200
    (tmp_path / "install.md").write_text("# Changed\n")
    assert "<h1" in (await site.anonymous.get("/docs/install")).text
    assert "Changed" in (await site.anonymous.get("/docs/install")).text
    assert (await site.anonymous.get("/docs/%2e%2e/pyproject")).status_code == 404


async def test_language_models_get_the_documentation_as_markdown(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "index.md").write_text("---\ntitle: Start\n---\n# Welcome\n\nSee [install](install.md).\n")
    (tmp_path / "install.md").write_text("# Install\n")
    site = await serve(docs_dir=tmp_path)
    listed = await site.anonymous.get("/llms.txt")
    assert listed.headers["content-type"].startswith("text/plain")
    assert listed.text.startswith("# Broadaxe\n\n> ")
    assert "- [Start](/docs/index.md)\n- [Install](/docs/install.md)\n" in listed.text
    page = await site.anonymous.get("/docs/index.md")
    assert page.headers["content-type"].startswith("text/markdown")
    assert page.text == "# Welcome\n\nSee [install](install.md).\n"
    assert (await site.anonymous.get("/docs/none.md")).status_code == 404


async def test_the_documentation_is_searched_section_by_section(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "index.md").write_text(
        "# Welcome\n\nTo *all*.\n\n## From `source`\n\n```bash\nmake it\n```\n\n## Empty\n"
    )
    site = await serve(docs_dir=tmp_path)
    answer = await site.anonymous.get("/docs/search.json")
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == [
        {"page": "Welcome", "heading": "Welcome", "address": "/docs/", "text": "To all."},
        {"page": "Welcome", "heading": "From source", "address": "/docs/#from-source", "text": "make it\n"},
        {"page": "Welcome", "heading": "Empty", "address": "/docs/#empty", "text": ""},
    ]
    unchanged = await site.anonymous.get("/docs/search.json", headers={"If-None-Match": answer.headers["etag"]})
    assert unchanged.status_code == 304
    (tmp_path / "more.md").write_text("# More\n\nwords\n")
    assert {row["page"] for row in (await site.anonymous.get("/docs/search.json")).json()} == {"Welcome", "More"}


async def test_the_documentation_has_pictures_and_nothing_else_of_that_directory(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "docs" / "pictures").mkdir(parents=True)
    (tmp_path / "docs" / "pictures" / "runs.webp").write_bytes(b"RIFF")
    (tmp_path / "docs" / "pictures" / "notes.txt").write_text("private")
    (tmp_path / "secret.webp").write_bytes(b"RIFF")
    site = await serve(docs_dir=tmp_path / "docs")
    shown = await site.anonymous.get("/docs/pictures/runs.webp")
    assert (shown.status_code, shown.headers["content-type"], shown.content) == (200, "image/webp", b"RIFF")
    for name in ("notes.txt", "missing.webp", "%2e%2e%2f%2e%2e%2fsecret.webp", "..%5csecret.webp"):
        assert (await site.anonymous.get(f"/docs/pictures/{name}")).status_code == 404, name


async def test_the_look_of_the_documentation_is_asked_for_once(site: Site) -> None:
    page = (await site.anonymous.get("/api/docs")).text
    for name, kind in (("site.css", "text/css"), ("site.js", "text/javascript")):
        assert f"/docs/{name}?" in page
        answer = await site.anonymous.get(f"/docs/{name}")
        assert answer.headers["content-type"].startswith(kind)
        again = await site.anonymous.get(f"/docs/{name}", headers={"If-None-Match": answer.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")


async def test_the_api_describes_itself(site: Site) -> None:
    page = await site.anonymous.get("/api/docs")
    assert "/api/v1/stable/tenants/{tenant}/workflow-runs" in page.text
    assert "https://" not in page.text
    description = (await site.anonymous.get("/api/openapi.json")).json()
    assert len(description["paths"]) > 40
    metrics = await site.anonymous.get("/metrics")
    assert "hatchet_created_tasks_total 0.0" in metrics.text
    assert "\nhatchet_assigned_tasks 0.0" in metrics.text
    # The names that people's dashboards know (semantics 8.5); those about a broker are missing, as there is none.
    shown = {line.split("{")[0].split(" ")[0] for line in metrics.text.splitlines() if not line.startswith("#")}
    totals = ("queue_invocations", "created_tasks", "retried_tasks", "succeeded_tasks", "failed_tasks", "skipped_tasks")
    bare = ("assigned_tasks", "scheduling_timed_out", "rate_limited", "queued_to_assigned", "reassigned_tasks")
    expected = {f"hatchet_{name}_total" for name in (*totals, "cancelled_tasks")} | {f"hatchet_{name}" for name in bare}
    assert expected | {"hatchet_queued_to_assigned_time_seconds_bucket"} <= shown


async def test_a_taken_port_is_named() -> None:
    first, second = HttpServer(), HttpServer()
    port = await first.start(FastAPI(), "127.0.0.1", 0)
    with pytest.raises(ConfigurationError, match=str(port)):
        await second.start(FastAPI(), "127.0.0.1", port)
    await first.stop()
    await first.stop()
    await second.stop()


async def test_stopping_does_not_wait_for_an_endless_stream() -> None:
    app = FastAPI()
    began = asyncio.Event()

    @app.get("/stream")
    async def stream() -> StreamingResponse:
        async def forever():  # type: ignore[no-untyped-def]
            yield b"x"
            began.set()
            await asyncio.Event().wait()

        return StreamingResponse(forever())

    server = HttpServer(grace_s=1)
    port = await server.start(app, "127.0.0.1", 0)

    async def follow() -> None:
        async with (
            httpx.AsyncClient(timeout=60) as client,
            client.stream("GET", f"http://127.0.0.1:{port}/stream") as answer,
        ):
            async for _ in answer.aiter_raw():
                pass

    follower = asyncio.create_task(follow())
    await began.wait()
    await asyncio.wait_for(server.stop(), 60)
    await asyncio.wait({follower})
    assert follower.done()
    follower.exception()


async def test_answers_do_not_wait_for_the_clients_acknowledgements() -> None:
    """Nagle's algorithm is off, on asyncio's own loop too: each answer on a connection used again took 40 ms longer."""
    server = HttpServer(grace_s=1)
    port = await server.start(FastAPI(), "127.0.0.1", 0)
    async with httpx.AsyncClient(timeout=60) as client:
        await client.get(f"http://127.0.0.1:{port}/")
        assert server._server is not None
        (connection,) = server._server.server_state.connections
        accepted = connection.transport.get_extra_info("socket")
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
    await server.stop()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("2025-01-31T09:15:00Z", "2025-01-31T09:15:00.000000Z"),
        ("0001-01-01T00:00:00Z", "1000-01-01T00:00:00.000000Z"),
        ("0001-01-01T00:00:00+14:00", "1000-01-01T00:00:00.000000Z"),
        ("9999-12-31T23:59:59-12:00", "9000-01-01T00:00:00.000000Z"),
        ("1000-01-01T00:00:00.5Z", "1000-01-01T00:00:00.500000Z"),
    ],
    ids=["today", "the year 1", "before the year 1", "after the year 9999", "the earliest"],
)
def test_an_instant_beyond_all_history_counts_as_its_edge(text: str, shown: str) -> None:
    assert format_instant(parse_instant(text)) == shown


def test_an_id_of_any_kind_tells_a_time() -> None:
    assert id_time("f" * 8 + "-ffff-ffff-ffff-ffffffffffff").year == 9999
    at = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert id_time(id_floor(at)) == at


async def test_a_parameter_with_one_value_is_not_given_twice(site: Site) -> None:
    """The last would count, and nobody would be told."""
    since = [("since", "2025-01-01T00:00:00Z"), ("only_tasks", "false")]
    for path, pairs, blamed in (
        ("workflow-runs", [*since, ("since", "2026-01-01T00:00:00Z")], "since"),
        ("workflow-runs", [*since, ("limit", "1"), ("limit", "1")], "limit"),
        ("workflow-runs/count", [*since, ("until", "2026-01-01T00:00:00Z")] * 2, "since"),
    ):
        answer = await site.client.get(f"{site.stable}/{path}", params=pairs)
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, blamed), pairs
    several = [*since, ("workflow_ids", new_id()), ("workflow_ids", new_id()), ("unknown", "1"), ("unknown", "2")]
    assert (await site.client.get(f"{site.stable}/workflow-runs", params=several)).status_code == 200


async def test_an_engine_for_others_offers_no_example(site: Site) -> None:
    offer = await site.client.get(f"{site.stable}/example")
    assert offer.json()["isOffered"] is False
    assert "broadaxe dev" in offer.json()["problem"]
    refused = await site.client.post(f"{site.stable}/example")
    assert refused.status_code == 400
    assert "broadaxe dev" in refused.json()["errors"][0]["description"]
