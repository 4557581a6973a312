"""Running the workflow's steps without an engine, as the SDK runs them."""

from __future__ import annotations

import base64
import json
from typing import Any

from rag_chat.messages import ChatMessage, Question
from rag_chat.resources import Resources
from rag_chat.workflow import RagWorkflow


def unsigned_token() -> str:
    """A token in the form the SDK reads its tenant from; nothing checks it, since no engine is asked."""
    claims = {"sub": "00000000-0000-0000-0000-000000000001", "server_url": "http://x", "grpc_broadcast_address": "x:1"}
    parts = ({"alg": "none"}, claims)
    return ".".join([*(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts), ""])


def ask(url: str, question: str = "How do I install broadaxe?") -> Question:
    return Question(messages=[ChatMessage(role="user", content=question)], url=url)


STEPS = ("start", "load_docs", "reason_docs", "generate_response")


async def run_to(rag: RagWorkflow, resources: Resources, question: Question, last: str, retry_count: int = 0) -> Any:
    """Run the steps in order, each with the outputs of those before it, and return the output of the last."""
    outputs = await run_before(rag, resources, question, last)
    return await run_one(rag, resources, question, last, outputs, retry_count)


async def run_before(rag: RagWorkflow, resources: Resources, question: Question, last: str) -> dict[str, Any]:
    """The outputs of the steps before one."""
    outputs: dict[str, Any] = {}
    for name in STEPS[: STEPS.index(last)]:
        outputs[name] = await run_one(rag, resources, question, name, outputs)
    return outputs


async def run_one(
    rag: RagWorkflow,
    resources: Resources,
    question: Question,
    name: str,
    outputs: dict[str, Any],
    retry_count: int = 0,
) -> Any:
    return await getattr(rag, name).aio_mock_run(
        input=question,
        parent_outputs={step: value.model_dump(mode="json") for step, value in outputs.items()},
        lifespan=resources,
        retry_count=retry_count,
    )
