"""The capability that makes an agent's model calls, tool calls and MCP calls steps of a durable task."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any

from pydantic_ai.agent import EventStreamHandler
from pydantic_ai.durable_exec import (
    JSON_CODEC,
    BaseDurabilityCapability,
    DurabilityEngineSpec,
    DurableOperationId,
    JournalCallableOperationBackend,
    ModelRequestId,
    RoleBasedOperationConfig,
    conversation_id_from_run_id,
)
from pydantic_ai.models import Model
from pydantic_ai.tools import AgentDepsT

from broadaxe_pydantic_ai.durable_run import current_run, takes_steps
from broadaxe_pydantic_ai.spending import line_about


class BroadaxeDurability(BaseDurabilityCapability[AgentDepsT]):
    """`Agent(..., name="support", capabilities=[BroadaxeDurability()])`.

    Inside `durable_run(ctx)` every request to the model, every tool call, every call to an MCP server and every look at
    its list of tools is a step: done once, kept by the engine, not done again by a later attempt. Outside of one, the
    agent runs as if this were not there. A tool with `metadata={"broadaxe": False}` is run in every attempt, which
    suits what only computes.
    """

    engine_spec = DurabilityEngineSpec(
        engine_name="Broadaxe",
        durable_unit_noun="step",
        durable_container_noun="durable task",
        codec=JSON_CODEC,
        toolset_lifecycles={"function": "enter-always", "mcp": "enter-in-durable-unit", "dynamic": "enter-never"},
        # Entries of a log have places, and a replay has to come to them in the same order.
        sequential_tools_in_durable_context=True,
        tool_config_key="broadaxe",
    )

    def __init__(
        self,
        *,
        models: Mapping[str, Model] | None = None,
        event_stream_handler: EventStreamHandler[AgentDepsT] | None = None,
        name: str | None = None,
    ) -> None:
        """`models` are further models that a run may choose by key; `event_stream_handler` is told what the model says
        while it says it, inside the step (`stream_text` is one); `name` begins the names of the steps, instead of the
        agent's."""
        super().__init__(models=models, event_stream_handler=event_stream_handler, name=name)

    @property
    def in_durable_context(self) -> bool:
        return takes_steps()

    def get_default_run_id(self) -> str | None:
        run = current_run() if self.in_durable_context else None
        return None if run is None else run.next_run_id()

    def get_default_conversation_id(self, run_id: str) -> str | None:
        return conversation_id_from_run_id(run_id) if self.in_durable_context else None

    async def get_run_start_time(self, run_id: str) -> datetime | None:
        run = current_run() if self.in_durable_context else None
        return None if run is None else await run.context.aio_now()

    def get_durable_operation_backend(self) -> _Steps:
        def of_tool(operation_id: DurableOperationId, tool: object | None, tool_name: str) -> Any:
            # The protocol of the backend says object where the resolver says which tool.
            return self._build_resolve_tool_config({})(tool, tool_name)  # type: ignore[arg-type]

        return _Steps(
            agent_name=self.name,
            default_model_id=self.default_model_id,
            config=RoleBasedOperationConfig[Any](model={}, event={}, capability={}, tool={}, resolve_tool=of_tool),
        )


class _Steps(JournalCallableOperationBackend[Any]):
    async def execute(
        self,
        *,
        operation_id: DurableOperationId,
        name: str,
        body: Callable[[], Awaitable[object]],
        cache_key: tuple[object, ...],
        config: Any,
    ) -> object:
        run = current_run()
        if run is None:
            return await body()

        async def told() -> object:
            result = await body()
            if isinstance(operation_id, ModelRequestId):
                await run.context.aio_log(line_about(result))
            return result

        return await run.step(name, told)
