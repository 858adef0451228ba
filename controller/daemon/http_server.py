"""The HTTP server: a few threads, whatever comes in; half-open connections cost none of them and are closed in time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from waitress.server import create_server

from controller.errors import InvalidSettings

_THREADS = 4
_IDLE_SECONDS = 30
_MOST_HEADER_BYTES = 16_384


class HttpServer:
    """Serves one WSGI application in the background."""

    def __init__(self, app: Callable[..., Any], host: str, port: int) -> None:
        """Raises InvalidSettings if the address cannot be had; port 0 takes a free one."""
        try:
            self._server = create_server(
                app,
                host=host or "*",
                port=port,
                threads=_THREADS,
                channel_timeout=_IDLE_SECONDS,
                cleanup_interval=_IDLE_SECONDS // 3,
                connection_limit=1000,
                max_request_header_size=_MOST_HEADER_BYTES,
                ident=None,
            )
        except OSError as error:
            raise InvalidSettings(f"--listen: {host}:{port} cannot be had: {error.strerror}") from error
        self._thread = threading.Thread(target=self._server.run, name="http", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """Where it listens."""
        listening: Any = self._server  # One socket, or several where the host has several addresses.
        return int(
            listening.effective_listen[0][1] if hasattr(listening, "effective_listen") else listening.effective_port
        )

    @property
    def is_alive(self) -> bool:
        """Does it serve?"""
        return self._thread.is_alive()

    def stop(self) -> None:
        """Serve no more."""
        self._server.close()
