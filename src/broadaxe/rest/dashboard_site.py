"""Serves the built dashboard: its files, and its index page for every address the page itself routes.

Owns finding the build (`web/dashboard/dist` in a checkout, `broadaxe/_dashboard` in an installed package) and how long
browsers keep what. Refuses to leave that directory. Files under `assets/` have a hash in their name and never change;
the build compressed them, so that a page over a slow line is small and costs the engine nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from fastapi import Request, Response
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse
from starlette.staticfiles import StaticFiles

from broadaxe.places import find_directory

__all__ = ["DashboardSite"]

_FOREVER: Final = "public, max-age=31536000, immutable"
_ASK_FIRST: Final = "no-cache"

_NOT_BUILT: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Broadaxe</title>
<style>body{font:16px/1.6 system-ui,sans-serif;max-width:36rem;margin:15vh auto;padding:0 1rem;color-scheme:light dark}
code{background:#8882;padding:.1em .4em;border-radius:4px}</style></head>
<body><h1>The engine is running</h1>
<p>Its dashboard has not been built yet. In the checkout, run <code>make setup</code> and reload this page.</p>
<p>Meanwhile: <a href="/docs/">documentation</a> · <a href="/api/docs">HTTP API</a> · <a href="/metrics">metrics</a></p>
</body></html>
"""


class DashboardSite:
    def __init__(self, directory: Path | None) -> None:
        self._given = directory

    async def page(self, request: Request) -> Response:
        # Looked up per request: a checkout builds the dashboard while the engine may be running already.
        directory = find_directory(self._given, in_checkout="web/dashboard/dist", in_package="_dashboard")
        if directory is None or not (directory / "index.html").is_file():
            return HTMLResponse(_NOT_BUILT, headers={"Cache-Control": _ASK_FIRST})
        files = StaticFiles(directory=directory)
        path = request.url.path.lstrip("/")
        try:
            response = await self._file(files, path, request) if path else None
        except HTTPException:
            response = None
        if response is None:
            response = await files.get_response("index.html", request.scope)
            path = "index.html"
        response.headers["Cache-Control"] = _FOREVER if path.startswith("assets/") else _ASK_FIRST
        return response

    async def _file(self, files: StaticFiles, path: str, request: Request) -> Response:
        """The file, as the build compressed it if the browser can read that. Raises HTTPException if there is none."""
        inside = files.get_path(request.scope)
        if not path.startswith("assets/"):
            return await files.get_response(inside, request.scope)
        if "gzip" in request.headers.get("Accept-Encoding", ""):
            try:
                # The name of the type is that of what is inside.
                response = await files.get_response(f"{inside}.gz", request.scope)
                response.headers["Content-Encoding"] = "gzip"
            except HTTPException:
                response = await files.get_response(inside, request.scope)
        else:
            response = await files.get_response(inside, request.scope)
        response.headers["Vary"] = "Accept-Encoding"
        return response
