"""How long a delivery takes to count, with the real loop and clock. The only tests here that take real time."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Queue

from controller.adapters.folder.folder import PolicyFolder
from controller.adapters.host.clock import SystemClock
from controller.adapters.ledger.ledger import Ledger
from controller.daemon.loop import Bell, Loop
from controller.daemon.ports import Ports
from controller.daemon.reconcile import PassOptions, Reconciler
from controller.daemon.status import Status
from controller.plan.scope.in_force import DocumentState
from controller.plan.scope.stability import STABLE_AFTER_SECONDS
from tests.delivery.deliverers import ConfigMapVolume, put
from tests.delivery.node import PATIENCE_SECONDS, a_policy
from tests.fake_engine import FakeEngine
from tests.fakes import FakeEvents, FakeNode

IN_FORCE_WITHIN_SECONDS = 5.0


@contextmanager
def a_loop(policies: Path, ledger_file: Path) -> Iterator[tuple[Loop, Bell, Queue[Status]]]:
    """A controller as it is wired, but for its engine."""
    clock, bell, stopping = SystemClock(), Bell(), threading.Event()
    engine, ledger, folder = FakeEngine(clock), Ledger(ledger_file), PolicyFolder(policies, bell.ring)
    ports = Ports(clock, folder, FakeNode(), engine, FakeEvents(engine), ledger, lambda: 0.0)
    reconciler = Reconciler(ports, PassOptions(), stopping, heartbeat=lambda: None)
    published = Queue[Status]()
    try:
        loop = Loop(reconciler.reconcile, published.put, lambda: None, bell, clock, stopping, 300.0)
        yield loop, bell, published
    finally:
        folder.stop()
        ledger.close()


@contextmanager
def running(loop: Loop, bell: Bell) -> Iterator[None]:
    thread = threading.Thread(target=loop.run)
    thread.start()
    try:
        yield
    finally:
        loop.stopping.set()
        bell.ring()
        thread.join()


def states(status: Status) -> dict[str, DocumentState]:
    return {document.name: document.state for document in status.decision.scope.documents}


def test_a_text_that_is_stable_for_two_seconds_is_in_force_within_five(tmp_path: Path) -> None:
    volume = ConfigMapVolume(tmp_path / "policies")
    with a_loop(volume.folder, tmp_path / "ledger.sqlite") as (loop, bell, published), running(loop, bell):
        published.get(timeout=PATIENCE_SECONDS)
        delivered = time.monotonic()
        volume.publish({"p.yaml": a_policy(1)})
        while states(published.get(timeout=PATIENCE_SECONDS)) != {"p": DocumentState.IN_FORCE}:
            pass
        took = time.monotonic() - delivered
    assert STABLE_AFTER_SECONDS <= took <= STABLE_AFTER_SECONDS + IN_FORCE_WITHIN_SECONDS


def test_a_single_run_waits_two_seconds_for_a_new_text_and_not_for_a_known_one(tmp_path: Path) -> None:
    put(tmp_path / "policies", {"p.yaml": a_policy(1)})
    looks, took = list[int](), list[float]()
    for _ in range(2):
        with a_loop(tmp_path / "policies", tmp_path / "ledger.sqlite") as (loop, _, published):
            began = time.monotonic()
            assert states(loop.run_once()) == {"p": DocumentState.IN_FORCE}
            looks.append(published.qsize())
            took.append(time.monotonic() - began)
    assert looks == [2, 1]
    assert took[0] >= STABLE_AFTER_SECONDS
