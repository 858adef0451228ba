"""Who may ask: names under which this host may be called, and passwords.

A page of the internet can make its own name lead to this host and then read, as if it were its own, whatever a browser
gets from here (DNS rebinding). Such a request bears that foreign name in `Host`. Names of this host are known, and IP
addresses cannot be rebound. Behind TLS or a password nobody has to ask: a certificate is not valid for a foreign name,
and a browser does not give it the password.
"""

from __future__ import annotations

import hmac
import ipaddress
import re
from base64 import b64decode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from hashlib import sha256

_HASHED = "sha256:"
_HOST = re.compile(r"(?:\[([^\]]+)\]|([^:]+))(?::[0-9]*)?")


@dataclass(frozen=True, slots=True)
class Access:
    """The rules of the door."""

    names: Sequence[str] = ()
    """Names of this host besides loopback's and addresses; `*.example.org` covers all below it."""
    any_name: bool = False
    passwords: Mapping[str, str] | None = None
    """By user: as they are, or `sha256:` and their hash in hexadecimal; None: nobody is asked for one."""

    def knows(self, host: str) -> bool:
        """May this host be called so? `host` is the header of a request; none at all comes from no browser."""
        if self.any_name or not host:
            return True
        written = _HOST.fullmatch(host.lower())
        name = (written[1] or written[2]).rstrip(".") if written else ""
        return _is_local(name) or (name != "" and any(fnmatchcase(name, known) for known in self.names))

    def admits(self, authorization: str) -> bool:
        """Does this header name a user and the right password (RFC 7617)?"""
        if self.passwords is None:
            return True
        user, password = _credentials(authorization)
        kept = self.passwords.get(user, "")
        given = _hash(password)
        right = kept.removeprefix(_HASHED) if kept.startswith(_HASHED) else _hash(kept)
        return hmac.compare_digest(given, right.lower()) and user in self.passwords


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
    """An address, or a name that every browser takes for loopback (RFC 6761)."""
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
