"""Formats sizes, durations, dates, counts and short IDs for display; no other module does."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UNITS = ("B", "kB", "MB", "GB", "TB")
_SPANS = (("d", 86_400), ("h", 3600), ("m", 60), ("s", 1))


def bytes_in_words(count: int | None) -> str:
    """`12.4 MB`: decimal units, as Docker prints sizes; `unknown` for None."""
    if count is None:
        return "unknown"
    value, unit = float(count), 0
    while value >= 999.95 and unit < len(_UNITS) - 1:
        value, unit = value / 1000, unit + 1
    return f"{count} B" if unit == 0 else f"{value:.1f} {_UNITS[unit]}"


def seconds_in_words(seconds: float) -> str:
    """`3d 4h`, `12m 5s`: the two largest units, for tables and log lines."""
    left = max(0, round(seconds))
    for place, (unit, length) in enumerate(_SPANS):
        if left >= length:
            many, rest = divmod(left, length)
            lesser, size = _SPANS[min(place + 1, len(_SPANS) - 1)]
            less = rest // size if size < length else 0
            return f"{many}{unit} {less}{lesser}" if less else f"{many}{unit}"
    return "0s"


def span(seconds: float) -> str:
    """`42 s`, `12 min`, `5 h 12 min`, `3 d 4 h`: rounded, for sentences."""
    minutes = round(seconds / 60)
    if seconds < 60:
        return f"{max(0, round(seconds))} s"
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 1_440:
        return _two(*divmod(minutes, 60), "h", "min")
    return _two(*divmod(round(minutes / 60), 24), "d", "h")


def _two(many: int, few: int, unit: str, lesser: str) -> str:
    return f"{many} {unit} {few} {lesser}" if few else f"{many} {unit}"


def moment(seconds: float | None) -> str:
    """`in 12m 5s`, `now`, or `-` for None: for tables."""
    return "-" if seconds is None else f"in {seconds_in_words(seconds)}" if seconds > 0 else "now"


def from_now(seconds: float | None) -> str:
    """`in 12 min`, `now`, or a dash: for sentences."""
    return "–" if seconds is None else f"in {span(seconds)}" if seconds > 0 else "now"


def ago(seconds: float) -> str:
    """`12 min ago`"""
    return "in the future" if seconds < -60 else f"{span(max(0.0, seconds))} ago"


def in_utc(wall_seconds: float) -> datetime:
    """A moment, also after 2038 on a system whose `time_t` has 32 bits. Raises OverflowError or ValueError."""
    return _EPOCH + timedelta(seconds=wall_seconds)


@lru_cache
def date(wall_seconds: float) -> str:
    """The date in ISO 8601; the number of seconds if it is not a valid date.

    Many images of a node have the same dates, such as that of the first pass.
    """
    try:
        return in_utc(wall_seconds).isoformat(timespec="seconds")
    except (OverflowError, ValueError):
        return f"{wall_seconds:.0f} s"


def short_id(image: str) -> str:
    """The short ID that `docker images` prints."""
    return image.removeprefix("sha256:")[:12]


def name_of(reference: str, image: str) -> str:
    """The reference, or `<none>` and a short ID for an image without a name."""
    return f"<none> {short_id(reference)}" if reference == image else reference


def count_of(number: int, noun: str, plural: str = "") -> str:
    """`1 document`, `1,204 documents`"""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def times(number: int) -> str:
    """`once`, `3 times`"""
    return "once" if number == 1 else f"{number:,} times"
