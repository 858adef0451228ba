"""From a tree of values to a policy document."""
