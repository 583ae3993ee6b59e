"""The past has been carried over."""

from dualwrite.core.records import GateVerdict
from verifier.evidence import ABSENT, Evidence
from verifier.gates.verdicts import closed, for_table, opened, unknown

GATE = "backfill_complete"


def backfill_complete(seen: Evidence) -> GateVerdict:
    """Mirroring brings only what is written from now on; what nobody writes any more comes with the
    backfill, so before its end new lacks rows."""
    backfill = seen.backfill
    if backfill is None:
        return unknown(GATE, "the progress of the backfill")
    if backfill is ABSENT:
        return closed(GATE, "no backfill has been started", see=for_table("backfill start", seen))
    if backfill.done:
        return opened(GATE, f"all {backfill.segments} segments of the backfill are done")
    running = backfill.wanted == "run"
    return closed(
        GATE,
        f"{backfill.segments_done} of {backfill.segments} segments of the backfill are done"
        + ("" if running else " and it is paused"),
        see=for_table("status" if running else "backfill resume", seen),
        waits=running,
    )
