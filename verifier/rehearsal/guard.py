"""The guard: reads ``+PID`` and ``-PID`` lines until stdin ends, then kills what is still listed.

Run as ``python -m verifier.rehearsal.guard``. Each PID is the leader of its own session, so its
whole group is killed. After an orderly stop nothing is listed any more.
"""

import contextlib
import os
import signal
import sys


def main() -> None:
    """Return when stdin has ended and nothing listed is alive."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    listed: set[int] = set()
    for line in sys.stdin:
        pid = int(line[1:])
        (listed.add if line[0] == "+" else listed.discard)(pid)
    for pid in listed:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)


if __name__ == "__main__":
    main()
