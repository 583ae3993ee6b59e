"""The only place where real adapters are built and the rooms are put together."""
