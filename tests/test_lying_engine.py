"""A controller and the commands get every lie of the table: they continue, and nothing in use is removed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from controller.adapters.engine import client, transport
from controller.adapters.engine.address import Address
from controller.adapters.engine.connection import Connection
from controller.adapters.engine.engine import DockerEngine
from controller.adapters.engine.events import EventStream
from controller.cli import main
from controller.daemon.ports import Ports
from controller.daemon.reconcile import PassOptions
from controller.daemon.status import PassResult, Status
from controller.plan.verdict.decision import Conditions
from controller.plan.verdict.judge import Terms
from tests.adapters.engine.unix_server import serving
from tests.fakes import a_removal
from tests.host import IN_MEMORY, Host
from tests.lying_engine import APP, LIES, USED, Effect, Lie, LyingEngine, an_image

assert len({str(lie) for lie in LIES}) == len(LIES) >= 81


class LiedTo(Host):
    """A controller on a lying engine; it runs through all lies of this module."""

    def __init__(self, folder: Path, liar: LyingEngine) -> None:
        self.liar = liar
        self.restore_limits: Callable[[], None] = lambda: None
        self.connection = Connection(Address(f"unix://{folder}/s"))
        super().__init__(folder / "ledger.db", options=PassOptions(Conditions(Terms(settle_seconds=0.0))))

    def _ports(self) -> Ports:
        ports = super()._ports()
        engine = DockerEngine(self.connection)
        return Ports(ports.clock, ports.folder, ports.node, engine, ports.events, ports.ledger, ports.jitter)

    def after_the_lie(self) -> Status:
        """A pass with an honest engine and the usual limits; failures before it no longer delay a removal."""
        self.restore_limits()
        self.liar.lie = None
        self.clock.elapse(100_000.0)
        return self.run_pass()


@pytest.fixture(scope="module")
def host() -> Iterator[LiedTo]:
    with TemporaryDirectory(dir=IN_MEMORY) as folder:
        liar = LyingEngine()
        with serving(Path(folder) / "s", liar):
            host = LiedTo(Path(folder), liar)
            host.rules(a_removal())
            yield host
            liar.ended.set()
            host.stop()


def lower_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lower limits, for endless lies."""
    monkeypatch.setattr(client, "ANSWER_WITHIN_SECONDS", 0.3)
    monkeypatch.setattr(transport, "LONGEST_ANSWER_BYTES", 2**20)


@pytest.fixture
def deceived(host: LiedTo, lie: Lie, monkeypatch: pytest.MonkeyPatch) -> LiedTo:
    """The controller during this lie; the engine has a due image again."""
    liar = host.liar
    liar.info |= {
        "Swarm": {"ControlAvailable": lie.is_swarm},
        "DriverStatus": [["driver-type", "io.containerd.snapshotter.v1"]] if lie.is_containerd else [],
    }
    host.connection.drop()
    host.after_the_lie()
    names = ("app:1", "app:2") if lie.is_named_twice else ("app:1",)
    liar.images = {APP: an_image(APP, *names), USED: an_image(USED, "used:1")}
    liar.requests.clear()
    liar.lie = lie
    host.connection.drop()
    if lie.is_limited:
        lower_limits(monkeypatch)
        host.restore_limits = monkeypatch.undo
    return host


def lies(*effects: Effect) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("lie", [lie for lie in LIES if lie.effect in effects], ids=str)


@lies(Effect.FAILS)
def test_a_lie_fails_the_pass_and_the_next_honest_pass_succeeds(deceived: LiedTo) -> None:
    status = deceived.run_pass()
    assert status.result is PassResult.FAILED
    assert status.trouble.isprintable()
    assert deceived.liar.deletes == []
    assert deceived.after_the_lie().result is PassResult.REMOVED
    assert deceived.liar.images.keys() == {USED}


@lies(Effect.NOTHING)
def test_a_lie_about_a_size_or_layers_does_not_stop_the_removal(deceived: LiedTo) -> None:
    assert deceived.run_pass().result is not PassResult.FAILED, deceived.last.trouble
    assert deceived.liar.images.keys() == {USED}


@lies(Effect.KEEPS)
def test_a_lie_about_what_a_name_means_keeps_the_name(deceived: LiedTo) -> None:
    status = deceived.run_pass()
    assert status.trouble.isprintable()
    assert deceived.liar.images.keys() == {APP, USED}
    assert "app:1" in deceived.liar.images[APP]["RepoTags"]
    assert deceived.after_the_lie().result is PassResult.REMOVED
    assert deceived.liar.images.keys() == {USED}


@lies(Effect.UNKNOWN)
def test_a_lie_about_a_removal_is_detected(deceived: LiedTo) -> None:
    deceived.run_pass()
    assert {path.split("?")[0] for path in deceived.liar.deletes} <= {
        f"/v1.41/images/{name}" for name in (APP, "app:1")
    }
    assert deceived.liar.deletes
    assert deceived.after_the_lie().result is not PassResult.FAILED
    assert deceived.liar.images.keys() == {USED}


@lies(Effect.WAITS)
def test_a_lie_about_events_counts_as_missed_events(lie: Lie, tmp_path: Path) -> None:
    liar = LyingEngine()
    liar.lie = lie
    with serving(tmp_path / "s", liar):
        stream = EventStream(Connection(Address(f"unix://{tmp_path}/s"), api_version="1.41"), lambda: None)
        stream.start(10)
        while not stream.mark() and stream.is_up:
            stream.join(0.01)
        assert not stream.take().is_all
        assert stream.is_alive
        stream.stop()
        liar.ended.set()
        stream.join(10)


@lies(Effect.FAILS, Effect.NOTHING)
def test_a_command_says_what_is_wrong_in_one_line(
    lie: Lie, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    liar = LyingEngine()
    liar.lie = lie
    if lie.is_limited:
        lower_limits(monkeypatch)
    with serving(tmp_path / "s", liar):
        code = main.run(
            ["plan", "--docker-host", f"unix://{tmp_path}/s", "--ledger", f"{tmp_path}/x", "--policies", str(tmp_path)]
        )
        liar.ended.set()
    said = capfd.readouterr()
    is_asked = not (lie.is_swarm or lie.is_containerd)
    fails = lie.effect is Effect.FAILS and is_asked
    assert code == (main.UNREACHABLE if fails else main.GOOD), said.err
    assert (said.out + said.err).replace("\n", "").isprintable()
    assert said.err.count("\n") == fails, said.err
    assert liar.deletes == []
