"""Bytes and seconds as people read them."""

from __future__ import annotations

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
    """`3d 4h`, `12m 5s`: the two largest units that matter."""
    left = max(0, round(seconds))
    for place, (unit, length) in enumerate(_SPANS):
        if left >= length:
            many, rest = divmod(left, length)
            lesser, size = _SPANS[min(place + 1, len(_SPANS) - 1)]
            less = rest // size if size < length else 0
            return f"{many}{unit} {less}{lesser}" if less else f"{many}{unit}"
    return "0s"
