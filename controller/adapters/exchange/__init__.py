"""The Open Horizon Exchange: its client, and the delivered files."""
