"""Plans come from their seed alone."""

from __future__ import annotations

from itertools import pairwise

import pytest

from tests.chaos.mix import KINDS
from tests.chaos.plan import SCENARIOS, Fault, make_plan


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_seed_gives_one_plan_that_fits_its_time(name: str) -> None:
    plan = make_plan(name, 7)
    assert plan == make_plan(name, 7)
    assert plan.calls != make_plan(name, 8).calls
    assert all(blow.at_s + blow.for_s < plan.seconds for blow in plan.blows)
    assert all(before.at_s + before.for_s <= after.at_s for before, after in pairwise(plan.blows))
    assert len({call.key for call in plan.calls}) == len(plan.calls)


def test_every_fault_and_every_kind_of_call_is_planned_by_some_scenario() -> None:
    plans = [make_plan(name, 1) for name in SCENARIOS]
    assert {blow.fault for plan in plans for blow in plan.blows} == set(Fault)
    assert {call.kind for plan in plans for call in plan.calls} == {"long", *KINDS}


def test_a_plan_cut_short_has_only_blows_that_end_in_time() -> None:
    plan = make_plan("everything", 3, seconds=15)
    assert 0 < len(plan.blows) < len(make_plan("everything", 3).blows)
    assert all(blow.at_s + blow.for_s < 14 for blow in plan.blows)
    assert all(call.at_s < 15 for call in plan.calls)
