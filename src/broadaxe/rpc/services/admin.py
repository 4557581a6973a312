"""`v1.AdminService`: definitions in, run details out.

Source: grpc specification 8 and 12.1. SDKs cancel, replay and trigger over REST and `WorkflowService`; the calls of
this service are for other clients.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

from broadaxe.core.commands.durable import EntryRef
from broadaxe.core.commands.tasks import (
    CANCELLED_BY_FILTER_MAX,
    REPLAYED_BY_FILTER_MAX,
    BranchTask,
    CancelTasks,
    ReplayTasks,
    in_parts,
)
from broadaxe.core.commands.triggers import TriggerRuns
from broadaxe.core.commands.workflows import PutWorkflow, PutWorkflowReply
from broadaxe.core.definition import KEY_TASK_NAME
from broadaxe.core.lifecycle import SHOWN_AS, TERMINAL, TERMINAL_RUN, RunStatus, TaskStatus
from broadaxe.engine.port import EnginePort
from broadaxe.errors import InvalidArgument, NotFound
from broadaxe.rpc import fitting, inbound
from broadaxe.rpc._gen import admin_pb2 as pb
from broadaxe.rpc.askers import Askers
from broadaxe.rpc.transport import Call, Method, unary
from broadaxe.storage.reads import Reads
from broadaxe.storage.run_filter import LIVE_RUN, RunFilter

IDS_MAX: Final = 20_000
#: Clocks of clients may run ahead of ours.
_AHEAD: Final = timedelta(days=1)

_STATUS: Final = {
    RunStatus.QUEUED: pb.QUEUED,
    RunStatus.RUNNING: pb.RUNNING,
    RunStatus.COMPLETED: pb.COMPLETED,
    RunStatus.FAILED: pb.FAILED,
    RunStatus.CANCELLED: pb.CANCELLED,
}


class AdminService:
    def __init__(self, engine: EnginePort, reads: Reads, askers: Askers) -> None:
        self._engine = engine
        self._reads = reads
        self._askers = askers

    def methods(self) -> list[Method]:
        return [
            unary(
                "/v1.AdminService/PutWorkflow",
                pb.CreateWorkflowVersionRequest,
                pb.CreateWorkflowVersionResponse,
                self.put_workflow,
            ),
            unary(
                "/v1.AdminService/TriggerWorkflowRun",
                pb.TriggerWorkflowRunRequest,
                pb.TriggerWorkflowRunResponse,
                self.trigger,
            ),
            unary(
                "/v1.AdminService/GetRunDetails",
                pb.GetRunDetailsRequest,
                pb.GetRunDetailsResponse,
                self.get_run_details,
                is_reading=True,
            ),
            unary("/v1.AdminService/CancelTasks", pb.CancelTasksRequest, pb.CancelTasksResponse, self.cancel),
            unary("/v1.AdminService/ReplayTasks", pb.ReplayTasksRequest, pb.ReplayTasksResponse, self.replay),
            unary(
                "/v1.AdminService/BranchDurableTask",
                pb.BranchDurableTaskRequest,
                pb.BranchDurableTaskResponse,
                self.branch,
            ),
        ]

    async def put_workflow(
        self, request: pb.CreateWorkflowVersionRequest, call: Call
    ) -> pb.CreateWorkflowVersionResponse:
        reply = await self._engine.submit(
            call.principal.tenant_id, PutWorkflow(inbound.workflow_spec(request)), client=call.peer, by=call.by
        )
        assert isinstance(reply, PutWorkflowReply)
        return pb.CreateWorkflowVersionResponse(id=reply.version_id, workflow_id=reply.workflow_id)

    async def trigger(self, request: pb.TriggerWorkflowRunRequest, call: Call) -> pb.TriggerWorkflowRunResponse:
        command = TriggerRuns((inbound.named_run_request(request),))
        reply = await self._engine.submit(call.principal.tenant_id, command, client=call.peer)
        assert isinstance(reply, tuple)
        (run_id,) = reply
        assert isinstance(run_id, str)
        self._askers.triggered(call, (run_id,))
        return pb.TriggerWorkflowRunResponse(external_id=run_id)

    async def get_run_details(self, request: pb.GetRunDetailsRequest, call: Call) -> pb.GetRunDetailsResponse:
        """Held while the run is live, if the caller waits for its end (semantics specification 13.8)."""
        run_id = inbound.uuid_text(request.external_id, field="external_id")
        await self._askers.until_due(call, run_id)
        run = await self._reads.run_details(call.principal.tenant_id, run_id)
        if run is None:
            raise NotFound(f"there is no run {run_id}", field="external_id")
        if run.finished_at is None:
            self._askers.told(call, run_id)
        else:
            self._askers.forget(call, run_id)
        response = pb.GetRunDetailsResponse(
            input=(run.input or "{}").encode(),
            status=_STATUS[run.status],
            done=run.finished_at is not None,
            additional_metadata=(run.additional_metadata or "").encode(),
        )
        live = [task.status for task in run.tasks if task.status not in TERMINAL]
        response.is_evicted = bool(live) and all(status is TaskStatus.EVICTED for status in live)
        for task in run.tasks:
            if task.name == KEY_TASK_NAME and task.status not in (TaskStatus.FAILED, TaskStatus.CANCELLED):
                continue
            detail = response.task_runs[task.name]
            detail.external_id = task.id
            detail.readable_id = task.name
            detail.status = _STATUS[SHOWN_AS[task.status]]
            detail.is_evicted = task.status is TaskStatus.EVICTED
            if task.status is TaskStatus.FAILED and task.error is not None:
                detail.error = task.error
            elif task.output is not None:
                detail.output = task.output.encode()
        return fitting.fit_run_details(response)

    async def cancel(self, request: pb.CancelTasksRequest, call: Call) -> pb.CancelTasksResponse:
        """Answers the tasks that this ended."""
        ids = await self._selected(request, call, LIVE_RUN, CANCELLED_BY_FILTER_MAX)
        return pb.CancelTasksResponse(cancelled_tasks=await self._act(call, ids, CancelTasks))

    async def replay(self, request: pb.ReplayTasksRequest, call: Call) -> pb.ReplayTasksResponse:
        """Answers the tasks that were queued again; those still active are skipped."""
        ids = await self._selected(request, call, TERMINAL_RUN, REPLAYED_BY_FILTER_MAX)
        return pb.ReplayTasksResponse(replayed_tasks=await self._act(call, ids, ReplayTasks))

    async def branch(self, request: pb.BranchDurableTaskRequest, call: Call) -> pb.BranchDurableTaskResponse:
        """Starts a durable task that is over anew, on a branch of its own."""
        task_id = inbound.uuid_text(request.task_external_id, field="task_external_id")
        fork = await self._engine.submit(
            call.principal.tenant_id,
            BranchTask(task_id, request.node_id, request.branch_id),
            client=call.peer,
            by=call.by,
        )
        assert isinstance(fork, EntryRef)
        return pb.BranchDurableTaskResponse(
            task_external_id=fork.task_id, node_id=fork.node_id, branch_id=fork.branch_id
        )

    async def _act(
        self, call: Call, ids: list[str], command: Callable[[tuple[str, ...]], CancelTasks | ReplayTasks]
    ) -> list[str]:
        affected: list[str] = []
        for part in in_parts(ids):
            reply = await self._engine.submit(call.principal.tenant_id, command(part), client=call.peer, by=call.by)
            assert isinstance(reply, tuple)
            affected += map(str, reply)
        return affected

    async def _selected(
        self,
        request: pb.CancelTasksRequest | pb.ReplayTasksRequest,
        call: Call,
        statuses: frozenset[RunStatus],
        by_filter_max: int,
    ) -> list[str]:
        """The ids given, or those of the runs that the filter finds; `statuses` when it names none."""
        if request.HasField("filter") == bool(request.external_ids):
            raise InvalidArgument("give either external_ids or a filter", field="filter")
        if len(request.external_ids) > IDS_MAX:
            raise InvalidArgument(f"at most {IDS_MAX} ids in one request", field="external_ids")
        if request.external_ids:
            return [inbound.uuid_text(text, field="external_ids") for text in request.external_ids]
        wanted = request.filter
        if not wanted.HasField("since"):
            raise InvalidArgument("a filter needs an instant to begin at", field="filter.since")
        until = inbound.instant(wanted.until, field="filter.until") if wanted.HasField("until") else None
        workflow_ids = tuple(inbound.uuid_text(text, field="filter.workflow_ids") for text in wanted.workflow_ids)
        return await self._reads.run_ids(
            RunFilter(
                tenant_id=call.principal.tenant_id,
                since=inbound.instant(wanted.since, field="filter.since"),
                until=until or datetime.now(UTC) + _AHEAD,
                statuses=frozenset(map(_status, wanted.statuses)) or statuses,
                workflow_ids=workflow_ids or None,
                metadata=inbound.metadata_pairs(wanted.additional_metadata, field="filter.additional_metadata"),
            ),
            limit=by_filter_max,
        )


def _status(text: str) -> RunStatus:
    try:
        return RunStatus(text)
    except ValueError:
        known = ", ".join(RunStatus)
        raise InvalidArgument(f"{text[:40]!r} is not a status; use {known}", field="filter.statuses") from None
