"""Fixtures of the core's tests."""

from tests.engines_local import dynamodb_local

__all__ = ["dynamodb_local"]
