"""The status page, served by a real server and shown by a real browser."""
