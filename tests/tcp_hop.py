"""A hop on the wire between a process and its engine, which a test can make hang or reset."""

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

CHUNK_BYTES = 65_536
RESET = struct.pack("ii", 1, 0)
"""SO_LINGER so that closing resets."""


class TcpHop:
    """Passes bytes on while ``mode`` is "pass"; "hang" swallows what clients send, "deaf" what the
    engine answers, and "reset" cuts connections off. ``losses``: how many answers are still to be
    lost, with their connections."""

    def __init__(self, engine: str) -> None:
        parts = urlsplit(engine)
        self._engine = (parts.hostname or "", parts.port or 80)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._mode = "pass"
        self.losses = 0
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def mode(self) -> str:
        return self._mode

    @mode.setter
    def mode(self, mode: str) -> None:
        """What is open was opened in another mode: it is cut off."""
        self._mode = mode
        with self._lock:
            stale, self._open = self._open, set()
        for sock in stale:
            self._cut(sock)

    def close(self) -> None:
        self._listener.close()
        self.mode = "reset"

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                if self._mode == "reset":
                    self._cut(client)
                    continue
                engine = socket.create_connection(self._engine)
                with self._lock:
                    self._open |= {client, engine}
                for source, sink, swallowed in (
                    (client, engine, "hang"),
                    (engine, client, "deaf"),
                ):
                    threading.Thread(
                        target=self._pump, args=(source, sink, swallowed), daemon=True
                    ).start()

    def _pump(self, source: socket.socket, sink: socket.socket, swallowed: str) -> None:
        with suppress(OSError):
            while data := source.recv(CHUNK_BYTES):
                if swallowed == "deaf" and self._lost():
                    self._cut(source)
                    self._cut(sink)
                    break
                if self._mode != swallowed:
                    sink.sendall(data)
        for sock in (source, sink):
            with self._lock:
                self._open.discard(sock)
            with suppress(OSError):
                sock.close()

    def _lost(self) -> bool:
        with self._lock:
            lost = self.losses > 0
            self.losses -= lost
            return lost

    def _cut(self, sock: socket.socket) -> None:
        with suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        with suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)
        sock.close()


@contextmanager
def a_hop(engine: str) -> Iterator[TcpHop]:
    hop = TcpHop(engine)
    try:
        yield hop
    finally:
        hop.close()
