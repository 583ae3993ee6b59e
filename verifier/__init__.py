"""Sweep, gates, cutover and rehearsal."""
