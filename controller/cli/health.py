"""`imagectl health`: checks the controller on this host, for health checks of containers and for scripts."""

from __future__ import annotations

import http.client
import ssl
from typing import Any

import click

from controller.cli.options import settings_from, with_settings
from controller.errors import ControllerUnwell
from controller.printable import printable

_ANSWER_WITHIN_SECONDS = 4.0
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
    click.echo(_ask(_connection(host, port, settings.tls_certificate is not None), "/readyz" if ready else "/healthz"))


def _connection(host: str, port: int, with_tls: bool) -> http.client.HTTPConnection:
    if not with_tls:
        return http.client.HTTPConnection(host, port, timeout=_ANSWER_WITHIN_SECONDS)
    context = ssl.create_default_context()
    context.check_hostname = False  # The certificate names the host, not the loopback address.
    context.verify_mode = ssl.CERT_NONE
    return http.client.HTTPSConnection(host, port, timeout=_ANSWER_WITHIN_SECONDS, context=context)


def _ask(connection: http.client.HTTPConnection, path: str) -> str:
    where = f"{connection.host}:{connection.port}"
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        text = printable(answer.read(2_000).decode(errors="replace").strip())
    except (OSError, http.client.HTTPException) as error:
        why = getattr(error, "strerror", None) or error
        raise ControllerUnwell(f"no controller answers at {where}: {why}") from error
    finally:
        connection.close()
    if answer.status != 200:
        raise ControllerUnwell(f"the controller at {where} answers: {text}")
    return text
