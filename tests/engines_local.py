"""DynamoDB Local as an oracle: fetched by Maven on request, started on a free port of loopback.

``ENGINES=all`` lets a test run fetch it (once, about 50 MB). Without that, the tests that need it
are skipped where it is not there, and say why. Nothing of it is part of this project.
"""

import http.client
import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.engines_chosen import EngineName, fetched, free_port, lacking, running
from verifier.rehearsal.jvm import SHORT_LIVED

HOME = Path(__file__).parent / "engines" / "dynamodb-local"
MAIN = "software.amazon.dynamodb.services.local.main.ServerRunner"


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


@contextmanager
def running_local() -> Iterator[int]:
    """The port of a running DynamoDB Local; ends the test where there is none to run."""
    java = shutil.which("java")
    if java is None:
        lacking(EngineName.DYNAMODB_LOCAL, "Java, which runs it, is not installed")
    fetch = ["mvn", "-q", "-B", "-ntp", "dependency:copy-dependencies", "-DoutputDirectory=lib"]
    fetched(EngineName.DYNAMODB_LOCAL, HOME, fetch, target="lib", source="pom.xml")
    port = free_port()
    with tempfile.TemporaryDirectory() as scratch:
        # A command line of the engine's own documentation; it binds all interfaces, no flag helps.
        command = [java, *SHORT_LIVED, "-Xmx256m", f"-Djava.io.tmpdir={scratch}"]
        command += ["-cp", str(HOME / "lib" / "*")]
        command += [MAIN, "-inMemory", "-disableTelemetry", "-port", str(port)]
        with running(command, lambda: _answers(port)):
            yield port


@pytest.fixture(scope="session")
def dynamodb_local() -> Iterator[int]:
    """The port of the session's DynamoDB Local."""
    with running_local() as port:
        yield port


def _answers(port: int) -> bool:
    try:
        LocalDynamo(port, "ready").call("ListTables", {})
    except OSError:
        return False
    return True
