"""No client sends transactions that cannot be doubled, or the operator accepts it."""

from verifier.evidence import ABSENT, Evidence
from verifier.gates.verdicts import Finding, closed, for_table, opened, unknown


def big_transactions(seen: Evidence) -> Finding:
    """A client's own transaction that doubled exceeds 100 actions or 4 MB cannot be written to both
    sides at once, so in atomic mode it would be refused: the operator must know that."""
    big = seen.big_transactions
    if big is None:
        return unknown("the count of big transactions")
    if big is ABSENT:
        return opened("no transaction that atomic mode would refuse has been seen")
    waiting = big.count - big.accepted
    if waiting > 0:
        return closed(
            f"{waiting} transactions were seen that atomic mode would refuse: doubled, they"
            " exceed 100 actions or 4 MB",
            see=for_table("accept", seen) + ' --reason "..."',
        )
    return opened(f"all {big.count} big transactions are accepted by the operator")
