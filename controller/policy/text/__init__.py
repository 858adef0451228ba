"""From bytes to a tree of values with positions."""
