"""The controller's bounds."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ControlSettings:
    """How long the controller waits for what, in seconds."""

    gate_wait_seconds: float = 60.0
    """For gates that may open by themselves: a barrier, lag, repairs that drain."""
    ack_wait_seconds: float = 60.0
    """For acknowledgements of live members; dead ones are no longer awaited long before."""
    verify_seconds_max: float = 6 * 3600.0
    """For a sweep."""
    poll_seconds: float = 0.2
    gate_poll_seconds: float = 0.4
    watch_seconds: float = 2.0
    """Between two looks at the records for the metrics."""
