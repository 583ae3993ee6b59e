"""A record is changed by what stands there, while others may change it too."""

from collections.abc import Callable, Mapping
from typing import Any

from dualwrite.core.errors import EngineError, StateConflict
from dualwrite.core.ports import Record, Records

TRIES_MAX = 20
"""Each fails only because somebody else's change came between."""

Revise = Callable[[Record | None], Mapping[str, Any] | None]
"""From what stands there to what shall stand there; None leaves it as it is."""


async def revised(records: Records, kind: str, name: str, revise: Revise) -> None:
    """Change one record, beginning again where it was changed meanwhile. Raises EngineError, also
    where that never ends, and whatever ``revise`` raises."""
    for _ in range(TRIES_MAX):
        held = await records.read(kind, name)
        wanted = revise(held)
        if wanted is None:
            return
        try:
            await records.write(kind, name, wanted, expected=0 if held is None else held.version)
        except StateConflict:
            continue
        return
    raise EngineError(f"{kind} {name} keeps changing under our hands; try again")
