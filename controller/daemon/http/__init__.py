"""The HTTP server: status page, health, metrics, API."""
