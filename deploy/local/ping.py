"""Say by the exit code whether a service answers: `ping.py unix:///path/to/engine.sock` or `ping.py http://host:port/`.

Any Python 3 runs it, before there is an environment.
"""

from __future__ import annotations

import http.client
import socket
import sys
from urllib.parse import urlsplit

_PATIENCE_SECONDS = 5


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("engine", timeout=_PATIENCE_SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(_PATIENCE_SECONDS)
        self.sock.connect(self._path)


def answers(address: str) -> bool:
    """Whether one GET is answered with 200."""
    url = urlsplit(address)
    connection = http.client.HTTPConnection(url.netloc or "engine", timeout=_PATIENCE_SECONDS)
    if url.scheme == "unix":
        connection = _UnixConnection(url.path)
    try:
        connection.request("GET", "/_ping" if url.scheme == "unix" else url.path)
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


if __name__ == "__main__":
    try:
        sys.exit(0 if answers(sys.argv[1]) else 1)
    except KeyboardInterrupt:
        sys.exit(130)
