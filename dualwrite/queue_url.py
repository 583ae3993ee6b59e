"""Where consumers share their work: ``memory``, ``dynamodb`` or ``kafka://HOST:PORT[/prefix]``."""

import re
from dataclasses import dataclass
from enum import StrEnum

from dualwrite.core.errors import DualwriteError

PREFIX_DEFAULT = "dualwrite"
_SERVER = re.compile(r"(\[[0-9A-Fa-f:]+\]|[A-Za-z0-9._-]+):([0-9]{1,5})")
_PREFIX = re.compile(r"[A-Za-z0-9._-]{1,100}")
"""Topic names hold up to 249 of these characters; ours add a dot and the lane."""


class QueueUrlError(DualwriteError):
    """No such queue; the message says what is wrong."""


class QueueKind(StrEnum):
    """Who holds the work that waits."""

    MEMORY = "memory"
    """Each consumer does what it finds itself."""
    DYNAMODB = "dynamodb"
    """The control table."""
    KAFKA = "kafka"


@dataclass(frozen=True, slots=True)
class QueueUrl:
    """One parsed; the last two are of Kafka alone."""

    kind: QueueKind
    servers: tuple[str, ...] = ()
    prefix: str = ""


def parse_queue(text: str) -> QueueUrl:
    """Raises QueueUrlError."""
    if text in (QueueKind.MEMORY, QueueKind.DYNAMODB):
        return QueueUrl(QueueKind(text))
    return parse_kafka(text, also="memory, dynamodb or ")


def parse_kafka(text: str, *, also: str = "") -> QueueUrl:
    """Brokers and a prefix for topics. Raises QueueUrlError."""
    scheme, _, rest = text.partition("://")
    hosts, _, prefix = rest.partition("/")
    servers = tuple(hosts.split(","))
    good = all(
        (match := _SERVER.fullmatch(server)) and 0 < int(match[2]) <= 65_535 for server in servers
    )
    if scheme != QueueKind.KAFKA or not good or (prefix and not _PREFIX.fullmatch(prefix)):
        raise QueueUrlError(f"{text!r} is not {also}kafka://HOST:PORT[,HOST:PORT][/prefix]")
    return QueueUrl(QueueKind.KAFKA, servers, prefix or PREFIX_DEFAULT)
