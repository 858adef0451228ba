"""Memory: what was observed of each image, and for how long it has been idle."""
