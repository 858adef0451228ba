"""Figures as SVG without script or style; widths are shares, so that they fit a phone.

Each has a text that says what it shows, for screen readers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import log1p

from controller.daemon.overview import Picture, PlannedRemoval
from controller.daemon.page.html import Child, Html, el
from controller.plan.memory.disk import DiskMark, DiskUsage, PressureMarks
from controller.plan.report.history import Day
from controller.quantity import bytes_in_words, count_of, from_now

_DISK_HEIGHT = 14
_MARKS = {"start": "begins", "stop": "ends"}
_DAYS_HEIGHT = 72
_TIMELINE_HEIGHT = 88
_TIMELINE_BINS = 40
_HOUR, _DAY = 3_600.0, 86_400.0
_EVEN_UP_TO = 1_200.0
_LABEL, _LABEL_ON_PHONES = 0.06, 0.19
"""Share of the axis that a label takes, with some distance, at 1,000 pixels and at 300."""
_TICKS = ((_HOUR, "1 h"), (6 * _HOUR, "6 h"), (_DAY, "1 day"), (7 * _DAY, "1 week"), (30 * _DAY, "1 month"))
_FARTHEST = (*(seconds for seconds, _ in _TICKS), 90 * _DAY, 365 * _DAY, 3_650 * _DAY)


def disk_bar(images: int, usage: DiskUsage, marks: PressureMarks | None = None) -> Html:
    """The shares of a file system: images, other data, free; and the marks between which disk pressure ends."""
    size, available = usage.size_bytes, usage.available_bytes
    other = max(0, size - available - images)
    text = (
        f"{bytes_in_words(images)} images, {bytes_in_words(other)} other data, {bytes_in_words(available)} free"
        f" of {bytes_in_words(size)}"
    )
    end = min(1.0, images / size)
    parts = [_bar("rest", 0, 1, 0, _DISK_HEIGHT), _bar("other", end, max(end, 1 - available / size), 0, _DISK_HEIGHT)]
    lines = [_mark("stop", marks.stop, usage), _mark("start", marks.start, usage)] if marks else []
    if marks:
        text += f"; disk pressure begins at {marks.start} and ends at {marks.stop}"
    return _figure(text, _DISK_HEIGHT, *parts, _bar("images", 0, end, 0, _DISK_HEIGHT), *lines, class_="disk")


def _mark(kind: str, mark: DiskMark, usage: DiskUsage) -> Html:
    at, title = _percent(mark.share_of(usage)), el("title", f"disk pressure {_MARKS[kind]} at {mark}")
    return el("line", title, class_=f"mark {kind}", x1=at, x2=at, y1=-4, y2=_DISK_HEIGHT + 4)


def days_chart(days: Sequence[Day]) -> Html:
    """Freed bytes, one bar per day; today is the last one."""
    most = max((day.freed_bytes for day in days), default=0) or 1
    width = 1 / len(days)
    bars = [
        _bar(
            "today" if number == len(days) - 1 else "day",
            (number + 0.14) * width,
            (number + 0.86) * width,
            _DAYS_HEIGHT - max(2.0, day.freed_bytes / most * (_DAYS_HEIGHT - 2)),
            _DAYS_HEIGHT,
            el("title", f"{day.date}: {bytes_in_words(day.freed_bytes)}, {count_of(day.removals, 'reference')}"),
        )
        for number, day in enumerate(days)
    ]
    freed = ", ".join(f"{day.date} {bytes_in_words(day.freed_bytes)}" for day in days if day.freed_bytes)
    return _figure(
        f"Freed on the last {count_of(len(days), 'day')}: {freed or 'nothing'}", _DAYS_HEIGHT, *bars, class_="days"
    )


def timeline(removals: Sequence[PlannedRemoval], picture: Picture) -> Html:
    """Removals over time, in bytes; near times are wider than far ones.

    What is due is a mark of full height, not to scale: it may be much larger than the rest.
    """
    waits = [picture.seconds_until(removal.due_at) for removal in removals]
    horizon = next((at for at in _FARTHEST if at >= max(waits, default=0.0)), _FARTHEST[-1])
    bins, due_bytes = [0] * _TIMELINE_BINS, 0
    for removal, wait in zip(removals, waits, strict=True):
        if wait == 0:
            due_bytes += removal.frees_bytes
        else:
            place = min(_TIMELINE_BINS - 1, 1 + int(_share(wait, horizon) * (_TIMELINE_BINS - 1)))
            bins[place] += max(1, removal.frees_bytes)
    most = max(bins) or 1
    bars = [_bin("later", at, total / most, _about(at, horizon), total) for at, total in enumerate(bins) if total]
    now = _bin("now", 0, 1.0, "now", due_bytes) if 0.0 in waits else None
    return _figure(_in_words(removals, waits), _TIMELINE_HEIGHT + 20, now, *bars, *_axis(horizon), class_="timeline")


def _bin(kind: str, place: int, share: float, when: str, total: int) -> Html:
    top = _TIMELINE_HEIGHT - max(3.0, share * _TIMELINE_HEIGHT)
    left, right = (place + 0.1) / _TIMELINE_BINS, (place + 0.9) / _TIMELINE_BINS
    return _bar(kind, left, right, top, _TIMELINE_HEIGHT, el("title", f"{when}: {bytes_in_words(total)}"))


def _in_words(removals: Sequence[PlannedRemoval], waits: Sequence[float]) -> str:
    steps = ((0.0, "now"), (_HOUR, "within an hour"), (_DAY, "within a day"), (7 * _DAY, "within a week"))
    sums = [
        (sum(each.frees_bytes for each, wait in zip(removals, waits, strict=True) if wait <= until), word)
        for until, word in steps
    ]
    return "Removals over time: " + ", ".join(f"{bytes_in_words(total)} {word}" for total, word in sums)


def _axis(horizon: float) -> list[Html]:
    ticks = [(at, label) for at, label in _TICKS if at <= horizon]
    places = {at: (1 + _share(at, horizon) * (_TIMELINE_BINS - 1)) / _TIMELINE_BINS for at, _ in ticks} | {0.0: 0.0}
    on_phones = _apart(places, _LABEL_ON_PHONES)
    return [
        el("line", class_="axis", x1="0", x2="100%", y1=_TIMELINE_HEIGHT + 0.5, y2=_TIMELINE_HEIGHT + 0.5),
        *(
            el(
                "text",
                label,
                x=_percent(places[at]),
                y=_TIMELINE_HEIGHT + 16,
                text_anchor="start" if at == 0 else "end" if at == horizon else "middle",
                class_=None if at in on_phones else "wide",
            )
            for at, label in [(0.0, "now"), *ticks]
            if at in _apart(places, _LABEL)
        ),
    ]


def _apart(places: Mapping[float, float], width: float) -> set[float]:
    """The moments whose labels do not overlap, if each takes this share of the axis: now, and the later ones first."""
    chosen, free_until = {0.0}, 1.0
    for at in sorted(places, reverse=True):
        right = min(1.0, places[at] + width / 2)
        if at > 0 and right <= free_until and right - width >= width:
            chosen.add(at)
            free_until = right - width
    return chosen


def _share(seconds: float, horizon: float) -> float:
    """The place of a moment on the axis, from 0 to 1: linear up to some minutes, logarithmic after that."""
    return log1p(seconds / _EVEN_UP_TO) / log1p(horizon / _EVEN_UP_TO)


def _about(place: int, horizon: float) -> str:
    """The middle of a bin, in words."""
    share = (place - 0.5) / (_TIMELINE_BINS - 1)
    return from_now(_EVEN_UP_TO * ((1 + horizon / _EVEN_UP_TO) ** share - 1))


def _bar(kind: str, start: float, end: float, top: float, bottom: float, *children: Child) -> Html:
    return el(
        "rect",
        *children,
        class_=kind,
        x=_percent(start),
        width=_percent(max(0.0, end - start)),
        y=f"{top:.1f}",
        height=f"{bottom - top:.1f}",
        rx=1.5,
    )


def _figure(text: str, height: float, *parts: Child, class_: str) -> Html:
    return el("svg", *parts, class_=f"figure {class_}", role="img", aria_label=text, width="100%", height=f"{height:g}")


def _percent(share: float) -> str:
    return f"{share * 100:.2f}%"
