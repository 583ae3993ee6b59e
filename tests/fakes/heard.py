"""What a real HTTP parser makes of one message, to hold short cuts against."""

from typing import Any

import httptools


class Heard:
    """One request or answer; header names as they came."""

    def __init__(self, parser: type[Any], data: bytes) -> None:
        self.headers: list[tuple[bytes, bytes]] = []
        self.path = self.body = b""
        self.whole = self.keep_alive = False
        self.parser = parser(self)
        self.parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        self.path += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name, value))

    def on_body(self, data: bytes) -> None:
        self.body += data

    def on_message_complete(self) -> None:
        assert not self.whole, "two messages"
        self.whole = True
        self.keep_alive = self.parser.should_keep_alive()


def heard_answer(data: bytes) -> Heard:
    return Heard(httptools.HttpResponseParser, data)


def heard_request(data: bytes) -> Heard:
    return Heard(httptools.HttpRequestParser, data)
