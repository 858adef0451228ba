"""The ledger: one SQLite file that keeps what the controller has observed and done."""
