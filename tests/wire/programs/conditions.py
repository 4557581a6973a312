"""DAGs whose tasks have conditions, of every kind and on every list."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from gallery.cue import Cue, gate, tell
from hatchet_sdk import Context, Hatchet, ParentCondition, SleepCondition, UserEventCondition, or_
from hatchet_sdk.runnables.workflow import BaseWorkflow


def sleep(**for_: int) -> SleepCondition:
    return SleepCondition(timedelta(**for_))


def workflows(hatchet: Hatchet) -> list[BaseWorkflow[Any]]:
    lists = hatchet.workflow(name="conditions-lists", input_validator=Cue)

    @lists.task(name="first")
    async def first(cue: Cue, ctx: Context) -> dict[str, int]:
        if cue.text == "held":
            await gate(cue)
        if cue.fail:
            raise ValueError("it failed")
        return {"n": cue.n}

    @lists.task(
        name="gated",
        parents=[first],
        schedule_timeout=timedelta(seconds=1),
        wait_for=[UserEventCondition(event_key="conditions:go", expression="input.n > 1")],
        skip_if=[UserEventCondition(event_key="conditions:skip")],
        cancel_if=[UserEventCondition(event_key="conditions:stop")],
    )
    async def gated(cue: Cue, ctx: Context) -> dict[str, Any]:
        return {"brought": dict(ctx.trigger_data)}

    @lists.task(name="last", parents=[first, gated])
    async def last(cue: Cue, ctx: Context) -> dict[str, Any]:
        try:
            ctx.task_output(gated)
        except ValueError as error:
            return {"was_skipped": ctx.was_skipped(gated), "error": str(error)}
        return {"was_skipped": ctx.was_skipped(gated), "error": ""}

    parents = hatchet.workflow(name="conditions-parents", input_validator=Cue)

    @parents.task(name="one")
    async def one(cue: Cue, ctx: Context) -> dict[str, int]:
        return {"n": 1}

    @parents.task(name="two")
    async def two(cue: Cue, ctx: Context) -> dict[str, int]:
        return {"n": 2}

    # An object of its own for each mention: `or_` marks those it is given.
    def one_says(expression: str) -> ParentCondition:
        return ParentCondition(parent=one, expression=expression)

    is_one, is_two, fails = "output.n == 1", "output.n == 2", "output.absent == 1"

    async def runs(cue: Cue, ctx: Context) -> dict[str, Any]:
        return {"brought": dict(ctx.trigger_data)}

    declared: dict[str, dict[str, Any]] = {
        "skips": {"skip_if": [one_says(is_one)]},
        "does-not-skip": {"skip_if": [one_says(is_two)]},
        "cancels": {"cancel_if": [one_says(is_one)]},
        "cancels-before-it-skips": {"cancel_if": [one_says(is_one)], "skip_if": [one_says(is_one)]},
        "waits-for-what-is-true": {"wait_for": [one_says(is_one)]},
        "waits-in-vain": {"wait_for": [one_says(is_two)]},
        "waits-for-an-error": {"wait_for": [one_says(fails)]},
        "skips-on-an-error": {"skip_if": [one_says(fails)]},
        "waits-for-all": {"wait_for": [one_says(is_one), one_says(is_two)]},
        "waits-for-either": {"wait_for": [or_(one_says(is_one), one_says(is_two))]},
        "either-parent-or-sleep": {"wait_for": [or_(one_says(is_one), sleep(hours=1))]},
        "sleep-in-place-of-parent": {"wait_for": [or_(one_says(is_two), sleep(seconds=1))]},
        "parent-and-sleep": {"wait_for": [one_says(is_one), sleep(seconds=1)]},
        "nothing-to-wait-for": {"skip_if": [sleep(hours=1)], "cancel_if": [sleep(hours=2)]},
        "skips-after-a-while": {"wait_for": [sleep(hours=1)], "skip_if": [sleep(seconds=1)]},
        "cancels-after-a-while": {
            "wait_for": [sleep(hours=1)],
            "skip_if": [sleep(hours=2)],
            "cancel_if": [sleep(seconds=1)],
        },
    }
    tasks = {name: parents.task(name=name, parents=[one], **lists_)(runs) for name, lists_ in declared.items()}
    on_two = ParentCondition(parent=two, expression="output.n == 2")
    parents.task(name="cancels-for-one-of-two", parents=[one, two], cancel_if=[on_two])(runs)
    skips = tasks["skips"]
    parents.task(name="heir", parents=[skips])(runs)
    parents.task(name="heir-of-two", parents=[skips, two])(runs)
    parents.task(
        name="heir-that-decides", parents=[skips], skip_if=[ParentCondition(parent=skips, expression="false")]
    )(runs)
    parents.task(
        name="heir-that-looks",
        parents=[skips, two],
        skip_if=[ParentCondition(parent=skips, expression="output.skipped")],
    )(runs)
    parents.task(name="heir-of-a-cancelled", parents=[tasks["cancels"]], wait_for=[sleep(hours=1)])(runs)

    both = hatchet.workflow(name="conditions-both", input_validator=Cue)

    @both.task(name="left")
    async def left(cue: Cue, ctx: Context) -> dict[str, int]:
        await tell(cue, "left")
        return {}

    @both.task(name="right")
    async def right(cue: Cue, ctx: Context) -> dict[str, int]:
        await gate(cue)
        return {}

    both.task(name="sleeps", parents=[left, right], wait_for=[sleep(seconds=1)])(runs)
    both.task(name="waits", parents=[left, right], wait_for=[UserEventCondition(event_key="conditions:both")])(runs)

    root = hatchet.workflow(name="conditions-root", input_validator=Cue)
    patience = or_(SleepCondition(timedelta(seconds=2)), UserEventCondition(event_key="conditions:root"))
    root.task(name="root", wait_for=[patience])(runs)
    return [lists, parents, both, root]
