"""All shipped code above the ports, in one process, on a virtual clock, with a bad day drawn from a
seed: ``make simulate SEEDS=1000..1049``. See ``docs/simulation.md``."""
