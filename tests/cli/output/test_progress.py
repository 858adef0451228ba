"""The progress line, as it is written to a terminal."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from itertools import count

from controller.cli.output.progress import ProgressLine


def lines_of(terminal: io.StringIO) -> list[str]:
    """The lines that were visible, in order."""
    return re.findall(r"\x1b\[K([^\r]*)\r", terminal.getvalue())


def test_it_counts_removals_and_bytes_and_is_erased_at_the_end() -> None:
    terminal, uptime = io.StringIO(), map(float, count())
    line = ProgressLine(terminal, lambda: next(uptime))
    line.began(3)
    for freed in (0, 1_200_000, 5):
        line.answered(freed)
    assert lines_of(terminal) == [
        "removing 1 of 3",
        "removing 2 of 3",
        "removing 3 of 3, 1.2 MB freed so far",
        "",
    ]


def test_a_thousand_fast_removals_are_not_a_thousand_lines() -> None:
    terminal, moments = io.StringIO(), _slowly()
    line = ProgressLine(terminal, lambda: next(moments))
    line.began(1_000)
    for _ in range(999):
        line.answered(1)
    assert len(lines_of(terminal)) < 20


def _slowly() -> Iterator[float]:
    return (number / 1_000 for number in count())


def test_the_next_batch_starts_again_at_zero() -> None:
    terminal = io.StringIO()
    line = ProgressLine(terminal)
    for removals in (1, 2):
        line.began(removals)
        line.answered(7)
    assert lines_of(terminal) == ["removing 1 of 1", "", "removing 1 of 2"]
