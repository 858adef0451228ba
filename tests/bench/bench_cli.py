"""How long people wait for commands that only read, and Prometheus for a scrape: `python -m tests.bench.bench_cli`.

Whole processes, with 1,000 images in the ledger; everything is compiled first, as after an installation.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from controller.adapters.clock import SystemClock
from controller.daemon.metrics import Metrics
from tests import sample_node
from tests.page.site import DISK, busy_status

IMAGES = 1_000
RUNS = 9
LIMIT_SECONDS = 0.1
COMMANDS = (
    "get images",
    "get images -l verdict=DUE --sort-by -size -o wide",
    "get policies",
    "get removals",
    "get removals --summary",
    "explain redis:1.1",
)


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a controller that has just looked at so many images."""
    return made_ledger(tmp_path_factory.mktemp("ledger"))


def made_ledger(folder: Path) -> Path:
    now, policies = SystemClock().now(), sample_node.write_policies(folder / "policies")
    decision = sample_node.decision_on(sample_node.memory_of(IMAGES, now), policies)
    status = sample_node.status_of(decision, policies, now)
    return sample_node.write_ledger(folder / "ledger.db", status, *sample_node.history(now=now))


@pytest.mark.parametrize("command", COMMANDS)
def test_reading_commands_answer_at_once(command: str, ledger: Path) -> None:
    best = best_seconds(command, ledger)
    say(f"imagectl {command:<50} {best * 1_000:4.0f} ms")
    assert best < LIMIT_SECONDS


def best_seconds(command: str, ledger: Path) -> float:
    """The quickest of several runs: the others tell of the machine."""
    compiled = {"PYTHONPYCACHEPREFIX": str(ledger.parent / "compiled"), "PYTHONDONTWRITEBYTECODE": ""}
    arguments = [sys.executable, "-m", "controller", *command.split(), "--ledger", str(ledger)]
    took = []
    for _ in range(RUNS):
        began = time.perf_counter()
        subprocess.run(arguments, env=os.environ | compiled, check=True, capture_output=True)
        took.append(time.perf_counter() - began)
    return min(took)


def test_a_scrape_of_5000_images_is_small_and_quick(tmp_path: Path) -> None:
    metrics = Metrics(lambda _: DISK)
    metrics.publish(busy_status(5_000, tmp_path))
    took = []
    for _ in range(RUNS):
        began = time.perf_counter()
        text = metrics.exposition()[0]
        took.append(time.perf_counter() - began)
    say(f"a scrape of 5,000 images{'':35} {min(took) * 1_000:4.0f} ms, {len(text):,} bytes")
    assert min(took) < 0.05
    assert len(text) < 20_000


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        for each in COMMANDS:
            test_reading_commands_answer_at_once(each, made_ledger(Path(scratch)))
        test_a_scrape_of_5000_images_is_small_and_quick(Path(scratch, "many"))
