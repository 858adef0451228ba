"""`imagectl health`: checks the controller on this host, for health checks of containers and for scripts.

A container runs it every thirty seconds, so it does not import an HTTP library: that took a third of its time.
"""

from __future__ import annotations

import socket
from typing import Any

import click

from controller.cli.options import settings_from, with_settings
from controller.errors import ControllerUnwell
from controller.printable import printable

_ANSWER_WITHIN_SECONDS = 4.0
_LONGEST_ANSWER_BYTES = 4_000
_LOOPBACK = {"": "127.0.0.1", "*": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104
"""The address to ask if the controller listens on every address."""


@click.command()
@with_settings("listen", "tls_certificate")
@click.option("--ready", is_flag=True, help="Check that it can work, not only that it runs.")
def health(ready: bool, **given: Any) -> None:
    """Check the controller at --listen. Exit code: 0 healthy, 1 not healthy or no answer.

    \b
    Examples:
      imagectl health
      imagectl health --ready --listen 127.0.0.1:9847
    """
    settings = settings_from(given)
    host, port = _LOOPBACK.get(settings.listen[0], settings.listen[0]), settings.listen[1]
    click.echo(_ask(host, port, settings.tls_certificate is not None, "/readyz" if ready else "/healthz"))


def _ask(host: str, port: int, with_tls: bool, path: str) -> str:
    where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        with socket.create_connection((host, port), _ANSWER_WITHIN_SECONDS) as plain, _secured(plain, with_tls) as sock:
            sock.sendall(f"GET {path} HTTP/1.0\r\nHost: {where}\r\n\r\n".encode())
            answer = sock.makefile("rb").read(_LONGEST_ANSWER_BYTES)
    except OSError as error:
        raise ControllerUnwell(f"no controller answers at {where}: {error.strerror or error}") from error
    head, _, body = answer.partition(b"\r\n\r\n")
    text = printable(body.decode(errors="replace").strip())
    if not head.startswith(b"HTTP/1."):
        raise ControllerUnwell(f"no controller answers at {where}: the answer is not HTTP")
    if head.split()[1:2] != [b"200"]:
        raise ControllerUnwell(f"the controller at {where} answers: {text}")
    return text


def _secured(sock: socket.socket, with_tls: bool) -> socket.socket:
    """The connection, with TLS if the controller has it."""
    if not with_tls:
        return sock
    import ssl  # It takes as long as all other imports of this command.

    context = ssl.create_default_context()
    context.check_hostname = False  # The certificate names the host, not the loopback address.
    context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(sock)
