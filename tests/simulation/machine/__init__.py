"""The machine room: a deterministic event loop, processes on it, their clocks and their network."""
