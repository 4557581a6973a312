"""The worker process: `python -m rag_chat.worker`.

Owns starting in the right order (settings, database, engine, worker) and one-sentence failures. Stops on SIGTERM and
SIGINT: running steps finish first, a second signal ends at once.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections.abc import AsyncGenerator
from types import FrameType
from typing import Any

from hatchet_sdk.runnables.workflow import BaseWorkflow

from rag_chat.answer_steps import BALANCED, QUICK
from rag_chat.database import open_database
from rag_chat.engine_connection import connect, wait_for_engine
from rag_chat.errors import ChatError
from rag_chat.evaluation_workflow import build_evaluation
from rag_chat.library_workflow import build_library
from rag_chat.resources import Resources, open_resources
from rag_chat.settings import Settings, read_settings
from rag_chat.thorough_workflow import build_thorough
from rag_chat.workflow import build_workflow


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)-7s %(name)s: %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    signal.signal(signal.SIGTERM, _exit_quietly)
    signal.signal(signal.SIGINT, _exit_quietly)
    try:
        settings = read_settings()
        hatchet = connect()
        asyncio.run(_check(settings))
    except ChatError as error:
        sys.exit(f"rag_chat.worker: {error}")

    async def lifespan() -> AsyncGenerator[Resources, None]:
        async with open_resources(settings) as resources:
            yield resources

    evaluation = build_evaluation(hatchet)
    library = build_library(hatchet)
    answers = [build_workflow(hatchet, depth).workflow for depth in (BALANCED, QUICK)]
    workflows: list[BaseWorkflow[Any]] = [*answers, build_thorough(hatchet, library.page).workflow]
    workflows += [evaluation.workflow, evaluation.find, *library.workflows()]
    worker = hatchet.worker("rag-chat-worker", slots=settings.worker_slots, workflows=workflows, lifespan=lifespan)
    worker.start()


async def _check(settings: Settings) -> None:
    """Find out now, and say plainly, what would otherwise fail later inside a step."""
    database = await open_database(settings.database_url)
    await database.close()
    # A client of its own: gRPC channels belong to the event loop they were first used in.
    await wait_for_engine(connect(attempts_max=1), settings.engine_wait_s)


def _exit_quietly(signum: int, frame: FrameType | None) -> None:
    """Until the worker takes over the signals there is nothing to finish."""
    raise SystemExit(0)


if __name__ == "__main__":
    main()
