"""With the real loop, clock and wake-up: a delivery is in force without waiting for the next regular pass."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Queue

from controller.adapters.folder.folder import PolicyFolder
from controller.adapters.host.clock import SystemClock
from controller.adapters.ledger.ledger import Ledger
from controller.daemon.loop import Loop, WakeUp
from controller.daemon.ports import Ports
from controller.daemon.reconcile import PassOptions, Reconciler
from controller.daemon.status import Status
from controller.plan.scope.in_force import DocumentState
from tests.delivery.deliverers import ConfigMapVolume, put
from tests.delivery.node import PATIENCE_SECONDS, a_policy
from tests.fake_engine import FakeEngine
from tests.fakes import FakeEvents, FakeNode

REGULAR_PASS_SECONDS = 300.0
"""Longer than a test waits."""


@contextmanager
def a_loop(policies: Path, ledger_file: Path) -> Iterator[tuple[Loop, WakeUp, Queue[Status]]]:
    """A controller as in production, except its engine."""
    clock, wake_up, stopping = SystemClock(), WakeUp(), threading.Event()
    engine, ledger, folder = FakeEngine(clock), Ledger(ledger_file), PolicyFolder(policies, wake_up.wake)
    ports = Ports(clock, folder, FakeNode(), engine, FakeEvents(engine), ledger, lambda: 0.0)
    reconciler = Reconciler(ports, PassOptions(), stopping, heartbeat=lambda: None)
    published = Queue[Status]()
    try:
        loop = Loop(reconciler.reconcile, published.put, lambda: None, wake_up, clock, stopping, REGULAR_PASS_SECONDS)
        yield loop, wake_up, published
    finally:
        folder.stop()
        ledger.close()


@contextmanager
def running(loop: Loop, wake_up: WakeUp) -> Iterator[None]:
    thread = threading.Thread(target=loop.run)
    thread.start()
    try:
        yield
    finally:
        loop.stopping.set()
        wake_up.wake()
        thread.join()


def states(status: Status) -> dict[str, DocumentState]:
    return {document.name: document.state for document in status.decision.scope.documents}


def test_a_file_that_is_stable_is_in_force_before_the_next_regular_pass(tmp_path: Path) -> None:
    volume = ConfigMapVolume(tmp_path / "policies")
    with a_loop(volume.folder, tmp_path / "ledger.sqlite") as (loop, wake_up, published), running(loop, wake_up):
        published.get(timeout=PATIENCE_SECONDS)
        volume.publish({"p.yaml": a_policy(1)})
        while states(published.get(timeout=PATIENCE_SECONDS)) != {"p": DocumentState.IN_FORCE}:
            pass


def test_a_single_run_waits_for_a_new_file_to_be_stable_and_not_for_a_known_file(tmp_path: Path) -> None:
    put(tmp_path / "policies", {"p.yaml": a_policy(1)})
    passes = list[int]()
    for _ in range(2):
        with a_loop(tmp_path / "policies", tmp_path / "ledger.sqlite") as (loop, _, published):
            assert states(loop.run_once()) == {"p": DocumentState.IN_FORCE}
            passes.append(published.qsize())
    assert passes == [2, 1]
