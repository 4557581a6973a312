"""`v1.AdminService`: definitions in, run details out.

Source: grpc specification 8 and 12.1. The cancel, replay and trigger calls of this service have no SDK caller; people
and SDKs use REST and `WorkflowService` for them.
"""

from __future__ import annotations

from broadaxe.core.commands import PutWorkflow, PutWorkflowReply
from broadaxe.core.lifecycle import SHOWN_AS, TERMINAL, RunStatus
from broadaxe.engine.engine import Engine
from broadaxe.errors import NotFound
from broadaxe.rpc import inbound
from broadaxe.rpc._gen import admin_pb2 as pb
from broadaxe.rpc.transport import Call, Method, unary
from broadaxe.storage.reads import Reads

_STATUS = {
    RunStatus.QUEUED: pb.QUEUED,
    RunStatus.RUNNING: pb.RUNNING,
    RunStatus.COMPLETED: pb.COMPLETED,
    RunStatus.FAILED: pb.FAILED,
    RunStatus.CANCELLED: pb.CANCELLED,
}


class AdminService:
    def __init__(self, engine: Engine, reads: Reads) -> None:
        self._engine = engine
        self._reads = reads

    def methods(self) -> list[Method]:
        return [
            unary(
                "/v1.AdminService/PutWorkflow",
                pb.CreateWorkflowVersionRequest,
                pb.CreateWorkflowVersionResponse,
                self.put_workflow,
            ),
            unary(
                "/v1.AdminService/GetRunDetails",
                pb.GetRunDetailsRequest,
                pb.GetRunDetailsResponse,
                self.get_run_details,
            ),
        ]

    async def put_workflow(
        self, request: pb.CreateWorkflowVersionRequest, call: Call
    ) -> pb.CreateWorkflowVersionResponse:
        reply = await self._engine.submit(call.principal.tenant_id, PutWorkflow(inbound.workflow_spec(request)))
        assert isinstance(reply, PutWorkflowReply)
        return pb.CreateWorkflowVersionResponse(id=reply.version_id, workflow_id=reply.workflow_id)

    async def get_run_details(self, request: pb.GetRunDetailsRequest, call: Call) -> pb.GetRunDetailsResponse:
        run_id = inbound.uuid_text(request.external_id, field="external_id")
        run = await self._reads.run_details(call.principal.tenant_id, run_id)
        if run is None:
            raise NotFound(f"there is no run {run_id}", field="external_id")
        response = pb.GetRunDetailsResponse(
            input=(run.input or "{}").encode(),
            status=_STATUS[run.status],
            done=run.finished_at is not None,
            additional_metadata=(run.additional_metadata or "").encode(),
        )
        for task in run.tasks:
            detail = response.task_runs[task.name]
            detail.external_id = task.id
            detail.readable_id = task.name
            detail.status = _STATUS[SHOWN_AS[task.status]]
            if task.status in TERMINAL and task.error is not None:
                detail.error = task.error
            elif task.output is not None:
                detail.output = task.output.encode()
        return response
