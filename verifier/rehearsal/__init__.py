"""The rehearsal: the whole migration under a live workload, judged by what clients were told."""
