"""Removes container images that an edge node no longer needs, by policy, and never one that it does."""

__version__ = "0.1.0"
