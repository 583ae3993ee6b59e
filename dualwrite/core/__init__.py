"""Decisions only: values in, values out. Nothing here awaits, logs, or reads a clock."""
