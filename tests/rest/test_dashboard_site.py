"""The pages of the console as files: what the build compressed goes out so, and nothing leaves its directory."""

from __future__ import annotations

import gzip
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from broadaxe.rest.dashboard_site import DashboardSite

CODE = b"export const answer = 42;\n"


@pytest.fixture
def site(tmp_path: Path) -> httpx.AsyncClient:
    built = tmp_path / "dist"
    (built / "assets").mkdir(parents=True)
    (built / "index.html").write_text("<!doctype html><title>Broadaxe</title>")
    (built / "assets" / "page-1.js").write_bytes(CODE)
    (built / "assets" / "page-1.js.gz").write_bytes(gzip.compress(CODE))
    (built / "assets" / "plain-2.js").write_bytes(CODE)
    (tmp_path / "secret.txt").write_text("not for anybody")
    app = FastAPI()
    app.add_api_route("/{path:path}", DashboardSite(built).page)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://console")


@pytest.mark.parametrize(
    ("name", "accepts", "encoding"),
    [
        ("page-1.js", "gzip, deflate, br", "gzip"),
        ("page-1.js", "identity", None),
        ("plain-2.js", "gzip", None),
    ],
    ids=["compressed", "for a reader who cannot", "not compressed by the build"],
)
async def test_a_file_goes_out_as_its_reader_can_read_it(
    site: httpx.AsyncClient, name: str, accepts: str, encoding: str | None
) -> None:
    answer = await site.get(f"/assets/{name}", headers={"Accept-Encoding": accepts})
    assert answer.status_code == 200
    assert answer.headers.get("Content-Encoding") == encoding
    assert answer.headers["Content-Type"].startswith("text/javascript")
    assert answer.headers["Vary"] == "Accept-Encoding"
    assert "immutable" in answer.headers["Cache-Control"]
    assert answer.content == CODE


async def test_an_address_of_a_page_is_answered_with_the_index(site: httpx.AsyncClient) -> None:
    for path in ("/", "/runs/1", "/assets/gone-3.js", "/assets/../../secret.txt", "/assets/%2e%2e/%2e%2e/secret.txt"):
        answer = await site.get(path, headers={"Accept-Encoding": "gzip"})
        assert "Broadaxe" in answer.text, path
        assert "not for anybody" not in answer.text
