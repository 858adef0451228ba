"""Campaigns: long runs over many faults, each a module with `main` that prints one closing line. `make campaign`."""
