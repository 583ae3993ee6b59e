"""DynamoDB Local as an oracle: fetched by Maven on request, started on a free port of loopback.

``ENGINES=all`` lets a test run fetch it (once, about 50 MB). Without that, and without Java, the
tests that need it are skipped and say why. Nothing of it is part of this project.
"""

import http.client
import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

HOME = Path(__file__).parent / "engines" / "dynamodb-local"
FETCHED = HOME / "lib" / ".done"
MAIN = "software.amazon.dynamodb.services.local.main.ServerRunner"
START_SECONDS_MAX = 90.0
FETCH_SECONDS_MAX = 600


class EngineSays(Exception):  # an answer, not a mishap
    """The engine answered with an error."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


class LocalDynamo:
    """One keep-alive connection; speaks DynamoDB JSON as it is.

    ``database`` is the access key: DynamoDB Local keeps a database apart for each.
    """

    def __init__(self, port: int, database: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        self._authorization = (
            f"AWS4-HMAC-SHA256 Credential={database}/20200101/us-east-1/dynamodb/aws4_request, "
            "SignedHeaders=host, Signature=none"
        )

    def call(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """The engine's answer; raises EngineSays for an error."""
        headers = {
            "Content-Type": "application/x-amz-json-1.0",
            "X-Amz-Target": f"DynamoDB_20120810.{operation}",
            "X-Amz-Date": "20200101T000000Z",
            "Authorization": self._authorization,
        }
        self._connection.request("POST", "/", json.dumps(request), headers)
        response = self._connection.getresponse()
        answer: dict[str, Any] = json.loads(response.read())
        if response.status == 200:
            return answer
        code = str(answer.get("__type", "")).rpartition("#")[2]
        raise EngineSays(code, answer.get("Message") or answer.get("message") or "")

    def close(self) -> None:
        self._connection.close()


@pytest.fixture(scope="session")
def dynamodb_local() -> Iterator[int]:
    """The port of a running DynamoDB Local; skips where there is none to run."""
    java = _present_java()
    _fetched()
    with tempfile.TemporaryDirectory() as scratch, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        probe.close()
        # A command line of the engine's own documentation; it binds all interfaces, no flag helps.
        command = [java, "-Xmx256m", f"-Djava.io.tmpdir={scratch}", "-cp", str(HOME / "lib" / "*")]
        command += [MAIN, "-inMemory", "-disableTelemetry", "-port", str(port)]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            _wait(port, process)
            yield port
        finally:
            process.terminate()
            process.wait(timeout=30)


def _present_java() -> str:
    java = shutil.which("java")
    if java is None:
        pytest.skip("DynamoDB Local needs Java, and there is none")
    return java


def _fetched() -> None:
    if FETCHED.exists():
        return
    if os.environ.get("ENGINES") != "all":
        pytest.skip("DynamoDB Local is not fetched; run with ENGINES=all to fetch it")
    maven = shutil.which("mvn")
    if maven is None:
        pytest.skip("DynamoDB Local is fetched by Maven, and there is none")
    shutil.rmtree(HOME / "lib", ignore_errors=True)
    fetch = [maven, "-q", "-B", "-ntp", "-f", str(HOME / "pom.xml")]
    fetch += ["dependency:copy-dependencies", "-DoutputDirectory=lib"]
    done = subprocess.run(fetch, capture_output=True, timeout=FETCH_SECONDS_MAX, check=False)
    if done.returncode != 0:
        pytest.skip("Maven could not fetch DynamoDB Local")
    FETCHED.touch()


def _wait(port: int, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + START_SECONDS_MAX
    while time.monotonic() < deadline:
        assert process.poll() is None, "DynamoDB Local ended before it answered"
        try:
            LocalDynamo(port, "ready").call("ListTables", {})
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError("DynamoDB Local did not answer in time")
