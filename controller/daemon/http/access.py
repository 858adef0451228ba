"""Access control for HTTP requests: the accepted host names, and passwords.

A web page can point its own name to this host and then read our answers in the visitor's browser (DNS rebinding). Such
a request has the foreign name in `Host`, so only names of this host and IP addresses (which cannot be rebound) are
accepted. With TLS or passwords any name is accepted: the certificate is not valid for a foreign name, and a browser
does not send it the password.
"""

from __future__ import annotations

import hmac
import ipaddress
import re
from base64 import b64decode
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from hashlib import sha256

from controller.value import dataclass

_HASHED = "sha256:"
_HOST = re.compile(r"(?:\[([^\]]+)\]|([^:]+))(?::[0-9]*)?")


@dataclass(frozen=True, slots=True)
class Access:
    """Which requests are answered."""

    names: Sequence[str] = ()
    """Names of this host besides localhost and IP addresses; `*.example.org` covers all names below it."""
    any_name: bool = False
    passwords: Mapping[str, str] | None = None
    """By user: in plain text, or `sha256:` and the hash in hexadecimal. None: no password is needed."""

    def knows(self, host: str) -> bool:
        """True if this `Host` header is accepted. A request without one does not come from a browser."""
        if self.any_name or not host:
            return True
        written = _HOST.fullmatch(host.lower())
        name = (written[1] or written[2]).rstrip(".") if written else ""
        return _is_local(name) or (name != "" and any(fnmatchcase(name, known) for known in self.names))

    def admits(self, authorization: str) -> bool:
        """True if this `Authorization` header has a user and the right password (RFC 7617)."""
        if self.passwords is None:
            return True
        user, password = _credentials(authorization)
        kept = self.passwords.get(user, "")
        given = _hash(password)
        right = kept.removeprefix(_HASHED) if kept.startswith(_HASHED) else _hash(kept)
        return hmac.compare_digest(given.encode(), right.lower().encode()) and user in self.passwords


def _credentials(authorization: str) -> tuple[str, str]:
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return "", ""
    try:
        user, _, password = b64decode(encoded.strip(), validate=True).decode().partition(":")
    except ValueError:
        return "", ""
    return user, password


def _hash(password: str) -> str:
    return sha256(password.encode()).hexdigest()


def _is_local(name: str) -> bool:
    """True for an IP address, and for a name that browsers resolve to loopback (RFC 6761)."""
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
