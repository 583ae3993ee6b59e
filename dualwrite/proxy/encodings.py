"""Request bodies that came compressed, as DynamoDB takes them: gzip and deflate."""

import zlib
from collections.abc import Iterator
from contextlib import contextmanager

CONTENT_BYTES_MAX = 16 * 1024 * 1024 + 64 * 1024
"""Of one body, decoded: what an uncompressed one may have."""
HELD_BYTES_MAX = 128 * 1024 * 1024
"""Of all decoded bodies together."""
_WINDOWS = {b"gzip": zlib.MAX_WBITS | 16, b"deflate": zlib.MAX_WBITS}


class Undecodable(Exception):
    """Another encoding, or not what it says it is."""


class Decoder:
    """Decodes bodies, and counts what is held of them."""

    def __init__(self) -> None:
        self._held_bytes = 0

    @contextmanager
    def decoded(self, encoding: bytes, body: bytes) -> Iterator[bytes]:
        """The content for as long as it is needed. Raises Undecodable, and OverflowError where it
        is too large, or too much is held already."""
        content = _decode(encoding.strip().lower(), body)
        if self._held_bytes + len(content) > HELD_BYTES_MAX:
            raise OverflowError
        self._held_bytes += len(content)
        try:
            yield content
        finally:
            self._held_bytes -= len(content)


def _decode(encoding: bytes, body: bytes) -> bytes:
    if encoding in (b"", b"identity"):
        return body
    window = _WINDOWS.get(encoding)
    if window is None:
        raise Undecodable
    parts: list[bytes] = []
    room = CONTENT_BYTES_MAX
    while True:
        stream = zlib.decompressobj(window)
        try:
            parts.append(stream.decompress(body, room + 1))
        except zlib.error:
            raise Undecodable from None
        room -= len(parts[-1])
        if room < 0:
            raise OverflowError
        if not stream.eof:
            raise Undecodable
        body = stream.unused_data
        if not body:
            return b"".join(parts)
        if encoding != b"gzip":
            raise Undecodable  # only gzip is made of members that may follow each other
