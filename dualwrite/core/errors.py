"""One tree of errors: ours, the client's, the engine's. Messages never hold item contents."""

from typing import Any


class DualwriteError(Exception):
    """Base of everything this service raises on purpose."""


class SpecError(DualwriteError):
    """The migration spec cannot be used; the message names file, table, field and mend."""


class UnusableFile(DualwriteError):
    """A file that a process was given cannot be used; the message says which and why."""


class StateConflict(DualwriteError):
    """Somebody else changed the control item first, or a second controller is alive."""


class LeaseExpired(DualwriteError):
    """This process has not renewed its lease in time and must not write."""


class ClientError(DualwriteError):
    """The client's request is at fault; answered as DynamoDB would word it."""

    def __init__(
        self, code: str, message: str, *, status: int = 400, fields: dict[str, Any] | None = None
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status
        self.fields = fields or {}


class ValidationError(ClientError):
    """DynamoDB's ValidationException."""

    def __init__(self, message: str) -> None:
        super().__init__("ValidationException", message)


class EngineError(DualwriteError):
    """Base of what can come back from, or instead of, an engine's answer."""


class Refused(EngineError):
    """The engine answered with an error: nothing was written."""

    def __init__(self, code: str, message: str, status: int, fields: dict[str, Any]) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status
        self.fields = fields
        """The error body without its type and message: Item, CancellationReasons."""


class Unreachable(EngineError):
    """No connection could be made or nothing was sent: nothing was written."""


class Overloaded(Unreachable):
    """Too many requests wait for a connection already: nothing was sent."""


class OutcomeUnknown(EngineError):
    """The request was sent and no answer came, or a 5xx did: it may have been applied."""


class Unanswered(OutcomeUnknown):
    """No answer came to a read or a registration: it may be asked again without another look."""


class CutOff(OutcomeUnknown):
    """We gave up waiting because this process stops."""


RETRYABLE = frozenset(
    {
        "ProvisionedThroughputExceededException",
        "ThrottlingException",
        "RequestLimitExceeded",
        "LimitExceededException",
        "TransactionConflictException",
        "TransactionInProgressException",
    }
)
"""Refusals that say "not now": the same request may be sent again."""

THROTTLED = frozenset(
    {
        "ProvisionedThroughputExceededException",
        "ThrottlingException",
        "RequestLimitExceeded",
    }
)
"""Refusals of an engine, or a table, that has too much to do."""

THROTTLED_PARTS = frozenset(
    {"ProvisionedThroughputExceeded", "ThrottlingError", "RequestLimitExceeded"}
)
"""The same as the codes of one member of a transaction or batch. AWS: CancellationReason,
BatchStatementError."""
