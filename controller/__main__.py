"""The entry point of `imagectl`: handles SIGTERM before it imports large modules."""

from __future__ import annotations

import gc
import os
import signal
import sys

_OBJECTS_WITHOUT_GARBAGE = 100_000


def main() -> None:
    """Run the command line."""
    # Nothing has started yet, so it can exit at once. As PID 1, a process without a handler ignores SIGTERM.
    is_controller = "run" in sys.argv[1:2]
    exit_code = 0 if is_controller else 128 + signal.SIGTERM
    signal.signal(signal.SIGTERM, lambda *_: os._exit(exit_code))
    # The imports alone would start the search for garbage a hundred times, and a command has little.
    gc.set_threshold(_OBJECTS_WITHOUT_GARBAGE)
    from controller.cli.main import main as command_line

    try:
        command_line()
    finally:
        gc.freeze()  # Python's search for garbage at exit would take as long as the imports of a command.


if __name__ == "__main__":
    main()
