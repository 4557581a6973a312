"""`python -m tests.simulation --seeds N [--seed K]`: many lives in parallel processes, and what the broken ones did.

With `--shell`, lives of the whole engine on a virtual loop instead of lives of a tenant; with `--cluster`, of several
engines on one database.

Sets of strings have an order that is another one in every process, and lives go by it: so the order is fixed here, and
a seed lives the same life wherever it is tried again. `PYTHONHASHSEED` in the environment chooses another one.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor

from tests.simulation.seeds import STEPS, Outcome, live
from tests.simulation.shell.life import STEPS as SHELL_STEPS
from tests.simulation.shell.seeds import live as live_shell
from tests.simulation.shell.seeds import live_cluster

ORDER = "PYTHONHASHSEED"


def main() -> int:
    if os.environ.get(ORDER, "random") == "random":
        os.execve(sys.executable, (sys.executable, "-m", "tests.simulation", *sys.argv[1:]), {**os.environ, ORDER: "0"})
    parser = argparse.ArgumentParser(prog="simulate", description=__doc__)
    parser.add_argument("--seeds", type=int, default=300, help="how many lives")
    parser.add_argument("--seed", type=int, help="only this one; its trace is printed if it breaks")
    parser.add_argument("--first", type=int, default=0, help="where to start counting")
    parser.add_argument("--shell", action="store_true", help="lives of the engine round the tenant")
    parser.add_argument("--cluster", action="store_true", help="lives of several linked engines")
    parser.add_argument("--steps", type=int, help=f"steps before everything is drained ({STEPS}; {SHELL_STEPS})")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, help="how many lives at a time")
    parser.add_argument("--stop", type=int, default=3, help="give up after this many broken seeds")
    arguments = parser.parse_args()
    lives = live_cluster if arguments.cluster else live_shell if arguments.shell else live
    steps = arguments.steps or (STEPS if lives is live else SHELL_STEPS)
    began = time.perf_counter()
    seeds = range(arguments.first, arguments.first + arguments.seeds)
    outcomes: list[Outcome] = []
    broken = 0
    if arguments.seed is not None:
        outcomes = _live_all(range(arguments.seed, arguments.seed + 1), steps, lives)
        broken = _report(outcomes)
    else:
        with ProcessPoolExecutor(arguments.processes) as pool:
            shares = [seeds[start : start + 10] for start in range(0, len(seeds), 10)]
            for found in pool.map(_live_all, shares, [steps] * len(shares), [lives] * len(shares)):
                outcomes += found
                broken += _report(found)
                if broken >= arguments.stop:
                    pool.shutdown(wait=False, cancel_futures=True)
                    break
    took_s = time.perf_counter() - began
    lived = sum(outcome.steps for outcome in outcomes)
    commands = sum(outcome.commands for outcome in outcomes)
    crashes = sum(outcome.crashes for outcome in outcomes)
    print(
        f"{len(outcomes)} seeds, {lived} steps, {commands} commands, {crashes} crashes in {took_s:.1f} s: "
        f"{lived / took_s:.0f} steps/s, {commands / took_s:.0f} commands/s; {broken} broken"
    )
    return 1 if broken else 0


def _live_all(seeds: range, steps: int, lives: Callable[[int, int], Outcome]) -> list[Outcome]:
    return [lives(seed, steps) for seed in seeds]


def _report(outcomes: list[Outcome]) -> int:
    broken = [outcome for outcome in outcomes if outcome.broken is not None]
    for outcome in broken:
        print(outcome.broken, file=sys.stderr)
    return len(broken)


if __name__ == "__main__":
    sys.exit(main())
