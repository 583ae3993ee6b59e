"""A DynamoDB in memory, streams included, that passes the contract suite of the real engines.

It can do what those cannot: split and trim shards, show records late, read old, leave work undone.
"""

from tests.simulation.engine.dynamo import Commit, FakeDynamo, Whims

__all__ = ["Commit", "FakeDynamo", "Whims"]
