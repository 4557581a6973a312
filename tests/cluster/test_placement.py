"""Where tenants belong: evenly spread, moved only when they must, and the same seen from everywhere."""

from __future__ import annotations

import random
from collections import Counter
from datetime import UTC, datetime

import pytest

from broadaxe.cluster.placement import Member, generation, owners, place

TENANTS = [f"tenant-{n}" for n in range(3_000)]


def member(name: str, *, version: str = "1.4.2", link: str | None = "here:1", is_draining: bool = False) -> Member:
    return Member(name, f"{name}:7077", link, version, datetime(2026, 1, 1, tzinfo=UTC), 60.0, is_draining, 0.0)


def places(nodes: list[Member]) -> dict[str, str]:
    return {tenant: chosen.id for tenant in TENANTS if (chosen := place(tenant, owners(nodes))) is not None}


def test_every_node_gets_its_share_whatever_the_order_nodes_are_seen_in() -> None:
    nodes = [member(name) for name in ("a", "b", "c")]
    seen = places(nodes)
    assert min(Counter(seen.values()).values()) > 900
    random.Random(1).shuffle(nodes)
    assert places(nodes) == seen


def test_a_node_that_comes_takes_its_share_and_nothing_else_moves() -> None:
    nodes = [member(name) for name in ("a", "b", "c")]
    before, after = places(nodes), places([*nodes, member("d")])
    moved = [tenant for tenant in TENANTS if before[tenant] != after[tenant]]
    assert {after[tenant] for tenant in moved} == {"d"}
    assert 600 < len(moved) < 900
    assert {before[tenant] for tenant in moved} == {"a", "b", "c"}


def test_what_a_node_leaves_is_spread_over_those_that_stay() -> None:
    nodes = [member(name) for name in ("a", "b", "c")]
    before, after = places(nodes), places([*nodes[:2], member("c", is_draining=True)])
    moved = {tenant for tenant in TENANTS if before[tenant] != after[tenant]}
    assert moved == {tenant for tenant in TENANTS if before[tenant] == "c"}
    assert Counter(after[tenant] for tenant in moved).keys() == {"a", "b"}


def test_who_cannot_be_reached_or_drains_owns_nothing() -> None:
    assert owners([member("a", link=None), member("b", is_draining=True)]) == []
    assert place("tenant", []) is None


@pytest.mark.parametrize(
    ("versions", "chosen"),
    [
        (["1.4.2", "1.4.3", "1.4.9"], {"1.4.2", "1.4.3", "1.4.9"}),
        (["1.4.2", "1.4.2", "1.5.0"], {"1.4.2"}),
        (["1.4.2", "1.5.0"], {"1.5.0"}),
        (["1.9.0", "1.10.0"], {"1.10.0"}),
        (["1.4.2", "dev"], {"1.4.2"}),
    ],
    ids=["one generation", "most are older", "as many", "by number", "no version"],
)
def test_of_two_generations_one_owns(versions: list[str], chosen: set[str]) -> None:
    found = owners([member(f"{n}", version=version) for n, version in enumerate(versions)])
    assert {each.version for each in found} == chosen


def test_the_generation_of_a_version() -> None:
    assert (generation("1.4.2"), generation("2.0"), generation("one.two")) == ((1, 4), (2, 0), ())
