"""All reads go to new."""

from dualwrite.core.records import GateVerdict
from verifier.evidence import Evidence
from verifier.gates.verdicts import closed, for_table, opened

GATE = "reads_on_new"


def reads_on_new(seen: Evidence) -> GateVerdict:
    """After ``done`` nobody writes old any more, so nobody may read it; and new must have carried
    the whole load before there is no way back."""
    share = seen.state.read_share
    if share != 100:
        return closed(
            GATE,
            f"new serves {share} % of the reads, not all of them",
            see=for_table("reads 100", seen),
        )
    return opened(GATE, "new serves all reads")
