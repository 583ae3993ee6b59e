"""Runs the embedded engine as a process: ``python -m verifier.rehearsal.embedded``."""

import gc
import sys

from ministack.app import main

OBJECTS_MAX = 100_000
OLDEST_GENERATION_RUNS = 1_000


def settle() -> None:
    """Let the collector look at what is young, and hardly ever at all there is.

    The engine keeps its tables and streams as Python objects, some millions of them; walking them
    all stops every client for about half a second, which would be told as a pause of ours.
    """
    gc.set_threshold(OBJECTS_MAX, 10, OLDEST_GENERATION_RUNS)


if __name__ == "__main__":
    settle()
    sys.exit(main())
