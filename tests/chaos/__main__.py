"""`python -m tests.chaos [SCENARIO...] [--seed N]`: a kill matrix. Exits 1 when a promise was broken."""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

from tests.chaos.arena import ROOT
from tests.chaos.checker import FINDINGS, Verdict
from tests.chaos.plan import RATE, SCENARIOS, Plan, make_plan
from tests.chaos.play import Report, play

SHOWN = 5


def main() -> int:
    parser = argparse.ArgumentParser(prog="chaos", description=__doc__)
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help=", ".join(SCENARIOS) + "; all by default")
    parser.add_argument("--seed", type=int, default=1, help="plans faults and calls")
    parser.add_argument("--seeds", type=int, default=1, help="how many seeds, from --seed on")
    parser.add_argument("--rate", type=float, default=RATE, help="calls per second")
    parser.add_argument("--jobs", type=int, default=2, help="scenarios at a time")
    parser.add_argument("--keep", type=Path, help="leave data, journals and logs in this directory")
    parser.add_argument(
        "--before", metavar="COMMIT", help="begin with the engine of this commit; `upgrade` then comes to this one's"
    )
    given = parser.parse_args()
    names = given.scenarios or list(SCENARIOS)
    if unknown := [name for name in names if name not in SCENARIOS]:
        parser.error(f"no scenario {', '.join(unknown)}; there are {', '.join(SCENARIOS)}")
    plans = [
        make_plan(name, seed, rate=given.rate) for seed in range(given.seed, given.seed + given.seeds) for name in names
    ]
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="broadaxe-chaos-") as scratch:
        before = _sources_of(given.before, Path(scratch) / "before") if given.before else None
        reports = asyncio.run(_play_all(plans, given.keep or Path(scratch), given.jobs, before))
    _print_table(reports)
    broken = sum(1 for report in reports if not report.verdict.is_kept)
    print(f"{len(reports)} plays in {time.monotonic() - began:.0f} s; {broken} broken")
    return 1 if broken else 0


def _sources_of(commit: str, directory: Path) -> Path:
    """The sources of a commit, which the clone must have."""
    directory.mkdir()
    packed = subprocess.run(["git", "archive", "--format=tar", commit, "src"], cwd=ROOT, capture_output=True)
    if packed.returncode != 0:
        said = packed.stderr.decode(errors="replace").strip()
        print(f"there is no {commit} in this clone ({said}); a shallow one gets it with: git fetch --unshallow")
        sys.exit(2)
    subprocess.run(["tar", "--extract", "--directory", directory], input=packed.stdout, check=True)
    return directory


async def _play_all(plans: list[Plan], directory: Path, jobs: int, before: Path | None) -> list[Report]:
    free = asyncio.Semaphore(jobs)

    async def one(plan: Plan) -> Report:
        async with free:
            report = await _play_one(plan, directory / f"{plan.scenario}-{plan.seed}", before)
            _print_found(report)
            return report

    async with asyncio.TaskGroup() as group:
        playing = [group.create_task(one(plan)) for plan in plans]
    return [task.result() for task in playing]


async def _play_one(plan: Plan, directory: Path, before: Path | None) -> Report:
    """A play that breaks off is a finding and no reason to give up the others."""
    began = time.monotonic()
    try:
        return await play(plan, directory, before=before, say=lambda line: print(line, flush=True))
    except Exception:
        verdict = Verdict()
        verdict.found["down"].append(traceback.format_exc())
        return Report(plan, verdict, time.monotonic() - began, 0.0)


def _print_found(report: Report) -> None:
    for kind, sentences in report.verdict.found.items():
        for sentence in sentences[:SHOWN]:
            print(f"{report.plan.scenario}: {kind}: {sentence}", flush=True)


def _print_table(reports: list[Report]) -> None:
    """A row for each play: what was found, then how much was looked at."""
    looked = ("calls", "accepted", "runs", "attempts", "ticks", "untold", "partitioned")
    print(
        f"{'scenario':<15}{'seed':>5}{'faults':>7}" + "".join(f"{kind:>12}" for kind in (*FINDINGS, *looked)) + "   s"
    )
    for report in reports:
        found = [len(report.verdict.found[kind]) for kind in FINDINGS]
        counts = [report.verdict.counts[kind] for kind in looked]
        cells = "".join(f"{count:>12}" for count in (*found, *counts))
        print(f"{report.plan.scenario:<15}{report.plan.seed:>5}{len(report.plan.blows):>7}{cells}{report.took_s:>6.0f}")


if __name__ == "__main__":
    sys.exit(main())
