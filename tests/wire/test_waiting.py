"""Waiting for a run the synchronous way: the SDK asks for its details, and the engine answers when there is news."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from gallery.cue import Cue
from hatchet_sdk import Hatchet
from hatchet_sdk.clients.admin import AdminClient, WorkflowRunDetail
from hatchet_sdk.workflow_run import WorkflowRunRef
from lean_client import LeanClient
from wirekit import EngineProcess, Stage

#: A loaded machine may take longer than a question is held, so it gets more than one try.
TRIES = 10


class Questions:
    """What the SDK asked for, and whether each answer told the end of the run."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.answers: list[bool] = []
        self.asked: asyncio.Queue[str] = asyncio.Queue()
        loop = asyncio.get_running_loop()
        get_details = AdminClient.get_details

        def told(client: AdminClient, external_id: str) -> WorkflowRunDetail:
            loop.call_soon_threadsafe(self.asked.put_nowait, external_id)
            details = get_details(client, external_id)
            self.answers.append(details.done)
            return details

        monkeypatch.setattr(AdminClient, "get_details", told)


@pytest.mark.parametrize("how", ["run", "result"])
async def test_one_question_is_enough_to_wait_for_a_run(
    hatchet: Hatchet, engine: EngineProcess, stage: Stage, key: str, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    questions = Questions(monkeypatch)
    hold = hatchet.stubs.workflow(name="hold", input_validator=Cue)

    def wait(cue: Cue) -> dict[str, Any]:
        if how == "run":
            return hold.run(cue)
        reference: WorkflowRunRef = hold.run(cue, wait_for_result=False)
        return reference.result()

    for attempt in range(TRIES):
        questions.answers.clear()
        gate = f"{key}-{attempt}"
        waiting = asyncio.create_task(asyncio.to_thread(wait, Cue(key=gate, n=attempt)))
        run_id = await questions.asked.get()
        await stage.heard(gate, "started")
        async with LeanClient(engine.address, engine.token) as passer_by:
            # Who only looks is answered while the run still waits for the gate.
            assert not (await passer_by.run_details(run_id)).done
        stage.open(gate)
        assert (await waiting)["hold"]["n"] == attempt
        assert questions.answers[-1] and not any(questions.answers[:-1])
        if questions.answers == [True]:
            return
    raise AssertionError(f"in {TRIES} tries no question was held until the run ended")


async def test_many_threads_wait_on_one_connection_each_for_its_own_run(
    hatchet: Hatchet, stage: Stage, key: str
) -> None:
    hold = hatchet.stubs.workflow(name="hold", input_validator=Cue)
    waiting = [asyncio.create_task(asyncio.to_thread(hold.run, Cue(key=key, n=n))) for n in range(4)]
    await stage.heard(key, "started", count=4)
    stage.open(key)
    assert [(await result)["hold"]["n"] for result in waiting] == list(range(4))
