"""A whole service under ``dualwrite up``, whose processes a test may kill, and its application."""

import json
import os
import random
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from tests.process_harness import Installation, client

START_SECONDS_MAX = 180.0
"""Four processes begin one after the other, on a machine that may have other things to do."""


class Up:
    """``dualwrite up``; knows which process is which part, also after restarts."""

    def __init__(self, installation: Installation, log: Path, *arguments: str) -> None:
        self._command = installation.command("up", "--json", *arguments)
        self._log = log
        self._started = installation.started
        self.ready: dict[str, dict[str, Any]] = {}
        self.begin()

    def begin(self) -> None:
        """Start it, and wait until all of its parts serve. Where it gives up, because parts of a
        killed one are still there, it is started again, as an init system does."""
        deadline = time.monotonic() + START_SECONDS_MAX
        up = threading.Event()
        while not up.is_set():
            assert time.monotonic() < deadline, self._log.read_text()[-2000:]
            self._process = self._launched(up)
            while not up.wait(0.1) and self._process.poll() is None:
                assert time.monotonic() < deadline, "it did not come up in time"

    def _launched(self, up: threading.Event) -> subprocess.Popen[str]:
        with self._log.open("ab") as log:
            process = subprocess.Popen(
                self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True
            )
        self._started.append(process)
        threading.Thread(target=self._listen, args=(process, up), daemon=True).start()
        return process

    def kill(self, part: str) -> None:
        """SIGKILL; the supervisor starts the part again."""
        with suppress(ProcessLookupError):
            os.kill(self.ready[part]["pid"], signal.SIGKILL)

    def kill_supervisor(self) -> None:
        """SIGKILL; its parts stop by themselves."""
        self._process.kill()
        self._process.wait()

    def _listen(self, process: subprocess.Popen[str], up: threading.Event) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            event = json.loads(line)
            if event["event"] == "ready":
                self.ready[event["part"]] = event
            elif event["event"] == "up":
                up.set()


class Writer(threading.Thread):
    """Writes to keys of its own through a proxy, one request after the other and each sent once,
    and keeps what it heard: what was refused or unanswered may have been applied."""

    def __init__(self, port: int, table: str, name: str, rows: list[Mapping[str, Any]]) -> None:
        super().__init__(name=name, daemon=True)
        self._client = client(port)
        self._table = table
        self._rows = rows
        self._random = random.Random(name)
        self._over = threading.Event()
        self.told: Counter[str] = Counter()
        self.hits: dict[int, list[int]] = {number: [0, 0] for number in range(len(rows))}
        """By row: how often its counter was raised for sure, and how often maybe."""
        self.texts: dict[int, set[str | None]] = {}
        """By row: what its text may be; None: the row may be gone."""

    def stop(self) -> None:
        """End, once the answer to the last request is in."""
        self._over.set()
        self.join()

    def run(self) -> None:
        for number in range(1_000_000):
            if self._over.is_set():
                return
            row = self._random.randrange(len(self._rows))
            if row % 2:
                self._count(row)
            else:
                self._rewrite(row, None if self._random.random() < 0.3 else f"{self.name}-{number}")

    def _count(self, row: int) -> None:
        done = self._call(
            "update_item",
            Key=self._key(row),
            UpdateExpression="ADD hits :one SET endpoint_id = :tenant",
            ExpressionAttributeValues={
                ":one": {"N": "1"}, ":tenant": self._rows[row]["endpoint_id"]
            },
        )  # fmt: skip
        self.hits[row][0 if done else 1] += 1

    def _rewrite(self, row: int, text: str | None) -> None:
        if text is None:
            done = self._call("delete_item", Key=self._key(row))
        else:
            done = self._call("put_item", Item={**self._rows[row], "text": {"S": text}})
        self.texts[row] = {text} if done else self.texts.get(row, {None}) | {text}

    def _key(self, row: int) -> dict[str, Any]:
        return {name: self._rows[row][name] for name in ("coordination_uuid", "task_uuid")}

    def _call(self, operation: str, **request: Any) -> bool:
        try:
            getattr(self._client, operation)(TableName=self._table, **request)
        except (ClientError, BotoCoreError):
            self.told["unknown"] += 1
            self._over.wait(0.05)
            return False
        self.told["done"] += 1
        return True
