"""No client sends transactions that cannot be doubled."""

from dualwrite.core.records import GateVerdict
from verifier.evidence import ABSENT, Evidence
from verifier.gates.verdicts import closed, for_table, opened, unknown

GATE = "big_transactions"


def big_transactions(seen: Evidence) -> GateVerdict:
    """A client's own transaction of more than 50 actions cannot be written to both sides at once
    (the limit is 100), so in atomic mode it would be refused: the operator must know that."""
    big = seen.big_transactions
    if big is None:
        return unknown(GATE, "the count of big transactions")
    if big is ABSENT:
        return opened(GATE, "no transaction of more than 50 actions has been seen")
    waiting = big.count - big.accepted
    if waiting > 0:
        return closed(
            GATE,
            f"{waiting} transactions of more than 50 actions were seen and not accepted",
            see=for_table("status", seen),
        )
    return opened(GATE, f"all {big.count} big transactions are accepted by the operator")
