"""Measures one proxy worker against a constant-answer backend: ``python -m bench``."""
