"""A whole host for tests: fake clock, engine, events, folder and node around the real reconciler and a real ledger."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from controller.adapters.ledger.ledger import Ledger
from controller.daemon.loop import retry_after_seconds
from controller.daemon.ports import LedgerPort, Ports
from controller.daemon.reconcile import PassOptions, Reconciler
from controller.daemon.status import Status
from controller.plan.report.explanation import explained
from controller.plan.report.rows import ShownExplanation
from controller.plan.verdict.decision import Conditions
from controller.plan.verdict.verdict import Reason, Verdict
from tests.fake_engine import FakeEngine, Kind
from tests.fakes import FakeClock, FakeDisk, FakeEvents, FakeFolder, FakeNode, Plain, a_document

IN_MEMORY = Path("/dev/shm") if Path("/dev/shm").is_dir() else None
"""Where SQLite's fsync costs nothing."""


@dataclass
class Host:
    """A host on which a controller runs pass after pass, as time and other people go on."""

    ledger_file: Path
    kind: Kind = Kind.DEBIAN
    options: PassOptions = field(default_factory=PassOptions)
    clock: FakeClock = field(default_factory=FakeClock)
    folder: FakeFolder = field(default_factory=FakeFolder)
    node: FakeNode = field(default_factory=FakeNode)
    own_container: str = ""

    def __post_init__(self) -> None:
        self.engine = self.make_engine()
        self.disk = FakeDisk(self.engine)
        self.stopping = threading.Event()
        self.start()

    def start(self) -> None:
        """The controller's process begins."""
        self.ledger = self.open_ledger()
        memory = self.ledger.load()
        self.events = self.listen(memory.event_cursor, memory.event_run)
        self.reconciler = Reconciler(self._ports(), self.options, self.stopping, heartbeat=lambda: None)

    def make_engine(self) -> FakeEngine:
        return FakeEngine(self.clock, self.kind)

    def open_ledger(self) -> LedgerPort:
        return Ledger(self.ledger_file)

    def listen(self, cursor: int, run: str) -> FakeEvents:
        return FakeEvents(self.engine, cursor, run)

    def _ports(self) -> Ports:
        return Ports(
            self.clock,
            self.folder,
            self.node,
            self.engine.port,
            self.events,
            self.ledger,
            lambda: 0.0,
            self.own_container,
            disk=self.disk,
        )

    def stop(self) -> None:
        """The controller's process ends."""
        self.events.close()
        if isinstance(self.ledger, Ledger):
            self.ledger.close()

    def restart(self) -> None:
        """The controller's process ends, and another one begins at once."""
        self.stop()
        self.start()

    def reboot(self, off_seconds: float = 60.0) -> None:
        """Everything ends; a minute later everything begins again."""
        self.stop()
        self.engine.restart()
        self.clock.reboot(off_seconds)
        self.start()

    def rules(self, *removals: Plain) -> None:
        """One document with these rules, which has stood still for long enough to be in force."""
        self.folder.files["doc.yaml"] = a_document(*removals)
        self.look()
        self.clock.elapse(2.0)
        self.look()

    def look(self) -> Status:
        """One pass that knows all that has happened."""
        self.hear()
        return self._pass()

    def hear(self) -> None:
        """Wait until the event stream has told of everything; a fake one does so at once."""

    def _pass(self) -> Status:
        self.last = self.reconciler.reconcile()
        return self.last

    def live(self, seconds: float) -> list[Status]:
        """Time goes on, with a pass whenever a deadline or the resync asks for one."""
        until = self.clock.now().uptime_seconds + seconds
        passes, failed = [self.look()], 0
        while (left := until - self.clock.now().uptime_seconds) > 0:
            failed = failed + 1 if passes[-1].trouble else 0
            self.clock.elapse(min(self._wait_after(passes[-1], failed), left))
            passes.append(self._pass())
        return passes

    def _wait_after(self, status: Status, failed: int) -> float:
        """As the loop waits, seen from afar: what a deadline asks for at once is asked for a moment later."""
        resync = self.options.conditions.resync_seconds
        if failed:
            return retry_after_seconds(failed, resync)
        wake_at = status.next_change_at
        return resync if wake_at is None else min(resync, max(wake_at - self.clock.now().uptime_seconds, 0.001))

    # ── what is to be seen ────────────────────────────────────────────────────────────────────────────────────────

    def verdict(self, reference: str) -> Verdict:
        """The verdict of the last pass on a reference, which is on the engine."""
        return next(each for each in self.last.decision.plan.verdicts if each.reference == reference)

    def reason(self, reference: str) -> Reason:
        return self.verdict(reference).reason

    def explain(self, text: str) -> list[ShownExplanation]:
        found = explained(self.last.decision, self.options.conditions.terms, text)
        clock = self.last.decision.memory.clock
        return [explanation.shown(reference, clock) for reference, explanation in found]


@contextmanager
def a_host(
    kind: Kind = Kind.DEBIAN, conditions: Conditions | None = None, ledger_file: Path | None = None
) -> Iterator[Host]:
    """A host with an empty engine and no documents; its ledger goes with it unless it is named."""
    options = PassOptions(conditions or Conditions(), parallel_removals=1)
    with TemporaryDirectory(dir=IN_MEMORY) as folder:
        host = Host(ledger_file or Path(folder) / "ledger.sqlite", kind, options)
        try:
            yield host
        finally:
            host.stop()
