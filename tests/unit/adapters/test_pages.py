"""The pages of the metrics port."""

import json
import socket
import urllib.error
import urllib.request
from typing import Any

import pytest

from dualwrite.adapters.metrics import PrometheusMetrics
from dualwrite.adapters.pages import Readiness, serve
from dualwrite.core import metric_names


def page(port: int, path: str) -> tuple[int, Any]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def test_metrics_are_served_on_a_free_port_of_loopback() -> None:
    """And a port in use is an OSError."""
    subject = PrometheusMetrics()
    subject.set(metric_names.EPOCH, "t", value=4)
    port = serve(0, subject.registry, Readiness())
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        assert b'dualwrite_epoch{table="t"} 4.0' in answer.read()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(OSError, match="in use"):
            serve(taken.getsockname()[1], subject.registry, Readiness())


def test_a_process_is_alive_also_when_it_is_not_ready() -> None:
    """Who is not ready gets no traffic but is not restarted; the page says what is in the way."""
    readiness, reasons = Readiness(), ["the lease has run out", None]
    readiness.require(lambda: reasons[0])
    readiness.require(lambda: None)
    port = serve(0, PrometheusMetrics().registry, readiness)
    assert page(port, "/healthz") == (200, {"alive": True})
    assert page(port, "/readyz") == (503, {"ready": False, "reasons": ["it is starting"]})
    readiness.started = True
    assert page(port, "/readyz") == (
        503, {"ready": False, "reasons": ["the lease has run out"]},
    )  # fmt: skip
    reasons[0] = None
    assert page(port, "/readyz") == (200, {"ready": True, "reasons": []})
