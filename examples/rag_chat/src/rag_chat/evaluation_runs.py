"""Beginning an evaluation, and learning that its run came to a bad end: for the edge and for the command."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID, uuid4

from rag_chat.engine import RunGateway, RunUnknown
from rag_chat.errors import EngineError
from rag_chat.evaluation import KnownQuestion
from rag_chat.evaluation_store import EvaluationStore
from rag_chat.evaluation_workflow import EVALUATION_WORKFLOW, EvaluationInput
from rag_chat.messages import Outcome


async def begin_evaluation(
    gateway: RunGateway, store: EvaluationStore, url: str, questions: Sequence[KnownQuestion]
) -> UUID:
    """Keep an evaluation and start its run; raises EngineError, and then keeps that as its end."""
    evaluation_id = uuid4()
    await store.begin(evaluation_id, url, len(questions))
    asked = EvaluationInput(evaluation_id=evaluation_id, url=url, questions=list(questions))
    try:
        run_id = await gateway.start(EVALUATION_WORKFLOW, asked, {"evaluation_id": str(evaluation_id)})
    except EngineError as error:
        await store.finish(evaluation_id, str(error))
        raise
    await store.set_run(evaluation_id, run_id)
    return evaluation_id


async def settle(gateway: RunGateway, store: EvaluationStore, evaluation_id: UUID) -> None:
    """A run that failed or was cancelled says nothing to its evaluation, so whoever looks finds out."""
    evaluation = await store.get(evaluation_id)
    if evaluation is None or evaluation.status != "running" or evaluation.run_id is None:
        return
    try:
        error = await ended_badly(gateway, evaluation.run_id)
    except EngineError:
        return
    if error is not None:
        await store.finish(evaluation_id, error)


async def ended_badly(gateway: RunGateway, run_id: str) -> str | None:
    """Why a run will not bring what it was started for; None while it goes on, and when it was successful."""
    try:
        view = await gateway.view(run_id)
    except RunUnknown as error:
        return str(error)
    if view.outcome is Outcome.FAILED:
        # A task that failed by itself before those that were cancelled for it.
        tasks = sorted(view.tasks.values(), key=lambda task: not task.failed)
        return next((task.error for task in tasks if task.error), "The run failed.")
    return "The run was cancelled." if view.outcome is Outcome.CANCELLED else None
