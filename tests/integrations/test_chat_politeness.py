"""How often the chat asks a host: a limit of the engine, so it holds however many workers and sources there are."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

from hatchet_sdk import Hatchet
from rag_chat.library_workflow import PAGES_PER_HOST_AND_SECOND, PageInput, build_library

from broadaxe.testing.engine_under_test import EngineUnderTest
from broadaxe.testing.worker_under_test import WorkerUnderTest

HOSTS = ("a.example", "b.example")
PAGES = 3 * PAGES_PER_HOST_AND_SECOND


class _Internet:
    """Where the chat's own reader would have asked, by host."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()

    async def read_page(self, url: str) -> Any:
        self.asked[url.split("/")[2]] += 1
        return SimpleNamespace(page_id=1, links=[])


async def test_a_host_is_asked_twice_a_second_by_all_workers_together(engine: EngineUnderTest) -> None:
    internet = _Internet()

    async def lifespan() -> AsyncIterator[SimpleNamespace]:
        yield SimpleNamespace(reader=internet)

    hatchet = Hatchet()
    library = build_library(hatchet)
    workers = [
        WorkerUnderTest(hatchet, [library.page], name=f"reader-{n}", slots=50, lifespan=lifespan) for n in range(2)
    ]
    try:
        for worker in workers:
            worker.wait_until_ready()
        for number in range(PAGES):
            for host in HOSTS:
                asked = PageInput(url=f"https://{host}/{number}", host=host)
                await library.page.aio_run(asked, wait_for_result=False)
        await engine.clock.settle()
        for seconds in range(1, PAGES // PAGES_PER_HOST_AND_SECOND + 1):
            assert internet.asked == dict.fromkeys(HOSTS, seconds * PAGES_PER_HOST_AND_SECOND), seconds
            await engine.clock.advance(seconds=1)
        assert internet.asked == dict.fromkeys(HOSTS, PAGES)
    finally:
        for worker in workers:
            worker.kill()
