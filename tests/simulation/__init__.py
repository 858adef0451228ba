"""Years in the life of nodes, at random, beside a simple model of the truth that finds every removal out of place."""
