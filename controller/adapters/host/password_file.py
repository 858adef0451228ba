"""The file of users and passwords of `--basic-auth`."""

from __future__ import annotations

from pathlib import Path

from controller.errors import InvalidSettings
from controller.pattern import Pattern

_HASH = Pattern(r"sha256:[0-9A-Fa-f]{64}")


def read_passwords(file: Path) -> dict[str, str]:
    """Passwords by user, from lines of `user:password` or `user:sha256:HEX`; # starts a comment line.

    Raises InvalidSettings; its message never contains text of the file.
    """
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidSettings(f"--basic-auth {file}: {getattr(error, 'strerror', '') or 'not UTF-8'}") from error
    passwords: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        user, _, password = line.strip().partition(":")
        if not (user and password):
            raise InvalidSettings(f"--basic-auth {file}: line {number}: expected user:password or user:sha256:HEX")
        if password.startswith("sha256:") and not _HASH.regex.fullmatch(password):
            raise InvalidSettings(f"--basic-auth {file}: line {number}: expected 64 hexadecimal digits after sha256:")
        passwords[user] = password
    if not passwords:
        raise InvalidSettings(f"--basic-auth {file}: no user in the file (add a line user:password)")
    return passwords
