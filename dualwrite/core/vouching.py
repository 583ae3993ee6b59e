"""Whether what began under an epoch may still be sent (protocol, "Changing state")."""

from dualwrite.core.errors import LeaseExpired
from dualwrite.core.phases import TableState
from dualwrite.core.ports import Epochs

REQUEST_MARGIN_SECONDS = 2.0
"""A request may still be carried out by the engine this long after its sender gave it up."""


def may_follow(begun: int, now: int) -> bool:
    """Whether a write begun under one epoch may commit under another: two states that are adjacent
    may be live at once, and no more."""
    return now <= begun + 1


def vouch(epochs: Epochs, state: TableState) -> None:
    """Raise LeaseExpired unless a write of work begun under ``state`` may still be sent.

    To be asked right before each sending: reads, look-ups and other tries may have taken longer
    than the lease, and the controller waits for one request's life after a lease, not for several.
    """
    if not may_follow(state.epoch, epochs.current(state.table).epoch):
        raise LeaseExpired(f"table {state.table} has moved on while the write was tried")
