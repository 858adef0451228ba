"""Benchmarks, beside other ways to do the same in the same run: `make bench`, or `python -m tests.bench NAME...`."""
