"""The HTTP API as tests look through it: what the dashboard would show."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final, Self

import httpx

from wirekit.patience import PATIENCE_S, eventually

STABLE: Final = "/api/v1/stable"
TERMINAL: Final = ("COMPLETED", "FAILED", "CANCELLED")


class Rest:
    def __init__(self, url: str, token: str, tenant_id: str) -> None:
        self._tenant = tenant_id
        self._http = httpx.AsyncClient(base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=PATIENCE_S)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def workers(self) -> list[dict[str, Any]]:
        return await self._rows(f"/api/v1/tenants/{self._tenant}/worker")

    async def worker(self, worker_id: str) -> dict[str, Any]:
        return await self._get(f"/api/v1/workers/{worker_id}")

    async def pause(self, worker_id: str, is_paused: bool = True) -> None:
        answer = await self._http.patch(f"/api/v1/workers/{worker_id}", json={"isPaused": is_paused})
        answer.raise_for_status()

    async def workflow(self, workflow_id: str) -> dict[str, Any]:
        return await self._get(f"/api/v1/workflows/{workflow_id}")

    async def until_worker(self, name: str, **wanted: object) -> dict[str, Any]:
        """A worker of this name whose row has these values."""

        async def find() -> dict[str, Any] | None:
            return next(
                (row for row in await self.workers() if row["name"] == name and wanted.items() <= row.items()), None
            )

        found = await eventually(find, what=f"worker {name} has {wanted}")
        assert found is not None
        return found

    async def until_listening(self, name: str, *, since: datetime, within_s: float = 60.0) -> None:
        """Until a worker of this name has opened its stream after `since`."""

        async def has_opened() -> bool:
            opened = [row["lastListenerEstablished"] for row in await self.workers() if row["name"] == name]
            return any(at is not None and datetime.fromisoformat(at) >= since for at in opened)

        await eventually(has_opened, what=f"worker {name} listens again", within_s=within_s)

    async def run(self, run_id: str) -> dict[str, Any]:
        """`{"run": …, "tasks": […], …}`"""
        return await self._get(f"{STABLE}/workflow-runs/{run_id}")

    async def status(self, run_id: str) -> str:
        answer = await self._http.get(f"{STABLE}/workflow-runs/{run_id}/status")
        answer.raise_for_status()
        return str(answer.json())

    async def until_status(self, run_id: str, *wanted: str, within_s: float = PATIENCE_S) -> str:
        return await eventually(
            lambda: self.status(run_id),
            until=lambda status: status in wanted,
            what=f"run {run_id} is {' or '.join(wanted)}",
            within_s=within_s,
        )

    async def finished(self, run_id: str, within_s: float = PATIENCE_S) -> str:
        return await self.until_status(run_id, *TERMINAL, within_s=within_s)

    async def tasks(self, run_id: str) -> dict[str, dict[str, Any]]:
        """Tasks of a run by the name in their action id."""
        return {task["actionId"].partition(":")[2]: task for task in (await self.run(run_id))["tasks"]}

    async def task(self, task_id: str) -> dict[str, Any]:
        return await self._get(f"{STABLE}/tasks/{task_id}")

    async def events(self, task_id: str) -> list[dict[str, Any]]:
        """A task's history, oldest first."""
        rows = await self._rows(f"{STABLE}/tasks/{task_id}/task-events")
        return sorted(rows, key=lambda row: row["id"])

    async def event_types(self, task_id: str) -> list[str]:
        return [row["eventType"] for row in await self.events(task_id)]

    async def workflow_version(self, name: str) -> dict[str, Any]:
        """The newest version of a workflow."""
        rows = await self._rows(f"/api/v1/tenants/{self._tenant}/workflows", name=name)
        workflow_id = next(row["metadata"]["id"] for row in rows if row["name"] == name)
        return await self._get(f"/api/v1/workflows/{workflow_id}/versions")

    async def runs(self, **query: str) -> list[dict[str, Any]]:
        return await self._rows(f"{STABLE}/tenants/{self._tenant}/workflow-runs", **query)

    async def cancel(self, *ids: str) -> None:
        await self._post(f"{STABLE}/tenants/{self._tenant}/tasks/cancel", {"externalIds": list(ids)})

    async def replay(self, *ids: str) -> list[str]:
        answer = await self._post(f"{STABLE}/tenants/{self._tenant}/tasks/replay", {"externalIds": list(ids)})
        replayed: list[str] = answer["ids"]
        return replayed

    async def durable_log(self, task_id: str) -> list[dict[str, Any]]:
        answer = await self._http.get(f"{STABLE}/tenants/{self._tenant}/durable-tasks/{task_id}")
        answer.raise_for_status()
        entries: list[dict[str, Any]] = answer.json()
        return entries

    async def restore(self, task_id: str) -> bool:
        """Whether the task was evicted."""
        answer = await self._http.post(f"{STABLE}/tasks/{task_id}/restore")
        answer.raise_for_status()
        return bool(answer.json()["requeued"])

    async def try_post(self, path: str, body: dict[str, Any]) -> httpx.Response:
        """The answer to a request that may be refused; `path` is that below the tenant."""
        return await self._http.post(f"{STABLE}/tenants/{self._tenant}/{path}", json=body)

    async def logs(self, task_id: str, **query: str) -> list[dict[str, Any]]:
        return await self._rows(f"{STABLE}/tasks/{task_id}/logs", **query)

    async def spans(self, run_id: str) -> list[dict[str, Any]]:
        return await self._rows(f"{STABLE}/tenants/{self._tenant}/traces", run_external_id=run_id)

    async def expression_failures(self, **query: str) -> list[dict[str, Any]]:
        return await self._rows(f"{STABLE}/tenants/{self._tenant}/cel/failures", **query)

    async def limits(self) -> dict[str, dict[str, Any]]:
        """Limits of the tenant by resource; none while they are not enforced."""
        body = await self._get(f"/api/v1/tenants/{self._tenant}/resource-policy")
        return {limit["resource"]: limit for limit in body["limits"]}

    async def user_events(self, **query: str) -> list[dict[str, Any]]:
        return await self._rows(f"{STABLE}/tenants/{self._tenant}/events", **query)

    async def _rows(self, path: str, **query: str) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = (await self._get(path, **query))["rows"]
        return rows

    async def _get(self, path: str, **query: str) -> dict[str, Any]:
        answer = await self._http.get(path, params=query)
        assert answer.status_code == 200, f"GET {path}: {answer.status_code} {answer.text}"
        body: dict[str, Any] = answer.json()
        return body

    async def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = await self._http.post(path, json=body)
        assert answer.status_code == 200, f"POST {path}: {answer.status_code} {answer.text}"
        found: dict[str, Any] = answer.json()
        return found
