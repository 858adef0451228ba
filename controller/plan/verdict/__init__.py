"""Verdicts: what happens to each reference, and why."""
