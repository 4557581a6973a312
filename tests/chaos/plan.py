"""What a seed plans: which faults strike when, and which calls are made meanwhile.

A plan is data, made before anything starts, so a seed repeats its plan. It does not repeat the run: what the machine
schedules is not in our hands.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Final

from tests.chaos.mix import KINDS

#: Calls per second.
RATE: Final = 10.0

#: How far the engine's clock goes ahead.
CLOCK_JUMP_S: Final = 3600
#: How many nodes there are where there are several.
NODES: Final = 3
#: How many attempts last longer than the worst fault of a scenario.
LONG_CALLS: Final = 6


class Fault(StrEnum):
    ENGINE_KILLED = "kill -9 of the engine"
    ENGINE_STOPPED = "SIGTERM to the engine"
    ENGINE_PAUSED = "SIGSTOP of the engine"
    WORKER_KILLED = "kill -9 of a worker"
    SERVER_KILLED = "kill -9 of the postmaster"
    SERVER_RESTARTED = "stop of PostgreSQL"
    BACKENDS_ENDED = "pg_terminate_backend"
    DATABASE_LINE = "engine - PostgreSQL"
    WORKER_LINE = "workers and callers - engine"
    CLOCK_AHEAD = "engine's clock an hour ahead"
    ENGINE_UPGRADED = "a new engine beside the old one, between the phases of a migration"
    OWNER_KILLED = "kill -9 of the owner"
    OWNER_FROZEN = "SIGSTOP of the owner"
    OWNER_DRAINED = "drain of the owner"
    OWNER_DATABASE_LINE = "owner - PostgreSQL"
    FAILED_OVER = "kill -9 of the primary, and promotion of its synchronous standby"
    NODES_ROLLED = "SIGTERM to each node, one after the other, and start"
    LINKS = "between the nodes"

    @property
    def is_planned(self) -> bool:
        """Whether no call may fail over it."""
        return self in (Fault.OWNER_DRAINED, Fault.NODES_ROLLED)


class Weather(StrEnum):
    """What may befall a line. `HALF_OPEN` loses what clients say, `DEAF` what they are answered."""

    CALM = "calm"
    SLOW = "latency"
    TRICKLE = "partial writes"
    RESET = "reset"
    HALF_OPEN = "half-open"
    DEAF = "deaf"
    BLACKHOLE = "blackhole"

    @property
    def cuts(self) -> bool:
        """Whether nothing gets through to somebody."""
        return self in (Weather.HALF_OPEN, Weather.DEAF, Weather.BLACKHOLE)


@dataclass(frozen=True, slots=True)
class Blow:
    """`fault` strikes `at_s` after the load began. A line's weather lasts `for_s` and ends in a reset of it."""

    at_s: float
    fault: Fault
    for_s: float = 0.0
    weather: Weather = Weather.CALM

    def __str__(self) -> str:
        what = str(self.fault) if self.weather is Weather.CALM else f"{self.fault}: {self.weather}"
        return f"{what}, {self.for_s:.1f} s" if self.for_s else what


@dataclass(frozen=True, slots=True)
class Call:
    """One thing a caller asks for. `key` is its name in every journal and, inside the input, in the tables."""

    at_s: float
    kind: str
    key: str
    cue: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Plan:
    scenario: str
    seed: int
    seconds: float
    blows: tuple[Blow, ...]
    calls: tuple[Call, ...]
    nodes: int = 1
    has_standby: bool = False

    @property
    def moves_clock(self) -> bool:
        return any(blow.fault is Fault.CLOCK_AHEAD for blow in self.blows)

    @property
    def is_planned(self) -> bool:
        """Whether all of it is what operators do in order, so that no call may fail."""
        return bool(self.blows) and all(blow.fault.is_planned for blow in self.blows)


@dataclass(frozen=True, slots=True)
class Scenario:
    """`strike` gives the blows, the load lasts `seconds`; a few attempts begin at once and last `long_s`. With several
    `nodes` there are workers and callers at each."""

    seconds: float
    strike: Callable[[random.Random], list[Blow]]
    says: str
    long_s: float = 0.0
    nodes: int = 1
    has_standby: bool = False
    """Whether PostgreSQL has a synchronous standby."""


def make_plan(name: str, seed: int, *, seconds: float | None = None, rate: float = RATE) -> Plan:
    """The plan of a scenario. `seconds` cuts it short: blows that would end later are left out."""
    scenario = SCENARIOS[name]
    whole = seconds if seconds is not None else scenario.seconds
    blows = scenario.strike(random.Random(f"blows {name} {seed}"))
    fitting = tuple(blow for blow in blows if blow.at_s + blow.for_s < whole - 1)
    calls = make_calls(f"{name} {seed}", whole, rate)
    if scenario.long_s:
        cue = {"ms": scenario.long_s * 1000, "group": "", "sleep_s": 0, "due_in_s": 0}
        calls += [Call(n / 10, "long", f"long-{n}", {"key": f"long-{n}", **cue}) for n in range(LONG_CALLS)]
    return Plan(name, seed, whole, fitting, tuple(calls), scenario.nodes, scenario.has_standby)


def make_calls(seed: str, seconds: float, rate: float = RATE) -> list[Call]:
    """Calls of all kinds at instants of chance."""
    rng = random.Random(f"calls {seed}")
    calls: list[Call] = []
    at_s = rng.expovariate(rate)
    while at_s < seconds:
        kind = rng.choices(list(KINDS), list(KINDS.values()))[0]
        key = f"{kind}-{len(calls)}"
        cue = {
            "key": key,
            "ms": rng.choice([1, 20, 200]) if kind == "block" else rng.choice([0, 0, 5, 20, 100, 500, 3000]),
            "group": f"g{rng.randrange(3)}",
            "sleep_s": rng.choice([1, 2, 4, 8]),
            "due_in_s": rng.uniform(2, 10),
        }
        calls.append(Call(at_s, kind, key, cue))
        at_s += rng.expovariate(rate)
    return calls


def _every(low_s: float, high_s: float, until_s: float, *faults: Fault, for_s: float = 0.0) -> Any:
    """One of `faults` again and again, `low_s` to `high_s` apart."""

    def strike(rng: random.Random) -> list[Blow]:
        blows: list[Blow] = []
        at_s = rng.uniform(3, 6)
        while at_s < until_s:
            blows.append(Blow(at_s, rng.choice(faults), for_s))
            at_s += for_s + rng.uniform(low_s, high_s)
        return blows

    return strike


def _storm(line: Fault, *spells: tuple[Weather, float, float]) -> Callable[[random.Random], list[Blow]]:
    """Spells of weather on a line, one after the other, each `low` to `high` seconds long, in an order of chance."""

    def strike(rng: random.Random) -> list[Blow]:
        blows: list[Blow] = []
        at_s = rng.uniform(3, 5)
        for weather, low_s, high_s in rng.sample(spells, len(spells)):
            for_s = rng.uniform(low_s, high_s)
            blows.append(Blow(at_s, line, for_s, weather))
            at_s += for_s + rng.uniform(2, 5)
        return blows

    return strike


def _together(rng: random.Random) -> list[Blow]:
    """Every kind once, in an order of chance: faults that meet what an earlier one left behind."""
    blows: list[Blow] = []
    at_s = 4.0
    kinds = [
        Blow(0, Fault.ENGINE_KILLED),
        Blow(0, Fault.ENGINE_STOPPED),
        Blow(0, Fault.ENGINE_PAUSED, 5),
        Blow(0, Fault.WORKER_KILLED),
        Blow(0, Fault.SERVER_KILLED),
        Blow(0, Fault.SERVER_RESTARTED, 2),
        Blow(0, Fault.BACKENDS_ENDED),
        Blow(0, Fault.DATABASE_LINE, 1, Weather.DEAF),
        Blow(0, Fault.WORKER_LINE, 0.2, Weather.RESET),
    ]
    for blow in rng.sample(kinds, len(kinds)):
        blows.append(Blow(at_s, blow.fault, blow.for_s, blow.weather))
        at_s += blow.for_s + rng.uniform(2, 7)
    return blows


SCENARIOS: Final[Mapping[str, Scenario]] = {
    "calm": Scenario(20, lambda _: [], "no fault: what the load looks like by itself"),
    "engine": Scenario(
        50, _every(6, 12, 46, Fault.ENGINE_KILLED, Fault.ENGINE_STOPPED), "the engine is killed or stopped, and started"
    ),
    "pause": Scenario(
        65, lambda rng: [Blow(rng.uniform(6, 9), Fault.ENGINE_PAUSED, 40)], "the engine is paused for 40 s", 55
    ),
    "worker": Scenario(40, _every(5, 9, 34, Fault.WORKER_KILLED), "a worker is killed, another takes its place"),
    "postmaster": Scenario(
        40,
        lambda rng: sorted(
            _every(9, 14, 34, Fault.SERVER_KILLED)(rng) + _every(9, 14, 34, Fault.BACKENDS_ENDED)(rng),
            key=lambda blow: blow.at_s,
        ),
        "the postmaster is killed, connections are ended",
    ),
    "database": Scenario(60, _every(6, 12, 50, Fault.SERVER_RESTARTED, for_s=4), "PostgreSQL is away for seconds"),
    "database-line": Scenario(
        80,
        _storm(
            Fault.DATABASE_LINE,
            (Weather.SLOW, 4, 8),
            (Weather.TRICKLE, 3, 6),
            (Weather.RESET, 0.1, 0.5),
            (Weather.RESET, 0.1, 0.5),
            (Weather.DEAF, 0.5, 1.5),
            (Weather.DEAF, 0.5, 1.5),
            (Weather.HALF_OPEN, 8, 12),
            (Weather.BLACKHOLE, 10, 25),
        ),
        "the line between engine and PostgreSQL",
        60,
    ),
    "worker-line": Scenario(
        90,
        _storm(
            Fault.WORKER_LINE,
            (Weather.SLOW, 4, 8),
            (Weather.TRICKLE, 3, 6),
            (Weather.RESET, 0.1, 0.5),
            (Weather.RESET, 0.1, 0.5),
            (Weather.DEAF, 3, 5),
            (Weather.HALF_OPEN, 8, 12),
            (Weather.BLACKHOLE, 10, 25),
        ),
        "the line between workers, callers and engine",
        60,
    ),
    "clock": Scenario(
        50,
        lambda rng: [Blow(rng.uniform(6, 10), Fault.CLOCK_AHEAD, 15)],
        "the engine's clock goes forward and back",
        40,
    ),
    "upgrade": Scenario(
        45, lambda rng: [Blow(rng.uniform(8, 12), Fault.ENGINE_UPGRADED)], "one version takes over from another", 25
    ),
    "failover": Scenario(
        50,
        lambda rng: [Blow(rng.uniform(10, 14), Fault.FAILED_OVER, rng.uniform(1, 4))],
        "the primary is killed, and its synchronous standby is promoted",
        30,
        has_standby=True,
    ),
    "cluster-kill": Scenario(
        60, _every(12, 16, 50, Fault.OWNER_KILLED, for_s=2), "the owner is killed, and started again later", 40, NODES
    ),
    "cluster-freeze": Scenario(
        60,
        lambda rng: [Blow(rng.uniform(6, 9), Fault.OWNER_FROZEN, 9), Blow(rng.uniform(30, 34), Fault.OWNER_FROZEN, 6)],
        "the owner stands still for longer than its lease lasts",
        40,
        NODES,
    ),
    "cluster-drain": Scenario(
        60, _every(8, 10, 50, Fault.OWNER_DRAINED, for_s=3), "the owner is drained, and takes tenants again", 40, NODES
    ),
    "cluster-rolling": Scenario(
        60, lambda rng: [Blow(rng.uniform(6, 9), Fault.NODES_ROLLED)], "every node is stopped and started", 40, NODES
    ),
    "cluster-partition": Scenario(
        60,
        _storm(Fault.LINKS, (Weather.DEAF, 5, 8), (Weather.HALF_OPEN, 5, 8), (Weather.BLACKHOLE, 5, 8)),
        "nodes do not hear each other",
        40,
        NODES,
    ),
    "cluster-database-partition": Scenario(
        60,
        _storm(Fault.OWNER_DATABASE_LINE, (Weather.BLACKHOLE, 8, 12), (Weather.RESET, 5, 8)),
        "the owner loses PostgreSQL, the others do not",
        40,
        NODES,
    ),
    "everything": Scenario(80, _together, "every fault once, in an order of chance"),
}


def call_to_json(call: Call) -> dict[str, Any]:
    return asdict(call)
