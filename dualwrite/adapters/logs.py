"""Logs: one line a decision that matters, on standard error, for people or for machines."""

import sys
from collections.abc import Mapping, MutableMapping
from contextlib import suppress
from typing import Any, TextIO, cast

import orjson
import structlog

_SCALARS = (str, int, float, bool, type(None))


class Lossy:
    """A stream that loses what it cannot write: where a disk is full, or nobody reads a pipe any
    more, whoever tells something goes on with his work."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            self._stream.flush()


def tell(line: str) -> None:
    """A line of a process on standard output, for whoever started it."""
    print(line, file=cast(TextIO, Lossy(sys.stdout)), flush=True)


def configure(json: bool | None = None) -> None:
    """Set structlog up for this process; ``json`` None means: unless a person is watching.

    Standard output stays free for answers, such as the line that says a process is ready.
    """
    as_json = not sys.stderr.isatty() if json is None else json
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _only_plain_values,
    ]
    if as_json:
        shared += [
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(serializer=_as_json),
        ]
    else:
        # Not the richer one: it prints local variables, which are items and signatures.
        formatter = structlog.dev.plain_traceback
        shared.append(structlog.dev.ConsoleRenderer(exception_formatter=formatter))
    structlog.configure(
        processors=shared,
        wrapper_class=structlog.make_filtering_bound_logger(20),
        logger_factory=structlog.PrintLoggerFactory(cast(TextIO, Lossy(sys.stderr))),
        cache_logger_on_first_use=True,
    )


def _as_json(value: Any, **_: Any) -> str:
    return orjson.dumps(value, default=str).decode()


def _only_plain_values(
    _logger: Any, _method: str, event: MutableMapping[str, Any]
) -> Mapping[str, Any]:
    """An item or a request is a mapping: whoever logs one by mistake logs its type's name."""
    for name, value in event.items():
        if name == "exc_info" or isinstance(value, _SCALARS):
            continue
        if isinstance(value, (list, tuple, frozenset, set)):
            event[name] = [_plain(inner) for inner in value]
        else:
            event[name] = _plain(value)
    return event


def _plain(value: Any) -> Any:
    return value if isinstance(value, _SCALARS) else f"<{type(value).__name__}>"
