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
from functools import partial
from typing import Any

from waitress import wasyncore
from waitress.adjustments import Adjustments
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser, ParsingError
from waitress.server import TcpWSGIServer
from waitress.task import ThreadedTaskDispatcher

from controller.daemon.http.certificate import Certificate
from controller.errors import AddressUnavailable

_THREADS = 4
_IDLE_SECONDS = 30
_CLEANUP_SECONDS = 10
"""Between checks for idle connections. Input and answers wake the server's thread at once."""
_MOST_CONNECTIONS = 100
"""With more, the longest idle are closed, so that a health check is answered under any number of idle connections."""
_ACCEPTED_AT_ONCE = 50
"""Less than the limit: a new connection is read before later ones can displace it."""
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

    def __init__(self, app: Callable[..., Any], listen: tuple[str, int], tls: Certificate | None = None) -> None:
        """`listen` is a host (empty: all addresses) and a port (0: any free port).

        Raises AddressUnavailable.
        """
        listener = _listener(*listen)
        self.port = int(listener.getsockname()[1])
        if tls is not None:
            listener = tls.context.wrap_socket(listener, server_side=True, do_handshake_on_connect=False)
        settings = Adjustments(
            sockets=[listener],
            threads=_THREADS,
            backlog=_BACKLOG,
            channel_timeout=_IDLE_SECONDS,
            cleanup_interval=_CLEANUP_SECONDS,
            asyncore_loop_timeout=_CLEANUP_SECONDS,
            connection_limit=100 * _MOST_CONNECTIONS,  # _Server limits them instead of accepting none.
            asyncore_use_poll=True,
            max_request_header_size=_MOST_HEADER_BYTES,
            max_request_body_size=_MOST_BODY_BYTES,
            outbuf_overflow=_MOST_ANSWER_BYTES,
            clear_untrusted_proxy_headers=True,
            log_socket_errors=False,
            ident=None,
        )
        threads = ThreadedTaskDispatcher()
        threads.set_thread_count(_THREADS)
        place = (listener.family, listener.type, listener.proto, listener.getsockname())
        kind = _Server if tls is None else partial(_TlsServer, certificate=tls)
        self._server: Any = kind(
            app, {}, True, listener, dispatcher=threads, adj=settings, bind_socket=False, sockinfo=place
        )
        self._thread = threading.Thread(target=self._server.run, name="http", daemon=True)
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        """True while the server runs."""
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


class _Request(HTTPRequestParser):
    """A request whose mistakes are the client's, and no error in the log."""

    path = ""
    """Waitress logs it if the client is gone before the answer, also of a request that it could not parse."""

    def parse_header(self, header_plus: bytes) -> None:
        """Raises ParsingError, which is answered with 400; urlsplit raises ValueError for `http://[`."""
        try:
            super().parse_header(header_plus)
        except ValueError:
            raise ParsingError("Invalid URI") from None


class _Channel(HTTPChannel):
    """A connection that keeps of an answer only what is not sent yet."""

    parser_class = _Request

    def write_soon(self, data: Any) -> int:
        """Send a piece of an answer. Waitress keeps sent pieces until the answer ends: 3 MiB at 5,000 images."""
        written = int(super().write_soon(data))
        with self.outbuf_lock:
            # The server's thread may have closed the buffers. Beside unsent bytes it would copy these.
            if self.connected and not self.total_outbufs_len:
                self.outbufs[-1].prune()
        return written


class _Server(TcpWSGIServer):
    """Accepts every connection; beyond a number, it closes those that have been idle longest."""

    channel_class = _Channel

    def handle_accept(self) -> None:
        """Accept some of the waiting connections."""
        for _ in range(_ACCEPTED_AT_ONCE):
            try:
                accepted = self.accept()
                if accepted is None:
                    break
                connection, client = accepted
                self.set_socket_options(connection)
            except OSError:  # The client is gone, or there is no descriptor left.
                break
            self.channel_class(self, connection, client, self.adj, map=self._map)  # type: ignore[attr-defined]
        self._close_idle()

    def _close_idle(self) -> None:
        channels: Any = self.active_channels
        idle = [each for each in channels.values() if not (each.requests or each.total_outbufs_len)]
        idle.sort(key=lambda channel: channel.last_activity)
        for channel in idle[: max(0, len(channels) - _MOST_CONNECTIONS)]:
            channel.will_close = True


class _TlsChannel(_Channel):
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
        """True if select is to watch for input. Waitress calls this before each select.

        Bytes that OpenSSL has already read are handled here, because select does not report them.
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
        """True if reading is to continue."""
        if not data:
            return False
        self.last_activity = time.time()  # noqa: TID251  waitress compares it with this clock
        return bool(self.received(data))


class _TlsServer(_Server):
    """Uses a renewed certificate for new connections."""

    channel_class = _TlsChannel

    def __init__(self, *arguments: Any, certificate: Certificate, **named: Any) -> None:
        self._certificate = certificate
        super().__init__(*arguments, **named)

    def handle_accept(self) -> None:
        self._certificate.renew()
        super().handle_accept()


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
    # create_server adds the address to the text of an error.
    words = (error.strerror or str(error)).partition(" (while")[0].lower()
    is_taken = error.errno == errno.EADDRINUSE
    return words + " (is another controller running? choose another port)" * is_taken
