"""The tests: one file for each module of controller/, in a folder of the same name."""
