"""The garbage collector of a process that serves: it must not stop the requests."""

import gc

YOUNG_OBJECTS_MAX = 10_000
"""Container objects that live requests may hold before the collector looks at them."""
OLDER_GENERATIONS = 20


def settle() -> None:
    """Call once all that lives as long as the process is built.

    What was imported and built is never looked at again. By default it is walked every few
    thousand requests, which took 8 % of the proxy's time in pauses of 30 to 100 ms; requests
    themselves make no cycles, so that reference counts free them.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS_MAX, OLDER_GENERATIONS, OLDER_GENERATIONS)
