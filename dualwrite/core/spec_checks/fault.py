"""What a check finds."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fault:
    """One problem: ``where`` is a dotted path in the file, or a line."""

    where: str
    what: str
    mend: str
