"""A worker that offers every workflow the wire tests use. Started by `wirekit/worker_process.py`."""

from __future__ import annotations

import argparse

from hatchet_sdk import Hatchet

from gallery import failures, families, plain, speech


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--name", required=True)
    parser.add_argument("--slots", type=int, required=True)
    parser.add_argument("--label", action="append", default=[], help="key=value")
    given = parser.parse_args()
    hatchet = Hatchet()
    workflows = [offer for topic in (plain, failures, families, speech) for offer in topic.workflows(hatchet)]
    labels: dict[str, str | int] = dict(label.split("=", 1) for label in given.label)
    hatchet.worker(given.name, slots=given.slots, labels=labels, workflows=workflows).start()


if __name__ == "__main__":
    main()
