"""`WorkflowService`: triggers, schedules, rate limits and 0.x definitions. Source: grpc specification 9."""

from __future__ import annotations

from broadaxe.core.commands import Reply
from broadaxe.core.commands.ratelimits import PauseRateLimit, PutRateLimit
from broadaxe.core.commands.schedules import Scheduled
from broadaxe.core.commands.triggers import TriggerRuns
from broadaxe.core.commands.workflows import PutWorkflow, PutWorkflowReply
from broadaxe.core.triggers import BULK_MAX
from broadaxe.engine.port import EnginePort
from broadaxe.errors import IdempotencyCollision, InvalidArgument
from broadaxe.rpc import inbound, inbound_v0, outbound
from broadaxe.rpc._gen import workflows_pb2 as pb
from broadaxe.rpc._gen.admin_pb2 import RateLimitDuration
from broadaxe.rpc._gen.triggers_pb2 import TriggerWorkflowRequest
from broadaxe.rpc.askers import Askers
from broadaxe.rpc.statuses import bulk_idempotency_collision
from broadaxe.rpc.transport import Call, Method, unary


class WorkflowService:
    def __init__(self, engine: EnginePort, askers: Askers) -> None:
        self._engine = engine
        self._askers = askers

    def methods(self) -> list[Method]:
        return [
            unary("/WorkflowService/PutWorkflow", pb.PutWorkflowRequest, pb.WorkflowVersion, self.put_workflow),
            unary("/WorkflowService/TriggerWorkflow", TriggerWorkflowRequest, pb.TriggerWorkflowResponse, self.trigger),
            unary(
                "/WorkflowService/BulkTriggerWorkflow",
                pb.BulkTriggerWorkflowRequest,
                pb.BulkTriggerWorkflowResponse,
                self.bulk_trigger,
            ),
            unary("/WorkflowService/ScheduleWorkflow", pb.ScheduleWorkflowRequest, pb.WorkflowVersion, self.schedule),
            unary(
                "/WorkflowService/PutRateLimit", pb.PutRateLimitRequest, pb.PutRateLimitResponse, self.put_rate_limit
            ),
            unary(
                "/WorkflowService/PauseRateLimit",
                pb.PauseRateLimitRequest,
                pb.PauseRateLimitResponse,
                self.pause_rate_limit,
            ),
        ]

    async def put_workflow(self, request: pb.PutWorkflowRequest, call: Call) -> pb.WorkflowVersion:
        """A definition in the old form. The answer is complete, though no SDK is known to read it."""
        spec = inbound_v0.workflow_spec(request.opts)
        reply = await self._engine.submit(call.principal.tenant_id, PutWorkflow(spec), client=call.peer, by=call.by)
        assert isinstance(reply, PutWorkflowReply)
        put_at = outbound.timestamp(reply.created_at_us)
        return pb.WorkflowVersion(
            id=reply.version_id,
            created_at=put_at,
            updated_at=put_at,
            version=request.opts.version,
            order=reply.ordinal,
            workflow_id=reply.workflow_id,
        )

    async def trigger(self, request: TriggerWorkflowRequest, call: Call) -> pb.TriggerWorkflowResponse:
        run_id = await start_run(self._engine, request, call)
        self._askers.triggered(call, (run_id,))
        return pb.TriggerWorkflowResponse(workflow_run_id=run_id)

    async def bulk_trigger(self, request: pb.BulkTriggerWorkflowRequest, call: Call) -> pb.BulkTriggerWorkflowResponse:
        run_ids = await start_runs(self._engine, request, call)
        self._askers.triggered(call, run_ids)
        return pb.BulkTriggerWorkflowResponse(workflow_run_ids=run_ids)

    async def schedule(self, request: pb.ScheduleWorkflowRequest, call: Call) -> pb.WorkflowVersion:
        reply = await self._engine.submit(call.principal.tenant_id, inbound.schedule_runs(request), client=call.peer)
        assert isinstance(reply, Scheduled)
        return pb.WorkflowVersion(
            id=reply.version_id,
            created_at=outbound.timestamp(reply.created_at_us),
            updated_at=outbound.timestamp(reply.updated_at_us),
            version=reply.label,
            order=reply.ordinal,
            workflow_id=reply.workflow_id,
            scheduled_workflows=[
                pb.ScheduledWorkflow(id=schedule_id, trigger_at=at)
                for schedule_id, at in zip(reply.schedule_ids, request.schedules, strict=True)
            ],
        )

    async def put_rate_limit(self, request: pb.PutRateLimitRequest, call: Call) -> pb.PutRateLimitResponse:
        window_us = inbound.WINDOW_US.get(request.duration, inbound.WINDOW_US[RateLimitDuration.MINUTE])
        key = inbound.plain_text(request.key, field="key")
        await self._engine.submit(
            call.principal.tenant_id, PutRateLimit(key, request.limit, window_us), client=call.peer, by=call.by
        )
        return pb.PutRateLimitResponse()

    async def pause_rate_limit(self, request: pb.PauseRateLimitRequest, call: Call) -> pb.PauseRateLimitResponse:
        until_us = inbound.instant_us(request.paused_until, field="paused_until")
        in_force_us = await self._engine.submit(
            call.principal.tenant_id, PauseRateLimit(request.key, until_us), client=call.peer
        )
        assert isinstance(in_force_us, int)
        return pb.PauseRateLimitResponse(paused_until=outbound.timestamp(in_force_us))


async def start_run(engine: EnginePort, request: TriggerWorkflowRequest, call: Call) -> str:
    command = TriggerRuns((inbound.run_request(request),))
    (run_id,) = _run_ids(await engine.submit(call.principal.tenant_id, command, client=call.peer))
    return run_id


async def start_runs(engine: EnginePort, request: pb.BulkTriggerWorkflowRequest, call: Call) -> tuple[str, ...]:
    """The ids in the order of the requests. RpcError for keys that are taken, with the runs that hold them."""
    if len(request.workflows) > BULK_MAX:
        raise InvalidArgument(
            f"at most {BULK_MAX} runs in one request, not {len(request.workflows)}", field="workflows"
        )
    requests = tuple(
        inbound.run_request(item, field=f"workflows[{position}].") for position, item in enumerate(request.workflows)
    )
    try:
        return _run_ids(await engine.submit(call.principal.tenant_id, TriggerRuns(requests), client=call.peer))
    except IdempotencyCollision as collision:
        raise bulk_idempotency_collision(collision.started, collision.collisions) from None


def _run_ids(reply: Reply) -> tuple[str, ...]:
    assert isinstance(reply, tuple)
    return tuple(run_id for run_id in reply if isinstance(run_id, str))
