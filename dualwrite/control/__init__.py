"""Leases, acknowledgements, audit, and the controller that moves the square."""
