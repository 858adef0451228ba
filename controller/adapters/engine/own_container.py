"""In which container this program runs, if in any: its image must never be removed."""

from __future__ import annotations

import re
from pathlib import Path

_MOUNTS = Path("/proc/self/mountinfo")
_ID = re.compile(r"/containers?/([0-9a-f]{64})(?:/|\s)|/overlay-containers/([0-9a-f]{64})/")
_MOUNTED_BY_ENGINES = re.compile(r" /etc/(?:hostname|resolv\.conf) ")


def own_container_id(mounts: Path = _MOUNTS) -> str:
    """The container's ID; empty if this is none, or if it cannot be told.

    Engines mount /etc/hostname and /etc/resolv.conf of a container from a folder named after it, and that shows in
    mountinfo, also where control groups and the host name no longer tell.
    """
    try:
        lines = mounts.read_text().splitlines()
    except OSError:
        return ""
    for line in lines:
        if _MOUNTED_BY_ENGINES.search(line) and (found := _ID.search(line)):
            return found[1] or found[2]
    return ""
