"""What a running controller costs while nothing happens, and how late a removal begins."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import docker

from controller.adapters.ledger.ledger import Ledger
from controller.daemon.loop import Loop, WakeUp
from controller.daemon.report import StatusReport
from controller.daemon.status import Status
from controller.plan.verdict.judge import Terms
from controller.settings import Settings
from tests.bench.engines import an_engine
from tests.bench.figure import Figure
from tests.bench.memory import running
from tests.bench.removals import TimedEngine
from tests.fakes import a_removal
from tests.host import Host
from tests.with_docker import images
from tests.with_docker.images import Layer, Recipe
from tests.with_docker.on_engine import on_engine
from tests.with_docker.private_engine import PrivateEngine

IMAGES = 500
QUIET_SECONDS, PASSES = 60.0, 20
DEADLINES = 5
MOST_PERCENT, MOST_MIB_A_DAY, MOST_SECONDS_LATE = 0.05, 1.0, 1.0
_SETTLE_SECONDS = 3.0
_DAY_SECONDS = 86_400
_RESYNC_SECONDS = Settings().resync


def figures() -> Iterator[Figure]:
    with an_engine("d26-gd") as (engine, api):
        recipes = [Recipe((f"idle.local/app:{n}",), (Layer("base"),), variant=str(n)) for n in range(IMAGES)]
        images.load(api, recipes)
        yield _cpu(engine)
    yield _written()
    with an_engine("d26-gd") as (engine, api):
        late = [_seconds_late(engine, api, number) for number in range(DEADLINES)]
    each = ", ".join(f"{seconds:.3f}" for seconds in late)
    yield Figure("a removal begins after its deadline", max(late), "s", MOST_SECONDS_LATE, f"the latest of {each}")


def _cpu(engine: PrivateEngine) -> Figure:
    """The share of a core: of a quiet minute, and of the passes of each resync."""
    with running(engine.host) as controller:
        quiet = _cpu_seconds(controller.process, QUIET_SECONDS) / QUIET_SECONDS
        began = _cpu_of(controller.process)
        for _ in range(PASSES):
            os.kill(controller.process, signal.SIGHUP)
            time.sleep(1.5)
        a_pass = (_cpu_of(controller.process) - began) / PASSES - quiet * 1.5
    share = (quiet + a_pass / _RESYNC_SECONDS) * 100
    detail = f"{quiet * 100:.3f} % while it waits, and {a_pass * 1_000:.0f} ms for each pass"
    return Figure(f"CPU of imagectl run while nothing happens, {IMAGES} images", share, "%", MOST_PERCENT, detail)


def _cpu_seconds(pid: int, over_seconds: float) -> float:
    began = _cpu_of(pid)
    time.sleep(over_seconds)
    return _cpu_of(pid) - began


def _cpu_of(pid: int) -> float:
    """CPU seconds of all threads, exactly; those of ended threads are few."""
    threads = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads) / 1e9


class _QuietHost(Host):
    """A host whose ledger may lose one resync, as that of the daemon; every pass is reported."""

    def open_ledger(self) -> Ledger:
        return Ledger(self.ledger_file, _RESYNC_SECONDS)

    def publish(self, before: StatusReport | None) -> StatusReport:
        report = StatusReport(self.last, Terms())
        assert isinstance(self.ledger, Ledger)
        self.ledger.report(report.summary, report.rows if report.differs_from(before) else None)
        return report


def _written() -> Figure:
    """The bytes that a day of passes writes to any file; its clock is a fake one."""
    with TemporaryDirectory() as folder:
        host = _QuietHost(Path(folder) / "ledger.db")
        for number in range(IMAGES):
            host.engine.load(f"registry.local:5000/team/app:{number}", f"layer {number}")
        host.rules(a_removal(minutes=30 * 24 * 60))
        report, began = host.publish(None), _written_bytes()
        for _ in range(int(_DAY_SECONDS / _RESYNC_SECONDS)):
            host.clock.elapse(_RESYNC_SECONDS)
            host.run_pass()
            report = host.publish(report)
        written = (_written_bytes() - began) / 2**20
        host.stop()
    return Figure(f"bytes written in an idle day, {IMAGES} images", written, "MiB", MOST_MIB_A_DAY)


def _written_bytes() -> int:
    return int(Path("/proc/thread-self/io").read_text().partition("wchar: ")[2].split()[0])


def _seconds_late(engine: PrivateEngine, api: docker.APIClient, number: int) -> float:
    """Seconds from the end of an image's settle time to the request that removes it, in the controller's own loop."""
    images.load(api, [Recipe((f"late.local/app:{number}",), (Layer(f"own{number}"),), variant=str(number))])
    eye, deadlines = TimedEngine(engine.host), list[float]()
    with (
        TemporaryDirectory() as folder,
        on_engine(engine, api, Path(folder), a_removal(), port=eye, settle_seconds=_SETTLE_SECONDS) as controller,
    ):

        def publish(status: Status) -> None:
            assert not status.trouble, status.trouble
            if status.removals:
                controller.stopping.set()
            elif (at := status.decision.plan.next_change_at) is not None:
                deadlines.append(status.decision.memory.clock.uptime_at(at) or 0.0)

        Loop(
            controller.reconciler.reconcile,
            publish,
            lambda: None,
            WakeUp(),
            controller.clock,
            controller.stopping,
            _RESYNC_SECONDS,
        ).run()
    return eye.first_request - deadlines[-1]
