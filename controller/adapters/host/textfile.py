"""Write the metrics as a file for the textfile collector of node_exporter."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from controller.errors import TextfileUnavailable

_MODE = 0o644
"""node_exporter runs as another user."""


def write_textfile(file: Path, content: bytes) -> None:
    """Replace the file atomically: a collector never reads half of it. Raises TextfileUnavailable.

    The temporary file does not end in `.prom`, so that no collector reads it.
    """
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        temporary.unlink(missing_ok=True)  # A FIFO that another user created would block.
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _MODE)
        with os.fdopen(descriptor, "wb") as opened:
            os.fchmod(descriptor, _MODE)
            opened.write(content)
        temporary.replace(file)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink()
        raise TextfileUnavailable(f"--textfile {file}: cannot be written: {error.strerror or error}") from error
