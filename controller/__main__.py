"""The entry point of `imagectl`: handles SIGTERM before it imports large modules."""

from __future__ import annotations

import os
import signal
import sys


def main() -> None:
    """Run the command line."""
    # Nothing has started yet, so it can exit at once. As PID 1, a process without a handler ignores SIGTERM.
    exit_code = 0 if "run" in sys.argv[1:2] else 128 + signal.SIGTERM
    signal.signal(signal.SIGTERM, lambda *_: os._exit(exit_code))
    from controller.cli.main import main as command_line

    command_line()


if __name__ == "__main__":
    main()
