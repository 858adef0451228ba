"""Days in the life of a node: one readable file each, told to the fake engine of every kind, and to real ones."""
