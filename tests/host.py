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
"""A file system on which SQLite's fsync is free."""


@dataclass
class Host:
    """A host with a controller, on which time passes and others act."""

    ledger_file: Path
    kind: Kind = Kind.DEBIAN
    options: PassOptions = field(default_factory=PassOptions)
    clock: FakeClock = field(default_factory=FakeClock)
    folder: FakeFolder = field(default_factory=FakeFolder)
    node: FakeNode = field(default_factory=FakeNode)
    own_container: str = ""

    def __post_init__(self) -> None:
        self.engine = self.make_engine()
        self.disk = self.make_disk()
        self.stopping = threading.Event()
        self.start()

    def start(self) -> None:
        """Start the controller's process."""
        self.ledger = self.open_ledger()
        memory = self.ledger.load()
        self.events = self.listen(memory.event_cursor, memory.event_run)
        self.reconciler = Reconciler(self._ports(), self.options, self.stopping, heartbeat=lambda: None)

    def make_engine(self) -> FakeEngine:
        return FakeEngine(self.clock, self.kind)

    def make_disk(self) -> FakeDisk:
        return FakeDisk(self.engine)

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
        """End the controller's process and start another one at once."""
        self.stop()
        self.start()

    def reboot(self, off_seconds: float = 60.0) -> None:
        """Reboot the host: everything ends, and starts a minute later."""
        self.stop()
        self.engine.restart()
        self.clock.reboot(off_seconds)
        self.start()

    def rules(self, *removals: Plain) -> None:
        """One document with these rules, which is stable and in force."""
        self.folder.files["doc.yaml"] = a_document(*removals)
        self.run_pass()
        self.clock.elapse(2.0)
        self.run_pass()

    def run_pass(self) -> Status:
        """One pass with all events so far."""
        self.receive_events()
        return self._pass()

    def receive_events(self) -> None:
        """Wait until all events have arrived; a fake stream needs only its heartbeat."""
        self.events.beat()

    def _pass(self) -> Status:
        self.last = self.reconciler.reconcile()
        return self.last

    def live(self, seconds: float) -> list[Status]:
        """Advance the time, with a pass at each deadline and each resync."""
        until = self.clock.now().uptime_seconds + seconds
        passes, failed = [self.run_pass()], 0
        while (left := until - self.clock.now().uptime_seconds) > 0:
            failed = failed + 1 if passes[-1].trouble else 0
            self.clock.elapse(min(self._wait_after(passes[-1], failed), left))
            passes.append(self._pass())
        return passes

    def _wait_after(self, status: Status, failed: int) -> float:
        """Seconds until the next pass, like the loop; a deadline that is due now is a little later."""
        resync = self.options.conditions.resync_seconds
        if failed:
            return retry_after_seconds(failed, resync)
        wake_at = status.next_change_at
        return resync if wake_at is None else min(resync, max(wake_at - self.clock.now().uptime_seconds, 0.001))

    # ── results ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def verdict(self, reference: str) -> Verdict:
        """The verdict of the last pass on a reference of the engine."""
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
    """A host with an empty engine and no documents; its ledger is deleted with it unless a file is given."""
    options = PassOptions(conditions or Conditions(), parallel_removals=1)
    with TemporaryDirectory(dir=IN_MEMORY) as folder:
        host = Host(ledger_file or Path(folder) / "ledger.sqlite", kind, options)
        try:
            yield host
        finally:
            host.stop()
