"""An application with boto3: one call of a case after the other, or each on both tables."""

import argparse
import json
import time

import boto3
from botocore.config import Config

from bench.cases import CASES, coordinations, in_new_words, table_name
from bench.requests import ACCESS_KEY, REGION, SECRET_KEY
from dualwrite.core.phases import Side


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--case", choices=tuple(CASES), default="put")
    parser.add_argument("--both", action="store_true", help="writes the new table itself, too")
    arguments = parser.parse_args()
    case = CASES[arguments.case]
    items = list(coordinations())
    designs = [(table_name(managed=True), items)]
    if arguments.both:
        name = table_name(managed=True, side=Side.NEW)
        # Keys stay in the old words: the constant backend looks at none, and the work is the same.
        designs.append((name, [{**item, **in_new_words(item)} for item in items]))
    client = boto3.client(
        "dynamodb",
        endpoint_url=f"http://127.0.0.1:{arguments.port}",
        region_name=REGION,
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
        config=Config(retries={"total_max_attempts": 1}),
    )
    rounds = [[case.body(name, made, n) for name, made in designs] for n in range(len(items))]
    call = getattr(client, boto3_name(case.operation))
    call(**rounds[0][0])
    done, started, cpu_started = 0, time.perf_counter(), time.process_time()
    while (taken := time.perf_counter() - started) < arguments.seconds:
        for body in rounds[done % len(rounds)]:
            call(**body)
        done += 1
    cpu = time.process_time() - cpu_started
    print(json.dumps({"requests": done, "per_second": done / taken, "cpu_seconds": cpu}))


def boto3_name(operation: str) -> str:
    """The method of a client: ``PutItem`` is ``put_item``."""
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in operation)[1:]


if __name__ == "__main__":
    main()
