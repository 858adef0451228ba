"""Output of the commands: columns, tables, selection, progress."""
