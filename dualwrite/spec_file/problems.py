"""The problems of a migration's files, told together, one line each."""

from dataclasses import dataclass, field
from pathlib import Path

from dualwrite.core.errors import SpecError
from dualwrite.core.spec_checks import Fault

FAULTS_SHOWN_MAX = 50
"""A wrong mapping file may be wrong in each of its rows; nobody reads more lines than this."""


@dataclass
class Problems:
    """Problems collected so far."""

    path: Path
    lines: list[str] = field(default_factory=list)

    def add(self, path: Path, fault: Fault) -> None:
        self.lines.append(f"{path}: [{fault.where}] {fault.what}; {fault.mend}")

    def stop_if_any(self) -> None:
        if not self.lines:
            return
        shown = self.lines[:FAULTS_SHOWN_MAX]
        if len(self.lines) > len(shown):
            shown.append(f"{self.path}: and {len(self.lines) - len(shown)} more problems")
        raise SpecError("\n".join(shown))
