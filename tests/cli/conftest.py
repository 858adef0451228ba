"""A node with the ledger of a controller, for commands that only read."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from controller.adapters.host.clock import SystemClock
from controller.cli import main
from controller.instant import Instant
from tests import sample_node


@dataclass(frozen=True, slots=True)
class Said:
    """The output of a command, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def rows(self) -> list[list[str]]:
        """The lines of a table without its titles, in cells."""
        return [[cell.strip() for cell in line.split("   ") if cell.strip()] for line in self.out.splitlines()[1:]]


Imagectl = Callable[..., Said]


@pytest.fixture
def seldom() -> Iterator[int]:
    """The number of objects between two searches for garbage, as it is at the start of a command."""
    before = gc.get_threshold()
    gc.set_threshold(100_000)
    yield 100_000
    gc.set_threshold(*before)


@pytest.fixture(scope="session")
def now() -> Instant:
    """The time of all these tests: it does not pass, however long they take, and the date is that of the sample."""
    return replace(SystemClock().now(), wall_seconds=sample_node.NOW.wall_seconds)


@pytest.fixture(scope="session")
def node(now: Instant, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the ledger and the policies of a node of 60 images, right after a pass."""
    folder = tmp_path_factory.mktemp("node")
    policies = sample_node.write_policies(folder / "policies")
    decision = sample_node.decision_on(sample_node.memory_of(60, now), policies)
    sample_node.write_ledger(
        folder / "ledger.db", sample_node.status_of(decision, policies, now), *sample_node.history(now=now)
    )
    return folder


@pytest.fixture
def imagectl(node: Path, now: Instant, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Imagectl:
    """Run a command on that node."""
    monkeypatch.setattr(SystemClock, "now", lambda _: now)
    monkeypatch.setenv("IMAGECTL_LEDGER", str(node / "ledger.db"))
    monkeypatch.setenv("IMAGECTL_POLICIES", str(node / "policies"))

    def run(*arguments: str) -> Said:
        capfd.readouterr()
        code = main.run(list(arguments))
        said = capfd.readouterr()
        return Said(code, said.out, said.err)

    return run
