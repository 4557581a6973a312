"""Background work, whenever its owner is closed."""

from __future__ import annotations

import asyncio
import gc

import pytest

from broadaxe.loops import Loops


async def test_work_that_was_closed_before_its_first_step_is_no_forgotten_coroutine(
    recwarn: pytest.WarningsRecorder,
) -> None:
    begun = []

    async def work() -> None:
        begun.append("work")
        await asyncio.Event().wait()

    loops = Loops("test")
    loops.keep("kept", work)
    loops.go("once", work())
    await loops.close()
    loops.go("too late", work())
    # The loop lets go of what it ran last.
    await asyncio.sleep(0)
    gc.collect()
    assert begun == [] and len(loops) == 0
    assert [str(warning.message) for warning in recwarn] == []
