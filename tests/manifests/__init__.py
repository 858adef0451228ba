"""What is shipped for other programs to read, read by those programs."""
