"""The status page, served by a real server and looked at by a real browser."""
