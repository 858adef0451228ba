"""A host whose policies come from a real folder, watched by real inotify; only its time and its engine are fakes."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from controller.adapters.folder.folder import PolicyFolder
from controller.adapters.ledger.ledger import Ledger
from controller.adapters.ledger.report import ReportReader
from controller.daemon.ports import Ports
from controller.daemon.reconcile import PassOptions
from controller.daemon.report import StatusReport
from controller.daemon.status import Status
from controller.plan.report.rows import DocumentRow
from controller.plan.scope.in_force import DocumentState
from controller.plan.verdict.judge import Terms
from controller.policy.document.parse import FolderReading
from tests.host import IN_MEMORY, Host

PATIENCE_SECONDS = 20.0
"""Longest wait for events that must arrive."""


class WakeUpCounter:
    """Counts wake-ups, and can wait for one."""

    def __init__(self) -> None:
        self.wake_ups = 0
        self._event = threading.Event()

    def wake(self) -> None:
        self.wake_ups += 1
        self._event.set()

    def wait(self) -> bool:
        """Wait for a change since the last call."""
        was_woken = self._event.wait(PATIENCE_SECONDS)
        self._event.clear()
        return was_woken


@dataclass
class Node(Host):
    """A host with a policy folder."""

    policies: Path = Path("policies")
    wake_up: WakeUpCounter = field(default_factory=WakeUpCounter)

    def _ports(self) -> Ports:
        self.watched = PolicyFolder(self.policies, self.wake_up.wake)
        return replace(super()._ports(), folder=self.watched)

    def stop(self) -> None:
        self.watched.stop()
        super().stop()

    def settle(self) -> Status:
        """A pass, and another one two seconds later."""
        self.run_pass()
        self.clock.elapse(2.0)
        return self.run_pass()

    def notices_change(self) -> bool:
        """Wait for a change and run the passes that follow it; true if there was one."""
        was_woken = self.wake_up.wait()
        self.settle()
        return was_woken

    def reported(self) -> list[DocumentRow]:
        """The documents as commands read them from the ledger after the last pass was reported."""
        assert isinstance(self.ledger, Ledger)
        report = StatusReport(self.last, Terms())
        self.ledger.report(report.summary, report.rows)
        with closing(ReportReader(self.ledger_file)) as reader:
            return reader.rows("document", DocumentRow)

    # ── results ───────────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def reading(self) -> FolderReading:
        return self.last.reading

    @property
    def states(self) -> dict[str, str]:
        """States by document name."""
        return {document.name: document.state.value for document in self.last.decision.scope.documents}

    @property
    def in_force(self) -> set[str]:
        documents = self.last.decision.scope.documents
        return {document.name for document in documents if document.state is DocumentState.IN_FORCE}

    @property
    def minutes(self) -> dict[str, float]:
        """Minutes in the first rule of each document in force, by document name."""
        rules = reversed(self.last.decision.scope.rules)
        return {rule.document: rule.delete_after_seconds / 60 for rule in rules if rule.document in self.in_force}

    @property
    def errors(self) -> list[str]:
        return [problem.message for problem in self.reading.problems if problem.is_error]


@contextmanager
def a_node(policies: Path) -> Iterator[Node]:
    """A node with an empty engine, before its first pass."""
    with TemporaryDirectory(dir=IN_MEMORY) as home:
        node = Node(Path(home) / "ledger.sqlite", options=PassOptions(parallel_removals=1), policies=policies)
        try:
            yield node
        finally:
            node.stop()


def a_policy(minutes: int = 1440, image: str = "old:*", **fields: str) -> str:
    """A document that applies to every node; its last line is the number of minutes, as people write it."""
    more = "".join(f"{name}: {value}\n" for name, value in fields.items())
    return (
        f"label: a policy\nenabled: true\n{more}image_policy:\n  removal:\n"
        f'  - image_name: "{image}"\n    agent_downloaded_only: false\n    delete_after_minutes: {minutes}\n'
    )
