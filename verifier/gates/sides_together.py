"""One transaction can span both sides."""

from verifier.evidence import Evidence
from verifier.gates.verdicts import Finding, closed, opened


def sides_together(seen: Evidence) -> Finding:
    """DynamoDB's transactions are of one account and Region, and atomic mode is made of them: with
    the sides apart there is mirror mode only."""
    if seen.apart:
        return closed(
            "the two sides are in different accounts, Regions or endpoints, which no transaction"
            " spans; mirror mode is as far as they go",
            see="dualwrite check",
        )
    return opened("both sides are at one endpoint")
