"""Time and memory of a first and of a second pass over 1,000 to 100,000 images, against an engine that answers at once.

`python -m tests.bench.growth IMAGES...` measures these numbers of images only.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.bench import fast_engine
from tests.bench.figure import Figure

IMAGES = (1_000, 10_000, 100_000)
LIMIT_KIB_AN_IMAGE = 8.0
LIMIT_MS_TO_ADOPT = 2.0
_POLICY = """\
label: everything, some day
enabled: true
image_policy:
  removal: [{image_name: "*", delete_after_minutes: 10080, agent_downloaded_only: false}]
"""


@dataclass(frozen=True, slots=True)
class Cost:
    """What one `imagectl run --once` took."""

    cpu_seconds: float
    peak_mib: float


def figures(numbers: Sequence[int] = IMAGES) -> Iterator[Figure]:
    costs: dict[int, Cost] = {}
    for images in numbers:
        with TemporaryDirectory() as name, fast_engine.running(Path(name), images):
            first, second = _once(Path(name)), _once(Path(name))
            for kind, cost in (("first", first), ("second", second)):
                what = f"{kind} pass with --once, {images:,} images on an engine that answers at once"
                yield Figure(f"{what}: own CPU", cost.cpu_seconds, "s", detail=_each(cost, images))
                yield Figure(f"{what}: peak of the memory", cost.peak_mib, "MiB")
            adopted = (first.cpu_seconds - second.cpu_seconds) / images * 1_000
            yield Figure(f"first adoption of {images:,} images: own CPU for each", adopted, "ms", LIMIT_MS_TO_ADOPT)
            costs[images] = first
    few, many = min(costs), max(costs)
    if few < many:
        grown = (costs[many].peak_mib - costs[few].peak_mib) * 1_024 / (many - few)
        yield Figure(f"memory of one image, {few:,} to {many:,}", grown, "KiB", LIMIT_KIB_AN_IMAGE)


def _each(cost: Cost, images: int) -> str:
    return f"{cost.cpu_seconds / images * 1_000:.2f} ms for each"


def _once(folder: Path) -> Cost:
    (folder / "policies").mkdir(exist_ok=True)
    (folder / "policies" / "all.yaml").write_text(_POLICY)
    options = ["--policies", f"{folder}/policies", "--docker-host", f"unix://{folder}/s", "--ledger", f"{folder}/l.db"]
    command = [sys.executable, "-m", "controller", "run", "--once", "--settle", "0", *options]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, stderr=log)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, (folder / "log").read_text()
    return Cost(used.ru_utime + used.ru_stime, used.ru_maxrss / 1_024)


if __name__ == "__main__":
    for figure in figures([int(number) for number in sys.argv[1:]] or IMAGES):
        print(figure, flush=True)
