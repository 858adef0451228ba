"""A port of this host's loopback in the network namespace of an engine that has no other network."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import socket
import struct
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Thread

_CLONE_NEWNET = 0x40000000
_SIOCSIFFLAGS, _IFF_UP = 0x8914, 1
_HOST = "127.0.0.1"


def forward(network: Path, port: int) -> None:
    """Accept connections to the port in that network namespace, and pass them to the same port here, in threads.

    Does nothing if that is so already. Raises OSError.
    """
    with ThreadPoolExecutor(1) as pool:
        listener = pool.submit(_listener_in, network, port).result()
    if listener is not None:
        Thread(target=_accept, args=(listener, port), daemon=True).start()


def network_of(command: str) -> Path:
    """The network namespace of the process with this command line. Raises StopIteration."""
    wanted = command.replace(" ", "\0").encode() + b"\0"
    return next(process for process in Path("/proc").glob("[0-9]*") if _command_of(process) == wanted) / "ns/net"


def _command_of(process: Path) -> bytes:
    with suppress(OSError):
        return (process / "cmdline").read_bytes()
    return b""


def _listener_in(network: Path, port: int) -> socket.socket | None:
    """A socket in that network, or None if the port is in use there; the calling thread remains in that network."""
    with network.open() as file:
        if ctypes.CDLL(None, use_errno=True).setns(file.fileno(), _CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "cannot enter the network of the engine")
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", _IFF_UP))
    try:
        return socket.create_server((_HOST, port))
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        return None


def _accept(listener: socket.socket, port: int) -> None:
    while True:
        near, _ = listener.accept()
        Thread(target=_connect, args=(near, port), daemon=True).start()


def _connect(near: socket.socket, port: int) -> None:
    with near, suppress(OSError), socket.create_connection((_HOST, port)) as far:
        back = Thread(target=_copy, args=(far, near), daemon=True)
        back.start()
        _copy(near, far)
        back.join()


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
