"""`python -m broadaxe_worker`, the same as `broadaxe-worker`."""

import sys

from broadaxe_worker.cli import main

if __name__ == "__main__":
    sys.exit(main())
