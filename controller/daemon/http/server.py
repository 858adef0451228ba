"""The HTTP server: a few threads for any number of connections. Idle connections use no thread and are closed in time.

The thread that waits for all connections also does TLS: an unfinished handshake costs no more than an unfinished
request.
"""

from __future__ import annotations

import errno
import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from waitress import wasyncore
from waitress.channel import HTTPChannel
from waitress.server import create_server

from controller.errors import AddressUnavailable, InvalidSettings

_THREADS = 4
_IDLE_SECONDS = 30
_MOST_CONNECTIONS = 1_000
_MOST_HEADER_BYTES = 16_384
_MOST_BODY_BYTES = 65_536
"""No request needs a body. A small one is read, so that the client reads the answer."""
_MOST_ANSWER_BYTES = 64 * 2**20
"""Waitress writes larger answers to a temporary file; the disk may be full or read-only."""
_BACKLOG = 1_024
"""Connections waiting to be accepted. When it is full, a client retries after a second."""
_ENDS_WITHIN_SECONDS = 2.0


class HttpServer:
    """Serves one WSGI application in a thread."""

    def __init__(self, app: Callable[..., Any], listen: tuple[str, int], tls: ssl.SSLContext | None = None) -> None:
        """`listen` is a host (empty: all addresses) and a port (0: any free port).

        Raises AddressUnavailable.
        """
        listener = _listener(*listen)
        self.port = int(listener.getsockname()[1])
        if tls is not None:
            listener = tls.wrap_socket(listener, server_side=True, do_handshake_on_connect=False)
        server = create_server(
            app,
            sockets=[listener],
            threads=_THREADS,
            backlog=_BACKLOG,
            channel_timeout=_IDLE_SECONDS,
            cleanup_interval=_IDLE_SECONDS // 3,
            connection_limit=_MOST_CONNECTIONS,
            asyncore_use_poll=True,
            max_request_header_size=_MOST_HEADER_BYTES,
            max_request_body_size=_MOST_BODY_BYTES,
            outbuf_overflow=_MOST_ANSWER_BYTES,
            clear_untrusted_proxy_headers=True,
            log_socket_errors=False,
            ident=None,
        )
        if tls is not None:
            server.channel_class = _TlsChannel  # type: ignore[union-attr]  # One socket makes a server, no group.
        self._server: Any = server
        self._thread = threading.Thread(target=self._server.run, name="http", daemon=True)
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        """Is the server running?"""
        return self._thread.is_alive()

    def stop(self) -> None:
        """Stop the server and close all connections."""
        self._server.task_dispatcher.shutdown()
        with suppress(OSError):  # It has already closed its wake-up pipe.
            self._server.trigger.pull_trigger(self._close_all)
        self._thread.join(_ENDS_WITHIN_SECONDS)

    def _close_all(self) -> None:
        """Runs in the server's thread, which ends when no connection is left."""
        wasyncore.close_all(self._server._map)


class _TlsChannel(HTTPChannel):
    """A connection that decrypts where it reads. OpenSSL does the handshake during reads."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        self._openssl_lock = threading.Lock()
        super().__init__(*arguments, **named)

    def handle_read(self) -> None:
        """Read up to the end of one request; the next is read after its answer."""
        try:
            while super().readable() and self._take(self.recv(self.adj.recv_bytes)):
                pass
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            pass  # An incomplete handshake or record: more bytes will follow.
        except OSError:
            self.handle_close()

    def readable(self) -> bool:
        """Should select watch for input? Bytes that OpenSSL has already read are handled here, because select does not
        report them. Waitress calls this before each select.
        """
        if super().readable() and isinstance(self.socket, ssl.SSLSocket) and self.socket.pending():
            self.handle_read()
        return bool(self.connected and super().readable())

    def recv(self, buffer_size: int) -> bytes:
        """Waitress reads and writes in different threads; OpenSSL allows one at a time."""
        with self._openssl_lock:
            return bytes(super().recv(buffer_size))

    def send(self, data: bytes, do_close: bool = True) -> int:
        """The number of bytes sent; 0 while the connection is busy."""
        try:
            with self._openssl_lock:
                return int(super().send(data, do_close))
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return 0

    def _take(self, data: bytes) -> bool:
        """Should reading continue?"""
        if not data:
            return False
        self.last_activity = time.time()  # noqa: TID251  waitress finds idle connections by this clock
        return bool(self.received(data))


def tls_context(certificate: Path, key: Path | None) -> ssl.SSLContext:
    """TLS 1.2 and later with this certificate. Raises InvalidSettings."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise InvalidSettings(f"--tls-certificate {certificate}: cannot load: {error.strerror or error}") from error
    return context


def _listener(host: str, port: int) -> socket.socket:
    try:
        if not host and socket.has_dualstack_ipv6():
            return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=_BACKLOG)
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, _, _, _, address = found[0]
        return socket.create_server(address[:2], family=family, backlog=_BACKLOG)
    except OSError as error:
        raise AddressUnavailable(f"--listen {host}:{port}: cannot bind: {_reason(error)}") from error


def _reason(error: OSError) -> str:
    words = (error.strerror or str(error)).lower()
    is_taken = error.errno == errno.EADDRINUSE
    return words + " (is another controller running? choose another port)" * is_taken
