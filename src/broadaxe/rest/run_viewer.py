"""The dashboard over one run's file: the same pages, answered from memory. Behind it is no engine and no database.

Owns which questions a file can answer: those that the page of a run asks; and serves the documentation it links to.
Everything else is told to be elsewhere, and whatever would change something is refused. Answers loopback names only, so
that a page whose name was rebound to this machine gets nothing. What the file says is shown as it is; nothing of it is
believed to be safe.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from broadaxe.errors import InvalidArgument
from broadaxe.rest.dashboard_site import DashboardSite
from broadaxe.rest.docs_site import DocsSite
from broadaxe.rest.gate import Gate
from broadaxe.rest.identity import names_this_machine
from broadaxe.rest.routers.run_files import FORM, FORMAT
from broadaxe.rest.statuses import refusal

__all__ = ["create_viewer", "read_run_file"]

FILE_BYTES_MAX: Final = 256 * 1024 * 1024
LINES_PAGE_MAX: Final = 10_000
#: What the page decodes; a file that lacks one of them is no file of ours.
_PARTS: Final[dict[str, type]] = {
    "run": dict,
    "tenant": dict,
    "facts": dict,
    "cut": list,
    "attempts": list,
    "children": list,
    "logs": list,
    "spans": list,
    "durableLogs": dict,
}
_READ_ONLY: Final = "this is a file that was opened with `broadaxe open`: it can be read and nothing more"

RunFileContent = dict[str, Any]


def read_run_file(path: Path) -> RunFileContent:
    """The content of the file. InvalidArgument, naming the file, for what is not one of ours."""
    try:
        size = path.stat().st_size
        if size > FILE_BYTES_MAX:
            raise InvalidArgument(f"{path}: {size} bytes are more than the {FILE_BYTES_MAX} a run's file may have")
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidArgument(f"{path}: {error.strerror or error}") from None
    except (ValueError, RecursionError):
        raise InvalidArgument(f"{path}: this is not JSON") from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise InvalidArgument(f"{path}: this is not the file of a run; download one on the page of a run")
    if content.get("form") != FORM:
        raise InvalidArgument(f"{path}: a newer Broadaxe made this file; open it with that one")
    for name, kind in _PARTS.items():
        if not isinstance(content.get(name), kind):
            raise InvalidArgument(f"{path}: its part {name!r} is missing or broken")
    if not isinstance(content["run"].get("run"), dict) or not _run_id(content):
        raise InvalidArgument(f"{path}: its part 'run' is missing or broken")
    return content


def _run_id(content: RunFileContent) -> str:
    return str(content["run"]["run"].get("metadata", {}).get("id", ""))


def create_viewer(
    content: RunFileContent, name: str, dashboard_dir: Path | None = None, docs_dir: Path | None = None
) -> Gate:
    """The application that shows the file called `name`."""
    viewer = _Viewer(content, name, DashboardSite(dashboard_dir))
    run_id, tenant_id = _run_id(content), content["tenant"].get("id", "")
    stable = "/api/v1/stable"
    app = Starlette(
        routes=[
            Route("/", lambda _: RedirectResponse(f"/runs/{run_id}")),
            Route("/api/v1/meta", viewer.meta),
            Route("/api/v1/version", viewer.version),
            Route("/api/v1/users/memberships", viewer.memberships),
            Route(f"{stable}/workflow-runs/{run_id}", viewer.run),
            Route(f"{stable}/workflow-runs/{run_id}/facts", viewer.facts),
            Route(f"{stable}/workflow-runs/{run_id}/file", viewer.file),
            Route(f"{stable}/tasks/{{task}}", viewer.task),
            Route(f"{stable}/tenants/{tenant_id}/logs", viewer.logs),
            Route(f"{stable}/tenants/{tenant_id}/traces", viewer.spans),
            Route(f"{stable}/tenants/{tenant_id}/workflow-runs", viewer.children),
            Route(f"{stable}/tenants/{tenant_id}/durable-tasks/{{task}}", viewer.durable_log),
            *DocsSite(docs_dir).routes(),
            Route("/api/{rest:path}", viewer.elsewhere, methods=["GET", "POST", "PUT", "PATCH", "DELETE"]),
            Route("/{rest:path}", viewer.page),
        ]
    )
    return Gate(app, body_bytes_max=64 * 1024)


class _Viewer:
    def __init__(self, content: RunFileContent, name: str, site: DashboardSite) -> None:
        self._content = content
        self._name = name
        self._site = site

    async def meta(self, request: Request) -> Response:
        return self._answer(request, {"auth": {"schemes": []}, "authDisabled": True, "openedFile": self._name})

    async def version(self, request: Request) -> Response:
        return self._answer(request, {"version": self._content.get("engineVersion", "")})

    async def memberships(self, request: Request) -> Response:
        tenant = self._content["tenant"]
        made_at = self._content.get("madeAt", "1970-01-01T00:00:00Z")
        metadata = {"id": tenant.get("id", ""), "createdAt": made_at, "updatedAt": made_at}
        told = {"metadata": metadata, "name": tenant.get("name", ""), "slug": "file", "version": "V1"}
        row = {"metadata": metadata, "user": {"email": ""}, "role": "VIEWER", "tenant": told}
        return self._answer(request, {"rows": [row]})

    async def run(self, request: Request) -> Response:
        return self._answer(request, self._content["run"])

    async def facts(self, request: Request) -> Response:
        return self._answer(request, self._content["facts"])

    async def file(self, request: Request) -> Response:
        return self._answer(request, self._content)

    async def task(self, request: Request) -> Response:
        task_id, asked = request.path_params["task"], request.query_params.get("attempt")
        rows = [*self._content["run"].get("tasks", []), *self._content["attempts"]]
        for row in rows:
            if row.get("taskExternalId") == task_id and (asked is None or str(row.get("attempt")) == asked):
                return self._answer(request, row)
        return refusal(404, "the file has no such task or attempt", code="NOT_FOUND")

    async def logs(self, request: Request) -> Response:
        given = request.query_params
        wanted, levels = set(given.getlist("taskExternalIds")), set(given.getlist("levels"))
        search = given.get("search", "").lower()
        lines = [
            line
            for line in self._content["logs"]
            if (not wanted or line.get("taskExternalId") in wanted)
            and (not levels or line.get("level", "INFO") in levels)
            and search in str(line.get("message", "")).lower()
        ]
        if given.get("order_by_direction") == "DESC":
            lines.reverse()
        return self._page(request, lines)

    async def spans(self, request: Request) -> Response:
        retries = sorted({span.get("retryCount", 0) for span in self._content["spans"]})
        return self._answer(request, {"rows": self._content["spans"], "retryCounts": retries, "pagination": {}})

    async def children(self, request: Request) -> Response:
        parent = request.query_params.get("parent_task_external_id")
        rows = [row for row in self._content["children"] if parent is None or row.get("parentTaskExternalId") == parent]
        return self._page(request, rows)

    async def durable_log(self, request: Request) -> Response:
        return self._answer(request, self._content["durableLogs"].get(request.path_params["task"], []))

    async def elsewhere(self, request: Request) -> Response:
        if request.method != "GET":
            return refusal(401, _READ_ONLY, code="PERMISSION_DENIED")
        return refusal(404, "this is not in the file of the run", code="NOT_FOUND")

    async def page(self, request: Request) -> Response:
        return self._guard(request) or await self._site.page(request)

    def _page(self, request: Request, rows: list[Any]) -> Response:
        """A page by number of rows; its cursor is the place of the next row."""
        limit = min(_number(request.query_params.get("limit"), 50), LINES_PAGE_MAX)
        start = _number(request.query_params.get("cursor"), 0)
        end = start + limit
        pagination = {"next_cursor": str(end)} if end < len(rows) else {}
        return self._answer(request, {"rows": rows[start:end], "pagination": pagination})

    def _answer(self, request: Request, body: Any) -> Response:
        return self._guard(request) or JSONResponse(body, headers={"Cache-Control": "no-store"})

    def _guard(self, request: Request) -> Response | None:
        if names_this_machine(request.headers.get("host", "")):
            return None
        return refusal(403, "this answers to 127.0.0.1 and localhost only", code="UNAUTHENTICATED")


def _number(text: str | None, otherwise: int) -> int:
    return int(text) if text is not None and text.isdigit() and len(text) < 10 else otherwise
