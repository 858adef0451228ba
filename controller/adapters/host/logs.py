"""Where log lines go: standard error, as text for people or as JSON for machines."""

from __future__ import annotations

import logging
import sys

from controller.log_events import LogEvent
from controller.printable import printable
from controller.quantity import in_utc

_TEXT = "%(asctime)s %(levelname)-7s %(message)s"
_LOCAL_TIME = "%Y-%m-%dT%H:%M:%S%z"
_DETAIL = "\n  "
"""Between the lines of one message: all problems of a document."""
_LIBRARIES = ("docker", "urllib3", "watchdog", "waitress")


def set_up(form: str, level: str) -> None:
    """Send everything to standard error; `form` is text, json, or auto (text on a terminal)."""
    handler = logging.StreamHandler(sys.stderr)
    as_json = form == "json" or (form == "auto" and not sys.stderr.isatty())
    handler.setFormatter(_json() if as_json else TextFormatter(_TEXT, _LOCAL_TIME))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for library in _LIBRARIES:
        logging.getLogger(library).setLevel(logging.WARNING)
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)  # Waiting clients are normal.


class TextFormatter(logging.Formatter):
    """Local time with its offset. Foreign text cannot start a new line or control the terminal."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        """The line without its traceback."""
        record.message = _DETAIL.join(map(printable, record.message.split(_DETAIL)))
        return super().formatMessage(record)


def utc(record: logging.LogRecord) -> str:
    """The time of a record as RFC 3339 in UTC."""
    return f"{in_utc(record.created).isoformat(timespec='milliseconds')[:-6]}Z"


def _json() -> logging.Formatter:
    from pythonjsonlogger.json import JsonFormatter

    class Formatter(JsonFormatter):
        def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802
            return utc(record)

    names = {"asctime": "time", "levelname": "level"}
    unknown = {"event": LogEvent.LIBRARY_MESSAGE}
    return Formatter("%(asctime)s %(levelname)s %(message)s", rename_fields=names, defaults=unknown)
