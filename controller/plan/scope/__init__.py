"""Scope: which documents are in force on this node, and since when."""
