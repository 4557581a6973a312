"""A worker of `hatchet-sdk` 0.47.1 that offers `workflows.py` (`python -m sdk047.worker`)."""

from __future__ import annotations

import argparse

from sdk047 import workflows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--name", required=True)
    parser.add_argument("--slots", type=int, required=True)
    parser.add_argument("--label", action="append", default=[], help="key=value")
    given = parser.parse_args()
    labels: dict[str, str | int] = dict(label.split("=", 1) for label in given.label)
    worker = workflows.hatchet_v2.worker(given.name, max_runs=given.slots, labels=labels)
    for workflow in workflows.WORKFLOWS:
        worker.register_workflow(workflow())
    worker.start()


if __name__ == "__main__":
    main()
