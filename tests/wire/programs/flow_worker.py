"""A worker that offers every workflow about flow control (`python -m programs.flow_worker`)."""

from __future__ import annotations

import argparse

from hatchet_sdk import Hatchet
from programs import flow_batches, flow_concurrency, flow_limits, flow_placement, flow_triggers


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--name", required=True)
    parser.add_argument("--slots", type=int, required=True)
    parser.add_argument("--label", action="append", default=[], help="key=value; a value of digits is a number")
    given = parser.parse_args()
    hatchet = Hatchet()
    topics = (flow_placement, flow_concurrency, flow_limits, flow_batches, flow_triggers)
    workflows = [offer for topic in topics for offer in topic.workflows(hatchet)]
    pairs = (label.split("=", 1) for label in given.label)
    labels: dict[str, str | int] = {key: int(value) if value.isdigit() else value for key, value in pairs}
    hatchet.worker(given.name, slots=given.slots, labels=labels, workflows=workflows).start()


if __name__ == "__main__":
    main()
