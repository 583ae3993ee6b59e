"""How an error is told; a module of its own, because it is all that the command itself loads."""

import json
import sys


def tell_error(text: str, code: int, *, as_json: bool) -> None:
    """Plain lines on standard error, most often one; with ``as_json`` also a document on standard
    output, in one line, for of a process it is the last of its lines."""
    if as_json:
        print(json.dumps({"error": text, "exit": code}))
    for line in text.splitlines():
        print(f"dualwrite: {line}", file=sys.stderr)
