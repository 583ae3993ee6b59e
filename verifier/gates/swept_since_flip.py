"""Both sides were found equal under the present leader."""

from dualwrite.core.phases import Side
from verifier.evidence import ABSENT, Evidence
from verifier.gates.verdicts import Finding, closed, for_table, opened, unknown


def swept_since_flip(seen: Evidence) -> Finding:
    """``done`` gives the old table up for good, so the last word must be a comparison that began
    after new took the lead, not one from before."""
    see = for_table("verify", seen)
    if seen.sweep is None:
        return unknown("the newest sweep")
    if seen.sweep is ABSENT:
        return closed("no sweep has been run", see=see)
    if seen.state.phase.leader is not Side.NEW or seen.sweep.epoch < seen.state.lead_epoch:
        return closed("the newest sweep began before new took the lead", see=see)
    return opened(
        f"the newest sweep began in epoch {seen.sweep.epoch}, new leads since epoch"
        f" {seen.state.lead_epoch}",
    )
