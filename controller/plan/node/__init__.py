"""The node: properties, patterns, and which documents match it."""
