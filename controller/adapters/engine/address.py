"""The address of an engine."""

from __future__ import annotations

import re

from controller.errors import InvalidSettings
from controller.value import dataclass

SOCKET_URL = "http+docker://localhost"
"""The URL of requests to a socket."""
_is_address = re.compile(r"unix:///.+|(?:tcp|https?)://(?:[\w.-]+|\[[\da-fA-F:.]+\]):\d{1,5}/?").fullmatch


@dataclass(frozen=True, slots=True)
class Address:
    """Address of an engine."""

    url: str = "unix:///var/run/docker.sock"
    """`unix:///path` or `tcp://host:port`. Raises InvalidSettings for anything else."""
    certificates: str = ""
    """Folder with ca.pem, cert.pem and key.pem for TLS, as in DOCKER_CERT_PATH; empty: no TLS."""
    note: str = ""
    """How this address was found, for the message that nothing is there; empty if it was named."""

    def __post_init__(self) -> None:
        if not _is_address(self.url):
            raise InvalidSettings(f"--docker-host {self.url}: use unix:///path or tcp://host:port")

    @property
    def socket_path(self) -> str:
        """The path of the socket; empty for another host."""
        return self.url.removeprefix("unix://") if self.url.startswith("unix://") else ""

    @property
    def base_url(self) -> str:
        """The URL that requests start with."""
        if self.socket_path:
            return SOCKET_URL
        is_tls = bool(self.certificates) or self.url.startswith("https:")
        return f"{'https' if is_tls else 'http'}://{self.url.partition('://')[2].rstrip('/')}"
