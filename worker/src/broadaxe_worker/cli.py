"""`broadaxe-worker`, and `broadaxe worker`: runs a worker from the command line.

Exit codes: 0 stopped, 1 failed, 2 to be corrected by the user, 130 interrupted. A mistake of the user's is one line on
stderr, never a stack trace.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable, Sequence
from importlib import metadata
from typing import TYPE_CHECKING

from broadaxe_worker.errors import Mistake, WorkerError
from broadaxe_worker.processes import PROCESSES_MAX, run_processes

if TYPE_CHECKING:
    from broadaxe_worker.worker import Worker

__all__ = ["main"]

_LEVELS = ("debug", "info", "warning", "error")


def main(arguments: Sequence[str] | None = None, *, program: str = "broadaxe-worker") -> int:
    """Returns the exit code."""
    said = list(sys.argv[1:] if arguments is None else arguments)
    parser = _parser(program)
    try:
        given = parser.parse_args(said)
    except SystemExit as end:  # argparse has said what is wrong
        return end.code if isinstance(end.code, int) else 2
    _log_to_stderr(given.log_level)
    if given.reload:
        if given.processes > 1:
            print(f"{program}: --reload is for one process; leave --processes out", file=sys.stderr)
            return 2
        from broadaxe_worker.reloading import reload_on_change

        return reload_on_change([each for each in said if each != "--reload"])
    if given.processes > 1:
        return run_processes(_start, [program, *said], given.processes)
    return _start([program, *said], lambda _: None)


def _start(arguments: Sequence[str], begun: Callable[[Worker], None]) -> int:
    """Runs one worker; the first of the arguments is the program's name. Returns the exit code."""
    program, *said = arguments
    given = _parser(program).parse_args(said)
    _log_to_stderr(given.log_level)
    try:
        from broadaxe_worker.finding import find

        worker = find(
            given.target,
            name=given.name,
            slots=given.slots,
            durable_slots=given.durable_slots,
            labels=_labels(given.label),
            stop_limit_s=given.stop_limit,
        )
        begun(worker)
        worker.start()
    except Mistake as mistake:
        print(f"{program}: {mistake}", file=sys.stderr)
        return 2
    except WorkerError as error:
        print(f"{program}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _log_to_stderr(level: str) -> None:
    logging.basicConfig(format="%(asctime)s %(levelname)-7s %(name)s: %(message)s", stream=sys.stderr)
    logging.getLogger("broadaxe_worker").setLevel(level.upper())


def _parser(program: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=program,
        description="Run a worker for workflows written with the Hatchet SDK.",
        epilog="Where the engine is, is told by HATCHET_CLIENT_TOKEN and HATCHET_CLIENT_HOST_PORT, as for every "
        f"program with the SDK. Example: {program} app.main:hatchet --slots 100",
    )
    parser.add_argument(
        "target",
        metavar="MODULE:OBJECT",
        help="a Hatchet client (every workflow declared with it is offered), a worker, a workflow, a list of them or "
        "an application made with broadaxe_worker.celery",
    )
    parser.add_argument("--name", help="the worker's name [the first part of the module's]")
    parser.add_argument("--slots", type=_count, metavar="N", help="how many tasks at a time [100]")
    parser.add_argument("--durable-slots", type=_count, metavar="N", help="how many durable tasks at a time [1000]")
    parser.add_argument("--label", action="append", default=[], metavar="KEY=VALUE", help="a label; may be repeated")
    parser.add_argument(
        "--stop-limit",
        type=_seconds,
        metavar="SECONDS",
        help="how long a stop waits for tasks that run [as long as they take]",
    )
    parser.add_argument(
        "--processes",
        type=_processes,
        default=1,
        metavar="N",
        help="how many processes, each a worker with its own slots, for tasks that keep the processor busy [1]",
    )
    parser.add_argument(
        "--reload", action="store_true", help="start again when a .py file below this directory changes"
    )
    parser.add_argument("--log-level", choices=_LEVELS, default="info", help="what the worker says of itself [info]")
    parser.add_argument("--version", action="version", version=f"broadaxe-worker {_version()}")
    return parser


def _count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text[:9]) <= 1_000_000:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to 1000000")
    return int(text)


def _processes(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text[:9]) <= PROCESSES_MAX:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to {PROCESSES_MAX}")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= 86_400:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds from 0 to 86400")
    return seconds


def _labels(texts: Sequence[str]) -> dict[str, str | int]:
    labels: dict[str, str | int] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise Mistake(f"--label {text!r} is not a pair; write key=value")
        labels[key] = int(value) if value.isdecimal() and len(value) < 10 else value
    return labels


def _version() -> str:
    try:
        return metadata.version("broadaxe-worker")
    except metadata.PackageNotFoundError:
        return "of a checkout"


if __name__ == "__main__":
    sys.exit(main())
