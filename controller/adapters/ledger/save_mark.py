"""The instant of the last save, kept outside the ledger's folder, in memory: it reveals an old copy that is put back.

The mark ends with the boot, so after a reboot an old copy cannot be distinguished from the last one.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from controller.instant import Instant
from controller.json_text import decoded

_RUN = Path("/run/image-controller")
_TOLERATED_SECONDS = 0.001


def run_folder(environment: Mapping[str, str]) -> Path | None:
    """The folder for files that live as long as the boot; None if there is none that this user can write."""
    named = environment.get("RUNTIME_DIRECTORY", "").partition(":")[0]
    of_user = environment.get("XDG_RUNTIME_DIR", "")
    folders = [Path(named)] if named else [_RUN, *([Path(of_user) / _RUN.name] if of_user else [])]
    for folder in folders:
        with suppress(OSError):
            folder.mkdir(mode=0o700, exist_ok=True)
            is_safe = bool(named) or not folder.is_symlink()  # That of a dynamic user is a link of systemd.
            if is_safe and os.access(folder, os.W_OK | os.X_OK):
                return folder
    return None


class SaveMark:
    """The mark of one ledger. Without a folder there is none."""

    def __init__(self, folder: Path | None, ledger: Path) -> None:
        name = sha256(os.fsencode(ledger.absolute())).hexdigest()[:16]
        self._file = None if folder is None else folder / f"{name}.json"

    def write(self, last: Instant | None) -> None:
        """Record a save. An error loses only the mark."""
        if self._file is None or last is None:
            return
        new = self._file.with_suffix(".new")
        with suppress(OSError):
            new.unlink(missing_ok=True)
            with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "w") as opened:
                json.dump({"boot": last.boot, "uptime_seconds": last.uptime_seconds}, opened)
            new.replace(self._file)

    def is_later_than(self, last: Instant | None) -> bool:
        """True if a later instant was saved than the last one in the ledger; false for a new ledger."""
        if self._file is None or last is None:
            return False
        try:
            mark = decoded(self._file.read_text())
            boot, uptime = str(mark["boot"]), float(mark["uptime_seconds"])
        except (OSError, ValueError, KeyError, TypeError):
            return False
        return last.boot != boot or last.uptime_seconds < uptime - _TOLERATED_SECONDS
