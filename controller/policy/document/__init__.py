"""A tree of values to a policy document."""
