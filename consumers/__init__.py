"""Streams, reconcile, backfill and repairs."""
