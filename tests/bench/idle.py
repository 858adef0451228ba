"""What a running controller costs while nothing happens, and how late a removal begins."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import docker

from controller.daemon.loop import Loop, WakeUp
from controller.daemon.status import Status
from tests.bench.engines import an_engine
from tests.bench.figure import Figure
from tests.bench.memory import running
from tests.bench.removals import TimedEngine
from tests.builders import DAY, HOUR
from tests.fakes import a_removal
from tests.quiet_host import RESYNC, QuietHost, written_bytes
from tests.with_docker import images
from tests.with_docker.images import Layer, Recipe
from tests.with_docker.on_engine import on_engine
from tests.with_docker.private_engine import PrivateEngine

IMAGES = 500
QUIET_SECONDS, PASSES = 60.0, 20
DEADLINES = 5
MOST_PERCENT, MOST_WAKE_UPS, USUAL_WAKE_UPS = 0.05, 1.0, 0.8
MOST_MIB_IN_FIRST_HOUR, MOST_MIB_A_DAY, MOST_SECONDS_LATE = 18.0, 1.0, 1.0
AT_REST_AFTER_SECONDS = 10.0
_SETTLE_SECONDS = 3.0


def figures() -> Iterator[Figure]:
    with an_engine("d26-gd") as (engine, api):
        recipes = [Recipe((f"idle.local/app:{n}",), (Layer("base"),), variant=str(n)) for n in range(IMAGES)]
        images.load(api, recipes)
        yield from _while_idle(engine)
    yield from _written()
    with an_engine("d26-gd") as (engine, api):
        late = [_seconds_late(engine, api, number) for number in range(DEADLINES)]
    each = ", ".join(f"{seconds:.3f}" for seconds in late)
    yield Figure("a removal begins after its deadline", max(late), "s", MOST_SECONDS_LATE, f"the latest of {each}")


def _while_idle(engine: PrivateEngine) -> Iterator[Figure]:
    """The share of a core: of a quiet minute, and of the passes of each resync. The passes come first: in a minute
    after the start another pass would count, by which the policy is in force.
    """
    with running(engine.host) as controller:
        time.sleep(AT_REST_AFTER_SECONDS)
        began = _cpu_of(controller.process)
        for _ in range(PASSES):
            os.kill(controller.process, signal.SIGHUP)
            time.sleep(1.5)
        busy, began = _cpu_of(controller.process) - began, _cpu_of(controller.process)
        woken = _wake_ups_of(controller.process)
        empty = _cpu_of_an_empty_process()
        quiet = (_cpu_of(controller.process) - began) / QUIET_SECONDS
        woken = _wake_ups_of(controller.process) - woken
    a_pass = busy / PASSES - quiet * 1.5
    share = (quiet + a_pass / RESYNC) * 100
    detail = f"{quiet * 100:.3f} % while it waits, and {a_pass * 1_000:.0f} ms for each pass"
    what = "imagectl run while nothing happens"
    yield Figure(f"CPU of {what}, {IMAGES} images", share, "%", MOST_PERCENT, detail)
    yield Figure("CPU of a Python process that only wakes as often, in the same minute", empty * 100, "%")
    yield Figure(f"wake-ups a second of {what}", woken / QUIET_SECONDS, "", MOST_WAKE_UPS)


def _cpu_of_an_empty_process() -> float:
    """The share of a core. On an idle virtual machine a wake-up costs up to a millisecond, also of such a process."""
    loop = f"import time\nwhile True: time.sleep({1 / USUAL_WAKE_UPS})"
    process = subprocess.Popen([sys.executable, "-c", loop])
    try:
        time.sleep(AT_REST_AFTER_SECONDS)
        began = _cpu_of(process.pid)
        time.sleep(QUIET_SECONDS - AT_REST_AFTER_SECONDS)
        return (_cpu_of(process.pid) - began) / (QUIET_SECONDS - AT_REST_AFTER_SECONDS)
    finally:
        process.kill()
        process.wait()


def _cpu_of(pid: int) -> float:
    """CPU seconds of all threads, exactly; those of ended threads are few."""
    threads = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads) / 1e9


def _wake_ups_of(pid: int) -> int:
    """How often its threads have waited."""
    texts = ((thread / "status").read_text() for thread in Path(f"/proc/{pid}/task").iterdir())
    return sum(int(text.partition("\nvoluntary_ctxt_switches:")[2].split()[0]) for text in texts)


def _written() -> Iterator[Figure]:
    """The bytes that passes write to any file; the clock is a fake one.

    The first hour includes the end of the settle time, in which the verdict on each image changes.
    """
    with TemporaryDirectory() as folder:
        began, host = written_bytes(), QuietHost(Path(folder) / "ledger.db")
        for number in range(IMAGES):
            host.engine.load(f"registry.local:5000/team/app:{number}", f"layer {number}")
        host.rules(a_removal(minutes=30 * 24 * 60))
        host.publish()
        host.written_in(HOUR)
        hour, day = written_bytes() - began, host.written_in(DAY)
        host.stop()
    what = "bytes written in the first hour of a ledger"
    yield Figure(f"{what}, {IMAGES} images", hour / 2**20, "MiB", MOST_MIB_IN_FIRST_HOUR)
    yield Figure(f"bytes written in an idle day, {IMAGES} images", day / 2**20, "MiB", MOST_MIB_A_DAY)


def _seconds_late(engine: PrivateEngine, api: docker.APIClient, number: int) -> float:
    """Seconds from the end of an image's settle time to the request that removes it, in the controller's own loop."""
    images.load(api, [Recipe((f"late.local/app:{number}",), (Layer(f"own{number}"),), variant=str(number))])
    timed, deadlines = TimedEngine(engine.host), list[float]()
    with (
        TemporaryDirectory() as folder,
        on_engine(engine, api, Path(folder), a_removal(), port=timed, settle_seconds=_SETTLE_SECONDS) as controller,
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
            RESYNC,
        ).run()
    return timed.first_request - deadlines[-1]
