"""The duration of commands that only read, and of a scrape.

Whole processes, with 1,000 images in the ledger; everything is compiled first, as after an installation.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from controller.adapters.host.clock import SystemClock
from controller.daemon.metrics.collector import Metrics
from tests import sample_node
from tests.bench.figure import Figure, seconds
from tests.page.site import StillDisk, busy_status

_IMAGECTL = str(Path(sys.executable).with_name("imagectl"))
IMAGES = 1_000
RUNS = 9
COMMANDS = (
    "get images",
    "get images -l verdict=DUE --sort-by -size -o wide",
    "get policies",
    "get removals",
    "get removals --summary",
    "explain redis:1.1",
)


def figures() -> Iterator[Figure]:
    with TemporaryDirectory() as folder:
        ledger = _ledger(Path(folder))
        bare = min(seconds(lambda: _run([sys.executable, "-c", "pass"])) for _ in range(RUNS))
        yield Figure("python -c pass, for comparison", bare * 1_000, "ms")
        for command in COMMANDS:
            whole = [_IMAGECTL, *command.split(), "--ledger", str(ledger)]
            best = min(seconds(partial(_run, whole)) for _ in range(RUNS))
            yield Figure(f"imagectl {command}", best * 1_000, "ms", 100)
    yield from _scrape()


def _ledger(folder: Path) -> Path:
    """The ledger of a controller after a pass with this number of images."""
    now, policies = SystemClock().now(), sample_node.write_policies(folder / "policies")
    decision = sample_node.decision_on(sample_node.memory_of(IMAGES, now), policies)
    status = sample_node.status_of(decision, policies, now)
    return sample_node.write_ledger(folder / "ledger.db", status, *sample_node.history(now=now))


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True, capture_output=True)


def _scrape() -> Iterator[Figure]:
    metrics = Metrics(StillDisk())
    with TemporaryDirectory() as folder:
        metrics.publish(busy_status(5_000, Path(folder)))
    best = min(seconds(metrics.exposition) for _ in range(RUNS))
    yield Figure("a scrape at 5,000 images", best * 1_000, "ms", 50)
    # For the five documents of the sample node. Inodes, disk pressure, unexpected deletions (with an outcome for each
    # document), STOP and the last delivery (design §8, §10 and §12) came after a limit of 20: 1.8 kB.
    yield Figure("its size", len(metrics.exposition()[0]) / 1_000, "kB", 21)
