"""The engine's REST API, as far as assertions read it: they say what anybody would see."""

from __future__ import annotations

from typing import Any, Final

from broadaxe.errors import NotFound
from broadaxe.remote import runs
from broadaxe.remote.server import Query, Server
from broadaxe.testing.recordings import Recording

__all__ = ["Rest"]

_ANSWER_S: Final = 30.0
_RUNS_MAX: Final = 1_000
#: Older than anything.
_EVER: Final = "2000-01-01T00:00:00Z"
#: Later than any clock was moved.
_NEVER: Final = "2200-01-01T00:00:00Z"


class Rest:
    def __init__(self, url: str, token: str) -> None:
        self._server = Server(
            "the engine under test", url, token, timeout_s=_ANSWER_S, url_flag="url", token_flag="token"
        )

    def run(self, run_id: str) -> dict[str, Any]:
        """AssertionError when there is none."""
        try:
            return self._server.get(f"/api/v1/stable/workflow-runs/{run_id}", dict[str, Any])
        except NotFound:
            raise AssertionError(f"there is no run {run_id}") from None

    def trigger(self, workflow: str, recording: Recording) -> str:
        """Starts a run as the recorded one was started. Returns its id."""
        made = runs.trigger(self._server, workflow, recording.input, recording.metadata or None, None)
        return str(made["run"]["metadata"]["id"])

    def file(self, run_id: str) -> bytes:
        """Everything about the run, as it is downloaded."""
        return runs.file(self._server, run_id)

    def run_ids(self, workflow: str | None) -> list[str]:
        """The oldest first, at most a thousand."""
        asked: Query = {
            "since": _EVER,
            "until": _NEVER,
            "only_tasks": "false",
            "limit": _RUNS_MAX,
            "order_by_direction": "ASC",
            **({} if workflow is None else {"workflow_names": workflow}),
        }
        rows = self._server.get(f"{self._server.stable}/workflow-runs", dict[str, Any], asked)["rows"]
        return [row["metadata"]["id"] for row in rows]
