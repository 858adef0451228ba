"""Stories of a node: one readable file each, run on the fake engine of every kind and on real ones."""
