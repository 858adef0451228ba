"""A controller and the commands meet every lie of the table: they go on, and nothing in use is removed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from controller.adapters.engine import connection
from controller.adapters.engine.connection import Address, Connection
from controller.adapters.engine.engine import DockerEngine
from controller.adapters.engine.events import EventStream
from controller.cli import main
from controller.daemon.ports import EventsPort, Ports
from controller.daemon.reconcile import PassOptions
from controller.daemon.status import PassResult
from controller.plan.verdict.decision import Conditions
from controller.plan.verdict.planner import Terms
from tests.adapters.engine.unix_server import serving
from tests.fakes import a_document, a_removal
from tests.host import Host
from tests.lying_engine import APP, LIES, USED, Effect, Lie, LyingEngine

assert len({str(lie) for lie in LIES}) == len(LIES) >= 81


class _LiedTo(Host):
    """A controller with the real engine adapter on a socket."""

    def __init__(self, folder: Path, socket: Path) -> None:
        self.address = Address(f"unix://{socket}")
        super().__init__(folder / "ledger.db", options=PassOptions(Conditions(Terms(settle_seconds=0.0))))

    def listen(self, cursor: int) -> EventsPort:  # type: ignore[override]
        self.stream = EventStream(Connection(self.address), lambda: None, cursor)
        self.stream.start(0.2)
        return self.stream

    def _ports(self) -> Ports:
        engine = DockerEngine(Connection(self.address))
        return Ports(self.clock, self.folder, self.node, engine, self.stream, self.ledger, lambda: 0.0)

    def hear(self) -> None:
        """The stream is read in a thread of its own."""

    def stop(self) -> None:
        self.stream.stop()
        self.stream.join(10)
        self.ledger.close()  # type: ignore[attr-defined]


@contextmanager
def lied_to(tmp_path: Path, engine: LyingEngine) -> Iterator[_LiedTo]:
    with serving(tmp_path / "s", engine):
        try:
            host = _LiedTo(tmp_path, tmp_path / "s")
            host.folder.files["doc.yaml"] = a_document(a_removal())
            yield host
            host.stop()
        finally:
            engine.ended.set()


@pytest.fixture
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> LyingEngine:
    """An engine that tells the lie of the test."""
    lie: Lie = request.param
    if lie.is_limited:
        monkeypatch.setattr(connection, "ANSWER_WITHIN_SECONDS", 0.3)
        monkeypatch.setattr(connection, "LONGEST_ANSWER_BYTES", 2**20)
    engine = LyingEngine()
    if lie.is_swarm:
        engine.info["Swarm"] = {"ControlAvailable": True}
    if lie.is_containerd:
        engine.info["DriverStatus"] = [["driver-type", "io.containerd.snapshotter.v1"]]
    engine.lie = lie
    return engine


def lies(*effects: Effect) -> pytest.MarkDecorator:
    chosen = [lie for lie in LIES if lie.effect in effects]
    return pytest.mark.parametrize("engine", chosen, indirect=True, ids=str)


def all_passes(host: _LiedTo) -> list[PassResult]:
    """As many passes as a new document needs."""
    results = [host.look().result]
    host.clock.elapse(3.0)
    return [*results, host.look().result]


@lies(Effect.FAILS)
def test_a_lie_fails_the_pass_and_the_next_honest_pass_succeeds(engine: LyingEngine, tmp_path: Path) -> None:
    with lied_to(tmp_path, engine) as host:
        assert all_passes(host) == [PassResult.FAILED] * 2
        assert host.last.trouble.isprintable()
        assert "\n" not in host.last.trouble
        assert engine.deletes == []
        engine.lie = None
        all_passes(host)
        assert engine.images.keys() == {USED}, host.last.trouble


@lies(Effect.NOTHING)
def test_a_lie_about_a_size_or_layers_does_not_stop_the_removal(engine: LyingEngine, tmp_path: Path) -> None:
    with lied_to(tmp_path, engine) as host:
        assert PassResult.FAILED not in all_passes(host), host.last.trouble
        assert engine.images.keys() == {USED}


@lies(Effect.UNKNOWN)
def test_a_lie_about_a_removal_is_found_out(engine: LyingEngine, tmp_path: Path) -> None:
    with lied_to(tmp_path, engine) as host:
        all_passes(host)
        assert all(path.split("?")[0] in (f"/v1.41/images/{APP}", "/v1.41/images/app:1") for path in engine.deletes)
        assert USED in engine.images
        engine.lie = None
        host.clock.elapse(3_600.0)
        assert host.look().result is not PassResult.FAILED
        assert engine.images.keys() == {USED}


@lies(Effect.WAITS)
def test_a_lie_about_events_counts_as_missed_events(engine: LyingEngine, tmp_path: Path) -> None:
    with lied_to(tmp_path, engine) as host:
        while not host.stream.mark() and host.stream.is_up:
            host.stream.join(0.01)
        assert not host.stream.take().is_all
        assert host.stream.is_alive
        all_passes(host)
        assert USED in engine.images


@lies(*Effect)
@pytest.mark.parametrize("command", [("plan",), ("get", "images")], ids=" ".join)
def test_a_command_says_what_is_wrong_in_one_line(
    engine: LyingEngine, tmp_path: Path, command: tuple[str, ...], capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "policies").mkdir()
    places = ["--docker-host", f"unix://{tmp_path}/s", "--ledger", f"{tmp_path}/x.db"]
    policies = ["--policies", f"{tmp_path}/policies"] if command == ("plan",) else []
    with serving(tmp_path / "s", engine):
        code = main.run([*command, *places, *policies])
        engine.ended.set()
    said = capfd.readouterr()
    fails = engine.lie is not None and engine.lie.effect is Effect.FAILS
    assert code == (main.UNREACHABLE if fails else main.GOOD), said.err
    assert "Traceback" not in said.err
    assert (said.out + said.err).replace("\n", "").isprintable()
    assert engine.deletes == []
