"""`WorkflowService`: triggers. Source: grpc specification 9."""

from __future__ import annotations

from broadaxe.core.commands import Reply, TriggerRuns
from broadaxe.core.triggers import BULK_MAX
from broadaxe.engine.engine import Engine
from broadaxe.errors import InvalidArgument
from broadaxe.rpc import inbound
from broadaxe.rpc._gen import workflows_pb2 as pb
from broadaxe.rpc._gen.triggers_pb2 import TriggerWorkflowRequest
from broadaxe.rpc.transport import Call, Method, unary


class WorkflowService:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def methods(self) -> list[Method]:
        return [
            unary("/WorkflowService/TriggerWorkflow", TriggerWorkflowRequest, pb.TriggerWorkflowResponse, self.trigger),
            unary(
                "/WorkflowService/BulkTriggerWorkflow",
                pb.BulkTriggerWorkflowRequest,
                pb.BulkTriggerWorkflowResponse,
                self.bulk_trigger,
            ),
        ]

    async def trigger(self, request: TriggerWorkflowRequest, call: Call) -> pb.TriggerWorkflowResponse:
        command = TriggerRuns((inbound.run_request(request),))
        (run_id,) = _run_ids(await self._engine.submit(call.principal.tenant_id, command))
        return pb.TriggerWorkflowResponse(workflow_run_id=run_id)

    async def bulk_trigger(self, request: pb.BulkTriggerWorkflowRequest, call: Call) -> pb.BulkTriggerWorkflowResponse:
        if len(request.workflows) > BULK_MAX:
            raise InvalidArgument(
                f"at most {BULK_MAX} runs in one request, not {len(request.workflows)}", field="workflows"
            )
        requests = tuple(
            inbound.run_request(item, field=f"workflows[{position}].")
            for position, item in enumerate(request.workflows)
        )
        run_ids = _run_ids(await self._engine.submit(call.principal.tenant_id, TriggerRuns(requests)))
        return pb.BulkTriggerWorkflowResponse(workflow_run_ids=run_ids)


def _run_ids(reply: Reply) -> tuple[str, ...]:
    assert isinstance(reply, tuple)
    return tuple(run_id for run_id in reply if isinstance(run_id, str))
