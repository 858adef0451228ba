"""The host: clock, facts, log output, systemd."""
