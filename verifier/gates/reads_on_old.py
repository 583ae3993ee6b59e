"""No reads go to new."""

from dualwrite.core.records import GateVerdict
from verifier.evidence import Evidence
from verifier.gates.verdicts import closed, for_table, opened

GATE = "reads_on_old"


def reads_on_old(seen: Evidence) -> GateVerdict:
    """Once the mirror is off, new grows stale without a bound: nobody may read it then."""
    share = seen.state.read_share
    if share:
        return closed(GATE, f"new serves {share} % of the reads", see=for_table("reads 0", seen))
    return opened(GATE, "old serves all reads")
