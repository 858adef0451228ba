"""A written point in time, exactly as upstream reads it: as Go's `time.Parse(time.RFC3339, ...)` does."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

PATTERN = (
    r"[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
    r"T([01]?[0-9]|2[0-3]):([0-5][0-9]):([0-5][0-9])([.,][0-9]+)?"
    r"(Z|[+-]([01][0-9]|2[0-4]):([0-5][0-9]|60))"
)
"""All but the length of the month. Go takes one digit for the hour, a comma for the point, and offsets up to 24:60."""

_pattern = re.compile(PATTERN)
_earliest = datetime.min.replace(tzinfo=UTC)
_latest = datetime.max.replace(tzinfo=UTC)
_a_leap_year = 4


def parse_rfc3339(text: str) -> datetime | None:
    """The instant in UTC, cut to microseconds; None if upstream would refuse the text.

    Go knows years that Python does not (0000, and what an offset moves over either end): they become the earliest or
    the latest instant there is, which comes to the same.
    """
    if not (parts := _pattern.fullmatch(text)):
        return None
    year = int(text[:4])
    month, day, hour, minute, second, fraction, zone, offset_hours, offset_minutes = parts.groups()
    try:
        midnight = datetime(year or _a_leap_year, int(month), int(day), tzinfo=UTC)
    except ValueError:
        return None
    if year == 0:
        return _earliest
    microseconds = int((fraction or ".0")[1:7].ljust(6, "0"))
    time_of_day = timedelta(hours=int(hour), minutes=int(minute), seconds=int(second), microseconds=microseconds)
    ahead_of_utc = timedelta(hours=int(offset_hours or 0), minutes=int(offset_minutes or 0))
    return _moved(midnight, time_of_day + ahead_of_utc if zone.startswith("-") else time_of_day - ahead_of_utc)


def _moved(midnight: datetime, by: timedelta) -> datetime:
    try:
        return midnight + by
    except OverflowError:
        return _latest if by > timedelta() else _earliest
