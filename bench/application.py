"""The application that writes both tables itself, with boto3, one after the other."""

import argparse
import json
import time

import boto3
from botocore.config import Config

from bench.requests import MANAGED, SPEC, coordinations
from dualwrite.core.phases import Side
from dualwrite.core.stamps import FLOOR
from dualwrite.core.transform import Row, row_from_client
from dualwrite.spec_file import load


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    arguments = parser.parse_args()
    migration = load(SPEC)
    table = migration.by_name[MANAGED]
    pairs = []
    for item in coordinations(migration):
        row = row_from_client(table, item, Side.OLD)
        assert isinstance(row, Row), "the benchmark's items have a place in both designs"
        pairs.append((item, row.stamped(FLOOR).seen(Side.NEW)))
    client = boto3.client(
        "dynamodb",
        endpoint_url=f"http://127.0.0.1:{arguments.port}",
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"total_max_attempts": 1}),
    )
    client.put_item(TableName=table.old.name, Item=pairs[0][0])
    written, started, cpu_started = 0, time.perf_counter(), time.process_time()
    while (taken := time.perf_counter() - started) < arguments.seconds:
        old, new = pairs[written % len(pairs)]
        client.put_item(TableName=table.old.name, Item=old)
        client.put_item(TableName=table.new.name, Item=new)
        written += 1
    cpu = time.process_time() - cpu_started
    print(json.dumps({"requests": written, "per_second": written / taken, "cpu_seconds": cpu}))


if __name__ == "__main__":
    main()
