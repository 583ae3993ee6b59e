"""A short cut for the requests that SDKs send: whole, in one piece, framed by one Content-Length.

What is chunked, informal, closing, doubtful or in pieces is left to the parser.
"""

import re

from dualwrite.proxy.messages import HttpRequest

REQUEST_LINE = b"POST / HTTP/1.1\r\n"
HEADER_OVERHEAD_BYTES = 32
"""What a header costs beside its text, as HTTP/2 counts it (RFC 9113, 6.5.2)."""
LINES_MAX = 4096
LINE_BYTES_MAX = 1024
"""A longer header line is not remembered."""

_LINE = re.compile(
    rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*"
    rb"([\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)"
)
"""A header of RFC 9110, 5.5, which has a value and no blanks behind it."""
_FRAMES = frozenset(
    {b"connection", b"expect", b"proxy-connection", b"te", b"trailer", b"transfer-encoding",
     b"upgrade"}
)  # fmt: skip
"""Headers by which the parser decides."""
_PASSING = frozenset({b"authorization", b"amz-sdk-invocation-id"})
"""Headers that are never the same twice."""

_Header = tuple[bytes, bytes]


class PlainRequests:
    """Takes plain requests apart, and remembers the header lines that clients repeat."""

    def __init__(self) -> None:
        self._lines: dict[bytes, _Header] = {}

    def request(self, data: bytes, headers_bytes_max: int) -> HttpRequest | None:
        """The one plain request that ``data`` is; None for all that the parser must look at."""
        end = data.find(b"\r\n\r\n")
        if end < 0 or not data.startswith(REQUEST_LINE):
            return None
        lines = data[len(REQUEST_LINE) : end].split(b"\r\n")
        if end + HEADER_OVERHEAD_BYTES * len(lines) > headers_bytes_max:
            return None
        headers = []
        length = None
        for line in lines:
            header = self._lines.get(line) or self._header(line)
            if header is None:
                return None
            if header[0] == b"content-length":
                if length is not None:
                    return None
                length = header[1]
            headers.append(header)
        body = data[end + 4 :]
        if length != b"%d" % len(body):
            return None
        return HttpRequest(b"POST", b"/", tuple(headers), body)

    def _header(self, line: bytes) -> _Header | None:
        found = _LINE.fullmatch(line)
        if found is None:
            return None
        header = (found[1].lower(), found[2])
        if header[0] in _FRAMES and not _keeps(header):
            return None
        if header[0] not in _PASSING and len(line) <= LINE_BYTES_MAX:
            if len(self._lines) >= LINES_MAX:
                self._lines.clear()
            self._lines[line] = header
        return header


def _keeps(header: _Header) -> bool:
    """What HTTP/1.1 does anyway, said aloud."""
    return header[0] == b"connection" and header[1].lower() == b"keep-alive"
