"""The controller as a process of its own, as a service manager would start it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

IMAGECTL = (sys.executable, "-m", "controller")
_ALONE = {name: value for name, value in os.environ.items() if not name.startswith(("IMAGECTL_", "DOCKER_"))}


def imagectl(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """One command, to its end."""
    return subprocess.run(
        [*IMAGECTL, *arguments],
        env={**_ALONE, **environment},
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )


def rows(*arguments: str, **environment: str) -> list[dict[str, Any]]:
    """The JSON rows of a listing command; none while it fails."""
    done = imagectl(*arguments, "--output", "json", **environment)
    return list(json.loads(done.stdout)) if done.returncode == 0 else []


@contextmanager
def running(*arguments: str, environment: Mapping[str, str]) -> Iterator[subprocess.Popen[str]]:
    """`imagectl run` for the length of a block."""
    with subprocess.Popen(
        [*IMAGECTL, "run", *arguments], env={**_ALONE, **environment}, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.terminate()
            process.communicate(timeout=60)
