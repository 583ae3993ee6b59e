"""Builds clients of the Kafka library so that one that cannot start leaves nothing behind."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from kafka.net.compat import KafkaNetClient


class Connections:
    """What one client of the library opens: a thread and descriptors, from before its first broker
    answers. The library closes them with the client; where there is none, or its own end fails,
    ``end`` does. The library calls it, as its ``kafka_client``."""

    def __init__(self) -> None:
        self._opened: list[KafkaNetClient] = []

    def __call__(self, **settings: Any) -> KafkaNetClient:
        self._opened.append(KafkaNetClient(**settings))
        return self._opened[-1]

    def end(self) -> None:
        """Safe to repeat, and after the client's own end. Not for a producer that was built: its
        thread closes them itself, and would spin without."""
        for client in self._opened:
            for _ in range(2):  # where the library's loop crashed, the first raises what crashed it
                with suppress(Exception):
                    client.close()
        self._opened.clear()


def built(kind: Callable[..., Any], connections: Connections, **settings: Any) -> Any:
    """A client of this kind. Raises what the library raises; then nothing of it is left open."""
    try:
        return kind(kafka_client=connections, **settings)
    except BaseException:
        connections.end()
        raise
