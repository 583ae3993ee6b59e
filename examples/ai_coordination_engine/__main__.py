"""``python -m examples.ai_coordination_engine``: the example's old tables, with data in them."""

import argparse
import sys
from pathlib import Path

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from dualwrite import spec_file
from dualwrite.adapters import credentials
from dualwrite.core.errors import DualwriteError
from dualwrite.settings import parse
from examples.ai_coordination_engine import dataset, tables

ITEMS_DEFAULT = 2000


def main() -> None:
    """Create the tables that lack, and load the data set; an item of before is overwritten."""
    parser = argparse.ArgumentParser(prog="examples.ai_coordination_engine", description=__doc__)
    parser.add_argument("--endpoint", help="URL of the engine; default: DUALWRITE_ENDPOINT")
    parser.add_argument("--region")
    parser.add_argument("--spec", type=Path, default=tables.SPEC)
    parser.add_argument("--items", type=int, default=ITEMS_DEFAULT, help="0: tables only")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    settings = parse(arguments.spec, arguments.endpoint, region=arguments.region)
    migration = spec_file.load(settings.spec)
    found = credentials.standard(settings.engine_is_local)()
    client = boto3.client(
        "dynamodb",
        endpoint_url=settings.endpoint_url,
        region_name=settings.region,
        aws_access_key_id=found.access_key,
        aws_secret_access_key=found.secret_key,
        aws_session_token=found.token,
        config=Config(max_pool_connections=16),
    )
    for name in tables.create(client, migration):
        print(f"table {name} is there")
    if arguments.items:
        loaded = dataset.load(client, migration, arguments.seed, arguments.items)
        print(f"{sum(loaded.counts.values())} items in {loaded.seconds:.1f} s")


if __name__ == "__main__":
    try:
        main()
    except (BotoCoreError, ClientError, DualwriteError) as error:
        sys.exit(f"error: {error}")
