"""Find the container that this program runs in, if any: its image must never be removed."""

from __future__ import annotations

import re
from pathlib import Path

_MOUNTS = Path("/proc/self/mountinfo")
_ID = re.compile(r"/containers?/([0-9a-f]{64})(?:/|\s)|/overlay-containers/([0-9a-f]{64})/")
_MOUNTED_BY_ENGINES = re.compile(r" /etc/(?:hostname|resolv\.conf) ")


def own_container_id(mounts: Path = _MOUNTS) -> str:
    """The ID of our container; empty outside a container, or if the ID is unknown.

    Engines mount /etc/hostname and /etc/resolv.conf from a folder that is named after the container. mountinfo shows
    it, also where control groups and the host name do not.
    """
    try:
        lines = mounts.read_text(encoding="utf-8", errors="replace").splitlines()  # Paths may be any bytes.
    except OSError:
        return ""
    for line in lines:
        if _MOUNTED_BY_ENGINES.search(line) and (found := _ID.search(line)):
            return found[1] or found[2]
    return ""
