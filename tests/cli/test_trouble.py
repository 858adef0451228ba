"""Invalid input and failures on the real command line: one line, the right exit code, and `run` continues."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp

import pytest

from tests.adapters.engine.fake_docker import FakeDocker, id_of
from tests.adapters.engine.unix_server import serving
from tests.fakes import a_document, a_removal

_PATIENCE_SECONDS = 30.0


@dataclass
class Process:
    """`imagectl run` as a process of its own."""

    process: subprocess.Popen[bytes]
    log: Path

    @property
    def lines(self) -> list[str]:
        """The output so far."""
        said = self.log.read_text()
        assert "Traceback" not in said, said
        return said.splitlines()

    def says(self, *words: str) -> str:
        """Wait for the first line with all these words, and return it."""
        return self._wait_for(lambda: next((line for line in self.lines if all(w in line for w in words)), ""))

    def ends(self) -> int:
        """Wait for the end, and return the exit code."""
        self._wait_for(lambda: "ended" if self.process.poll() is not None else "")
        assert self.lines is not None
        return self.process.returncode

    def _wait_for(self, something: Callable[[], str]) -> str:
        until = time.monotonic() + _PATIENCE_SECONDS
        while not (found := something()):
            assert time.monotonic() < until, self.log.read_text()
            time.sleep(0.01)
        return found


_WITHOUT_RIGHTS = [
    "setpriv",
    "--bounding-set=-dac_override,-dac_read_search",
    "--inh-caps=-dac_override,-dac_read_search",
]


class Place:
    """A folder with a socket, policies and a ledger, which a test may damage."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder = folder
        self.policies = folder / "policies"
        self.docker = FakeDocker()
        self._stack = stack
        self._started = 0

    def policy(self, text: str, name: str = "doc.yaml") -> None:
        self.policies.mkdir(exist_ok=True)
        (self.policies / name).write_text(text)

    def engine(self) -> ExitStack:
        """Start the engine; it ends with the test, or when the result is closed."""
        engine = ExitStack()
        engine.callback(self.docker.ended.set)
        self.docker.ended.clear()
        engine.enter_context(serving(self.folder / "s", self.docker))
        self._stack.callback(engine.close)
        return engine

    def run(self, *options: str, without_rights: bool = False) -> Process:
        """Start `imagectl run`; `without_rights`: without root's access to files of others."""
        self._started += 1
        log = self.folder / f"log{self._started}"
        settings = ["--policies", str(self.policies), "--docker-host", f"unix://{self.folder}/s"]
        command = [sys.executable, "-m", "controller", "run", *settings, "--ledger", str(self.folder / "ledger.db")]
        quick = ["--settle", "0", "--listen", "127.0.0.1:0", "--log-format", "text"]
        confined = _WITHOUT_RIGHTS if without_rights else []
        with log.open("wb") as said:
            process = subprocess.Popen([*confined, *command, *quick, *options], stdout=said, stderr=subprocess.STDOUT)
        self._stack.callback(process.wait)
        self._stack.callback(process.kill)
        return Process(process, log)

    def plan(self) -> tuple[int, str]:
        """The exit code and the output of `imagectl plan`."""
        done = self.imagectl("plan")
        return done.returncode, done.stdout

    def history(self) -> list[tuple[str, str]]:
        """The output of `imagectl get removals`."""
        return [
            (row["reference"], row["outcome"])
            for row in json.loads(self.imagectl("get", "removals", "-o", "json").stdout)
        ]

    def imagectl(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command that ends by itself."""
        settings = {
            "IMAGECTL_POLICIES": str(self.policies),
            "IMAGECTL_DOCKER_HOST": f"unix://{self.folder}/s",
            "IMAGECTL_LEDGER": str(self.folder / "ledger.db"),
            "IMAGECTL_SETTLE": "0",
        }
        command = [sys.executable, "-m", "controller", *arguments]
        return subprocess.run(command, env=os.environ | settings, capture_output=True, text=True, check=False)


@pytest.fixture
def place() -> Iterator[Place]:
    with ExitStack() as stack:
        folder = Path(mkdtemp(prefix="imagectl-"))
        folder.chmod(0o755)
        stack.callback(shutil.rmtree, folder)
        yield Place(folder, stack)


ALL = json.dumps(a_document(a_removal()))


# ── the folder ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_missing_folder_is_reported_and_its_creation_is_noticed(place: Place) -> None:
    place.engine()
    run = place.run()
    run.says("no policies", str(place.policies), "No such file or directory")
    place.policy(ALL)
    run.says("policy doc: in force")


def test_an_empty_folder_is_reported(place: Place) -> None:
    place.engine()
    place.policies.mkdir()
    place.run().says("no policies", "holds no policy documents")


def test_a_file_that_is_not_yaml_is_reported_with_its_place_and_stops_nothing(place: Place) -> None:
    place.engine()
    place.policy("label: [1, 2\nenabled: true\n", "bad.yaml")
    place.policy(ALL)
    run = place.run()
    run.says("bad.yaml:1:8: error: missing comma or closing bracket")
    run.says("policy doc: in force")


def test_a_fifo_in_the_folder_is_reported_and_never_opened(place: Place) -> None:
    place.engine()
    place.policy(ALL)
    os.mkfifo(place.policies / "x.yaml")
    run = place.run()
    run.says("WARNING", "x.yaml")
    run.says("policy doc: in force")


# ── the engine ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_without_an_engine_it_waits_for_one(place: Place) -> None:
    place.policy(ALL)
    place.docker.tags = ["app:1"]
    run = place.run()
    run.says("ERROR", "no such socket (is it running? try: systemctl status docker)")
    place.engine()
    run.says("resolved:", "no such socket")
    run.says("removed app:1")


def test_one_pass_without_an_engine_exits_3(place: Place) -> None:
    place.policy(ALL)
    run = place.run("--once")
    assert run.ends() == 3
    run.says("no such socket")


def test_an_engine_that_refuses_its_events_is_reported_and_nothing_is_removed(place: Place) -> None:
    place.docker.tags, place.docker.refuses_events = ["app:1"], True
    place.engine()
    place.policy(ALL)
    once = place.run("--once")
    assert once.ends() == 3
    once.says("WARNING", "engine events not available: 403: Forbidden")
    run = place.run()
    run.says("engine events not available: 403: Forbidden")
    code, plan = place.plan()
    assert code == 3
    assert "! engine events not available: 403: Forbidden; nothing is removed" in plan
    assert "SETTLING" in plan
    assert place.docker.tags == ["app:1"]
    place.docker.refuses_events = False
    run.says("resolved: engine events not available")
    run.says("removed app:1")


def test_no_permission_on_the_socket_is_one_line(place: Place) -> None:
    place.engine()
    place.policy(ALL)
    (place.folder / "s").chmod(0)
    run = place.run("--once", without_rights=True)
    run.says("permission denied (run as root, or add this user to the group docker)")
    assert run.ends() == 3


def test_an_engine_that_stops_during_a_pass_fails_that_pass(place: Place) -> None:
    place.policy(ALL)
    place.docker.tags = ["app:1"]
    came, go_on = place.docker.hold(f"DELETE /images/{id_of('app:1')}")
    engine = place.engine()
    run = place.run()
    assert came.wait(_PATIENCE_SECONDS)
    engine.close()
    run.says("ERROR", "cannot connect to the engine at")
    assert place.history() == []
    go_on.set()
    place.engine()
    run.says("resolved: cannot connect to the engine at")
    run.says("removed app:1")
    assert place.history() == [("app:1", "removed")]


def test_an_invalid_address_exits_2(place: Place) -> None:
    run = place.run("--docker-host", "nonsense")
    assert run.ends() == 2
    assert run.lines == ["imagectl: --docker-host nonsense: use unix:///path or tcp://host:port"]


# ── the ledger and the port ───────────────────────────────────────────────────────────────────────────────────────────


def test_a_ledger_folder_that_cannot_be_written_exits_3(place: Place) -> None:
    place.engine()
    place.policy(ALL)
    place.folder.chmod(0o500)
    run = place.run("--once", without_rights=True)
    assert run.ends() == 3
    hint = "(run as root, or use another --ledger)"
    assert run.lines == [f"imagectl: cannot create {place.folder}/ledger.db.lock: Permission denied {hint}"]


def test_a_second_controller_on_the_same_ledger_exits_3_and_names_the_first(place: Place) -> None:
    place.engine()
    first = place.run()
    first.says("policies from")
    second = place.run()
    assert second.ends() == 3
    held = f"{place.folder}/ledger.db.lock: the ledger is locked by another controller (pid {first.process.pid})"
    assert second.lines == [f"imagectl: {held}"]


def test_a_port_in_use_is_one_line(place: Place) -> None:
    place.engine()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        run = place.run("--listen", address)
        assert run.ends() == 1  # Not 2, because a restart may succeed.
    assert len(run.lines) == 1
    assert address in run.lines[0]
    assert "in use" in run.lines[0]


# ── its end ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_at_once_without_requests_in_flight(place: Place, number: signal.Signals) -> None:
    place.engine()
    run = place.run()
    run.says("no policies")
    run.process.send_signal(number)
    assert run.ends() == 0
    assert run.lines[-1].endswith("stopped")


def test_signals_that_interrupt_the_loop_anywhere_do_not_lock_it(place: Place) -> None:
    place.engine()
    run = place.run()
    run.says("no policies")
    for _ in range(20_000):
        run.process.send_signal(signal.SIGHUP)
    run.process.terminate()
    assert run.ends() == 0
    assert run.lines[-1].endswith("stopped")


def test_a_removal_that_is_answered_in_time_is_stored_before_the_end(place: Place) -> None:
    place.policy(ALL)
    place.docker.tags = [f"app:{number}" for number in range(20)]
    came, go_on = place.docker.hold(f"DELETE /images/{id_of('app:0')}")
    place.engine()
    run = place.run()
    assert came.wait(_PATIENCE_SECONDS)
    run.process.terminate()
    time.sleep(0.1)
    go_on.set()
    assert run.ends() == 0
    assert ("app:0", "removed") in place.history()
    assert len(place.history()) + len(place.docker.tags) == 20


def test_a_removal_that_is_never_answered_is_resolved_by_the_next_start(place: Place) -> None:
    place.policy(ALL)
    place.docker.tags = ["app:1"]
    came, go_on = place.docker.hold(f"DELETE /images/{id_of('app:1')}")
    place.engine()
    run = place.run()
    assert came.wait(_PATIENCE_SECONDS)
    run.process.terminate()
    assert run.ends() == 0
    assert place.history() == []
    go_on.set()
    again = place.run()
    again.says("removed app:1", "bytes freed: unknown")
    assert place.history() == [("app:1", "removed")]


_TERMINATED_DURING_IMPORTS = """\
import signal, sys
from importlib.abc import MetaPathFinder
from controller import __main__

class Terminates(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        signal.raise_signal(signal.SIGTERM)

sys.meta_path.insert(0, Terminates())
__main__.main()
"""


@pytest.mark.parametrize(("command", "code"), [("run", 0), ("plan", 128 + signal.SIGTERM)])
def test_a_signal_during_the_imports_ends_it(command: str, code: int) -> None:
    """As PID 1 a process without a handler ignores SIGTERM, and `docker stop` would kill it after ten seconds."""
    done = subprocess.run([sys.executable, "-c", _TERMINATED_DURING_IMPORTS, command], check=False)
    assert done.returncode == code


# ── one pass ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_one_pass_removes_what_is_due_and_exits_0(place: Place) -> None:
    place.policy(ALL)
    place.docker.tags = ["app:1"]
    place.engine()
    run = place.run("--once")
    assert run.ends() == 0
    assert place.docker.tags == []
    run.says("removed app:1", "freed 10 B")


def test_one_pass_without_a_policy_folder_exits_3(place: Place) -> None:
    place.engine()
    run = place.run("--once")
    assert run.ends() == 3
    run.says("no policies", "No such file or directory")


def test_one_pass_with_an_empty_policy_folder_exits_0_with_a_warning(place: Place) -> None:
    place.engine()
    place.policies.mkdir()
    run = place.run("--once")
    assert run.ends() == 0
    run.says("WARNING", "no policies yet", "holds no policy documents")


def test_one_pass_without_its_node_file_exits_3(place: Place) -> None:
    place.engine()
    place.policy(ALL)
    run = place.run("--once", "--node", f"{place.folder}/node.yaml")
    assert run.ends() == 3
    run.says("WARNING", "node.yaml", "does not exist")


def test_a_policy_folder_that_is_a_file_exits_2(place: Place) -> None:
    place.policies.write_text(ALL)
    run = place.run()
    assert run.ends() == 2
    assert run.lines == [f"imagectl: --policies {place.policies}: is not a folder (name the folder that contains it)"]


def test_a_ledger_in_a_folder_that_does_not_exist_exits_2(place: Place) -> None:
    place.policies.mkdir()
    ledger = place.folder / "missing" / "ledger.db"
    run = place.run("--ledger", str(ledger))
    assert run.ends() == 2
    hint = f"there is no folder {ledger.parent} (create it, or use another path)"
    assert run.lines == [f"imagectl: --ledger {ledger}: {hint}"]


def test_one_pass_that_could_not_remove_everything_exits_1(place: Place) -> None:
    place.policy(ALL)
    place.docker.tags = ["app:1"]
    place.docker._delete = lambda target: ({"message": "no space left on device"}, 500)  # type: ignore[method-assign]
    place.engine()
    run = place.run("--once")
    assert run.ends() == 1
    run.says("WARNING", "cannot remove app:1: the engine failed: 500: no space left on device")


# ── recorded downloads ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("after_a_pass", [False, True])
@pytest.mark.parametrize("command", [["plan"], ["explain", "app:1", "--live"], ["get", "images", "--live"]])
def test_a_recorded_download_counts_for_reading_commands_as_for_the_next_pass(
    place: Place, command: list[str], after_a_pass: bool
) -> None:
    place.policy(json.dumps(a_document(a_removal("app:*", agent_only=True))))
    place.docker.tags = ["app:1"]
    place.engine()
    if after_a_pass:
        place.run("--once").ends()
    assert "NOT_DOWNLOADED_BY_AGENT" in place.imagectl(*command).stdout
    place.imagectl("record-download", "app:1")
    for _ in range(2):
        assert "DUE" in place.imagectl(*command).stdout
    place.run("--once").ends()
    assert place.docker.tags == []
