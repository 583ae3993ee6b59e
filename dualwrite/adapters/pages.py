"""What a process tells on its metrics port: ``/metrics``, ``/healthz`` and ``/readyz``."""

import json
from collections.abc import Callable, Iterable
from socketserver import ThreadingMixIn
from threading import Thread
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app

LOOPBACK = "127.0.0.1"
READ_SECONDS_MAX = 10.0
"""How long a scraper may take to ask."""

Check = Callable[[], str | None]
"""Why this process cannot serve now; None where nothing is in the way. Called from the page's
thread, so it reads plain values only."""


class Readiness:
    """What must hold for this process to serve."""

    def __init__(self) -> None:
        self.started = False
        """Set once, by the process itself."""
        self._checks: list[Check] = []

    def require(self, check: Check) -> None:
        self._checks.append(check)

    def reasons(self) -> list[str]:
        """Why not; empty where the process is ready."""
        if not self.started:
            return ["it is starting"]
        return [reason for check in tuple(self._checks) if (reason := check()) is not None]


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Handler(WSGIRequestHandler):
    timeout = READ_SECONDS_MAX

    def log_message(self, format: str, *args: Any) -> None:
        """Scrapes are no events."""


def serve(port: int, registry: CollectorRegistry, readiness: Readiness) -> int:
    """Answer on loopback from a daemon thread; gives the port (0: a free one).

    ``/healthz`` is 200 as long as the process lives, ``/readyz`` 200 or 503 with the reasons.
    Raises OSError where the port is in use.
    """
    metrics = make_wsgi_app(registry)

    def answer(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        match environ["PATH_INFO"]:
            case "/healthz":
                return _json(start, 200, {"alive": True})
            case "/readyz":
                reasons = readiness.reasons()
                page = {"ready": not reasons, "reasons": reasons}
                return _json(start, 503 if reasons else 200, page)
        shown: Iterable[bytes] = metrics(environ, start)
        return shown

    server = make_server(LOOPBACK, port, answer, server_class=_Server, handler_class=_Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    return server.server_port


def _json(start: Callable[..., Any], status: int, page: dict[str, Any]) -> Iterable[bytes]:
    reason = "OK" if status == 200 else "Service Unavailable"
    start(f"{status} {reason}", [("Content-Type", "application/json")])
    return [json.dumps(page).encode() + b"\n"]
