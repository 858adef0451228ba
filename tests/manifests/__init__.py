"""Files for other programs, checked with those programs."""
