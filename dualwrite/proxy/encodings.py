"""Bodies that are compressed, as DynamoDB takes and gives them: by gzip or deflate."""

import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

CONTENT_BYTES_MAX = 16 * 1024 * 1024 + 64 * 1024
"""Of one body, decoded: what an uncompressed one may have."""
HELD_BYTES_MAX = 128 * 1024 * 1024
"""Of all decoded bodies together."""
PACKED_BYTES_MIN = 4096
"""DynamoDB sends smaller answers as they are."""
PACKING_LEVEL = 1
"""An answer waits for it, and all others with it."""
_WINDOWS = {b"gzip": zlib.MAX_WBITS | 16, b"deflate": zlib.MAX_WBITS}


_WEIGHT = re.compile(rb"[0-9]*\.?[0-9]*")


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


def accepted(header: bytes) -> bytes | None:
    """The encoding of an answer to who sends this Accept-Encoding; None: none.

    Weights and wildcards mean what RFC 9110 (12.5.3) says, with DynamoDB's own leniency: what
    is named goes before what a wildcard stands for, and "identity" keeps nobody from packing.
    """
    weights: dict[bytes, float] = {}
    for part in header.lower().split(b","):
        name, *parameters = (each.strip() for each in part.split(b";"))
        weight = _weight(parameters)
        weights[name] = max(weight, weights.get(name, weight))
    wild = weights.get(b"*", 0.0)
    named = [(weight, name) for name, weight in weights.items() if name in _WINDOWS]
    named += [(wild, name) for name in _WINDOWS if name not in weights]
    weight, name = max(named, key=lambda each: each[0])
    return name if weight > 0 else None


def packed(encoding: bytes, body: bytes) -> bytes:
    """The body in an encoding that ``accepted`` gave."""
    packer = zlib.compressobj(PACKING_LEVEL, zlib.DEFLATED, _WINDOWS[encoding])
    return packer.compress(body) + packer.flush()


def _weight(parameters: list[bytes]) -> float:
    for parameter in parameters:
        name, equals, value = parameter.partition(b"=")
        if equals and name.strip() == b"q":
            value = value.strip()
            if value.startswith(b"-"):
                return 0.0
            digits = _WEIGHT.fullmatch(value)
            return min(float(value), 1.0) if digits and value.strip(b".") else 1.0
    return 1.0
