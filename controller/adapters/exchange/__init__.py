"""The Open Horizon Exchange: its client, and the files that are written from its answers."""
