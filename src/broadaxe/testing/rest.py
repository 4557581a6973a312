"""The engine's REST API, as far as assertions read it: they say what anybody would see."""

from __future__ import annotations

import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from typing import Any, Final

__all__ = ["Rest"]

_ANSWER_S: Final = 30
_RUNS_MAX: Final = 1_000
#: Older than anything.
_EVER: Final = "2000-01-01T00:00:00Z"
#: Later than any clock was moved.
_NEVER: Final = "2200-01-01T00:00:00Z"


class Rest:
    def __init__(self, url: str, token: str, tenant_id: str) -> None:
        self._url = f"{url}/api/v1/stable"
        self._token = token
        self._tenant_id = tenant_id

    def run(self, run_id: str) -> dict[str, Any]:
        """AssertionError when there is none."""
        try:
            found: dict[str, Any] = self._get(f"workflow-runs/{run_id}", {})
        except urllib.error.HTTPError as error:
            if error.code == 404:
                raise AssertionError(f"there is no run {run_id}") from None
            raise
        return found

    def run_ids(self, workflow: str | None) -> list[str]:
        """The oldest first, at most a thousand."""
        asked = {"since": _EVER, "until": _NEVER, "only_tasks": "false", "limit": str(_RUNS_MAX)}
        asked["order_by_direction"] = "ASC"
        if workflow is not None:
            asked["workflow_names"] = workflow
        rows = self._get(f"tenants/{self._tenant_id}/workflow-runs", asked)["rows"]
        return [row["metadata"]["id"] for row in rows]

    def _get(self, path: str, asked: Mapping[str, str]) -> Any:
        url = f"{self._url}/{path}?{urllib.parse.urlencode(asked)}"
        request = urllib.request.Request(url, headers={"Authorization": f"Bearer {self._token}"})
        with urllib.request.urlopen(request, timeout=_ANSWER_S) as answer:
            return json.load(answer)
