"""Places where a task waits, as tests about all of them see them: how to get there, and what lets a task go on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from hatchet_sdk import Hatchet
from hatchet_sdk.rate_limit import RateLimitDuration
from hatchet_sdk.types.labels import DesiredWorkerLabel
from programs.flow_cue import Flow
from wirekit import PATIENCE_S, Rest, Stage, eventually


async def start(client: Hatchet, workflow: str, cue: Flow, **options: Any) -> Any:
    """A reference to a new run."""
    stub = client.stubs.workflow(name=workflow, input_validator=Flow)
    return await stub.aio_run(cue, wait_for_result=False, **options)


async def start_many(client: Hatchet, workflow: str, cues: list[Flow]) -> list[Any]:
    """References to new runs, triggered by one request."""
    stub = client.stubs.workflow(name=workflow, input_validator=Flow)
    return await stub.aio_run_many([stub.create_bulk_run_item(cue) for cue in cues], wait_for_result=False)


async def until_event(
    rest: Rest, run_id: str, event_type: str, *, times: int = 1, within_s: float = PATIENCE_S
) -> list[str]:
    """Waits until the single-task run's history ends with its `times`-th event of that type; returns the history."""

    def is_there(types: list[str]) -> bool:
        return types[-1:] == [event_type] and types.count(event_type) == times

    what = f"run {run_id} comes to {event_type}"
    return await eventually(lambda: rest.event_types(run_id), until=is_there, what=what, within_s=within_s)


@dataclass(frozen=True, slots=True)
class Scene:
    """Whom a place talks to. `key` makes its users and labels its own."""

    client: Hatchet
    rest: Rest
    stage: Stage
    key: str


class Place:
    """`fill` puts a run with number 7 there, `free` takes away what holds it back, `follow` sends a run with number 8
    the same way and returns once it has ended, so that number 7 would have started by then."""

    async def fill(self, scene: Scene) -> str:
        raise NotImplementedError

    async def free(self, scene: Scene) -> None:
        raise NotImplementedError

    async def follow(self, scene: Scene) -> None:
        raise NotImplementedError

    async def help_replay(self, scene: Scene) -> None:
        """What a replayed run needs to end, beyond what is free by now."""

    def has_started(self, scene: Scene) -> bool:
        return any(signal.data["n"] == 7 for signal in scene.stage.told(scene.key, "started"))


class WorkerQueue(Place):
    """No worker has the label it needs."""

    async def fill(self, scene: Scene) -> str:
        label = DesiredWorkerLabel(key=f"place-{scene.key}", value="yes", required=True)
        reference = await start(scene.client, "flow-labelled", self._cue(scene, 7), desired_worker_labels=[label])
        await until_event(scene.rest, reference.workflow_run_id, "REQUEUED_NO_WORKER")
        return str(reference.workflow_run_id)

    async def free(self, scene: Scene) -> None:
        cue = Flow(key=scene.key, text=f"place-{scene.key}")
        await (await start(scene.client, "flow-relabel", cue)).aio_result()

    async def follow(self, scene: Scene) -> None:
        label = DesiredWorkerLabel(key=f"place-{scene.key}", value="yes", required=True)
        reference = await start(scene.client, "flow-labelled", self._cue(scene, 8), desired_worker_labels=[label])
        await reference.aio_result()

    def _cue(self, scene: Scene, n: int) -> Flow:
        return Flow(key=scene.key, n=n)


class Backoff(Place):
    """Its first attempt has failed; the next one is eight seconds away."""

    async def fill(self, scene: Scene) -> str:
        reference = await start(scene.client, "flow-backoff", Flow(key=scene.key, n=7, fails=1))
        await until_event(scene.rest, reference.workflow_run_id, "RETRYING")
        return str(reference.workflow_run_id)

    async def free(self, scene: Scene) -> None:
        """Time does."""

    async def follow(self, scene: Scene) -> None:
        await (await start(scene.client, "flow-backoff", Flow(key=scene.key, n=8))).aio_result()

    def has_started(self, scene: Scene) -> bool:
        attempts = [signal for signal in scene.stage.told(scene.key, "started") if signal.data["n"] == 7]
        return len(attempts) > 1


class RateLimitWait(Place):
    """Its user's only unit of the minute is taken."""

    async def fill(self, scene: Scene) -> str:
        await (await start(scene.client, "flow-per-user", self._cue(scene, 1))).aio_result()
        reference = await start(scene.client, "flow-per-user", self._cue(scene, 7))
        await until_event(scene.rest, reference.workflow_run_id, "REQUEUED_RATE_LIMIT")
        return str(reference.workflow_run_id)

    async def free(self, scene: Scene) -> None:
        """With a window of a second the units are back, or will be soon."""
        await scene.client.rate_limits.aio_put(f"rate-{scene.key}", 10, RateLimitDuration.SECOND)

    async def follow(self, scene: Scene) -> None:
        """A new run says anew that the window is a minute, and has to be freed itself."""
        reference = await start(scene.client, "flow-per-user", self._cue(scene, 8))
        await self.free(scene)
        await reference.aio_result()

    async def help_replay(self, scene: Scene) -> None:
        await self.free(scene)

    def _cue(self, scene: Scene, n: int) -> Flow:
        return Flow(key=scene.key, n=n, user=f"rate-{scene.key}")


class ConcurrencyQueue(Place):
    """Its user's only slot is held by a run at the gate `first`."""

    async def fill(self, scene: Scene) -> str:
        await start(scene.client, "flow-turns", self._cue(scene, 1, way="first"))
        await scene.stage.heard(scene.key, "started")
        reference = await start(scene.client, "flow-turns", self._cue(scene, 7))
        assert await scene.rest.event_types(reference.workflow_run_id) == ["QUEUED"]
        return str(reference.workflow_run_id)

    async def free(self, scene: Scene) -> None:
        scene.stage.open(scene.key, "first")
        scene.stage.open(scene.key)

    async def follow(self, scene: Scene) -> None:
        await (await start(scene.client, "flow-turns", self._cue(scene, 8))).aio_result()

    def _cue(self, scene: Scene, n: int, way: str = "go") -> Flow:
        return Flow(key=scene.key, n=n, user=f"turns-{scene.key}", way=way)


class BatchBuffer(Place):
    """It is alone in a batch of three."""

    async def fill(self, scene: Scene) -> str:
        reference = await start(scene.client, "flow-batch", self._cue(scene, 7))
        await until_event(scene.rest, reference.workflow_run_id, "WAITING_FOR_BATCH")
        return str(reference.workflow_run_id)

    async def free(self, scene: Scene) -> None:
        """Others who come do; a run that is to go with them needs two."""
        scene.stage.open(scene.key)

    async def follow(self, scene: Scene) -> None:
        for reference in await start_many(scene.client, "flow-batch", [self._cue(scene, n) for n in (8, 9, 10)]):
            await reference.aio_result()

    async def help_replay(self, scene: Scene) -> None:
        await start_many(scene.client, "flow-batch", [self._cue(scene, n) for n in (11, 12)])

    def has_started(self, scene: Scene) -> bool:
        return any(7 in signal.data["ns"] for signal in scene.stage.told(scene.key, "invoked"))

    def _cue(self, scene: Scene, n: int) -> Flow:
        return Flow(key=scene.key, n=n, user=f"batch-{scene.key}")


PLACES: Final[dict[str, Callable[[], Place]]] = {
    "worker queue": WorkerQueue,
    "backoff": Backoff,
    "rate limit": RateLimitWait,
    "concurrency queue": ConcurrencyQueue,
    "batch buffer": BatchBuffer,
}
