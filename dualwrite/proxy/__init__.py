"""Sockets in and out, and running a plan."""
