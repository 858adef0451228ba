"""`python -m tests.simulation --days N --seed S`: many nodes, many days, and one line with the result."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.host import IN_MEMORY
from tests.simulation.node import SimulatedNode, Tally, Violation

DAYS_OF_A_NODE = 50.0


def live(seed: int, days: float = DAYS_OF_A_NODE) -> Tally:
    """Simulate one node from its first day. Raises Violation."""
    with TemporaryDirectory(dir=IN_MEMORY) as folder:
        return SimulatedNode(seed, Path(folder)).live(days)


def simulate(days: float, seed: int) -> tuple[Tally, list[str]]:
    """Simulate nodes with a seed each until `days` have passed; return the violations too."""
    nodes = max(1, round(days / DAYS_OF_A_NODE))
    total, violations = Tally(), []
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for outcome in pool.map(partial(_outcome, days=days / nodes), range(seed, seed + nodes)):
            if isinstance(outcome, str):
                violations.append(outcome)
            else:
                total += outcome
    return total, violations


def _outcome(seed: int, days: float) -> Tally | str:
    try:
        return live(seed, days)
    except Violation as violation:
        return str(violation)


def _lines(total: Tally, violations: list[str]) -> Iterator[str]:
    yield from violations[:5]
    yield f"{total}; violations {len(violations)}"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--days", type=float, default=10_000, help="node-days in all (%(default)s)")
    parser.add_argument(
        "--seed", type=int, default=1, help="of the first node; each next one has the next (%(default)s)"
    )
    given = parser.parse_args()
    total, violations = simulate(given.days, given.seed)
    print("\n".join(_lines(total, violations)))
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
