"""A small HTTP server on a unix socket, for what happens on connections: kept ones, broken ones, streams."""

from __future__ import annotations

import json
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any


@dataclass
class Said:
    """The requests to a server, and the number of connections."""

    connections: int = 0
    open_sockets: set[socket.socket] = field(default_factory=set)
    requests: list[str] = field(default_factory=list)


class Handler(BaseHTTPRequestHandler):
    """Answers with what the test's function does with it."""

    protocol_version = "HTTP/1.1"
    respond: Callable[[Handler], None]
    said: Said

    def setup(self) -> None:
        super().setup()
        self.said.connections += 1
        self.said.open_sockets.add(self.request)

    def finish(self) -> None:
        self.said.open_sockets.discard(self.request)
        with suppress(OSError):  # The client is gone, or the engine is.
            super().finish()

    def _handle(self) -> None:
        self.said.requests.append(f"{self.command} {self.path}")
        type(self).respond(self)

    do_GET = do_DELETE = _handle  # noqa: N815

    def address_string(self) -> str:
        return "unix"

    def log_message(self, *_: object) -> None:
        """Not logged."""

    def answer(self, value: Any, status: int = 200) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def begin_stream(self) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def send_chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def hang_up(self) -> None:
        self.close_connection = True


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, *_: object) -> None:
        """Ignore a client that disconnected."""


@contextmanager
def serving(path: Path, respond: Callable[[Handler], None]) -> Iterator[Said]:
    """Serve for the length of a block."""
    said = Said()
    handler = type("Handler", (Handler,), {"respond": staticmethod(respond), "said": said})
    with _Server(str(path), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield said
        finally:
            server.shutdown()
            thread.join()
            for open_socket in list(said.open_sockets):
                with suppress(OSError):
                    open_socket.shutdown(socket.SHUT_RDWR)
    path.unlink()
