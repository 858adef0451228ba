"""The container engine: connection, answers, events."""
