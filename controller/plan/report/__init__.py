"""Reports: verdicts and evidence as rows that people and programs read."""
