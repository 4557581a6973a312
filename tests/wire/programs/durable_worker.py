"""A worker with ten durable slots that offers durable tasks and conditions (`python -m programs.durable_worker`)."""

from __future__ import annotations

import argparse

from hatchet_sdk import Hatchet
from programs import conditions, durable_tasks


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--name", required=True)
    parser.add_argument("--slots", type=int, required=True, help="of ordinary tasks; durable ones have 10")
    given = parser.parse_args()
    hatchet = Hatchet()
    offers = [*durable_tasks.workflows(hatchet), *conditions.workflows(hatchet)]
    hatchet.worker(given.name, slots=given.slots, durable_slots=10, workflows=offers).start()


if __name__ == "__main__":
    main()
