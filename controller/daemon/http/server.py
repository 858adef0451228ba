"""The HTTP server: a few threads, whatever comes in; half-open connections cost none of them and are closed in time.

TLS is done where the bytes come in, by the one thread that waits for all connections: a client that begins a handshake
and falls silent costs no more than one that begins a request.
"""

from __future__ import annotations

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
"""Nobody has anything to send here; a body that comes nevertheless is read, so that the answer is."""
_MOST_ANSWER_BYTES = 64 * 2**20
"""Waitress puts more than this into a file; there may be no place to write one."""
_BACKLOG = 1_024
"""Connections that wait to be accepted; beyond, a client tries again only after a second."""
_ENDS_WITHIN_SECONDS = 2.0


class HttpServer:
    """Serves one WSGI application in the background."""

    def __init__(self, app: Callable[..., Any], listen: tuple[str, int], tls: ssl.SSLContext | None = None) -> None:
        """`listen` is a host, empty for every address of this one, and a port, 0 for a free one.

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
        """Does it serve?"""
        return self._thread.is_alive()

    def stop(self) -> None:
        """Serve no more; whatever is under way ends."""
        self._server.task_dispatcher.shutdown()
        with suppress(OSError):  # It was awake already, and has closed what we would wake it with.
            self._server.trigger.pull_trigger(self._close_all)
        self._thread.join(_ENDS_WITHIN_SECONDS)

    def _close_all(self) -> None:
        """In the server's own thread; with nothing left to wait for, that ends."""
        wasyncore.close_all(self._server._map)


class _TlsChannel(HTTPChannel):
    """A connection whose bytes are decrypted where they are read. OpenSSL shakes hands by itself meanwhile."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        self._one_at_a_time = threading.Lock()
        super().__init__(*arguments, **named)

    def handle_read(self) -> None:
        """Take what has come, up to the end of a request: the rest waits until that is served."""
        try:
            while super().readable() and self._take(self.recv(self.adj.recv_bytes)):
                pass
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            pass  # Part of a handshake, or of a record: the rest is on its way.
        except OSError:
            self.handle_close()

    def readable(self) -> bool:
        """Should the select look out for more? It does not tell of what OpenSSL has read already, so that is taken
        here: this is asked before each select, and one follows each answer.
        """
        if super().readable() and isinstance(self.socket, ssl.SSLSocket) and self.socket.pending():
            self.handle_read()
        return bool(self.connected and super().readable())

    def recv(self, buffer_size: int) -> bytes:
        """Waitress reads in its main thread and may write in another; OpenSSL takes one at a time."""
        with self._one_at_a_time:
            return bytes(super().recv(buffer_size))

    def send(self, data: bytes, do_close: bool = True) -> int:
        """So many bytes were taken; none while the connection is busy."""
        try:
            with self._one_at_a_time:
                return int(super().send(data, do_close))
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return 0

    def _take(self, data: bytes) -> bool:
        """Is more to be read?"""
        if not data:
            return False
        self.last_activity = time.time()  # noqa: TID251  the clock by which waitress finds idle connections
        return bool(self.received(data))


def tls_context(certificate: Path, key: Path | None) -> ssl.SSLContext:
    """TLS 1.2 and later with this certificate. Raises InvalidSettings."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise InvalidSettings(f"--tls-certificate {certificate}: cannot be used: {error.strerror or error}") from error
    return context


def _listener(host: str, port: int) -> socket.socket:
    try:
        if not host and socket.has_dualstack_ipv6():
            return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=_BACKLOG)
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, _, _, _, address = found[0]
        return socket.create_server(address[:2], family=family, backlog=_BACKLOG)
    except OSError as error:
        raise AddressUnavailable(f"--listen: {host}:{port} cannot be had: {error.strerror}") from error
