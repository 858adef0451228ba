"""One figure of a benchmark, and its output. Ratios count; seconds depend on the machine."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure and its limit."""

    what: str
    value: float
    unit: str
    """`x` is a ratio."""
    limit: float | None = None
    detail: str = ""

    @property
    def is_met(self) -> bool:
        return self.limit is None or self.value <= self.limit

    def __str__(self) -> str:
        wanted = "" if self.limit is None else f"at most {self.limit:g}: {'yes' if self.is_met else 'NO'}"
        return f"{self.what:<68} {self.value:8.2f} {self.unit:<5} {wanted:<18} {self.detail}".rstrip()


def seconds(work: Callable[[], object]) -> float:
    """The duration of one call."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def ratio(what: str, ours: Sequence[float], theirs: Sequence[float], limit: float | None = None) -> Figure:
    """The ratio of the medians of several rounds, in which both took turns."""
    mine, other = statistics.median(ours), statistics.median(theirs)
    spread = ", ".join(f"{min(each):.3g}-{max(each):.3g}" for each in (ours, theirs))
    detail = f"medians {mine:.3g} s and {other:.3g} s of {len(ours)} rounds ({spread})"
    return Figure(what, mine / other, "x", limit, detail)
