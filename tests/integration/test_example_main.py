"""The example's loader as a person starts it."""

import subprocess
import sys

from tests.engines_chosen import free_port


def test_an_engine_that_is_not_there_is_one_plain_line() -> None:
    """No traceback, a non-zero exit, and the address that did not answer."""
    endpoint = f"http://127.0.0.1:{free_port()}"
    done = subprocess.run(
        [sys.executable, "-m", "examples.ai_coordination_engine", "--endpoint", endpoint],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert endpoint in done.stderr
