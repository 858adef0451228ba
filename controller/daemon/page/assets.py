"""The files of the page beside this module: style sheet, script and icon."""

from __future__ import annotations

from functools import cache
from hashlib import sha256
from importlib import resources

_TYPES = {
    "/page.css": "text/css; charset=utf-8",
    "/page.js": "text/javascript; charset=utf-8",
    "/icon.svg": "image/svg+xml",
}
PATHS = tuple(_TYPES)


@cache
def read(path: str) -> tuple[str, bytes]:
    """Content type and content."""
    return _TYPES[path], resources.files(__package__).joinpath(path.removeprefix("/")).read_bytes()


@cache
def address(path: str) -> str:
    """Its path with a hash of its content, so that browsers may cache it."""
    return f"{path}?{sha256(read(path)[1]).hexdigest()[:12]}"
