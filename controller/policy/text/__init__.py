"""Bytes to a tree of values with positions."""
