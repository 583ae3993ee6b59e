"""The Streams consumer by itself, as its page of the documentation shows it."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "streams.md"
ROWS = 25


@pytest.mark.timeout(180)
def test_the_example_of_the_documentation_reads_a_table(
    engine: str, boto: Any, table_prefix: str
) -> None:
    """What stands on the page runs as it is: each write is printed once; a second process goes on
    where the first one, interrupted, left off."""
    [example] = re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    table = f"{table_prefix}rows"
    boto.create_table(
        TableName=table,
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    )
    environment = os.environ | {
        "ENDPOINT": engine, "TABLE": table, "LEASES": f"{table_prefix}leases"
    }  # fmt: skip
    seen: list[str] = []
    for first in (0, ROWS):
        for number in range(first, first + ROWS):
            boto.put_item(TableName=table, Item={"id": {"S": f"r{number:03d}"}})
        process = subprocess.Popen(
            [sys.executable, "-c", example],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment,
        )  # fmt: skip
        assert process.stdout is not None
        found: list[str] = []
        while len(found) < ROWS:  # the log's lines stand between them
            found += re.findall(r"\{'S': '(r\d+)'\}", process.stdout.readline())[:1]
        process.send_signal(signal.SIGINT)
        process.wait(timeout=30)
        seen += found
    assert seen == [f"r{number:03d}" for number in range(2 * ROWS)]
