"""Both sides are written."""

from dualwrite.core.phases import Mode
from dualwrite.core.records import GateVerdict
from verifier.evidence import Evidence
from verifier.gates.verdicts import closed, for_table, opened

GATE = "follower_written"


def follower_written(seen: Evidence) -> GateVerdict:
    """Before the mirror and after ``done`` only one side is written: the other cannot be read."""
    phase = seen.state.phase
    if phase.mode is Mode.SINGLE:
        return closed(
            GATE,
            f"in {phase.value} only the {phase.leader.value} side is written",
            see=for_table("status", seen),
        )
    return opened(GATE, f"in {phase.value} both sides are written")
