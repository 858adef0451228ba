"""Where log lines go: standard error, as text for people or as JSON for machines."""

from __future__ import annotations

import logging
import sys

from controller.log_events import LogEvent

_TEXT = "%(asctime)s %(levelname)-7s %(message)s"
_LIBRARIES = ("docker", "urllib3", "watchdog", "waitress")


def set_up(form: str, level: str) -> None:
    """Send everything to standard error; `form` is text, json, or auto (text on a terminal)."""
    handler = logging.StreamHandler(sys.stderr)
    as_json = form == "json" or (form == "auto" and not sys.stderr.isatty())
    handler.setFormatter(_json() if as_json else logging.Formatter(_TEXT, "%H:%M:%S"))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for library in _LIBRARIES:
        logging.getLogger(library).setLevel(logging.WARNING)
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)  # Clients that wait are no news.


def _json() -> logging.Formatter:
    from pythonjsonlogger.json import JsonFormatter

    names = {"asctime": "time", "levelname": "level"}
    unknown = {"event": LogEvent.LIBRARY_MESSAGE}
    return JsonFormatter("%(asctime)s %(levelname)s %(message)s", rename_fields=names, defaults=unknown)
